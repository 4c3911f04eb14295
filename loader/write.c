// SPDX-License-Identifier: GPL-2.0-only
/* One thing at a time from the state to the maps. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

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

int mark_service(const struct state *state, const struct service *service)
{
	enum map map = family(&service->endpoint, MAP_SERVICES4, MAP_SERVICES6);
	struct xlb_service stands;
	union endpoint_key key;
	int error;

	endpoint_to_key(&service->endpoint, &key);
	error = bpf_map_lookup_elem(state->maps.fd[map], &key, &stands);
	stands.updating = XLB_REPLACING;
	return error ?: put(state, map, &key, &stands);
}

int erase_service(const struct state *state, const struct service *service)
{
	union endpoint_key key;

	endpoint_to_key(&service->endpoint, &key);
	return take(state, family(&service->endpoint, MAP_SERVICES4, MAP_SERVICES6), &key);
}

int write_config(struct state *state, const struct xlb_config *config)
{
	__u32 zero = 0;
	int error;

	if (!memcmp(config, &state->config_stands, sizeof(*config)))
		return 0;
	error = put(state, MAP_CONFIG, &zero, config);
	if (!error)
		state->config_stands = *config;
	return error;
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

int write_target(struct state *state, const struct backend *backend)
{
	struct xlb_target *target = &state->targets[backend->value.id];
	const __u8 *address = backend->end.address;
	__u16 generation = target->generation + 1;
	int error = id_clear(state, backend->value.id);

	if (error)
		return error;
	memset(target, 0, sizeof(*target));
	memcpy(target->address, address_bytes(address), address_is4(address) ? 4 : 16);
	target->port = backend->end.port;
	target->generation = generation;
	target->v6 = !address_is4(address);
	target->by_flow = backend->by_flow;
	return write_live(state, backend->value.id, 0);
}

int write_by_flow(struct state *state, __u16 id, bool by_flow)
{
	state->targets[id].by_flow = by_flow;
	return write_live(state, id, state->targets[id].live);
}

int write_reply(const struct state *state, struct reply *reply)
{
	enum map map = family(&reply->end, MAP_REPLIES4, MAP_REPLIES6);
	union endpoint_key key;

	endpoint_to_key(&reply->end, &key);
	reply->stands = reply->wanted;
	return reply->wanted.backend ? put(state, map, &key, &reply->wanted)
				     : take(state, map, &key);
}

int write_backend(struct state *state, struct backend *backend)
{
	__u16 id = backend->value.id;
	int error = 0;

	if (backend->edited)
		error = put(state, MAP_BACKENDS, &backend->key, &backend->value);
	if (!error && backend_state(backend) != XLB_DOWN && !state->targets[id].live)
		error = write_live(state, id, 1);
	return error;
}

int erase_backend(const struct state *state, const struct backend *backend)
{
	if (state_backend_by_key(state, &backend->key))
		return 0;
	return take(state, MAP_BACKENDS, &backend->key);
}
