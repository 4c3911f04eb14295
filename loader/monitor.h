/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * xlb monitor: what the parts that watch share.  Each tells what it has seen by
 * monitor_begin(), fields of output.h, and monitor_end().
 */
#ifndef XLB_MONITOR_H
#define XLB_MONITOR_H

#include "counters.h"
#include "netlink_hop.h"
#include "output.h"
#include "state.h"

/* What can be asked for. */
enum monitor_kind {
	MONITOR_CHANGE,
	MONITOR_DROP,
	MONITOR_FLOW,
	MONITOR_LINK,
	MONITOR_NEXTHOP,
	MONITOR_KINDS,
};

struct ring_buffer;
struct monitor_host;
struct monitor_link;

struct monitor {
	const struct args *args;
	const char *pin;
	bool times;			/* text: each line begins with the time */
	bool wanted[MONITOR_KINDS];
	const struct endpoint *service, *backend;	/* those alone; NULL: all */
	struct output line;		/* being told */
	int failed;			/* -errno of telling it */
	struct state *state;		/* as it was last read */
	const struct backend **ends;	/* its backends by endpoint, once they are wanted */
	unsigned end_count;
	__u32 config;			/* id of the map xlb_config that it is of */
	int folder;			/* inotify of where they are pinned; -1: there is none */
	struct mnl_socket *listener;	/* NULL: neither links nor next hops */
	struct mnl_socket *asker;

	/* monitor_event.c */
	struct ring_buffer *ring;	/* NULL: neither drops nor flows */
	struct counters drops;
	int events, clock, lock, watch, samples;	/* descriptors; -1: not open */
	__u64 missed[XLB_EVENT_KINDS];	/* as told, or as it was before */

	/* monitor_hop.c, monitor_link.c */
	struct monitor_host *hosts;
	unsigned host_count;
	struct monitor_link *links;
	unsigned link_count;
};

/* A line begins: what it is about, and what happened to that, at a time in nanoseconds of
 * CLOCK_REALTIME or, if that is 0, now. */
void monitor_begin(struct monitor *monitor, const char *event, const char *action, __u64 time);
void monitor_end(struct monitor *monitor);

/* An interface's name, or "ifN" of one that is gone; text has IF_NAMESIZE bytes. */
const char *monitor_dev(unsigned ifindex, char *text);

/* Says what an error of netlink is about; STATUS_REFUSED. */
enum status monitor_netlink_fail(const struct monitor *monitor, int error);

/* Tells what happens until a signal ends it, an error, or nobody reads any more. */
enum status monitor_watch(struct monitor *monitor);

/* Is anything about these to be told?  NULL: about none in particular. */
bool monitor_wants(const struct monitor *monitor, const struct endpoint *service,
		   const struct endpoint *backend);

/*
 * Reads the maps again, and tells what has changed; the first time nothing.  0 or what
 * state_open() says; -ESTALE: others have taken their place.
 */
int monitor_read(struct monitor *monitor);

/* All backends by endpoint, in monitor->ends; 0 or -ENOMEM. */
int monitor_ends(struct monitor *monitor);

/* One whose address and port these are, of a service of this mode (0: any), or NULL. */
const struct backend *monitor_backend(struct monitor *monitor, const struct endpoint *end,
				      enum xlb_mode mode);

/*
 * Drops and flows, from the first events_refresh() on.  STATUS_DONE or, after saying so,
 * STATUS_REFUSED; always to be followed by events_close().
 */
enum status events_open(struct monitor *monitor, const struct maps *maps);
int events_descriptor(const struct monitor *monitor);
/* Tells what has come; 0 or -errno. */
int events_tell(struct monitor *monitor);
/* For as long again; tells how many there were too many of.  0 or -errno. */
int events_refresh(struct monitor *monitor);
void events_close(struct monitor *monitor);

/* Tells what two states differ in, both sorted. */
void changes_tell(struct monitor *monitor, const struct state *old, const struct state *now);

/*
 * Looks at the ways to all hosts that have backends, and tells what is not as it was
 * before; nothing the first time.  0 or -errno.
 */
int hosts_follow(struct monitor *monitor);
bool hosts_use(const struct monitor *monitor, unsigned ifindex);
void hosts_free(struct monitor *monitor);

/* Reads what the listener has heard of links, and tells of those that matter.  *more:
 * there was anything else.  0 or -errno. */
int links_hear(struct monitor *monitor, bool *more);
/* The same of all links as they are; the first time nothing is told. */
int links_follow(struct monitor *monitor);
/* Are neighbours resolved there?  Not on lo, say. */
bool link_resolves(const struct monitor *monitor, unsigned ifindex);
void links_free(struct monitor *monitor);

#endif
