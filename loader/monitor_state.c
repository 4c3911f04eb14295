// SPDX-License-Identifier: GPL-2.0-only
/* xlb monitor: what the maps say, read again and again. */
#include <errno.h>
#include <stdlib.h>

#include "monitor.h"
#include "program.h"
#include "service.h"

static void state_replace(struct monitor *monitor, struct state *state)
{
	free(monitor->ends);
	monitor->ends = NULL;
	state_free(monitor->state);
	monitor->state = state;
}

int monitor_read(struct monitor *monitor)
{
	struct state *state;
	int error = state_open(&state, monitor->pin, MAPS_LOOK);
	__u32 config = error ? 0 : program_map_id(state->maps.fd[MAP_CONFIG]);

	if (!error && monitor->state && config != monitor->config)
		error = -ESTALE;
	if (error) {
		state_free(state);
		return error;
	}
	monitor->config = config;
	services_sort(state);
	if (monitor->state && monitor->wanted[MONITOR_CHANGE])
		changes_tell(monitor, monitor->state, state);
	state_replace(monitor, state);
	return 0;
}

static int end_order(const void *a, const void *b)
{
	const struct backend *const *left = a, *const *right = b;

	return endpoint_compare(&(*left)->end, &(*right)->end);
}

int monitor_ends(struct monitor *monitor)
{
	const struct state *state = monitor->state;
	unsigned count = 0;

	if (monitor->ends)
		return 0;
	monitor->ends = calloc(state->used[MAP_BACKENDS] + 1, sizeof(*monitor->ends));
	if (!monitor->ends)
		return -ENOMEM;
	for (unsigned i = 0; i < state->count; i++)
		for (const struct backend *backend = state->list[i]->backends; backend;
		     backend = backend->next)
			monitor->ends[count++] = backend;
	qsort(monitor->ends, count, sizeof(*monitor->ends), end_order);
	monitor->end_count = count;
	return 0;
}

/* The first that is not before this end. */
static unsigned end_place(const struct monitor *monitor, const struct endpoint *end)
{
	unsigned first = 0, last = monitor->end_count;

	while (first < last) {
		unsigned middle = first + (last - first) / 2;

		if (endpoint_compare(&monitor->ends[middle]->end, end) < 0)
			first = middle + 1;
		else
			last = middle;
	}
	return first;
}

const struct backend *monitor_backend(struct monitor *monitor, const struct endpoint *end,
				      enum xlb_mode mode)
{
	struct endpoint any = *end;

	if (monitor_ends(monitor))
		return NULL;
	for (unsigned i = end_place(monitor, end); i < monitor->end_count; i++) {
		const struct backend *backend = monitor->ends[i];

		if (endpoint_compare(&backend->end, end))
			break;
		if (!mode || backend->service->value.mode == mode)
			return backend;
	}
	/* That of a service on any port has none. */
	any.port = 0;
	return end->port ? monitor_backend(monitor, &any, mode) : NULL;
}
