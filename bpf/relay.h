/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A router on the way to a backend cannot pass the outer packet of a tunnel on.  It
 * tells xlb, whose the outer packet is; but only the client can do something about
 * it, and is told what that means for the packet within (RFC 2003, 4; RFC 2473, 8).
 */
#ifndef XLB_RELAY_H
#define XLB_RELAY_H

#include "quote.h"

/* RFC 792, RFC 4443: the codes of "unreachable" that tell of a host. */
#define ICMP_HOST_UNREACHABLE 1
#define ICMPV6_ADDRESS_UNREACHABLE 3

#define IPV4_MTU_MIN 68		/* RFC 791, 3.2 */

/* An error about an outer packet, once its parts are found. */
struct relay {
	const struct icmp_header *icmp;
	const void *quoted;	/* outer packet */
	__u32 overhead;		/* its bytes before the packet within */
	__u32 quote;		/* bytes of that */
};

/* How the client's error begins. */
struct relayed {
	__u8 type;
	__u8 code;
	__be32 rest;
};

static __always_inline bool error_is_too_big(const struct icmp_header *icmp, const bool v6)
{
	return v6 ? icmp->type == ICMPV6_PKT_TOOBIG
		  : icmp->type == ICMP_UNREACHABLE && icmp->code == ICMP_FRAG_NEEDED;
}

/* What the client is told, of an MTU that is less by the outer headers; any other
 * trouble of the tunnel is that of a host that cannot be reached.  False: nothing. */
static __always_inline bool relayed_make(struct relayed *to, const struct relay *relay,
					 const bool outer6, const bool v6)
{
	__u32 rest = bpf_ntohl(relay->icmp->rest);
	__u32 least = v6 ? IPV6_MTU_MIN : IPV4_MTU_MIN, mtu;

	if (!error_is_too_big(relay->icmp, outer6)) {
		to->type = v6 ? ICMPV6_UNREACHABLE : ICMP_UNREACHABLE;
		to->code = v6 ? ICMPV6_ADDRESS_UNREACHABLE : ICMP_HOST_UNREACHABLE;
		to->rest = 0;
		return true;
	}
	mtu = outer6 ? rest : rest & 0xffff;
	/* Routers older than RFC 1191 do not say. */
	if (mtu <= relay->overhead)
		return false;
	mtu -= relay->overhead;
	to->type = v6 ? ICMPV6_PKT_TOOBIG : ICMP_UNREACHABLE;
	to->code = v6 ? 0 : ICMP_FRAG_NEEDED;
	to->rest = bpf_htonl(mtu > least ? mtu : least);
	return true;
}

/* Its negative, as a sum: of what is taken away. */
static __always_inline __u64 words_minus(const void *from, const __u32 words)
{
	const __u32 *word = from;
	__u64 sum = 0;

#pragma unroll
	for (__u32 i = 0; i < words; i++)
		sum += (__u32)~word[i];
	return sum;
}

/*
 * The checksum without the outer packet's headers and with another beginning; so a
 * wrong one stays wrong.  Without the pseudo-header of the new error, if it has one.
 */
static __always_inline __u64 relayed_sum(const struct relay *relay, const struct relayed *to,
					 const bool outer6)
{
	const __u32 header = outer6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	const struct icmp_header *icmp = relay->icmp;
	__u64 sum = (__u16)~icmp->checksum;

	sum += (__u16)~(icmp->type | icmp->code << 8) + (to->type | to->code << 8);
	sum += (__u64)(__u32)~icmp->rest + to->rest;
	sum += words_minus(relay->quoted, header / 4);
	if (relay->overhead > header)
		sum += words_minus(relay->quoted + header, sizeof(struct gue_header) / 4);
	/* The addresses of the pseudo-header; its length and protocol follow. */
	if (outer6)
		sum += words_minus((const void *)icmp - 32, 8) +
		       (__u32)~bpf_htonl(sizeof(*icmp) + relay->overhead + relay->quote) +
		       (__u32)~bpf_htonl(IPPROTO_ICMPV6);
	return sum;
}

/* Both headers of the new error, before the packet that it quotes. */
static __always_inline void relayed_fill(void *outer, const struct relayed *to, __u32 quote,
					 __u64 sum, const bool v6)
{
	const __u32 header = v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	struct icmp_header *icmp = outer + header;
	__u32 length = sizeof(*icmp) + quote;

	if (v6) {
		error6_head(outer, (void *)(icmp + 1), length);
		sum += pseudo6_sum(outer, length);
	} else {
		error4_head(outer, (void *)(icmp + 1), header + length);
	}
	icmp->type = to->type;
	icmp->code = to->code;
	icmp->checksum = sum_finish(sum);
	icmp->rest = to->rest;
}

/* Is the packet within one to a tunnel's service on any address?  To an odd address none
 * goes by a tunnel, and what has options, or is a later fragment, does not tell its port. */
