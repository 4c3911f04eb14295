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

/* Those of all services, sorted, as often as services have them; the caller frees. */
static struct xlb_address *addresses_make(const struct state *state, unsigned *count)
{
	struct xlb_address *addresses = calloc(state->count + 1, sizeof(*addresses));

	*count = 0;
	for (unsigned i = 0; addresses && i < state->count; i++) {
		const struct endpoint *endpoint = &state->list[i]->endpoint;

		if (!address_is_any(endpoint->address))
			memcpy(addresses[(*count)++].address, endpoint->address, 16);
	}
	if (addresses)
		qsort(addresses, *count, sizeof(*addresses), address_order);
	return addresses;
}

static int vips_put(const struct state *state, const struct xlb_address *addresses, unsigned count)
{
	int fd = state->maps.fd[MAP_VIPS], error = 0;

	for (unsigned i = 0; !error && i < count;) {
		struct xlb_vip vip = {}, old;
		unsigned first = i;

		while (i < count && !address_order(&addresses[first], &addresses[i])) {
			vip.services++;
			i++;
		}
		if (bpf_map_lookup_elem(fd, &addresses[first], &old) || memcmp(&old, &vip, sizeof(vip)))
			error = bpf_map_update_elem(fd, &addresses[first], &vip, BPF_ANY);
	}
	return error;
}

int write_vips(const struct state *state)
{
	unsigned count;
	struct xlb_address *addresses = addresses_make(state, &count);
	int error = addresses ? vips_put(state, addresses, count) : -ENOMEM;

	free(addresses);
	return error;
}

int erase_vips(const struct state *state)
{
	struct xlb_address *addresses, *keys = NULL;
	struct xlb_vip *values = NULL;
	unsigned count, stand = 0;
	int error;

	addresses = addresses_make(state, &count);
	if (!addresses)
		return -ENOMEM;
	error = map_read(&state->maps, MAP_VIPS, (void **)&keys, (void **)&values, &stand);
	for (unsigned i = 0; !error && i < stand; i++)
		if (!bsearch(&keys[i], addresses, count, sizeof(*addresses), address_order))
			error = bpf_map_delete_elem(state->maps.fd[MAP_VIPS], &keys[i]);
	free(keys);
	free(values);
	free(addresses);
	return error;
}
