/* SPDX-License-Identifier: GPL-2.0-only */
/* From the first bytes of a frame to whom its packet is from and for. */
#ifndef XLB_PACKET_H
#define XLB_PACKET_H

#include <stddef.h>

#include "endpoint.h"

/* An IP packet, as far as its headers could be read. */
struct packet {
	struct endpoint from, to;	/* ports 0: it has none that could be read */
	__u8 protocol;			/* of IP, whatever extension headers stand before */
	bool error;			/* an ICMP error */
};

/*
 * Reads a frame; false: there is no IP header in it.  *quoted is set where the packet is an
 * ICMP error, if the one that it is about can be read: its `from` is 0 otherwise.
 */
bool packet_parse(const __u8 *frame, size_t length, struct packet *packet, struct packet *quoted);

/* "tcp", "udp", "icmp", "icmp6" or the number, in at least ENDPOINT_TEXT bytes. */
const char *packet_protocol(const struct packet *packet, char *text);

#endif
