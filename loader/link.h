/* SPDX-License-Identifier: GPL-2.0-only */
/* What the other objects want of interfaces. */
#ifndef XLB_LINK_H
#define XLB_LINK_H

#include "args.h"
#include "maps.h"
#include "netlink.h"

/* "native", "generic", "offload": enum netlink_xdp_mode. */
extern const struct choice link_modes[];

/*
 * Takes `dev IF`, which then names the command in errors.  STATUS_DONE, or after
 * saying why not STATUS_USAGE or STATUS_REFUSED (no such interface).
 */
enum status link_argument(struct args *args, struct netlink_link *link);

/*
 * Brings xlb_links up to date with this network namespace; 0 or -errno.  Links
 * that don't fit go without: the kernel forwards to them.
 */
int link_refresh(const struct maps *maps);

#endif
