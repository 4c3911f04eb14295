// SPDX-License-Identifier: GPL-2.0-only
/* xlb save: the whole configuration as lines of a batch, in an order of its own. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "acl.h"
#include "save.h"
#include "service.h"
#include "session.h"

static int save_backends(struct output *output, const struct service *service)
{
	struct backend **backends = backends_sorted(service);

	if (!backends)
		return -ENOMEM;
	output_list(output, "backends");
	for (unsigned i = 0; backends[i]; i++) {
		output_line(output, 0);
		output_text(output, "backend add");
		output_object(output, NULL);
		backend_fields(output, backends[i]);
		output_close(output);
	}
	output_close(output);
	free(backends);
	return 0;
}

static int save_services(struct output *output, const struct state *state, unsigned rule)
{
	int error = 0;

	output_list(output, "services");
	for (unsigned i = 0; !error && i < state->count; i++) {
		output_line(output, 0);
		output_text(output, "service add");
		output_object(output, NULL);
		service_fields(output, state->list[i]);
		error = save_backends(output, state->list[i]);
		rules_save(output, state, state->list[i], &rule);
		output_close(output);
	}
	output_close(output);
	return error;
}

int save_print(struct output *output, struct state *state)
{
	unsigned rule = 0;
	int error = rules_load(state);

	if (error)
		return error;
	rules_sort(state);
	services_sort(state);
	output->usual = true;
	output_object(output, NULL);
	output_line(output, 0);
	output_text(output, "# printed by xlb save");
	output_line(output, 0);
	output_text(output, "config set");
	output_object(output, "config");
	config_fields(output, &state->config);
	output_close(output);
	rules_save(output, state, NULL, &rule);
	error = save_services(output, state, rule);
	output_close(output);
	output->usual = false;
	return error;
}

static enum status cmd_save(struct context *context, struct args *args)
{
	struct state *state;
	int error;

	if (args_end(args))
		return STATUS_USAGE;
	/* Under the lock: not what somebody has half written. */
	state = session_view_locked(context, args);
	if (!state)
		return STATUS_REFUSED;
	error = save_print(&context->output, state);
	state_free(state);
	return error ? args_fail(args, STATUS_REFUSED, "%s", strerror(-error)) : STATUS_DONE;
}

const struct object save_object = {
	.name = "save",
	.usage = "xlb save\n",
	.run = cmd_save,
};
