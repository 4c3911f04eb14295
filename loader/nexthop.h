/* SPDX-License-Identifier: GPL-2.0-only */
/* How packets last left for backends: xlb_nexthops as a backend's and a link's. */
#ifndef XLB_NEXTHOP_H
#define XLB_NEXTHOP_H

#include "output.h"
#include "state.h"

/* Room for a MAC address, and one as text. */
#define LLADDR_TEXT 18
const char *lladdr_text(const __u8 *address, char *text);

struct nexthops {
	const struct state *state;
	struct xlb_nexthop *hops;	/* by backend id */
	__u32 now;			/* low 32 bits of jiffies */
};

/* 0 or -errno, always to be followed by nexthops_free(). */
int nexthops_read(struct nexthops *nexthops, const struct state *state);
void nexthops_free(struct nexthops *nexthops);

/* A backend's, as a field of the object or a line of its own: null or none if not known. */
void nexthop_show(struct output *output, const struct nexthops *nexthops,
		  const struct backend *backend);

/* Do packets to any backend leave by this link? */
bool nexthops_use(const struct nexthops *nexthops, unsigned ifindex);

/* All that do, as a list in the object that is open, or a line each. */
void nexthops_show(struct output *output, const struct nexthops *nexthops, unsigned ifindex);

#endif
