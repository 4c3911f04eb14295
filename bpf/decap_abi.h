/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the pinned maps of decap.o hold, agreed upon by the packet program and
 * the tools.
 *
 * map           type              key -> value                  writer
 * decap_locals  hash              address -> decap_local        tools
 * decap_stats   per-CPU array, 1  0 -> decap_stats              packets
 *
 * As in xlb_abi.h, addresses are bytes in network order (IPv4 as ::ffff:a.b.c.d),
 * ports are in host order, and counters have names.
 */
#ifndef DECAP_ABI_H
#define DECAP_ABI_H

#include <linux/types.h>

#define DECAP_LOCALS_MAX 1024
#define DECAP_GUE_PORT_DEFAULT 6080	/* IANA: gue */

/* An address of this host that tunnels end at. */
struct decap_local {
	__u16 gue_port;		/* host order; UDP port that GUE packets come to */
	__u8 reserved[6];
};

/* Packets to such addresses.  What is no tunnel's passes without being counted. */
struct decap_stats {
	/* Undone: IP in IP and GUE, a family in another. */
	__u64 ipip_4in4;
	__u64 ipip_6in4;
	__u64 ipip_4in6;
	__u64 ipip_6in6;
	__u64 gue_4in4;
	__u64 gue_6in4;
	__u64 gue_4in6;
	__u64 gue_6in6;
	/* Passed up as they came. */
	__u64 passed_fragment;		/* outer fragments, counted by their first */
	__u64 passed_options;		/* outer IPv4 options, IPv6 extension headers */
	__u64 passed_gue_control;	/* GUE control messages */
	__u64 passed_gue_version;	/* GUE versions other than 0 and 1 */
	__u64 passed_gue_flags;		/* GUE with fields that change what it carries */
	__u64 passed_gue_protocol;	/* GUE with something other than IP */
	/* Dropped. */
	__u64 dropped_outer_length;	/* of IP, UDP or GUE: a lie, or cut short */
	__u64 dropped_outer_checksum;	/* of the IPv4 header */
	__u64 dropped_inner_header;	/* IP version or header length */
	__u64 dropped_inner_length;	/* a lie, or cut short */
	__u64 dropped_ecn;		/* congestion that the inner packet cannot tell */
};

#endif
