/* SPDX-License-Identifier: GPL-2.0-only */
/* -n: another network namespace. */
#ifndef XLB_NAMESPACE_H
#define XLB_NAMESPACE_H

#include "args.h"

/*
 * Enters the namespace that ip-netns(8) knows by this name: the network's alone, since a
 * fresh /sys, as `ip -n` mounts it, hides the pins.  STATUS_DONE, or after saying why not
 * STATUS_USAGE or STATUS_REFUSED.
 */
enum status namespace_enter(const char *name);

#endif