static __always_inline bool relay_any(const void *inner, const bool v6)
{
	const struct ipv6hdr *ip6 = inner;
	const struct iphdr *ip4 = inner;
	const __be16 *ports = inner + (v6 ? sizeof(*ip6) : sizeof(*ip4));
	const __u8 protocol = v6 ? ip6->nexthdr : ip4->protocol;
	const __u16 port = bpf_ntohs(ports[1]);
	struct xlb_service *service;
	union tuple tuple;

	if (v6 ? address6_odd(&ip6->daddr)
	       : *(const __u8 *)ip4 != IPV4_PLAIN || address4_odd(ip4->daddr) ||
		 ip4->frag_off & bpf_htons(IPV4_FRAGMENT_OFFSET))
		return false;
	tuple_set(&tuple, v6 ? (const void *)&ip6->saddr : &ip4->saddr,
		  v6 ? (const void *)&ip6->daddr : &ip4->daddr, 0, port, protocol, v6);
	service = service_at(&tuple, port, true, v6);
	return service && service->mode >= XLB_IPIP;
}

/* Is the packet within one to a service?  All of its header and ports are there. */
static __always_inline bool relay_ours(const void *inner, const struct xlb_needs *needs,
				       const bool v6)
{
	const __u32 header = v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);

	if (vip_at(inner + header - (v6 ? 16 : 4), v6))
		return true;
	return unlikely(v6 ? needs->any_address6 : needs->any_address4) && relay_any(inner, v6);
}

/* To the client, as any packet. */
static __always_inline int relay_send(struct packet *p, const struct xlb_config *config,
				      const bool v6)
{
	const __u32 *from = v6 ? p->ip6->saddr.s6_addr32 : &p->ip4->saddr;
	const __u32 *to = v6 ? p->ip6->daddr.s6_addr32 : &p->ip4->daddr;
	struct hop hop = {};
	int way;

	way = route_client(p->ctx, to, from, XLB_BACKEND_NONE, IPPROTO_ICMP, &hop, config->hz,
			   true, v6);
	if (way >= WAY_DROP)
		return way;
	return way == WAY_SEND && hop_usable(p, &hop) ? transmit(p, &hop) : XDP_PASS;
}

static __always_inline int relay_in(struct xdp_md *ctx, union shape shape, const bool outer6,
				    const bool v6)
{
	const __u32 outer_header = outer6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	const __u32 header = v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	void *network = data + shape.network;
	void *inner = network + shape.transport * 4;
	struct xlb_config *config = config_current();
	struct relayed to = {};
	struct relay relay;
	struct packet p = {};
	__u32 excess, length;
	__u64 sum;

	pin_down(network);
	pin_down(inner);
	relay.icmp = network + outer_header;
	relay.quoted = relay.icmp + 1;
	relay.overhead = shape.transport * 4 - outer_header - sizeof(struct icmp_header);
	if (network + outer_header > end)
		return XDP_PASS;
	length = outer6 ? outer_header + bpf_ntohs(((struct ipv6hdr *)network)->payload_len)
			: bpf_ntohs(((struct iphdr *)network)->tot_len);
	relay.quote = length - shape.transport * 4;
	if (!config || length < shape.transport * 4 + header + QUOTE_LEAST ||
	    network + 2 * outer_header + sizeof(struct icmp_header) +
	    sizeof(struct gue_header) > end || inner + header + QUOTE_LEAST > end ||
	    !relay_ours(inner, &config->needs, v6) ||
	    !relayed_make(&to, &relay, outer6, v6))
		return XDP_PASS;
	if (shape.flags >> SHAPE_FAULT_SHIFT)
		return drop_reason(shape.flags >> SHAPE_FAULT_SHIFT);
	sum = relayed_sum(&relay, &to, outer6);

	excess = shape.transport * 4 - header - sizeof(struct icmp_header);
	pin_down(excess);
	if (excess > 255 || data + NETWORK_MAX > end || data + excess + NETWORK_MAX > end)
		return XDP_PASS;
	ethernet_move(data + excess, data, shape.network);
	if (bpf_xdp_adjust_head(ctx, excess))
		return XDP_PASS;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	network = data + shape.network;
	pin_down(network);
	if (data + NETWORK_MAX > end ||
	    network + 2 * header + sizeof(struct icmp_header) > end ||
	    !network_type_set(ctx, shape.network, v6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP)))
		return XDP_DROP;
	relayed_fill(network, &to, relay.quote, sum, v6);
	packet_begin(&p, ctx, shape, data, network, v6);
	return relay_send(&p, config, v6);
}

/* An error about a packet in a tunnel of ours, the shape of which icmp() made. */
__noinline int relay(struct xdp_md *ctx, __u64 word)
{
	union shape shape = { .word = word };

	if (shape.flags & SHAPE_V6)
		return shape.protocol == IPPROTO_IPV6 ? relay_in(ctx, shape, true, true)
						      : relay_in(ctx, shape, true, false);
	return shape.protocol == IPPROTO_IPV6 ? relay_in(ctx, shape, false, true)
					      : relay_in(ctx, shape, false, false);
}

#endif
