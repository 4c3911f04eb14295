/* SPDX-License-Identifier: GPL-2.0-only */
/* What the way of probes by the VIP asks of the kernel by netlink. */
#ifndef XLB_PROBE_ROUTE_H
#define XLB_PROBE_ROUTE_H

/*
 * A device that swallows what is routed to it, without asking for neighbours, and that
 * everything in its own routing table leads to; ifindex of it, or -errno.
 */
int route_device_make(void);

/* With its routes, and what is attached to it: 0 or -errno, -ENODEV. */
int route_device_delete(void);

/*
 * Has packets with the mark of probes looked up there, before anything else is: even a
 * VIP of this machine's own.  All rules of before stay, and where they are.  0 or -errno.
 */
int route_rules_add(void);
void route_rules_delete(void);

/* The families whose packets with that mark go to the device, as bits: 1 is IPv4, 2 IPv6. */
unsigned route_families(void);

#endif
