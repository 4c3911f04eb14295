// SPDX-License-Identifier: GPL-2.0-only
/*
 * xlb monitor: next hops, lost and found.  The kernel's routes and neighbours are asked
 * whenever they change, and by the same measure as packets: so nothing need be sent for a
 * loss to be seen.
 */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "monitor.h"
#include "nexthop.h"

enum found {
	FOUND_UNKNOWN,		/* being asked for, for the first time */
	FOUND_NOT,
	FOUND,
};

/* The way to a host that has backends. */
struct way {
	enum found found;
	const char *reason;	/* FOUND_NOT */
	unsigned ifindex;
	bool gateway;
	int family;		/* of the gateway */
	__u8 via[16];
	__u8 lladdr[ETH_ALEN];
};

struct monitor_host {
	__u8 address[16];	/* IPv4 as ::ffff:a.b.c.d */
	struct way way;
};

struct neighbours {
	struct netlink_neighbour *list;
	unsigned count;
};

static int host_order(const void *a, const void *b)
{
	const struct monitor_host *left = a, *right = b;

	return memcmp(left->address, right->address, sizeof(left->address));
}

/* Whoever leads there, if frames can be sent to him. */
static void way_resolve(struct way *way, const struct neighbours *neighbours,
			const struct netlink_hop *hop)
{
	struct netlink_neighbour sought = { .ifindex = hop->ifindex, .family = hop->family };
	const struct netlink_neighbour *neighbour = NULL;

	memcpy(sought.address, hop->address, address_size(hop->family));
	if (neighbours->count)
		neighbour = bsearch(&sought, neighbours->list, neighbours->count, sizeof(sought),
				    netlink_neighbour_order);
	way->ifindex = hop->ifindex;
	way->gateway = hop->gateway;
	way->family = hop->family;
	memcpy(way->via, sought.address, sizeof(way->via));
	if (neighbour && neighbour->valid) {
		way->found = FOUND;
		memcpy(way->lladdr, neighbour->lladdr, sizeof(way->lladdr));
		return;
	}
	way->found = neighbour && neighbour->failed ? FOUND_NOT : FOUND_UNKNOWN;
	way->reason = "no_neighbour";
}

/* Where nobody is resolved, as on lo and in tunnels, a route is all that is wanted. */
static int way_find(struct monitor *monitor, const struct neighbours *neighbours,
		    const __u8 *address, struct way *way)
{
	struct netlink_hop hop = { .family = address_is4(address) ? AF_INET : AF_INET6 };
	int error;

	*way = (struct way){};
	memcpy(hop.address, address_bytes(address), address_size(hop.family));
	error = netlink_hop_find(monitor->asker, &hop);
	switch (error) {
	case 0:
		break;
	case -ENETUNREACH:
	case -EHOSTUNREACH:
	case -EACCES:
	case -EINVAL:
		way->found = FOUND_NOT;
		way->reason = "no_route";
		return 0;
	default:
		return error;
	}
	if (hop.ifindex && link_resolves(monitor, hop.ifindex)) {
		way_resolve(way, neighbours, &hop);
	} else {
		way->found = FOUND;
		way->ifindex = hop.ifindex;
	}
	return 0;
}

static bool way_differs(const struct way *a, const struct way *b)
{
	return a->ifindex != b->ifindex || a->gateway != b->gateway ||
	       memcmp(a->lladdr, b->lladdr, sizeof(a->lladdr)) ||
	       (a->gateway && memcmp(a->via, b->via, sizeof(a->via)));
}

/* Does anybody want to know of a backend that this host has? */
static bool host_wanted(struct monitor *monitor, const struct monitor_host *host)
{
	for (unsigned i = 0; i < monitor->end_count; i++) {
		const struct backend *backend = monitor->ends[i];

		if (!memcmp(backend->end.address, host->address, sizeof(host->address)) &&
		    monitor_wants(monitor, &backend->service->endpoint, &backend->end))
			return true;
	}
	return false;
}

