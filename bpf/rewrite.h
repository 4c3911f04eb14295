/* SPDX-License-Identifier: GPL-2.0-only */
/* Network address translation with incremental checksums (RFC 1624, eqn. 3). */
#ifndef XLB_REWRITE_H
#define XLB_REWRITE_H

#include "checksum.h"
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
};

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

static __always_inline void transport_checksum(__u16 *checksum, __u8 protocol,
					       __u32 difference)
{
	const bool udp = protocol == XLB_UDP;

	/* RFC 768: zero says that there is none, and so is never a sum. */
	if (udp && !*checksum)
		return;
	checksum_update(checksum, difference);
	if (udp && !*checksum)
		*checksum = 0xffff;
}

/* What a rewrite changed, as ~m + m', of 20 bits at most. */
struct difference {
	__u32 addresses;
	__u32 ports;
};

static __always_inline void rewrite_end(struct packet *p, const enum end end,
					const struct translation *to,
					struct difference *difference, const bool v6)
{
	__u32 *address;
	__be16 by;

	if (v6)
		address = end == SOURCE ? p->ip6->saddr.s6_addr32 : p->ip6->daddr.s6_addr32;
	else
		address = end == SOURCE ? &p->ip4->saddr : &p->ip4->daddr;
	difference->addresses += address_replace(address, to->address, v6);
	if (to->port && !packet_is_later(p)) {
		by = bpf_htons(to->port);
		difference->ports += (__u16)~p->ports[end] + by;
		p->ports[end] = by;
	}
}

/* `hop`: xlb transmits, which is a hop. */
static __always_inline void rewrite_finish(struct packet *p, const struct difference *difference,
					   bool hop, const bool v6)
{
	if (v6) {
		p->ip6->hop_limit -= hop;
	} else {
		checksum_update(&p->ip4->check, difference->addresses + (hop ? TTL_STEP : 0));
		p->ip4->ttl -= hop;
	}
	if (!packet_is_later(p))
		transport_checksum(p->checksum, p->shape.protocol,
				   difference->addresses + difference->ports);
}

/* What a translation changes in an ICMP error, as struct difference. */
struct error_difference {
	__u32 outer;		/* the error's own addresses */
	struct difference quoted;
};

/* An error comes from one end of the flow; the packet that it quotes goes there. */
static __always_inline void error_rewrite_end(struct packet *p, const enum end end,
					      const struct translation *to,
					      struct error_difference *difference, const bool v6)
{
	const enum end other = end == SOURCE ? DESTINATION : SOURCE;
	__u32 *outer, *quoted;
	__be16 by;

	if (v6) {
		outer = end == SOURCE ? p->ip6->saddr.s6_addr32 : p->ip6->daddr.s6_addr32;
		quoted = end == SOURCE ? p->quoted6->daddr.s6_addr32
				       : p->quoted6->saddr.s6_addr32;
	} else {
		outer = end == SOURCE ? &p->ip4->saddr : &p->ip4->daddr;
		quoted = end == SOURCE ? &p->quoted4->daddr : &p->quoted4->saddr;
	}
	difference->outer += address_replace(outer, to->address, v6);
	difference->quoted.addresses += address_replace(quoted, to->address, v6);
	if (to->port) {
		by = bpf_htons(to->port);
		difference->quoted.ports += (__u16)~p->ports[other] + by;
		p->ports[other] = by;
	}
}

/* The quoted packet's sums are what its sender had made of it, and ICMP's is about
 * those as about anything else (RFC 5508, 4.2). */
static __always_inline void error_rewrite_finish(struct packet *p,
						 const struct error_difference *difference,
						 bool hop, const bool v6)
{
	const struct difference *quoted = &difference->quoted;
	__u32 sum = quoted->addresses + quoted->ports;
	__u16 old;

	if (p->checksum) {
		old = *p->checksum;
		transport_checksum(p->checksum, p->shape.protocol, sum);
		sum += (__u16)~old + *p->checksum;
	}
	if (v6) {
		sum += difference->outer;
		p->ip6->hop_limit -= hop;
	} else {
		old = p->quoted4->check;
		checksum_update(&p->quoted4->check, quoted->addresses);
		sum += (__u16)~old + p->quoted4->check;
		checksum_update(&p->ip4->check, difference->outer + (hop ? TTL_STEP : 0));
		p->ip4->ttl -= hop;
	}
	checksum_update(&p->icmp->checksum, sum);
}

/* Of a translation either end may be NULL: it stays. */
static __always_inline void error_rewrite(struct packet *p, const struct translation *source,
					  const struct translation *destination, bool hop,
					  const bool v6)
{
	struct error_difference difference = {};

	if (source)
		error_rewrite_end(p, SOURCE, source, &difference, v6);
	if (destination)
		error_rewrite_end(p, DESTINATION, destination, &difference, v6);
	error_rewrite_finish(p, &difference, hop, v6);
}

static __always_inline void rewrite(struct packet *p, const enum end end,
				    const struct translation *to, bool hop, const bool v6)
{
	struct difference difference = {};

	if (packet_is_error(p)) {
		error_rewrite(p, end == SOURCE ? to : NULL, end == SOURCE ? NULL : to, hop, v6);
		return;
	}
	rewrite_end(p, end, to, &difference, v6);
	rewrite_finish(p, &difference, hop, v6);
}

/* The same for both ends. */
static __always_inline void rewrite_both(struct packet *p, const struct translation *source,
					 const struct translation *destination, bool hop,
					 const bool v6)
{
	struct difference difference = {};

	if (packet_is_error(p)) {
		error_rewrite(p, source, destination, hop, v6);
		return;
	}
	rewrite_end(p, SOURCE, source, &difference, v6);
	rewrite_end(p, DESTINATION, destination, &difference, v6);
	rewrite_finish(p, &difference, hop, v6);
}

#endif
