// SPDX-License-Identifier: GPL-2.0-only
/* The maps read into memory, and what a writer that died has left over. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "clock.h"
#include "reply.h"
#include "rule.h"

/* Of one CPU: its part of what fills a table in XLB_RECORDS_FILL, up to the default. */
static __u32 records_default(const struct maps *maps)
{
	__u32 part = maps->entries[MAP_FLOWS4] / XLB_RECORDS_FILL / sysconf(_SC_NPROCESSORS_ONLN);

	if (part > XLB_RECORDS_DEFAULT)
		return XLB_RECORDS_DEFAULT;
	return part ? part : 1;
}

static void config_default(struct state *state)
{
	state->config = (struct xlb_config){
		.hz = clock_hz(),
		.seed = XLB_SEED_DEFAULT,
		.settle = XLB_SETTLE_DEFAULT,
		.idle = XLB_IDLE_DEFAULT,
		.table = XLB_TABLE_DEFAULT,
		.records = records_default(&state->maps),
		.gue_port = XLB_GUE_PORT_DEFAULT,
	};
}

static int config_load(struct state *state)
{
	__u32 zero = 0;
	int error = bpf_map_lookup_elem(state->maps.fd[MAP_CONFIG], &zero, &state->config);

	state->config_stands = state->config;
	state->used[MAP_ACL4] = state->config.rules4;
	state->used[MAP_ACL6] = state->config.rules6;
	if (!error && !state->config.abi)
		config_default(state);
	return error;
}

