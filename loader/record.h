/* SPDX-License-Identifier: GPL-2.0-only */
/* The records that the packet path keeps of single flows. */
#ifndef XLB_RECORD_H
#define XLB_RECORD_H

#include "state.h"

struct record {
	struct endpoint from, to;	/* as the tuple runs */
	const struct xlb_flow *flow;
	bool embryonic;			/* made by a SYN that nothing has followed */
	struct service *service;	/* NULL: gone */
	struct backend *backend;	/* NULL: gone, its id may be another's */
};

/* What a visitor wants of a record. */
enum record_fate {
	RECORD_STAYS,
	RECORD_EXPIRES,		/* but not if a packet of its flow has come since */
	RECORD_GOES,		/* but not what another flow has put in its place */
};

/* Calls visit() for each record of all four maps, and does what it says.  0 or -errno. */
int record_each(const struct state *state,
		enum record_fate (*visit)(const struct state *state,
					  const struct record *record, void *context),
		void *context);

/* Jiffies since the record's last packet, if `now` is not over a minute old. */
__u32 record_silence(const struct record *record, __u64 now);

/*
 * Drops the records that the services with collect or flush need no more, and
 * those of services that are gone.
 */
int record_collect(const struct state *state);

/* Drops those of no service, of no backend, or that no reply is to ask. */
int record_collect_lost(const struct state *state);

#endif
