/* SPDX-License-Identifier: GPL-2.0-only */
/* Network address translation with incremental checksums (RFC 1624, eqn. 3). */
#ifndef XLB_REWRITE_H
#define XLB_REWRITE_H

#include "parse.h"

/* ~m + m' for a TTL lowered by one: m is the 16-bit word that TTL begins. */
#define TTL_STEP ((__u16)~bpf_htons(0x0100))

enum end {
	SOURCE,
	DESTINATION,
};

/* Where one end of a packet goes; addresses in network order, 4 or 16 bytes. */
struct translation {
	const __u32 *address;
	__u16 port;		/* host order; 0: as it is */
	bool hop;		/* xlb transmits, which is a hop */
};

/* Sums are of 16-bit words in the order of the wire, unfolded: 32-bit words may
 * be added as they are, since 2^16 is 1 in one's complement arithmetic. */
static __always_inline __u32 sum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	return (sum & 0xffff) + (sum >> 16);
}

/* `difference` is ~m + m' of what changed, folded once: 20 bits at most. */
static __always_inline void checksum_update(__u16 *checksum, __u32 difference)
{
	__u32 sum = (__u16)~*checksum + difference;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	*checksum = ~sum;
}

/* Puts the new address in place; ~m + m' of what changed, folded once. */
static __always_inline __u32 address_replace(__u32 *address, const __u32 *by, const bool v6)
{
	const int words = v6 ? 4 : 1;
	__u64 difference = 0;

#pragma unroll
	for (int i = 0; i < words; i++) {
		__u32 word = by[i];

		difference += (__u64)(__u32)~address[i] + word;
		address[i] = word;
	}
	return sum_fold(difference);
}

static __always_inline void transport_checksum(struct packet *p, __u32 difference)
{
	const bool udp = p->protocol == XLB_UDP;

	/* RFC 768: zero says that there is none, and so is never a sum. */
	if (udp && !*p->checksum)
		return;
	checksum_update(p->checksum, difference);
	if (udp && !*p->checksum)
		*p->checksum = 0xffff;
}

static __always_inline void rewrite(struct packet *p, const enum end end,
				    const struct translation *to, const bool v6)
{
	__u32 difference;
	__be16 by;

	if (v6) {
		difference = address_replace(end == SOURCE ? p->ip6->saddr.s6_addr32
							   : p->ip6->daddr.s6_addr32,
					     to->address, true);
		p->ip6->hop_limit -= to->hop;
	} else {
		difference = address_replace(end == SOURCE ? &p->ip4->saddr : &p->ip4->daddr,
					     to->address, false);
		checksum_update(&p->ip4->check, difference + (to->hop ? TTL_STEP : 0));
		p->ip4->ttl -= to->hop;
	}
	if (to->port) {
		by = bpf_htons(to->port);
		difference += (__u16)~p->ports[end] + by;
		p->ports[end] = by;
	}
	transport_checksum(p, difference);
}

#endif
