/* SPDX-License-Identifier: GPL-2.0-only */
/* ICMP messages that xlb itself sends, in a VIP's name, and first of all "too big". */
#ifndef XLB_ICMP_H
#define XLB_ICMP_H

#include "forward.h"
#include "rewrite.h"
#include "service.h"

/* <linux/icmp.h> wants more of the C library than there is here.  RFC 792: */
#define ICMP_UNREACHABLE 3
#define ICMP_FRAG_NEEDED 4	/* code */
/* RFC 4443: */
#define ICMPV6_PKT_TOOBIG 2

#define ICMP_TTL 64
#define IPV6_MTU_MIN 1280	/* RFC 8200, 5 */

static __always_inline __u16 sum_finish(__u64 sum)
{
	__u32 folded = sum_fold(sum);

	return ~((folded & 0xffff) + (folded >> 16));
}

/* Of an ICMPv6 message's pseudo-header (RFC 8200, 8.1); addresses sum up in any order. */
static __always_inline __u64 pseudo6_sum(const struct ipv6hdr *ip, __u32 length)
{
	const __u32 *word = ip->saddr.s6_addr32;
	__u64 sum = bpf_htonl(length) + (__u64)bpf_htonl(IPPROTO_ICMPV6);

#pragma unroll
	for (int i = 0; i < 8; i++)
		sum += word[i];
	return sum;
}

static __always_inline void ipv4_checksum(struct iphdr *ip)
{
	const __u16 *word = (const __u16 *)ip;
	__u32 sum = 0;

	ip->check = 0;
#pragma unroll
	for (int i = 0; i < 10; i++)
		sum += word[i];
	ip->check = sum_finish(sum);
}

static __always_inline void macs_swap(struct ethernet_header *ethernet)
{
#pragma unroll
	for (int i = 0; i < 3; i++) {
		__u16 word = ethernet->macs[i];

		ethernet->macs[i] = ethernet->macs[i + 3];
		ethernet->macs[i + 3] = word;
	}
}

/* Back to whoever sent this frame, once its MAC addresses are swapped. */
static __always_inline int send_back(struct xdp_md *ctx)
{
	__u32 ifindex = ctx->ingress_ifindex;
	struct xlb_link *link = bpf_map_lookup_elem(&xlb_links, &ifindex);

	return send(ctx, ifindex, link && link->veth);
}

/* May this CPU send one more error? */
static __always_inline bool error_allowed(__u32 hz)
{
	__u32 zero = 0, now = bpf_jiffies64();
	struct xlb_budget *budget = bpf_map_lookup_elem(&xlb_budget, &zero);

	if (!budget)
		return false;
	if (now - budget->errors_since >= hz) {
		budget->errors_since = now;
		budget->errors = 0;
	}
	return budget->errors++ < XLB_ERRORS_MAX;
}

/* How much of a packet an error quotes (RFC 1812, 4.3.2.3): of what there is, the
 * first of these. */
static __always_inline __u32 quote_size(__u32 there, __u32 least)
{
	return there >= 512 ? 512 : there >= 128 ? 128 : least;
}

/* bpf_csum_diff() wants a size that the verifier knows. */
static __always_inline __s64 quote_sum(void *quote, void *end, __u32 size, const __u32 least,
				       __u64 sum)
{
	if (size == 512 && quote + 512 <= end)
		return bpf_csum_diff(NULL, 0, quote, 512, sum);
	if (size == 128 && quote + 128 <= end)
		return bpf_csum_diff(NULL, 0, quote, 128, sum);
	if (quote + least <= end)
		return bpf_csum_diff(NULL, 0, quote, least, sum);
	return -1;
}

/* The header of an error about a packet, from its destination to its source. */
static __always_inline void error4_head(struct iphdr *ip, const struct iphdr *inner, __u32 length)
{
	ip->version = 4;
	ip->ihl = sizeof(*ip) / 4;
	ip->tos = 0;
	ip->tot_len = bpf_htons(length);
	ip->id = 0;
	ip->frag_off = bpf_htons(IPV4_DONT_FRAGMENT);
	ip->ttl = ICMP_TTL;
	ip->protocol = IPPROTO_ICMP;
	ip->saddr = inner->daddr;
	ip->daddr = inner->saddr;
	ipv4_checksum(ip);
}

/* `length` is of the ICMP message. */
static __always_inline void error6_head(struct ipv6hdr *ip, const struct ipv6hdr *inner,
					__u32 length)
{
	*(__be32 *)ip = bpf_htonl(6U << 28);
	ip->payload_len = bpf_htons(length);
	ip->nexthdr = IPPROTO_ICMPV6;
	ip->hop_limit = ICMP_TTL;
	ip->saddr = inner->daddr;
	ip->daddr = inner->saddr;
}

