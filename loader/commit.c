// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writing what was edited, in stages with a grace period between them where a
 * packet could otherwise see too much:
 *
 *	1. rules are going to change; services that are deleted go, unless they are added
 *	   again, and VIPs of no service
 *	2. the configuration, if it is fresh or was edited, and VIPs that are new
 *	3. targets that are new; replies are told for what stands and what is to be
 *	4. services change their mode
 *	5. services whose slots change are marked `updating`; backends come in
 *	6. slots change owners; services that are added again take the place of the old ones
 *	7. backends go out; replies are told for what is left; records that nobody needs go
 *	8. rules (rule.h)
 *	9. services as they are to be; VIPs of no service go, and sources that are set no more
 *
 * A writer that dies leaves services or rules `updating`, or backends, replies and
 * live targets that belong to nobody: state_open() finds them, and the next commit
 * goes on from there.  Of a service that is added again backends may be left which are
 * unfit for the one that stands: then the next commit deletes it.
 */
#include <string.h>

#include "clock.h"
#include "record.h"
#include "reply.h"
#include "rule.h"
#include "write.h"

/* What services need now, besides what `needs` says already. */
static void needs_add(const struct state *state, struct xlb_needs *needs)
{
	for (unsigned i = 0; i < state->count; i++) {
		const struct endpoint *endpoint = &state->list[i]->endpoint;
		bool v4 = address_is4(endpoint->address);

		if (address_is_any(endpoint->address))
			*(v4 ? &needs->any_address4 : &needs->any_address6) = 1;
		if (!endpoint->port)
			*(v4 ? &needs->any_port4 : &needs->any_port6) = 1;
	}
}

/* Sources that are to be set no more stay while a service may need them. */
static struct xlb_config config_meanwhile(const struct state *state)
{
	static const struct xlb_config none;
	const struct xlb_config *stands = &state->config_stands;
	struct xlb_config config = state->config;

	if (!memcmp(config.tunnel4, none.tunnel4, sizeof(none.tunnel4)))
		memcpy(config.tunnel4, stands->tunnel4, sizeof(config.tunnel4));
	if (!memcmp(config.tunnel6, none.tunnel6, sizeof(none.tunnel6)))
		memcpy(config.tunnel6, stands->tunnel6, sizeof(config.tunnel6));
	if (!config.nat4_count) {
		memcpy(config.nat4, stands->nat4, sizeof(config.nat4));
		config.nat4_count = stands->nat4_count;
	}
	if (!config.nat6_count) {
		memcpy(config.nat6, stands->nat6, sizeof(config.nat6));
		config.nat6_count = stands->nat6_count;
	}
	return config;
}

static int commit_config(struct state *state)
{
	struct xlb_config config;
	int error = 0;

	needs_add(state, &state->config.needs);
	if (!state->config.abi) {
		error = write_config(state, &state->config);
		state->config.abi = XLB_ABI;
	}
	config = config_meanwhile(state);
	return error ?: write_config(state, &config);
}

/* What no service needs any more costs packets nothing any more. */
static int commit_needs(struct state *state)
{
	state->config.needs = (struct xlb_needs){};
	needs_add(state, &state->config.needs);
	return write_config(state, &state->config);
}

/* What takes the place of a service that is deleted, or NULL: it goes. */
static struct service *successor(const struct state *state, const struct service *gone)
{
	return gone->yields ? NULL : state_service(state, &gone->endpoint);
}

static int commit_deletions(struct state *state)
{
	bool any = false;
	int error = 0;

	for (const struct service *gone = state->deleted_services; !error && gone;
	     gone = gone->next) {
		if (successor(state, gone))
			continue;
		any = true;
		error = erase_service(state, gone);
	}
	if (error || !any)
		return error;
	error = clock_grace();
	/* Others may need the room. */
	return error ?: erase_vips(state);
}

/* Those that have their slots: what has none yet has no backend that stands. */
static bool mode_changes(const struct service *service)
{
	return service->placed && service_mode_changes(service);
}

static int commit_modes(struct state *state)
{
	bool any = false;
	int error = 0;

	for (unsigned i = 0; !error && i < state->count; i++) {
		struct service *service = state->list[i];

		if (!mode_changes(service))
			continue;
		any = true;
		service->value.updating = 1;
		error = write_service(state, service, &service->value);
	}
	return error || !any ? error : clock_grace();
}

/* New slots of a service that has had no backend in its old ones. */
static void slots_clear(const struct state *state, struct service *service)
{
	memset(state_slots(state, service), 0,
	       service->value.table.size * sizeof(struct xlb_slot));
	service->placed = true;
}

static int service_begin(const struct state *state, struct service *service, __u64 now)
{
	struct xlb_service *value = &service->value;

	if (!service->placed)
		slots_clear(state, service);
	if (service->moved)
		value->changed = now;
	if (service->marked)
		value->settle_until = now + (__u64)value->settle * state->config.hz;
	value->updating = 1;
	return service->written ? write_service(state, service, value) : 0;
}

