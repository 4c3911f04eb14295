/* SPDX-License-Identifier: GPL-2.0-only */
/* Putting xlb's program on a link, in the place of another one of its own or of none. */
#ifndef XLB_PLACE_H
#define XLB_PLACE_H

#include "args.h"
#include "netlink.h"
#include "object.h"

/* Why the kernel refused what netlink was asked for last. */
const char *place_explain(int error);

/* Is a program to take frames in pieces there? */
bool place_wants_frags(const struct netlink_link *link, enum netlink_xdp_mode mode);

/* object_load(), after which STATUS_REFUSED has said why not. */
enum status place_load(const struct args *args, const struct object_wish *wish,
		       struct bpf_object **object);

/* Pins a program beside its maps, or warns of what will be wanted where that cannot be. */
void place_pin(const struct args *args, const char *folder, int program);

/* The descriptor of the program that was wished for. */
int place_program(const struct bpf_object *object);

/* What to wish for: the packet program. */
#define PLACE_PROGRAM "xlb_xdp"

/*
 * Attaches in one step, if what is there is the expected program (a descriptor; -1:
 * nothing).  Without a word about the mode the old program's, or native if the driver
 * can.  STATUS_REFUSED has said why not.
 */
enum status place_attach(const struct args *args, const struct netlink_link *link, int program,
			 int expected, enum netlink_xdp_mode wanted);

#endif
