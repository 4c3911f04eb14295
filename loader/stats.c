// SPDX-License-Identifier: GPL-2.0-only
/* xlb stats: what went through, by service and backend, and what was dropped. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>

#include "counters.h"
#include "service.h"
#include "privilege.h"
#include "session.h"
#include "stats.h"

/* Counters that cannot be read fail the output, so that nobody takes them for 0. */
static void stats_add(struct output *output, const struct state *state,
		      const struct backend *backend, struct xlb_stats *sum)
{
	struct xlb_stats *stats;
	unsigned count;

	if (map_read_percpu(&state->maps, MAP_STATS, backend->value.id, (void **)&stats, &count)) {
		output->failed = true;
		return;
	}
	for (unsigned i = 0; i < count; i++) {
		sum->connections += stats[i].connections;
		sum->in_packets += stats[i].in_packets;
		sum->in_bytes += stats[i].in_bytes;
		sum->out_packets += stats[i].out_packets;
		sum->out_bytes += stats[i].out_bytes;
	}
	free(stats);
}

static void stats_print(struct output *output, const struct xlb_stats *stats)
{
	output_number(output, "connections", stats->connections);
	output_number(output, "in_packets", stats->in_packets);
	output_number(output, "in_bytes", stats->in_bytes);
	output_number(output, "out_packets", stats->out_packets);
	output_number(output, "out_bytes", stats->out_bytes);
}

void stats_show_backend(struct output *output, const struct state *state,
			const struct backend *backend)
{
	struct xlb_stats stats = {};

	stats_add(output, state, backend, &stats);
	stats_print(output, &stats);
}

void stats_show_service(struct output *output, const struct state *state,
			const struct service *service)
{
	struct xlb_stats stats = {};

	for (const struct backend *backend = service->backends; backend; backend = backend->next)
		stats_add(output, state, backend, &stats);
	stats_print(output, &stats);
}

static void backends_show(struct output *output, const struct state *state,
			  const struct service *service)
{
	struct backend **backends = backends_sorted(service);
	char text[ENDPOINT_TEXT];

	output->failed |= !backends;
	output_list(output, "backends");
	for (unsigned i = 0; backends && backends[i]; i++) {
		output_line(output, 4);
		output_object(output, NULL);
		output_string(output, "backend", backend_text(&backends[i]->end, text));
		stats_show_backend(output, state, backends[i]);
		output_close(output);
	}
	output_close(output);
	free(backends);
}

static void services_show(struct output *output, const struct state *state,
			  const struct service *only)
{
	char text[ENDPOINT_TEXT];

	output_list(output, "services");
	for (unsigned i = 0; i < state->count; i++) {
		const struct service *service = state->list[i];

		if (only && only != service)
			continue;
		output_line(output, 0);
		output_object(output, NULL);
		output_string(output, "service", service_text(&service->endpoint, text));
		stats_show_service(output, state, service);
		backends_show(output, state, service);
		output_close(output);
	}
	output_close(output);
}

static int drops_show(struct output *output, const struct maps *maps)
{
	int error;

	output_line(output, 0);
	output_object(output, "drops");
	output_text(output, "drops");
	error = counters_show(output, maps->fd[MAP_DROPS], "xlb.o", "xlb_drops");
	output_close(output);
	return error;
}

static enum status cmd_show(struct context *context, struct args *args)
{
	struct service *only;
	struct state *state;
	enum status status;
	int error;

	status = session_view_service(context, args, &state, &only);
	if (status)
		return status;
	services_sort(state);
	output_object(&context->output, NULL);
	services_show(&context->output, state, only);
	error = drops_show(&context->output, &state->maps);
	output_close(&context->output);
	if (error)
		status = args_fail(args, STATUS_REFUSED, "xlb_drops: %s",
				   privilege_explain(error, PRIVILEGE_ADMIN));
	state_free(state);
	return status;
}

static const struct command commands[] = {
	{ "show", cmd_show, false },
	{},
};

const struct object stats_object = {
	.name = "stats",
	.usage = "xlb stats [ show [ service SERVICE ] ]\n",
	.commands = commands,
};