/* The kernel maps nothing for who may only read: room for a copy, then. */
static int slots_load(struct state *state, bool write)
{
	void *slots = mmap(NULL, slots_length(state), write ? PROT_READ | PROT_WRITE : PROT_READ,
			   MAP_SHARED, state->maps.fd[MAP_SLOTS], 0);

	state->slots_copied = slots == MAP_FAILED && state->maps.use != MAPS_CHANGE;
	if (state->slots_copied)
		slots = mmap(NULL, slots_length(state), PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (slots == MAP_FAILED)
		return -errno;
	state->slots = slots;
	return 0;
}

static int slots_copy(const struct state *state, const struct xlb_table *table)
{
	__u32 first = table->first / XLB_SLOTS_PER_VALUE, before = first - 1, place;
	__u32 count = (table->size + XLB_SLOTS_PER_VALUE - 1) / XLB_SLOTS_PER_VALUE;
	__u32 *keys = calloc(count, sizeof(*keys));
	int error = keys ? 0 : -ENOMEM;

	error = error ?: bpf_map_lookup_batch(state->maps.fd[MAP_SLOTS], first ? &before : NULL,
					      &place, keys, (struct xlb_slots *)state->slots + first,
					      &count, NULL);
	free(keys);
	/* These were the last of the map. */
	return error == -ENOENT ? 0 : error;
}

static int service_load(struct state *state, const struct endpoint *endpoint, const void *found)
{
	const struct xlb_service *value = found;
	struct service *service;
	int error = range_reserve(state, &value->table);

	if (!error && state->slots_copied)
		error = slots_copy(state, &value->table);
	if (error)
		return error;
	service = calloc(1, sizeof(*service));
	if (!service)
		return -ENOMEM;
	service->endpoint = *endpoint;
	service->value = *value;
	service->stood = value->mode;
	service->stood_rules = value->rules;
	state->used[address_is4(endpoint->address) ? MAP_ACL4 : MAP_ACL6] += value->rules;
	service->written = service->placed = true;
	state->list[state->count++] = service;
	if (value->updating) {
		service->rebuild = service->collect = true;
		state->repair = true;
	}
	return state_service_index(state, service);
}

/* What endpoints are the keys of. */
static int endpoints_load(struct state *state, enum map map, bool v6, size_t value_size,
			  int (*load)(struct state *, const struct endpoint *, const void *value))
{
	size_t size = v6 ? sizeof(struct xlb_endpoint6) : sizeof(struct xlb_endpoint4);
	char *keys, *values;
	unsigned count;
	int error = map_read(&state->maps, map, (void **)&keys, (void **)&values, &count);

	if (error)
		return error;
	state->used[map] = count;
	for (unsigned i = 0; !error && i < count; i++) {
		struct endpoint endpoint;
		union endpoint_key key;

		memcpy(&key, keys + i * size, size);
		endpoint_from_key(&endpoint, &key, v6);
		error = load(state, &endpoint, values + i * value_size);
	}
	free(keys);
	free(values);
	return error;
}

static int services_load(struct state *state)
{
	const size_t size = sizeof(struct xlb_service);
	int error = endpoints_load(state, MAP_SERVICES4, false, size, service_load);

	return error ?: endpoints_load(state, MAP_SERVICES6, true, size, service_load);
}

static int backend_attach(struct state *state, struct backend *backend)
{
	__u16 id = backend->value.id;
	int error;

	if (!id || id >= state->maps.entries[MAP_TARGETS] || state->by_id[id])
		return -EUCLEAN;
	error = state_backend_index(state, backend);
	if (error)
		return error == -EEXIST ? -EUCLEAN : error;
	state->by_id[id] = backend;
	backend->next = backend->service->backends;
	backend->service->backends = backend;
	backend->service->count++;
	return 0;
}

static int backend_load(struct state *state, const struct xlb_backend_key *key,
			const struct xlb_backend *value)
{
	struct endpoint endpoint = { .port = key->service_port, .protocol = key->protocol };
	struct backend *backend = calloc(1, sizeof(*backend));
	int error;

	if (!backend)
		return -ENOMEM;
	memcpy(endpoint.address, key->service_address, sizeof(endpoint.address));
	memcpy(backend->end.address, key->address, sizeof(backend->end.address));
	backend->end.port = key->port;
	backend->end.protocol = key->protocol;
	backend->key = *key;
	backend->value = *value;
	backend->stood_up = backend_up(value);
	backend->written = true;
	backend->service = state_service(state, &endpoint);
	if (!backend->service) {
		backend->next = state->deleted_backends;
		state->deleted_backends = backend;
		state->repair = true;
		return 0;
	}
	backend->stood = backend->service->stood;
	error = backend_attach(state, backend);
	if (error)
		free(backend);
	return error;
}

static int backends_load(struct state *state)
{
	struct xlb_backend_key *keys;
	struct xlb_backend *values;
	unsigned count;
	int error = map_read(&state->maps, MAP_BACKENDS, (void **)&keys, (void **)&values, &count);

	if (error)
		return error;
	state->used[MAP_BACKENDS] = count;
	for (unsigned i = 0; !error && i < count; i++)
		error = backend_load(state, &keys[i], &values[i]);
	free(keys);
	free(values);
	return error;
}

static int targets_load(struct state *state)
{
	unsigned count;
	__u32 *ids;
	int error = map_read(&state->maps, MAP_TARGETS, (void **)&ids, (void **)&state->targets,
			     &count);

	free(ids);
	if (!error && count != state->maps.entries[MAP_TARGETS])
		error = -EUCLEAN;
	return error;
}

static int reply_load(struct state *state, const struct endpoint *end, const void *found)
{
	return reply_add(state, end, found);
}

static int replies_load(struct state *state)
{
	const size_t size = sizeof(struct xlb_reply);
	int error = endpoints_load(state, MAP_REPLIES4, false, size, reply_load);

	error = error ?: endpoints_load(state, MAP_REPLIES6, true, size, reply_load);
	replies_sort(state);
	return error ?: replies_plan(state, REPLY_AFTERWARDS);
}

/* A target lives exactly if its backend is not down. */
static bool target_stands(const struct state *state, const struct backend *backend, __u32 id)
{
	const struct xlb_target *target = &state->targets[id];

	if (!backend)
		return !target->live;
	return target->live == (backend_state(backend) != XLB_DOWN) &&
	       target->by_flow == backend->by_flow;
}

static void leftovers_find(struct state *state)
{
	for (__u32 id = 1; id < state->maps.entries[MAP_TARGETS]; id++)
		state->repair |= !target_stands(state, state->by_id[id], id);
	for (unsigned i = 0; i < state->reply_count; i++)
		state->repair |= reply_differs(&state->replies[i]);
}

static int room_make(struct state *state)
{
	const __u32 *entries = state->maps.entries;

	state->list = calloc((size_t)entries[MAP_SERVICES4] + entries[MAP_SERVICES6],
			       sizeof(state->list[0]));
	state->by_id = calloc(entries[MAP_TARGETS], sizeof(state->by_id[0]));
	return state->list && state->by_id ? 0 : -ENOMEM;
}

/* Services whose places a dead writer was giving to others. */
static int unfinished_delete(struct state *state)
{
	int error = 0;

	for (unsigned i = state->count; !error && i-- > 0;)
		if (state->list[i]->value.updating == XLB_REPLACING)
			error = state_service_delete(state, state->list[i]);
	return error;
}

static int load(struct state *state, bool write)
{
	int error = room_make(state);
	__u64 now;

	error = error ?: config_load(state);
	error = error ?: slots_load(state, write);
	error = error ?: services_load(state);
	error = error ?: targets_load(state);
	error = error ?: backends_load(state);
	for (unsigned i = 0; !error && i < state->count; i++)
		service_judge(state->list[i]);
	if (error || !write)
		return error;
	error = unfinished_delete(state);
	error = error ?: replies_load(state);
	if (!error)
		leftovers_find(state);
	if (!error && state->config.rules_updating) {
		state->repair = true;
		error = rules_repair(state);
	}
	/* Who may not read the clock is to know before anything is written. */
	return error ?: clock_jiffies(&now);
}

static int try(struct state **state, const char *pin, enum maps_use use)
{
	int error;

	*state = calloc(1, sizeof(**state));
	if (!*state)
		return -ENOMEM;
	error = maps_open(&(*state)->maps, pin, use);
	return error ?: load(*state, use == MAPS_CHANGE);
}

/* Did a writer get between two maps? */
static bool torn(int error)
{
	return error == -EUCLEAN || error == -EINPROGRESS;
}

/* Who may read the maps need not be allowed to lock out who changes them. */
static int try_again(struct state **state, const char *pin)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	int error = try(state, pin, MAPS_LOOK_LOCKED);

	for (unsigned tries = 50; (error == -EACCES || torn(error)) && tries; tries--) {
		state_free(*state);
		nanosleep(&pause, NULL);
		error = try(state, pin, MAPS_LOOK);
	}
	return error;
}

int state_open(struct state **state, const char *pin, enum maps_use use)
{
	int error = try(state, pin, use);

	/* Who only looks waits for no writer, unless one got between two maps. */
	if (use != MAPS_LOOK || !torn(error))
		return error;
	state_free(*state);
	return try_again(state, pin);
}

int state_open_aside(struct state **state, const char *folder)
{
	int error;

	*state = calloc(1, sizeof(**state));
	if (!*state)
		return -ENOMEM;
	error = maps_open_all(&(*state)->maps, folder, true, NULL);
	return error ?: load(*state, false);
}

int state_blank(struct state **state, const char *pin)
{
	int error;

	*state = calloc(1, sizeof(**state));
	if (!*state)
		return -ENOMEM;
	error = maps_open(&(*state)->maps, pin, MAPS_LOOK);
	error = error ?: room_make(*state);
	if (error)
		return error;
	/* Only their sizes are wanted, and nothing is to get into them. */
	maps_close(&(*state)->maps);
	config_default(*state);
	(*state)->rules_known = true;
	(*state)->targets = calloc((*state)->maps.entries[MAP_TARGETS],
				   sizeof((*state)->targets[0]));
	return (*state)->targets ? 0 : -ENOMEM;
}
