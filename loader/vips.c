// SPDX-License-Identifier: GPL-2.0-only
/* The addresses that services have: what packets without a port are about. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>

#include "write.h"

static int address_order(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct xlb_address));
}

/* An address of a service, and whether that answers for it. */
struct vip {
	struct xlb_address address;	/* first: what they are ordered by */
	bool echo;
};

/* Where nobody serves, an echo reply would say that all is well. */
static bool service_answers(const struct service *service)
{
	for (const struct backend *backend = service->backends; backend; backend = backend->next)
		if (backend_state(backend) == XLB_UP && backend->value.weight)
			return service->value.echo;
	return false;
}

/* Those of all services, sorted, as often as services have them; the caller frees. */
static struct vip *vips_make(const struct state *state, unsigned *count)
{
	struct vip *vips = calloc(state->count + 1, sizeof(*vips));

	*count = 0;
	for (unsigned i = 0; vips && i < state->count; i++) {
		const struct service *service = state->list[i];
		const __u8 *address = service->endpoint.address;

		if (address_is_any(address))
			continue;
		memcpy(vips[*count].address.address, address, 16);
		vips[(*count)++].echo = service_answers(service);
	}
	if (vips)
		qsort(vips, *count, sizeof(*vips), address_order);
	return vips;
}

static int vips_put(const struct state *state, const struct vip *vips, unsigned count)
{
	int fd = state->maps.fd[MAP_VIPS], error = 0;

	for (unsigned i = 0; !error && i < count;) {
		const struct xlb_address *address = &vips[i].address;
		struct xlb_vip value = {}, old;

		for (; i < count && !address_order(address, &vips[i]); i++) {
			value.services++;
			value.echo += vips[i].echo;
		}
		if (bpf_map_lookup_elem(fd, address, &old) || memcmp(&old, &value, sizeof(value)))
			error = bpf_map_update_elem(fd, address, &value, BPF_ANY);
	}
	return error;
}

int write_vips(const struct state *state)
{
	unsigned count;
	struct vip *vips = vips_make(state, &count);
	int error = vips ? vips_put(state, vips, count) : -ENOMEM;

	free(vips);
	return error;
}

int erase_vips(const struct state *state)
{
	struct xlb_address *keys = NULL;
	struct xlb_vip *values = NULL;
	unsigned count, stand = 0;
	struct vip *vips;
	int error;

	vips = vips_make(state, &count);
	if (!vips)
		return -ENOMEM;
	error = map_read(&state->maps, MAP_VIPS, (void **)&keys, (void **)&values, &stand);
	for (unsigned i = 0; !error && i < stand; i++)
		if (!bsearch(&keys[i], vips, count, sizeof(*vips), address_order))
			error = bpf_map_delete_elem(state->maps.fd[MAP_VIPS], &keys[i]);
	free(keys);
	free(values);
	free(vips);
	return error;
}
