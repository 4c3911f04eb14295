// SPDX-License-Identifier: GPL-2.0-only
/* What is given out: ranges of slots to services, ids to backends. */
#define _GNU_SOURCE	/* qsort_r */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "state.h"

static __u64 pool_end(const struct state *state)
{
	return (__u64)state->maps.entries[MAP_SLOTS] * XLB_SLOTS_PER_VALUE;
}

/* How many ranges begin at or before this slot. */
static unsigned range_index(const struct state *state, __u32 first)
{
	unsigned low = 0, high = state->range_count;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (state->ranges[middle].first <= first)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static __u64 range_end(const struct xlb_table *range)
{
	return (__u64)range->first + table_room(range->size);
}

static int range_insert(struct state *state, unsigned index, const struct xlb_table *range)
{
	/* Room grows by doubling, at each power of two. */
	if (!(state->range_count & (state->range_count - 1))) {
		void *more = reallocarray(state->ranges, state->range_count * 2 + 1,
					  sizeof(*state->ranges));

		if (!more)
			return -ENOMEM;
		state->ranges = more;
	}
	memmove(state->ranges + index + 1, state->ranges + index,
		(state->range_count - index) * sizeof(*state->ranges));
	state->ranges[index] = *range;
	state->range_count++;
	return 0;
}

int range_reserve(struct state *state, const struct xlb_table *table)
{
	unsigned index = range_index(state, table->first);

	if (!table->size || table->first % XLB_SLOTS_PER_VALUE ||
	    range_end(table) > pool_end(state) ||
	    (index && range_end(&state->ranges[index - 1]) > table->first) ||
	    (index < state->range_count && range_end(table) > state->ranges[index].first))
		return -EUCLEAN;
	return range_insert(state, index, table);
}

/* First fit. */
static int range_fit(struct state *state, __u32 size, __u32 *first)
{
	struct xlb_table range = { .size = size };
	unsigned i;

	for (i = 0; i < state->range_count; i++) {
		if (range_end(&range) <= state->ranges[i].first)
			break;
		range.first = range_end(&state->ranges[i]);
	}
	if (range_end(&range) > pool_end(state))
		return -ENOSPC;
	*first = range.first;
	return range_insert(state, i, &range);
}

void range_release(struct state *state, __u32 first)
{
	unsigned index = range_index(state, first);

	state->range_count--;
	memmove(state->ranges + index - 1, state->ranges + index,
		(state->range_count + 1 - index) * sizeof(*state->ranges));
}

/* Gives away slots of a service that is deleted, rather of one that is not added again. */
static bool range_yield(struct state *state)
{
	struct service *found = NULL;

	for (struct service *gone = state->deleted_services; gone; gone = gone->next) {
		if (gone->yields || !gone->placed)
			continue;
		found = gone;
		if (!state_service(state, &gone->endpoint))
			break;
	}
	if (!found)
		return false;
	range_release(state, found->value.table.first);
	found->yields = true;
	return true;
}

int range_take(struct state *state, __u32 size, __u32 *first)
{
	int error;

	do
		error = range_fit(state, size, first);
	while (error == -ENOSPC && range_yield(state));
	return error;
}

static void ids_in_slots_of(const struct state *state, const struct service *service,
			    bool *taken)
{
	const struct xlb_slot *slots = state_slots(state, service);

	for (__u32 slot = 0; service->placed && slot < service->value.table.size; slot++)
		taken[slots[slot].current] = taken[slots[slot].previous] = true;
}

/* Marks the ids that some slot names. */
static void ids_in_slots(const struct state *state, bool *taken)
{
	for (unsigned i = 0; i < state->count; i++)
		ids_in_slots_of(state, state->list[i], taken);
	for (const struct service *gone = state->deleted_services; gone; gone = gone->next)
		ids_in_slots_of(state, gone, taken);
}

static int id_order(const void *a, const void *b, void *context)
{
	const struct xlb_target *targets = context;
	__u16 left = *(const __u16 *)a, right = *(const __u16 *)b;
	int order = (int)targets[left].generation - targets[right].generation;

	return order ? order : (int)left - right;
}

/*
 * In the order of their generations, and so of how often they were given out: an
 * id comes back only after all others have had their turn.
 */
static int ids_find(struct state *state)
{
	__u32 end = state->maps.entries[MAP_TARGETS];
	bool *taken = calloc(XLB_BACKEND_DELETED + 1, sizeof(*taken));

	if (end > XLB_BACKEND_ID_MAX + 1)
		end = XLB_BACKEND_ID_MAX + 1;
	state->free_ids = calloc(end, sizeof(*state->free_ids));
	if (!taken || !state->free_ids) {
		free(taken);
		return -ENOMEM;
	}
	ids_in_slots(state, taken);
	for (const struct backend *backend = state->deleted_backends; backend;
	     backend = backend->next)
		taken[backend->value.id] = true;
	for (__u32 id = 1; id < end; id++)
		if (!taken[id] && !state->by_id[id] && !state->targets[id].live)
			state->free_ids[state->free_count++] = id;
	free(taken);
	qsort_r(state->free_ids, state->free_count, sizeof(*state->free_ids), id_order,
		state->targets);
	return 0;
}

int id_take(struct state *state, __u16 *id)
{
	int error = state->free_ids ? 0 : ids_find(state);

	if (error)
		return error;
	/* What was given to a backend that this batch deleted again stays out. */
	if (state->free_next == state->free_count)
		return -ENOSPC;
	*id = state->free_ids[state->free_next++];
	return 0;
}
