// SPDX-License-Identifier: GPL-2.0-only
/* What the slots of a service become: who owns them, which marks have settled. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "record.h"
#include "table.h"

static enum table_fate fate(const struct state *state, const struct service *service, __u16 id)
{
	const struct backend *backend =
		id < state->maps.entries[MAP_TARGETS] ? state->by_id[id] : NULL;

	if (!backend || backend->service != service)
		return TABLE_DELETED;
	return backend_state(backend) == XLB_DOWN ? TABLE_DOWN : TABLE_LIVE;
}

/* Who is to own each slot; the caller frees. */
static int owners_make(const struct service *service, __u16 **owners)
{
	struct table_backend *backends = calloc(service->count + 1, sizeof(*backends));
	__u32 size = service->value.table.size;
	unsigned count = 0;
	int error = -ENOMEM;

	*owners = calloc(size, sizeof(**owners));
	if (!backends || !*owners)
		goto free;
	for (const struct backend *backend = service->backends; backend; backend = backend->next) {
		struct table_backend *to = &backends[count++];

		memcpy(to->address, backend->end.address, sizeof(to->address));
		to->port = backend->end.port;
		to->id = backend->value.id;
		to->weight = backend->value.weight;
		to->state = backend_state(backend);
		to->cold = backend->value.cold;
	}
	error = table_build(backends, count, size, *owners);
free:
	free(backends);
	return error;
}

static bool slot_equal(struct xlb_slot a, struct xlb_slot b)
{
	return a.current == b.current && a.previous == b.previous;
}

/* Works on service->slots, a copy of what stands. */
static bool slots_plan(const struct state *state, struct service *service, const __u16 *owners)
{
	bool changed = false, unmarked;

	for (__u32 i = 0; i < service->value.table.size; i++) {
		struct xlb_slot old = service->slots[i], slot = old;

		if (service->flush || (service->held && !service->held[i]))
			slot.previous = XLB_BACKEND_NONE;
		service->cleared |= slot.previous != old.previous;
		unmarked = !slot.previous;
		if (owners)
			slot = table_slot_next(slot, owners[i],
					       fate(state, service, slot.current),
					       fate(state, service, slot.previous));
		service->moved |= slot.current != old.current;
		service->marked |= slot.previous && unmarked;
		changed |= !slot_equal(slot, old);
		service->slots[i] = slot;
	}
	return changed;
}

static int service_plan(const struct state *state, struct service *service)
{
	__u32 size = service->value.table.size;
	__u16 *owners = NULL;
	int error = 0;

	service->slots = calloc(size, sizeof(*service->slots));
	if (!service->slots)
		return -ENOMEM;
	if (service->placed)
		memcpy(service->slots, state_slots(state, service),
		       size * sizeof(*service->slots));
	if (service->rebuild)
		error = owners_make(service, &owners);
	/* The place of new slots may hold anything. */
	if (!error && !slots_plan(state, service, owners) && service->placed) {
		free(service->slots);
		service->slots = NULL;
	}
	free(owners);
	return error;
}

/* Flows have records in marked slots, and in any slot of a service that is new or
 * whose writer died before it dropped them. */
static bool may_be_recorded(const struct state *state, const struct service *service)
{
	static const struct xlb_needs none;
	const struct xlb_slot *slots = state_slots(state, service);

	if (service->value.updating || service->value.mode == XLB_NAT ||
	    service->stood == XLB_NAT)
		return true;
	/* Those of a service on any address or port, of which this one takes a part. */
	if (!service->written)
		return memcmp(&state->config.needs, &none, sizeof(none));
	for (__u32 i = 0; service->placed && i < service->value.table.size; i++)
		if (slots[i].previous)
			return true;
	return false;
}

/* Jiffies when a packet was last refused a record; 0: never. */
static int refused_last(const struct state *state, __u64 *jiffies)
{
	struct xlb_budget *budgets;
	unsigned count;
	int error = map_read_percpu(&state->maps, MAP_BUDGET, 0, (void **)&budgets, &count);

	*jiffies = 0;
	for (unsigned i = 0; !error && i < count; i++)
		if (budgets[i].refused && budgets[i].refused_at > *jiffies)
			*jiffies = budgets[i].refused_at;
	free(budgets);
	return error;
}

/*
 * A mark may go once every flow that is older than it has shown itself or is
 * taken for dead, and was given a record when it did.
 */
static bool marks_settled(const struct state *state, const struct service *service, __u64 now,
			  __u64 refused)
{
	__u64 idle = (__u64)state->config.idle * state->config.hz;
	__u64 settle = (__u64)service->value.settle * state->config.hz;

	return now > service->value.changed + settle + idle && (!refused || now > refused + idle);
}

static enum record_fate mark_hold(const struct state *state, const struct record *record,
				  void *context)
{
	struct service *service = record->service;
	__u32 slot = record->flow->slot;
	const __u64 *now = context;

	if (record->flow->direction == XLB_FORWARD && service && service->held &&
	    slot < service->value.table.size && record->backend &&
	    record->flow->backend != state_slots(state, service)[slot].current &&
	    record_silence(record, *now) <= state->config.idle * state->config.hz)
		service->held[slot] = true;
	return RECORD_STAYS;
}

/* Finds the marks that can be cleared, where somebody wants it. */
static int marks_collect(struct state *state)
{
	bool candidates = false;
	__u64 refused, now;
	int error = refused_last(state, &refused);

	error = error ?: clock_jiffies(&now);
	for (unsigned i = 0; !error && i < state->count; i++) {
		struct service *service = state->list[i];

		service->collect |= service->rebuild;
		if (!service->collect || service->flush || !service->recorded ||
		    !marks_settled(state, service, now, refused))
			continue;
		service->held = calloc(service->value.table.size, sizeof(*service->held));
		if (!service->held)
			return -ENOMEM;
		candidates = true;
	}
	return error || !candidates ? error : record_each(state, mark_hold, &now);
}

int state_plan(struct state *state)
{
	int error = state_warm(state);

	if (error)
		return error;
	for (unsigned i = 0; i < state->count; i++) {
		struct service *service = state->list[i];

		service_judge(service);
		if (service->collect || service->rebuild || service->flush)
			service->recorded = may_be_recorded(state, service);
	}
	error = marks_collect(state);
	for (unsigned i = 0; !error && i < state->count; i++) {
		struct service *service = state->list[i];

		if (service->rebuild || service->held || (service->flush && service->recorded))
			error = service_plan(state, service);
	}
	return error;
}
