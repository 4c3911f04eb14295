// SPDX-License-Identifier: GPL-2.0-only
/* What other objects want of services: finding, counting and sorting them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "service.h"
#include "table.h"

enum status table_check(const struct args *args, const struct keyword *keyword)
{
	__u32 next = keyword->number;

	if (!keyword->given || table_size_valid(next))
		return STATUS_DONE;
	while (!table_size_valid(next))
		next++;
	return args_fail(args, STATUS_USAGE, "table %s: not a prime number, the next is %u",
			 keyword->word, next);
}

enum status service_argument(const struct args *args, const struct keyword *keyword,
			     struct endpoint *endpoint)
{
	const char *why = keyword->given ? service_parse(keyword->word, endpoint) : NULL;

	if (!why)
		return STATUS_DONE;
	return args_fail(args, STATUS_USAGE, "service %s: %s", keyword->word, why);
}

/* The keyword's value has passed service_argument(). */
static struct service *service_named(const struct args *args, const struct state *state,
				     const struct keyword *keyword)
{
	struct service *service;
	struct endpoint endpoint;

	service_parse(keyword->word, &endpoint);
	service = state_service(state, &endpoint);
	if (!service)
		args_fail(args, STATUS_REFUSED, "service %s: no such service", keyword->word);
	return service;
}

struct service *service_choose(const struct args *args, const struct state *state,
			       const struct keyword *keyword)
{
	if (keyword->given)
		return service_named(args, state, keyword);
	if (state->count == 1)
		return state->list[0];
	if (state->count)
		args_fail(args, STATUS_REFUSED, "of which of the %u services? service "
			  "ADDRESS:PORT/PROTOCOL", state->count);
	else
		args_fail(args, STATUS_REFUSED, "there is no service: xlb service add "
			  "ADDRESS:PORT/PROTOCOL");
	return NULL;
}

bool service_filter(const struct args *args, const struct state *state,
		    const struct keyword *keyword, struct service **service)
{
	*service = keyword->given ? service_named(args, state, keyword) : NULL;
	return !keyword->given || *service;
}

enum status full_fail(const struct args *args, const struct state *state, enum map full,
		      int error)
{
	if (error != -ENOSPC)
		return args_fail(args, STATUS_REFUSED, "%s", strerror(-error));
	if (full == MAP_SLOTS)
		return args_fail(args, STATUS_REFUSED, "xlb_slots is full: no room for this table "
				 "in its %llu slots, a smaller one may fit",
				 (__u64)state->maps.entries[full] * XLB_SLOTS_PER_VALUE);
	return args_fail(args, STATUS_REFUSED, "%s is full (%u entries): xlb load sizes it when "
			 "it makes the maps", map_name(full), state->maps.entries[full]);
}

enum status number_fail(const struct args *args, const char *what, int error)
{
	return args_fail(args, STATUS_REFUSED, "%s%s", what, error == -ENOSPC ?
			 "65535 services have rules or a limit, no more can" :
			 strerror(-error));
}

static int service_order(const void *a, const void *b)
{
	return endpoint_compare(&(*(struct service *const *)a)->endpoint,
				&(*(struct service *const *)b)->endpoint);
}

void services_sort(struct state *state)
{
	qsort(state->list, state->count, sizeof(state->list[0]), service_order);
}

unsigned service_marks(const struct state *state, const struct service *service)
{
	const struct xlb_slot *slots = state_slots(state, service);
	unsigned marks = 0;

	for (__u32 i = 0; i < service->value.table.size; i++)
		marks += slots[i].previous != XLB_BACKEND_NONE;
	return marks;
}

void service_count_slots(const struct state *state, const struct service *service,
			 unsigned *slots)
{
	const struct xlb_slot *slot = state_slots(state, service);

	for (__u32 i = 0; i < service->value.table.size; i++)
		slots[slot[i].current]++;
}

static int backend_order(const void *a, const void *b)
{
	return endpoint_compare(&(*(struct backend *const *)a)->end,
				&(*(struct backend *const *)b)->end);
}

struct backend **backends_sorted(const struct service *service)
{
	struct backend **backends = calloc(service->count + 1, sizeof(*backends));
	unsigned count = 0;

	if (!backends)
		return NULL;
	for (struct backend *backend = service->backends; backend; backend = backend->next)
		backends[count++] = backend;
	qsort(backends, count, sizeof(*backends), backend_order);
	return backends;
}