static int commit_in(struct state *state)
{
	bool wait = false;
	__u64 now;
	int error = clock_jiffies(&now);

	for (unsigned i = 0; !error && i < state->count; i++) {
		struct service *service = state->list[i];

		if (!service->slots)
			continue;
		error = service_begin(state, service, now);
		wait |= service->written;
	}
	for (const struct service *gone = state->deleted_services; !error && gone;
	     gone = gone->next)
		if (successor(state, gone))
			error = mark_service(state, gone);
	for (unsigned i = 0; !error && i < state->count; i++)
		for (struct backend *backend = state->list[i]->backends; !error && backend;
		     backend = backend->next)
			error = write_backend(state, backend);
	return error || !wait ? error : clock_grace();
}

static void slots_write(const struct state *state, const struct service *service)
{
	struct xlb_slot *slots = state_slots(state, service);

	for (__u32 i = 0; i < service->value.table.size; i++)
		if (slots[i].current != service->slots[i].current ||
		    slots[i].previous != service->slots[i].previous)
			__atomic_store(&slots[i], &service->slots[i], __ATOMIC_RELAXED);
}

static bool target_lives(const struct state *state, __u32 id)
{
	return state->by_id[id] && backend_state(state->by_id[id]) != XLB_DOWN;
}

/* Must packets that have seen the old slots be through before the next stage? */
static bool anything_leaves(const struct state *state)
{
	if (state->deleted_backends)
		return true;
	for (unsigned i = 0; i < state->count; i++)
		if (state->list[i]->cleared || state->list[i]->flush)
			return true;
	for (__u32 id = 1; id < state->maps.entries[MAP_TARGETS]; id++)
		if (state->targets[id].live && !target_lives(state, id))
			return true;
	return false;
}

/* *any becomes true if there are some. */
static int successors_write(const struct state *state, bool *any)
{
	int error = 0;

	for (const struct service *gone = state->deleted_services; !error && gone;
	     gone = gone->next) {
		struct service *service = successor(state, gone);

		if (!service)
			continue;
		*any = true;
		service->value.updating = XLB_REPLACING;
		error = write_service(state, service, &service->value);
	}
	return error;
}

static int commit_slots(struct state *state)
{
	bool wrote = false, replaced = false;
	int error;

	for (unsigned i = 0; i < state->count; i++) {
		if (!state->list[i]->slots)
			continue;
		slots_write(state, state->list[i]);
		wrote = true;
	}
	error = successors_write(state, &replaced);
	if (error)
		return error;
	return replaced || (wrote && anything_leaves(state)) ? clock_grace() : 0;
}

static int commit_out(struct state *state)
{
	bool wait = state->deleted_backends;
	int error = 0;

	for (const struct backend *backend = state->deleted_backends; !error && backend;
	     backend = backend->next)
		error = erase_backend(state, backend);
	for (__u32 id = 1; !error && id < state->maps.entries[MAP_TARGETS]; id++)
		if (state->targets[id].live && !target_lives(state, id))
			error = write_live(state, id, 0);
	error = error ?: replies_write_afterwards(state, &wait);
	/* Then the ids are free. */
	return error || !wait ? error : clock_grace();
}

static bool any_by_flow(const struct service *service)
{
	for (const struct backend *backend = service->backends; backend; backend = backend->next)
		if (backend->by_flow)
			return true;
	return false;
}

static int commit_records(struct state *state)
{
	bool any = state->deleted_services || state->untold;

	for (unsigned i = 0; i < state->count; i++) {
		const struct service *service = state->list[i];

		any |= service->flush ||
		       (service->collect && (service->recorded || any_by_flow(service)));
	}
	return any ? record_collect(state) : 0;
}

static int commit_services(struct state *state)
{
	int error = 0;

	for (unsigned i = 0; !error && i < state->count; i++) {
		struct service *service = state->list[i];

		if (!service->edited && !service->value.updating)
			continue;
		service->value.updating = 0;
		error = write_service(state, service, &service->value);
	}
	return error;
}

int state_commit(struct state *state)
{
	int error = state_plan(state);

	/* Packets may still be using what a dead writer took back last. */
	if (!error && state->repair)
		error = clock_grace();
	error = error ?: rules_begin(state);
	error = error ?: commit_deletions(state);
	error = error ?: commit_config(state);
	error = error ?: write_vips(state);
	error = error ?: replies_write_meanwhile(state);
	error = error ?: commit_modes(state);
	error = error ?: commit_in(state);
	error = error ?: commit_slots(state);
	error = error ?: commit_out(state);
	error = error ?: commit_records(state);
	error = error ?: rules_write(state);
	rules_end(state);
	error = error ?: commit_services(state);
	error = error ?: erase_vips(state);
	return error ?: commit_needs(state);
}
