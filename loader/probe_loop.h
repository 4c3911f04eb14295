/* SPDX-License-Identifier: GPL-2.0-only */
/* The prober's one loop: descriptors that become ready, and timers. */
#ifndef XLB_PROBE_LOOP_H
#define XLB_PROBE_LOOP_H

#include <stdbool.h>
#include <linux/types.h>

/* Milliseconds on a clock that nobody sets. */
__u64 loop_now(void);

/* Part of what it belongs to; all zero is ready for use. */
struct timer {
	__u64 at;		/* milliseconds */
	unsigned place;		/* in the heap; 0: is not set */
	void (*run)(void *context);
	void *context;
};

/* Called with the events of epoll_ctl(2); may be in vain. */
typedef void loop_ready(void *context, int file, __u32 events);

struct watch {
	loop_ready *ready;	/* NULL: nobody waits for it */
	void *context;
};

struct loop {
	int epoll;
	struct watch *watches;	/* by descriptor */
	unsigned watch_room;
	struct timer **timers;	/* a heap from place 1 on: who is due first is at 1 */
	unsigned timer_count, timer_room;
	bool stop;
};

/* 0 or -errno.  To be followed by loop_close() in any case. */
int loop_open(struct loop *loop);
void loop_close(struct loop *loop);

/*
 * Waits for events of a descriptor from now on, those of before forgotten: 0 or
 * -errno.  What is closed is to be forgotten before.
 */
int loop_watch(struct loop *loop, int file, __u32 events, loop_ready *ready, void *context);
void loop_forget(struct loop *loop, int file);

/* Makes room, so that so many timers can be set: 0 or -ENOMEM. */
int timer_reserve(struct loop *loop, unsigned count);

/* Sets a timer, once; whatever it was set to before is forgotten. */
void timer_set(struct loop *loop, struct timer *timer, __u64 at);
void timer_unset(struct loop *loop, struct timer *timer);

/* Runs until somebody sets `stop`: 0 or -errno. */
int loop_run(struct loop *loop);

#endif
