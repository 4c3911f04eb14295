// SPDX-License-Identifier: GPL-2.0-only
/* xlb backend show: what is configured of backends, and with -s what packets made of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "nexthop.h"
#include "service.h"
#include "session.h"
#include "stats.h"

/* What `show` is to show. */
struct view {
	struct output *output;
	const struct state *state;
	struct service *service;	/* NULL: of all */
	const struct endpoint *end;	/* NULL: all; port 0: whatever port */
	bool statistics;
	unsigned *slots;		/* by id */
	struct nexthops nexthops;
	unsigned shown;
};

void backend_fields(struct output *output, const struct backend *backend)
{
	const struct xlb_backend *value = &backend->value;
	const char *health = choice_name(backend_healths, value->health);
	char text[ENDPOINT_TEXT];

	output_subject(output, "backend", backend_text(&backend->end, text));
	output_detail(output, "address", json_string(address_text(backend->end.address, text)));
	output_detail(output, "port", json_integer(backend->end.port));
	output_string(output, "service", service_text(&backend->service->endpoint, text));
	output_number(output, "weight", value->weight);
	output_string(output, "state", choice_name(backend_states, value->admin));
	output_detail(output, "health", json_string(health));
	if (value->health != XLB_UP)
		output_text(output, "health %s", health);
}

static void backend_show(struct view *view, const struct backend *backend)
{
	const struct xlb_backend *value = &backend->value;
	struct output *output = view->output;

	output_line(output, 0);
	output_object(output, NULL);
	backend_fields(output, backend);
	output_detail(output, "id", json_integer(value->id));
	if (view->statistics) {
		output_line(output, 4);
		output_text(output, "id %u", value->id);
		if (value->cold)
			output_text(output, "warm %u", 100 - 10 * value->cold);
		output_detail(output, "warm", json_integer(100 - 10 * value->cold));
		output_number(output, "slots", view->slots[value->id]);
		output_line(output, 4);
		stats_show_backend(output, view->state, backend);
		nexthop_show(output, &view->nexthops, backend);
	}
	output_close(output);
	view->shown++;
}

static bool wanted(const struct view *view, const struct backend *backend)
{
	return !view->end || (!memcmp(view->end->address, backend->end.address, 16) &&
			      (!view->end->port || view->end->port == backend->end.port));
}

static int service_backends_show(struct view *view, const struct service *service)
{
	struct backend **backends = backends_sorted(service);

	if (!backends)
		return -ENOMEM;
	if (view->statistics)
		service_count_slots(view->state, service, view->slots);
	for (unsigned i = 0; backends[i]; i++)
		if (wanted(view, backends[i]))
			backend_show(view, backends[i]);
	free(backends);
	return 0;
}

static enum status backends_show(const struct args *args, struct view *view)
{
	int error = 0;

	view->slots = calloc(XLB_BACKEND_DELETED + 1, sizeof(*view->slots));
	if (!view->slots)
		error = -ENOMEM;
	else if (view->statistics)
		error = nexthops_read(&view->nexthops, view->state);
	output_list(view->output, NULL);
	for (unsigned i = 0; !error && i < view->state->count; i++)
		if (!view->service || view->service == view->state->list[i])
			error = service_backends_show(view, view->state->list[i]);
	output_close(view->output);
	nexthops_free(&view->nexthops);
	free(view->slots);
	if (error)
		return args_fail(args, STATUS_REFUSED, "%s", strerror(-error));
	if (view->end && !view->shown)
		return args_fail(args, STATUS_REFUSED, "no such backend");
	return STATUS_DONE;
}

enum status backend_cmd_show(struct context *context, struct args *args)
{
	struct view view = { .output = &context->output, .statistics = context->statistics };
	struct endpoint end;
	struct state *state;
	enum status status;

	if (args_peek(args) && strcmp(args_peek(args), "service")) {
		if (backend_subject(args, &end))
			return STATUS_USAGE;
		view.end = &end;
	}
	status = session_view_service(context, args, &state, &view.service);
	if (status)
		return status;
	services_sort(state);
	view.state = state;
	status = backends_show(args, &view);
	state_free(state);
	return status;
}
