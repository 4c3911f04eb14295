/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The way of probes that go to a VIP at one of its backends: sockets have a mark, a rule
 * routes what has it to a device of its own, and a program there takes each packet to
 * the backend that the mark names.
 */
#ifndef XLB_PROBE_WAY_H
#define XLB_PROBE_WAY_H

#include <stdbool.h>

#include "endpoint.h"
#include "maps.h"

struct bpf_object;

struct way {
	bool open;
	__u64 again_at;			/* loop_now(): it could not be made, not sooner */
	unsigned families;		/* those that it was made for, by route_families() */
	__u32 targets;			/* id of the map that the program reads */
	int claim;			/* what no two probers of a network namespace have */
	struct bpf_object *object;
};

/*
 * Makes device, routes, rules and program, if that is not done, the maps are others now, or
 * somebody has taken any of it.  STATUS_DONE, or STATUS_REFUSED after saying why; then
 * nothing is left, and calls within half a minute do not try again, and say nothing.
 */
enum status way_open(struct way *way, const struct maps *maps);

/* Does what has the mark of a probe still go there? */
bool way_stands(const struct way *way);

/* Takes all of it back. */
void way_close(struct way *way);

/* The mark for a backend; 0 in a mode that does not bring the VIP to it. */
__u32 way_mark(enum xlb_mode mode, __u16 backend);

/*
 * Makes a socket, not connected yet, one of such a probe, from a source that answers reach
 * this machine by: the given one or, where that is NULL, what the kernel would take
 * towards the backend.  0 or -errno; -EAFNOSUPPORT: that is of another family than `to`.
 */
int way_socket(int file, __u32 mark, const __u8 *source, const struct endpoint *to,
	       const struct endpoint *backend);

#endif
