/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who owns which slot of a service: a pure function of its backends, so that
 * every node with the same configuration makes the same choice.
 */
#ifndef XLB_TABLE_H
#define XLB_TABLE_H

#include <stdbool.h>

#include "xlb_abi.h"

#define TABLE_WEIGHT_MAX 65535

/* One configured backend. */
struct table_backend {
	__u8 address[16];	/* as xlb_backend_key.address */
	__u16 port;		/* host order */
	__u16 id;		/* 1 to XLB_BACKEND_ID_MAX */
	__u32 weight;		/* 0 to TABLE_WEIGHT_MAX; 0 owns nothing */
	enum xlb_state state;	/* effective: of operator and checker together */
	__u8 cold;		/* tenths of its weight that do not count yet, 0 to 9 */
};

/* A prime number from XLB_TABLE_MIN to XLB_TABLE_MAX. */
bool table_size_valid(__u32 size);

/*
 * Fills owners[0] to owners[size - 1] with the ids of the backends that new
 * flows go to, XLB_BACKEND_NONE where nobody with a weight is up.
 *
 * The owners depend on addresses, ports, weights, states and warmth alone, not on the
 * order of the backends or on their ids.  Each backend has its proportional
 * share of the slots, rounded up or down; the slots of those that are not up
 * go to those that are, each with a probability proportional to its weight,
 * and no other slot moves.  One that is partly cold has the part of its own slots
 * that its warmth allows, the more the warmer; the others are handed over like those
 * of one that is not up.  So its share is what the warm part of its weight would have.
 *
 * 0, or with nothing written -ENOMEM, or -EINVAL: the size is not valid, an id
 * or weight is out of range, or an address and port come twice.
 */
int table_build(const struct table_backend *backends, unsigned count, __u32 size,
		__u16 *owners);

/* How a backend that a slot names stands once the change is made. */
enum table_fate {
	TABLE_LIVE,	/* up or draining: its flows stay */
	TABLE_DOWN,
	TABLE_DELETED,	/* its id is about to be given out again */
};

/*
 * What a slot becomes when `owner` is to own it, so that flows which are older
 * than the change are still found (DESIGN: "just enough tracking").  The fates
 * are those of old.current and old.previous, and mean nothing where these are
 * XLB_BACKEND_NONE or XLB_BACKEND_DELETED.
 */
struct xlb_slot table_slot_next(struct xlb_slot old, __u16 owner,
				enum table_fate current_fate,
				enum table_fate previous_fate);

#endif
