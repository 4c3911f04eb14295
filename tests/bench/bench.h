/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the benchmark's programs and the benchmark agree on: the packets to
 * restore, and the seed-style balancer's ring.
 */
#ifndef BENCH_H
#define BENCH_H

#include <linux/types.h>

/* Every frame is as long, so that restoring one costs every row the same. */
#define BENCH_FRAME_SIZE 96
/* What encapsulation adds at most: IPv6, UDP and GUE. */
#define BENCH_GROWTH_MAX 52

/*
 * Where the next packet comes from.  Flow n is `frame` with n added to the
 * client's address and some bits of n to the client's port, checksums to match:
 * computed, so that a million flows take no more cache than one.
 */
struct bench_source {
	__u64 frame[BENCH_FRAME_SIZE / 8];	/* flow 0 */
	__u32 flows;
	__u32 next;		/* number of the next packet's flow */
	__u32 step;		/* and how much further that after it is; < flows */
	__u16 zero_check;	/* what a transport checksum of 0 is sent as */
	__u8 address;		/* offsets into the frame: client's last 4 bytes, */
	__u8 port;		/* client's port, */
	__u8 ip_check;		/* checksum of the IPv4 header, 0: none, */
	__u8 check;		/* TCP or UDP checksum */
	__u8 reserved[2];
};

/* Low bits of the client's port that vary with the flow. */
#define BENCH_PORT_BITS 15

/* A power of two, as the balancer takes the hash modulo it. */
#define SEED_RING_SIZE 256

struct seed_backend {
	__u8 address[4];
	__u8 mac[6];
	__be16 port;
};

#endif