static void host_tell(struct monitor *monitor, const struct monitor_host *host,
		      const char *action, const char *reason)
{
	const struct way *way = &host->way;
	struct output *line = &monitor->line;
	char text[ENDPOINT_TEXT];
	__u8 via[16];

	if (!monitor->wanted[MONITOR_NEXTHOP] || !host_wanted(monitor, host))
		return;
	if (way->gateway && way->family == AF_INET)
		address_from4(via, way->via);
	else
		memcpy(via, way->via, sizeof(via));
	monitor_begin(monitor, "nexthop", action, 0);
	output_subject(line, "host", address_text(host->address, text));
	output_string(line, "via", way->gateway ? address_text(via, text) : NULL);
	output_string(line, "dev", way->ifindex ? monitor_dev(way->ifindex, text) : NULL);
	output_string(line, "lladdr", way->found == FOUND ? lladdr_text(way->lladdr, text) : NULL);
	output_string(line, "reason", reason);
	monitor_end(monitor);
}

/* `first`: nothing is known to have changed. */
static void host_compare(struct monitor *monitor, struct monitor_host *host,
			 const struct way *now, bool first)
{
	const struct way old = host->way;
	enum found found = now->found;

	/* What was found and has to be asked for is lost, and is not found before it answers. */
	if (found == FOUND_UNKNOWN && old.found != FOUND_UNKNOWN)
		found = FOUND_NOT;
	host->way = *now;
	host->way.found = found;
	if (first)
		return;
	if (found == FOUND_NOT && old.found != FOUND_NOT)
		host_tell(monitor, host, "lost", now->reason);
	else if (found == FOUND && old.found != FOUND)
		host_tell(monitor, host, "found", NULL);
	else if (found == FOUND && way_differs(&old, now))
		host_tell(monitor, host, "changed", NULL);
}

static const struct monitor_host *host_known(const struct monitor *monitor,
					     const struct monitor_host *sought)
{
	if (!monitor->host_count)
		return NULL;
	return bsearch(sought, monitor->hosts, monitor->host_count, sizeof(*sought), host_order);
}

/* Each host once, with the way that was known. */
static int hosts_collect(struct monitor *monitor)
{
	struct monitor_host *hosts, host = {};
	const struct monitor_host *old;
	int error = monitor_ends(monitor);
	unsigned count = 0;

	if (error)
		return error;
	hosts = calloc(monitor->end_count + 1, sizeof(*hosts));
	if (!hosts)
		return -ENOMEM;
	for (unsigned i = 0; i < monitor->end_count; i++) {
		memcpy(host.address, monitor->ends[i]->end.address, sizeof(host.address));
		if (count && !host_order(&hosts[count - 1], &host))
			continue;
		old = host_known(monitor, &host);
		hosts[count++] = old ? *old : host;
	}
	/* IPv4 comes first among the ends. */
	qsort(hosts, count, sizeof(*hosts), host_order);
	free(monitor->hosts);
	monitor->hosts = hosts;
	monitor->host_count = count;
	return 0;
}

int hosts_follow(struct monitor *monitor)
{
	bool first = !monitor->hosts;
	struct neighbours neighbours = {};
	int error = hosts_collect(monitor);
	struct way way;

	if (!error)
		error = netlink_neighbours(monitor->asker, &neighbours.list, &neighbours.count);
	for (unsigned i = 0; !error && i < monitor->host_count; i++) {
		error = way_find(monitor, &neighbours, monitor->hosts[i].address, &way);
		if (!error)
			host_compare(monitor, &monitor->hosts[i], &way, first);
	}
	free(neighbours.list);
	return error;
}

bool hosts_use(const struct monitor *monitor, unsigned ifindex)
{
	for (unsigned i = 0; i < monitor->host_count; i++)
		if (monitor->hosts[i].way.ifindex == ifindex)
			return true;
	return false;
}

void hosts_free(struct monitor *monitor)
{
	free(monitor->hosts);
}
