/* SPDX-License-Identifier: GPL-2.0-only */
/* Netlink requests and their answers: what the netlink*.c files share. */
#ifndef XLB_NETLINK_ASK_H
#define XLB_NETLINK_ASK_H

#include <libmnl/libmnl.h>

/* Room for a request: all of ours are far below this. */
#define NETLINK_REQUEST_SIZE 512

struct netlink_link;

/* A link as RTM_NEWLINK or RTM_DELLINK tells of it, but `redirect` is a guess. */
void netlink_link_parse(const struct nlmsghdr *message, struct netlink_link *link);

/* Begins a request in a buffer of that size. */
struct nlmsghdr *netlink_request(void *buffer, unsigned type, unsigned flags);

/*
 * A socket in the network namespace of the moment, which the caller ends with
 * mnl_socket_close(); NULL and errno.
 */
struct mnl_socket *netlink_open(int bus);

/* Such a socket of NETLINK_ROUTE that hears, besides, of these groups (RTNLGRP_*, 0 at
 * the end), and does not wait for what has not been said; NULL and errno. */
struct mnl_socket *netlink_listen(const unsigned *groups);

/*
 * Sends a request, which has NLM_F_DUMP or NLM_F_ACK, and hands each answer to
 * `each`.  0 or -errno, with -EINTR for a dump that changed under way.
 */
int netlink_talk(struct mnl_socket *socket, struct nlmsghdr *request, mnl_cb_t each,
		 void *context);

/* The same over a socket of its own, for one request alone. */
int netlink_ask(int bus, struct nlmsghdr *request, mnl_cb_t each, void *context);

#endif
