/* SPDX-License-Identifier: GPL-2.0-only */
/* What xlb asks of the kernel by netlink: links, XDP attachments, neighbours, routes. */
#ifndef XLB_NETLINK_H
#define XLB_NETLINK_H

#include <net/if.h>
#include <stdbool.h>
#include <linux/types.h>

/* How an XDP program is attached. */
enum netlink_xdp_mode {
	NETLINK_XDP_NONE,
	NETLINK_XDP_NATIVE,	/* in the driver */
	NETLINK_XDP_GENERIC,	/* in the stack, any device */
	NETLINK_XDP_OFFLOAD,	/* in the device */
};

/* From this MTU on frames may come in pieces, which drivers have to know of. */
#define NETLINK_MTU_JUMBO 2001

struct netlink_link {
	unsigned ifindex;
	unsigned mtu;
	char name[IFNAMSIZ];
	bool loopback;
	bool veth;
	bool up;		/* as an administrator has it */
	bool running;		/* up, and with a carrier */
	bool resolves;		/* has neighbours that are resolved */
	bool redirect;		/* takes frames of its MTU that XDP redirects to it */
	enum netlink_xdp_mode mode;
	__u32 xdp_id;		/* of the program, 0: none; with two, not the offloaded one */
};

/*
 * All links of this network namespace, in the kernel's order.  The caller frees
 * *links.  0 or -errno.
 */
int netlink_links(struct netlink_link **links, unsigned *count);

/* The link of a name, which may be an alternative one; 0, -ENODEV or -errno. */
int netlink_link(const char *name, struct netlink_link *link);

/*
 * Attach prog_fd (-1: detach) to a link in one step, if what is attached now is
 * expected_fd (-1: nothing).  0 or -errno: -EBUSY when something is attached and
 * nothing was expected, -EEXIST when it is not the expected program or runs in
 * another mode; netlink_explanation() may tell more.
 */
int netlink_xdp_set(unsigned ifindex, int prog_fd, int expected_fd, enum netlink_xdp_mode mode);

/* The kernel's own words about the last request that failed, or "". */
const char *netlink_explanation(void);

/* An address to send to, and by whom. */
struct netlink_host {
	int family;		/* AF_INET, AF_INET6 */
	const __u8 *address;	/* network order */
	int via_family;		/* of the router that its route goes by; 0: none */
	__u8 via[16];
};

/*
 * Ask the kernel to keep the neighbours resolved that lead to hosts, since traffic
 * that XDP forwards refreshes none, and tell their routers, which are to be none
 * before.  Entries that an administrator or a routing daemon made stay as they are.
 * 0 also where there is no neighbour to keep, else the first -errno; the others have
 * been tried.
 */
int netlink_neighbours_keep(struct netlink_host *hosts, unsigned count);

#endif
