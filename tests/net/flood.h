/* SPDX-License-Identifier: GPL-2.0-only */
/* What the flood's program is told, and what it tells. */
#ifndef XLB_TEST_FLOOD_H
#define XLB_TEST_FLOOD_H

#include <linux/types.h>

/* All packets come from 198.18.0.0/15, which is for tests (RFC 2544). */
#define FLOOD_NETWORK 0xc6120000
#define FLOOD_HOSTS 17	 /* bits */
#define FLOOD_PORTS 1024 /* the first */

enum flood_kind {
	FLOOD_SYN,   /* of random clients */
	FLOOD_ACK,   /* the same, as if their connections had begun before */
	FLOOD_FLOWS, /* client by client, a SYN and an ACK of each */
};

/* No more are under way at a time; a queue of veth holds 256. */
#define FLOOD_WINDOW 128
#define FLOOD_SILENCE 20000000 /* nanoseconds after which what is under way is lost */

struct flood {
	__u64 total;	/* packets to send */
	__u64 next;	/* number of the next */
	__u64 arrived;	/* at a sink */
	__u64 given_up; /* not waited for any more */
	__u64 heard;	/* what had arrived when something last did */
	__u64 heard_at; /* nanoseconds */
	__u64 due;	/* nanoseconds: when the next may be sent */
	__u64 interval; /* nanoseconds between two; 0: as fast as they arrive */
	__u64 seed;	/* of the random clients */
	__u32 kind;	/* enum flood_kind */
	__u32 ifindex;	/* to leave by */
	__u8 to[6];	/* MAC */
	__u8 from[6];
	__u8 address[4]; /* that it is for */
	__u16 port;	 /* host order */
	__u16 reserved;
};

#endif
