/* SPDX-License-Identifier: GPL-2.0-only */
/* What has been seen of flows, by which later packets are judged. */
#ifndef FUZZ_MEMORY_H
#define FUZZ_MEMORY_H

#include "world.h"

/* From client to VIP. */
struct known {
	struct flow flow;		/* key */
	struct service *service;
	struct backend *backend;	/* NULL: tried, but nobody can tell with whom */
	unsigned life, change;		/* the backend's, the world's when last seen */
	struct address source;		/* nat */
	__u16 source_port;		/* nat; 0: not seen yet */
	__u32 label;			/* tunnels: flow label or source port */
	bool labelled;
	bool closing;
};

/* From backend to client, or to a source of nat. */
struct answer {
	struct flow flow;		/* key */
	struct flow restored;		/* as the client is to see it */
	struct backend *backend;
	unsigned life, change;		/* as with struct known */
};

struct memory {
	struct table *known, *answers, *fragments;
	unsigned change;		/* of the configuration */
	bool closed_unseen;		/* some flow of mode nat, nobody can tell which */
};

int memory_open(struct memory *memory);
void memory_clear(struct memory *memory);

struct known *memory_known(struct memory *memory, const struct flow *flow);
struct known *memory_know(struct memory *memory, const struct flow *flow);
struct answer *memory_answer(struct memory *memory, const struct flow *flow);
struct answer *memory_expect(struct memory *memory, const struct flow *flow);

/* The ports of a packet's first fragment, for the others: false: none was seen. */
void memory_fragment_first(struct memory *memory, const struct view *view);
bool memory_fragment_later(struct memory *memory, struct view *view);

#endif
