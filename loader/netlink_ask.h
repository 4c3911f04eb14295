/* SPDX-License-Identifier: GPL-2.0-only */
/* One netlink request and its answers: what the netlink*.c files share. */
#ifndef XLB_NETLINK_ASK_H
#define XLB_NETLINK_ASK_H

#include <libmnl/libmnl.h>

/* Room for a request: all of ours are far below this. */
#define NETLINK_REQUEST_SIZE 512

/* Begins a request in a buffer of that size. */
struct nlmsghdr *netlink_request(void *buffer, unsigned type, unsigned flags);

/*
 * Sends a request, which has NLM_F_DUMP or NLM_F_ACK, in the network namespace
 * of the moment, and hands each answer to `each`.  0 or -errno, with -EINTR for a
 * dump that changed under way.
 */
int netlink_ask(int bus, struct nlmsghdr *request, mnl_cb_t each, void *context);

#endif
