// SPDX-License-Identifier: GPL-2.0-only
/* The state in memory: what stands where, and finding it. */
#define _GNU_SOURCE	/* tdestroy */
#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "rule.h"

static int service_order(const void *a, const void *b)
{
	const struct service *left = a, *right = b;

	return endpoint_compare(&left->endpoint, &right->endpoint);
}

static int backend_order(const void *a, const void *b)
{
	const struct backend *left = a, *right = b;

	return memcmp(&left->key, &right->key, sizeof(left->key));
}

enum xlb_state backend_state(const struct backend *backend)
{
	bool failed = backend->value.health == XLB_DOWN && !backend->service->unheeded;

	return failed ? XLB_DOWN : backend->value.admin;
}

void service_judge(struct service *service)
{
	service->unheeded = service->value.fail == XLB_FAIL_OPEN;
	for (const struct backend *backend = service->backends; backend; backend = backend->next)
		if (backend->value.weight && backend_up(&backend->value))
			service->unheeded = false;
}

bool service_failed_open(const struct service *service)
{
	for (const struct backend *backend = service->backends; backend; backend = backend->next)
		if (service->unheeded && backend->value.health == XLB_DOWN &&
		    backend->value.weight && backend->value.admin == XLB_UP)
			return true;
	return false;
}

bool service_mode_changes(const struct service *service)
{
	return service->stood && service->stood != service->value.mode;
}

__u32 table_room(__u32 size)
{
	return (size + XLB_SLOTS_PER_VALUE - 1) / XLB_SLOTS_PER_VALUE * XLB_SLOTS_PER_VALUE;
}

size_t slots_length(const struct state *state)
{
	return (size_t)state->maps.entries[MAP_SLOTS] * sizeof(struct xlb_slots);
}

struct xlb_slot *state_slots(const struct state *state, const struct service *service)
{
	return state->slots + service->value.table.first;
}

struct service *state_service(const struct state *state, const struct endpoint *endpoint)
{
	struct service sought = { .endpoint = *endpoint };
	struct service **found = tfind(&sought, &state->services, service_order);

	return found ? *found : NULL;
}

struct service *state_service_match(const struct state *state, const struct endpoint *to)
{
	static const __u8 any6[16], any4[4];
	struct service *service = state_service(state, to);
	struct endpoint sought = *to;

	if (service)
		return service;
	sought.port = 0;
	service = state_service(state, &sought);
	if (service)
		return service;
	sought.port = to->port;
	if (address_is4(to->address))
		address_from4(sought.address, any4);
	else
		memcpy(sought.address, any6, sizeof(any6));
	return state_service(state, &sought);
}

void backend_key_fill(struct xlb_backend_key *key, const struct service *service,
		      const struct endpoint *end)
{
	memset(key, 0, sizeof(*key));
	memcpy(key->service_address, service->endpoint.address, sizeof(key->service_address));
	memcpy(key->address, end->address, sizeof(key->address));
	key->service_port = service->endpoint.port;
	key->port = end->port;
	key->protocol = service->endpoint.protocol;
}

struct backend *state_backend_by_key(const struct state *state, const struct xlb_backend_key *key)
{
	struct backend sought = { .key = *key };
	struct backend **found = tfind(&sought, &state->backends, backend_order);

	return found ? *found : NULL;
}

struct backend *state_backend(const struct state *state, const struct service *service,
			      const struct endpoint *end)
{
	struct xlb_backend_key key;

	backend_key_fill(&key, service, end);
	return state_backend_by_key(state, &key);
}

int state_service_index(struct state *state, struct service *service)
{
	struct service **found = tsearch(service, &state->services, service_order);

	if (!found)
		return -ENOMEM;
	return *found == service ? 0 : -EEXIST;
}

void state_service_unindex(struct state *state, struct service *service)
{
	tdelete(service, &state->services, service_order);
}

int state_backend_index(struct state *state, struct backend *backend)
{
	struct backend **found = tsearch(backend, &state->backends, backend_order);

	if (!found)
		return -ENOMEM;
	return *found == backend ? 0 : -EEXIST;
}

void state_backend_unindex(struct state *state, struct backend *backend)
{
	tdelete(backend, &state->backends, backend_order);
}

static void backends_free(struct backend *backend)
{
	while (backend) {
		struct backend *next = backend->next;

		free(backend);
		backend = next;
	}
}

static void service_free(struct service *service)
{
	backends_free(service->backends);
	free(service->slots);
	free(service->held);
	free(service);
}

static void keep(void *node)
{
	(void)node;
}

void state_free(struct state *state)
{
	if (!state)
		return;
	tdestroy(state->services, keep);
	tdestroy(state->backends, keep);
	for (unsigned i = 0; i < state->count; i++)
		service_free(state->list[i]);
	while (state->deleted_services) {
		struct service *service = state->deleted_services;

		state->deleted_services = service->next;
		service_free(service);
	}
	backends_free(state->deleted_backends);
	rules_free(state);
	if (state->slots)
		munmap(state->slots, slots_length(state));
	free(state->list);
	free(state->ranges);
	free(state->targets);
	free(state->by_id);
	free(state->replies);
	free(state->free_ids);
	maps_close(&state->maps);
	free(state);
}
