// SPDX-License-Identifier: GPL-2.0-only
/* One thing at a time from the state to the maps. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "mode.h"
#include "write.h"

static int put(const struct state *state, enum map map, const void *key, const void *value)
{
	return bpf_map_update_elem(state->maps.fd[map], key, value, BPF_ANY);
}

static int take(const struct state *state, enum map map, const void *key)
{
	int error = bpf_map_delete_elem(state->maps.fd[map], key);

	return error == -ENOENT ? 0 : error;
}

static enum map family(const struct endpoint *endpoint, enum map map4, enum map map6)
{
	return address_is4(endpoint->address) ? map4 : map6;
}

int write_service(const struct state *state, const struct service *service,
		  const struct xlb_service *value)
{
	union endpoint_key key;

	endpoint_to_key(&service->endpoint, &key);
	return put(state, family(&service->endpoint, MAP_SERVICES4, MAP_SERVICES6), &key, value);
}

int erase_service(const struct state *state, const struct service *service)
{
	union endpoint_key key;

	endpoint_to_key(&service->endpoint, &key);
	return take(state, family(&service->endpoint, MAP_SERVICES4, MAP_SERVICES6), &key);
}

int write_config(struct state *state)
{
	__u32 zero = 0;

	state->config_edited = false;
	return put(state, MAP_CONFIG, &zero, &state->config);
}

int write_live(struct state *state, __u16 id, bool live)
{
	__u32 key = id;

	state->targets[id].live = live;
	return put(state, MAP_TARGETS, &key, &state->targets[id]);
}

/* Whatever the id's last owner left. */
static int id_clear(struct state *state, __u16 id)
{
	const struct xlb_nexthop nexthop = {};
	int cpus = libbpf_num_possible_cpus();
	struct xlb_stats *stats;
	__u32 key = id;
	int error;

	if (cpus < 0)
		return cpus;
	stats = calloc(cpus, sizeof(*stats));
	if (!stats)
		return -ENOMEM;
	error = put(state, MAP_STATS, &key, stats);
	free(stats);
	return error ?: put(state, MAP_NEXTHOPS, &key, &nexthop);
}

bool backend_by_flow(const struct backend *backend)
{
	return backend->service->value.mode == XLB_DNAT &&
	       address_is_any(backend->service->endpoint.address);
}

static int target_make(struct state *state, const struct backend *backend)
{
	struct xlb_target *target = &state->targets[backend->value.id];
	const __u8 *address = backend->end.address;
	__u16 generation = target->generation + 1;

	memset(target, 0, sizeof(*target));
	memcpy(target->address, address_bytes(address), address_is4(address) ? 4 : 16);
	target->port = backend->end.port;
	target->generation = generation;
	target->v6 = !address_is4(address);
	target->by_flow = backend_by_flow(backend);
	return write_live(state, backend->value.id, 0);
}

/* Of mode dnat. */
static void reply_make_dnat(const struct backend *backend, struct xlb_reply *reply)
{
	const struct endpoint *vip = &backend->service->endpoint;

	*reply = (struct xlb_reply){
		.port = vip->port,
		.backend = backend->value.id,
		.by_flow = address_is_any(vip->address),
	};
	memcpy(reply->address, address_bytes(vip->address), address_is4(vip->address) ? 4 : 16);
}

void reply_make(const struct backend *backend, struct xlb_reply *reply)
{
	if (backend->service->value.mode == XLB_NAT)
		*reply = (struct xlb_reply){ .backend = backend->value.id, .by_flow = 1 };
	else
		reply_make_dnat(backend, reply);
}

static int reply_put(const struct state *state, const struct backend *backend,
		     const struct xlb_reply *reply)
{
	union endpoint_key key;

	endpoint_to_key(&backend->end, &key);
	return put(state, family(&backend->end, MAP_REPLIES4, MAP_REPLIES6), &key, reply);
}

/* Whoever has a record follows it, others are of mode dnat. */
int write_backend_both(struct state *state, struct backend *backend)
{
	__u16 id = backend->value.id;
	struct xlb_target *target = &state->targets[id];
	struct xlb_reply reply;
	int error = 0;

	if (!target->by_flow && backend_by_flow(backend)) {
		target->by_flow = 1;
		error = write_live(state, id, target->live);
	}
	if (error || !mode_replies(backend->service->value.mode))
		return error;
	reply_make_dnat(backend, &reply);
	reply.by_flow = 1;
	backend->answered = false;
	return reply_put(state, backend, &reply);
}

static int write_reply(const struct state *state, const struct backend *backend)
{
	const struct service *service = backend->service;
	struct xlb_reply reply;

	if (!mode_replies(service->value.mode))
		return service_mode_changes(service) ? erase_reply(state, &backend->end) : 0;
	if (backend->answered)
		return 0;
	reply_make(backend, &reply);
	return reply_put(state, backend, &reply);
}

int write_backend(struct state *state, struct backend *backend)
{
	__u16 id = backend->value.id;
	bool live = backend_state(backend) != XLB_DOWN;
	int error = 0;

	if (!backend->written) {
		error = id_clear(state, id);
		error = error ?: target_make(state, backend);
		if (!error && live)
			error = write_live(state, id, 1);
	} else if (state->targets[id].by_flow != backend_by_flow(backend)) {
		state->targets[id].by_flow = backend_by_flow(backend);
		error = write_live(state, id, state->targets[id].live);
	}
	if (!error)
		error = write_reply(state, backend);
	if (!error && backend->edited)
		error = put(state, MAP_BACKENDS, &backend->key, &backend->value);
	if (!error && live && !state->targets[id].live)
		error = write_live(state, id, 1);
	return error;
}

int erase_reply(const struct state *state, const struct endpoint *end)
{
	const struct backend *other = state_backend(state, end);
	union endpoint_key key;

	if (other && other->end.port == end->port && mode_replies(other->service->value.mode))
		return 0;
	endpoint_to_key(end, &key);
	return take(state, family(end, MAP_REPLIES4, MAP_REPLIES6), &key);
}

int erase_backend(const struct state *state, const struct backend *backend)
{
	const struct backend *other = state_backend(state, &backend->end);
	int error = 0;

	if (!other || memcmp(&other->key, &backend->key, sizeof(other->key)))
		error = take(state, MAP_BACKENDS, &backend->key);
	return error ?: erase_reply(state, &backend->end);
}

