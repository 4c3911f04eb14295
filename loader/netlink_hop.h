/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's ways to addresses: routes, and the neighbours that they lead to. */
#ifndef XLB_NETLINK_HOP_H
#define XLB_NETLINK_HOP_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/if_ether.h>
#include <linux/types.h>

#include "netlink_ask.h"

/* How to reach an address: whom to resolve, and on which link. */
struct netlink_hop {
	int family;
	__u8 address[16];	/* network order; of IPv4 the first 4 bytes */
	unsigned ifindex;	/* 0: nobody to resolve */
	bool gateway;		/* it is not the address itself */
};

struct netlink_neighbour {
	unsigned ifindex;
	int family;
	__u8 address[16];	/* as above, the rest 0 */
	__u8 lladdr[ETH_ALEN];
	bool valid;		/* frames can be sent to it */
	bool failed;		/* it was asked for, and has not answered */
};

size_t address_size(int family);

/*
 * Asks for the route to the address of a hop that has nothing else yet.  0 or what the
 * kernel says of an address that nothing leads to: -ENETUNREACH, -EHOSTUNREACH, -EACCES,
 * -EINVAL.
 */
int netlink_hop_find(struct mnl_socket *socket, struct netlink_hop *hop);

/* All neighbours, by netlink_neighbour_order(); the caller frees.  0 or -errno. */
int netlink_neighbours(struct mnl_socket *socket, struct netlink_neighbour **list,
		       unsigned *count);

/* By link, family and address, for bsearch(). */
int netlink_neighbour_order(const void *a, const void *b);

#endif
