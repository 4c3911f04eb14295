/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whose the packets of backends are.  Several services may have a backend with the
 * same address, port and protocol, or one with every port of that address; then the
 * flows' records tell their replies apart, in modes that have any.
 */
#ifndef XLB_REPLY_H
#define XLB_REPLY_H

#include "state.h"

/* For whom replies are to be told. */
enum reply_scope {
	REPLY_MEANWHILE,	/* all that stand and all that are to be */
	REPLY_AFTERWARDS,	/* those that are to be */
};

/*
 * Works out what xlb_replies* are to hold (reply->wanted) and which backends' flows
 * are to be recorded (backend->by_flow).  0 or -ENOMEM.
 */
int replies_plan(struct state *state, enum reply_scope scope);

/* An entry that stands; replies_sort() after the last.  0 or -ENOMEM. */
int reply_add(struct state *state, const struct endpoint *end, const struct xlb_reply *stands);
void replies_sort(struct state *state);

/* Does an entry stand otherwise than it is wanted? */
bool reply_differs(const struct reply *reply);

/*
 * Targets that are new, and entries for all that stands and all that is to be; to
 * be called before modes and slots change.  0 or -errno.
 */
int replies_write_meanwhile(struct state *state);

/*
 * Entries for what is to be, once nothing else is reached.  *changed becomes true if
 * packets may be using what was there.
 */
int replies_write_afterwards(struct state *state, bool *changed);

#endif
