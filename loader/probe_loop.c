// SPDX-License-Identifier: GPL-2.0-only
/* The prober's one loop: descriptors that become ready, and timers. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "probe_loop.h"

#define EVENTS 256	/* taken at once */

__u64 loop_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ULL + now.tv_nsec / 1000000;
}

int loop_open(struct loop *loop)
{
	memset(loop, 0, sizeof(*loop));
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	return loop->epoll < 0 ? -errno : 0;
}

void loop_close(struct loop *loop)
{
	if (loop->epoll >= 0)
		close(loop->epoll);
	free(loop->watches);
	free(loop->timers);
}

static int watch_room(struct loop *loop, unsigned count)
{
	struct watch *more;

	if (count <= loop->watch_room)
		return 0;
	count *= 2;
	more = reallocarray(loop->watches, count, sizeof(*more));
	if (!more)
		return -ENOMEM;
	memset(more + loop->watch_room, 0, (count - loop->watch_room) * sizeof(*more));
	loop->watches = more;
	loop->watch_room = count;
	return 0;
}

int loop_watch(struct loop *loop, int file, __u32 events, loop_ready *ready, void *context)
{
	struct epoll_event event = { .events = events, .data.fd = file };
	int error = watch_room(loop, file + 1);
	struct watch *watch;

	if (error)
		return error;
	watch = &loop->watches[file];
	if (epoll_ctl(loop->epoll, watch->ready ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, file, &event))
		return -errno;
	*watch = (struct watch){ .ready = ready, .context = context };
	return 0;
}

void loop_forget(struct loop *loop, int file)
{
	if ((unsigned)file >= loop->watch_room || !loop->watches[file].ready)
		return;
	epoll_ctl(loop->epoll, EPOLL_CTL_DEL, file, NULL);
	loop->watches[file].ready = NULL;
}

int timer_reserve(struct loop *loop, unsigned count)
{
	struct timer **more;

	if (count < loop->timer_room)
		return 0;
	count = count * 2 + 1;
	more = reallocarray(loop->timers, count, sizeof(*more));
	if (!more)
		return -ENOMEM;
	loop->timers = more;
	loop->timer_room = count;
	return 0;
}

static void timer_put(struct loop *loop, struct timer *timer, unsigned place)
{
	loop->timers[place] = timer;
	timer->place = place;
}

/* Finds the place of a timer that may stand too low or too high. */
static void timer_settle(struct loop *loop, struct timer *timer, unsigned place)
{
	struct timer **timers = loop->timers;
	unsigned below;

	for (; place > 1 && timers[place / 2]->at > timer->at; place /= 2)
		timer_put(loop, timers[place / 2], place);
	for (; (below = place * 2) <= loop->timer_count; place = below) {
		if (below < loop->timer_count && timers[below + 1]->at < timers[below]->at)
			below++;
		if (timers[below]->at >= timer->at)
			break;
		timer_put(loop, timers[below], place);
	}
	timer_put(loop, timer, place);
}

void timer_set(struct loop *loop, struct timer *timer, __u64 at)
{
	timer->at = at;
	timer_settle(loop, timer, timer->place ? timer->place : ++loop->timer_count);
}

void timer_unset(struct loop *loop, struct timer *timer)
{
	unsigned place = timer->place;
	struct timer *last;

	if (!place)
		return;
	timer->place = 0;
	last = loop->timers[loop->timer_count--];
	if (last != timer)
		timer_settle(loop, last, place);
}

static void timers_run(struct loop *loop, __u64 now)
{
	while (!loop->stop && loop->timer_count && loop->timers[1]->at <= now) {
		struct timer *timer = loop->timers[1];

		timer_unset(loop, timer);
		timer->run(timer->context);
	}
}

/* Milliseconds to wait, as epoll_wait(2) has it. */
static int loop_patience(const struct loop *loop)
{
	__u64 now = loop_now(), at;

	if (!loop->timer_count)
		return -1;
	at = loop->timers[1]->at;
	if (at <= now)
		return 0;
	return at - now < INT_MAX ? (int)(at - now) : INT_MAX;
}

/* How many descriptors were ready, EVENTS at most, or -errno. */
static int events_take(struct loop *loop, int patience)
{
	struct epoll_event events[EVENTS];
	int count = epoll_wait(loop->epoll, events, EVENTS, patience);

	if (count < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < count && !loop->stop; i++) {
		/* What came before may have closed it, or opened another of its number. */
		const struct watch *watch = &loop->watches[events[i].data.fd];

		if (watch->ready)
			watch->ready(watch->context, events[i].data.fd, events[i].events);
	}
	return count;
}

/*
 * All that are ready.  Those that stay ready get their turn again only after all others,
 * and don't keep timers from running.
 */
static int events_take_all(struct loop *loop)
{
	unsigned turns = loop->watch_room / EVENTS;
	int count;

	do
		count = events_take(loop, 0);
	while (count == EVENTS && turns--);
	return count;
}

int loop_run(struct loop *loop)
{
	__u64 now;
	int count;

	while (!loop->stop) {
		count = events_take(loop, loop_patience(loop));
		/* This process may have stood still since: what has come by now is no later
		 * than the timers that are due now, whatever their time. */
		now = loop_now();
		if (count >= 0)
			count = events_take_all(loop);
		if (count < 0)
			return count;
		timers_run(loop, now);
	}
	return 0;
}
