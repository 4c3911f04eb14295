// SPDX-License-Identifier: GPL-2.0-only
/* Edits of the state in memory. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rule.h"

/* The rules of one that stands there and is deleted are changed, not given up. */
static void number_inherit(const struct state *state, struct service *service)
{
	for (const struct service *gone = state->deleted_services; gone; gone = gone->next) {
		if (endpoint_compare(&gone->endpoint, &service->endpoint))
			continue;
		service->value.number = gone->value.number;
		service->stood_rules = gone->stood_rules;
	}
}

int state_service_add(struct state *state, const struct endpoint *endpoint,
		      const struct xlb_service *value, enum map *full)
{
	enum map map = address_is4(endpoint->address) ? MAP_SERVICES4 : MAP_SERVICES6;
	struct service *service = calloc(1, sizeof(*service));
	int error = -ENOSPC;

	if (!service)
		return -ENOMEM;
	*full = map;
	if (state->used[map] >= state->maps.entries[map])
		goto free;
	service->endpoint = *endpoint;
	service->value = *value;
	service->edited = service->rebuild = true;
	*full = MAP_SLOTS;
	error = range_take(state, value->table.size, &service->value.table.first);
	if (error)
		goto free;
	error = state_service_index(state, service);
	if (error)
		goto release;
	number_inherit(state, service);
	state->used[map]++;
	state->list[state->count++] = service;
	return 0;

release:
	range_release(state, service->value.table.first);
free:
	free(service);
	return error;
}

int state_service_resize(struct state *state, struct service *service, __u32 size,
			 enum map *full)
{
	__u32 first;
	int error = range_take(state, size, &first);

	*full = MAP_SLOTS;
	if (error)
		return error;
	service->value.table = (struct xlb_table){ .first = first, .size = size };
	service->edited = service->rebuild = true;
	service->placed = false;
	return 0;
}

/* What the maps do not know yet is gone at once. */
static void backend_discard(struct state *state, struct backend *backend)
{
	state_backend_unindex(state, backend);
	state->by_id[backend->value.id] = NULL;
	if (!backend->written) {
		free(backend);
		return;
	}
	backend->service = NULL;
	backend->next = state->deleted_backends;
	state->deleted_backends = backend;
}

int state_service_delete(struct state *state, struct service *service)
{
	bool v4 = address_is4(service->endpoint.address);
	int error = rules_leave(state, service);

	if (error)
		return error;
	while (service->backends) {
		struct backend *backend = service->backends;

		service->backends = backend->next;
		backend_discard(state, backend);
	}
	state_service_unindex(state, service);
	/* It leaves the map before others come in. */
	state->used[v4 ? MAP_SERVICES4 : MAP_SERVICES6]--;
	if (!service->placed)
		range_release(state, service->value.table.first);
	for (unsigned i = 0; i < state->count; i++)
		if (state->list[i] == service)
			state->list[i] = state->list[--state->count];
	if (!service->written) {
		free(service);
		return 0;
	}
	service->next = state->deleted_services;
	state->deleted_services = service;
	return 0;
}

int state_backend_add(struct state *state, struct service *service, const struct endpoint *end,
		      const struct xlb_backend *value, enum map *full)
{
	enum map replies = address_is4(end->address) ? MAP_REPLIES4 : MAP_REPLIES6;
	struct backend *backend = calloc(1, sizeof(*backend));
	int error = -ENOSPC;

	if (!backend)
		return -ENOMEM;
	*full = MAP_BACKENDS;
	if (state->used[MAP_BACKENDS] >= state->maps.entries[MAP_BACKENDS])
		goto free;
	*full = replies;
	if (state->used[replies] >= state->maps.entries[replies])
		goto free;
	*full = MAP_TARGETS;
	backend->value = *value;
	error = id_take(state, &backend->value.id);
	if (error)
		goto free;
	backend->service = service;
	backend->end = *end;
	backend_key_fill(&backend->key, service, end);
	error = state_backend_index(state, backend);
	if (error)
		goto free;
	state->by_id[backend->value.id] = backend;
	state->used[MAP_BACKENDS]++;
	state->used[replies]++;
	backend->next = service->backends;
	service->backends = backend;
	service->count++;
	state_backend_touch(backend);
	return 0;

free:
	free(backend);
	return error;
}

void state_backend_touch(struct backend *backend)
{
	backend->edited = true;
	backend->service->rebuild = true;
}

void state_backend_delete(struct state *state, struct backend *backend)
{
	struct service *service = backend->service;
	struct backend **place = &service->backends;

	while (*place != backend)
		place = &(*place)->next;
	*place = backend->next;
	service->count--;
	service->rebuild = true;
	backend_discard(state, backend);
}
