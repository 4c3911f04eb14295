// SPDX-License-Identifier: GPL-2.0-only
/* The neighbours that lead to backends. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "neighbour.h"
#include "netlink.h"

/* All hosts that have backends, by address. */
struct hosts {
	struct netlink_host *host;
	unsigned count;
};

static int host_order(const void *a, const void *b)
{
	const struct netlink_host *one = a, *other = b;

	if (one->family != other->family)
		return one->family - other->family;
	return memcmp(one->address, other->address, one->family == AF_INET ? 4 : 16);
}

static struct netlink_host host_of(const struct backend *backend)
{
	const __u8 *address = backend->end.address;

	return (struct netlink_host){
		.family = address_is4(address) ? AF_INET : AF_INET6,
		.address = address_bytes(address),
	};
}

/* Each host once, whatever number of backends it has. */
static bool hosts_collect(struct hosts *hosts, const struct state *state)
{
	unsigned all = 0;

	hosts->host = calloc(state->used[MAP_BACKENDS] + 1, sizeof(*hosts->host));
	hosts->count = 0;
	if (!hosts->host)
		return false;
	for (unsigned i = 0; i < state->count; i++)
		for (const struct backend *backend = state->list[i]->backends; backend;
		     backend = backend->next)
			hosts->host[all++] = host_of(backend);
	qsort(hosts->host, all, sizeof(*hosts->host), host_order);
	for (unsigned i = 0; i < all; i++)
		if (!hosts->count || host_order(&hosts->host[hosts->count - 1], &hosts->host[i]))
			hosts->host[hosts->count++] = hosts->host[i];
	return true;
}

static void warn_routed(const struct hosts *hosts, const struct backend *backend)
{
	const struct netlink_host wanted = host_of(backend);
	const struct netlink_host *host = bsearch(&wanted, hosts->host, hosts->count,
						  sizeof(wanted), host_order);
	char text[ENDPOINT_TEXT], via[INET6_ADDRSTRLEN];

	if (!host || !host->via_family)
		return;
	inet_ntop(host->via_family, host->via, via, sizeof(via));
	args_warn(NULL, "warning: backend %s: behind a router (via %s), mode dr needs it on the "
		  "same segment", backend_text(&backend->end, text), via);
}

void neighbours_keep(const struct state *state, bool warn)
{
	struct hosts hosts;

	if (!hosts_collect(&hosts, state))
		return;
	/* Errors are the kernel's affair. */
	netlink_neighbours_keep(hosts.host, hosts.count);
	for (unsigned i = 0; warn && i < state->count; i++) {
		const struct service *service = state->list[i];

		if (service->value.mode != XLB_DR)
			continue;
		for (const struct backend *backend = service->backends; backend;
		     backend = backend->next)
			warn_routed(&hosts, backend);
	}
	free(hosts.host);
}