static __always_inline bool error4_fill(struct iphdr *ip, void *end, __u32 quoted, __u32 mtu)
{
	struct icmp_header *icmp = (void *)(ip + 1);
	struct iphdr *inner = (void *)(icmp + 1);
	const __u32 least = sizeof(*ip) + 8;
	__s64 sum;

	error4_head(ip, inner, sizeof(*ip) + sizeof(*icmp) + quoted);
	icmp->type = ICMP_UNREACHABLE;
	icmp->code = ICMP_FRAG_NEEDED;
	icmp->checksum = 0;
	icmp->rest = bpf_htonl(mtu);
	sum = quote_sum(inner, end, quoted, least, ICMP_UNREACHABLE | ICMP_FRAG_NEEDED << 8);
	icmp->checksum = sum_finish((__u64)(__u32)sum + icmp->rest);
	return sum >= 0;
}

static __always_inline bool error6_fill(struct ipv6hdr *ip, void *end, __u32 quoted, __u32 mtu)
{
	struct icmp_header *icmp = (void *)(ip + 1);
	struct ipv6hdr *inner = (void *)(icmp + 1);
	const __u32 least = sizeof(*ip) + 8;
	__s64 sum;

	error6_head(ip, inner, sizeof(*icmp) + quoted);
	icmp->type = ICMPV6_PKT_TOOBIG;
	icmp->code = 0;
	icmp->checksum = 0;
	icmp->rest = bpf_htonl(mtu > IPV6_MTU_MIN ? mtu : IPV6_MTU_MIN);
	sum = quote_sum(inner, end, quoted, least, ICMPV6_PKT_TOOBIG);
	icmp->checksum = sum_finish((__u64)(__u32)sum + icmp->rest +
				    pseudo6_sum(ip, sizeof(*icmp) + quoted));
	return sum >= 0;
}

/*
 * Makes the frame an error about itself: what stands from `network` on becomes the
 * quote.  From the packet's destination to its source; MACs stay.  False: nothing
 * can be sent.
 */
static __always_inline bool error_make(struct xdp_md *ctx, __u8 network, __u32 mtu, const bool v6)
{
	const __u32 header = (v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)) +
			     sizeof(struct icmp_header);
	const __u32 least = (v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)) + 8;
	__u32 there = frame_length(ctx) - network;
	__u32 quoted = quote_size(there, least);
	void *data, *end, *outer;

	if (there < least || bpf_xdp_adjust_tail(ctx, -(int)(there - quoted)) ||
	    bpf_xdp_adjust_head(ctx, -(int)header))
		return false;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	outer = data + network;
	pin_down(outer);
	if (outer + header + least > end || data + header + NETWORK_MAX > end)
		return false;
	ethernet_move(data, data + header, network);
	if (!network_type_set(ctx, network, v6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP)))
		return false;
	return v6 ? error6_fill(outer, end, quoted, mtu)
		  : error4_fill(outer, end, quoted, mtu);
}

/* A packet longer than the interface that it came by takes was put together from
 * several by the kernel (GRO); nobody sent it so, and the kernel takes it apart again. */
static __always_inline bool packet_is_merged(const struct packet *p)
{
	__u32 ifindex = p->ctx->ingress_ifindex;
	struct xlb_link *link = bpf_map_lookup_elem(&xlb_links, &ifindex);

	return link && link->mtu && p->length > link->mtu;
}

/* A packet too long for its way, which the kernel can take apart: if it was merged,
 * or the sender lets it be fragmented. */
__noinline bool divisible(struct xdp_md *ctx, __u64 shape)
{
	union shape of = { .word = shape };
	struct packet p = {};

	if (of.flags & SHAPE_ERROR)
		return false;
	if (of.flags & SHAPE_V6)
		return packet_find(&p, ctx, shape, true) && packet_is_merged(&p);
	return packet_find(&p, ctx, shape, false) &&
	       (packet_is_merged(&p) || !(p.ip4->frag_off & bpf_htons(IPV4_DONT_FRAGMENT)));
}

/* Makes the packet an error about itself.  False: nobody is to be told. */
static __always_inline bool too_big_in(struct xdp_md *ctx, __u64 shape, __u32 mtu, const bool v6)
{
	struct xlb_config *config = config_current();
	union shape of = { .word = shape };
	struct packet p = {};
	void *data;

	/* RFC 1122, 3.2.2: not about an error or a later fragment, and only to where it
	 * came from. */
	if (of.flags & SHAPE_ERROR || !config || !packet_find(&p, ctx, shape, v6))
		return false;
	if (!p.shape.transport || !(v6 || p.ip4->frag_off & bpf_htons(IPV4_DONT_FRAGMENT)) ||
	    !error_allowed(config->hz) || !error_make(ctx, p.shape.network, mtu, v6))
		return false;
	data = (void *)(long)ctx->data;
	if (data + sizeof(struct ethernet_header) > (void *)(long)ctx->data_end)
		return false;
	macs_swap(data);
	return true;
}

/* A packet larger than `mtu`, the most that its way takes: the sender is told. */
__noinline int too_big(struct xdp_md *ctx, __u64 shape, __u32 mtu)
{
	union shape of = { .word = shape };
	bool told = of.flags & SHAPE_V6 ? too_big_in(ctx, shape, mtu, true)
					: too_big_in(ctx, shape, mtu, false);

	return verdict_counted(told ? send_back(ctx) : XDP_DROP, DROP_REASON(too_big));
}

#endif
