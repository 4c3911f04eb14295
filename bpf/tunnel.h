/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Client to backend in another IP packet: IP in IP (RFC 2003, 2473, 4213), or
 * Generic UDP Encapsulation, version 0 without options (draft-ietf-intarea-gue).
 */
#ifndef XLB_TUNNEL_H
#define XLB_TUNNEL_H

#include "forward.h"
#include "rewrite.h"

#define OUTER_TTL 64
#define GUE_PORTS 0xc000	/* source ports that flows are spread over (RFC 6335, 6) */
#define IPV6_FLOW_LABEL 0x000fffff

/* What stands between an outer IP header and the inner one. */
struct gue_header {
	struct udphdr udp;
	__u8 version;		/* and control bit, and length of options: all zero */
	__u8 protocol;
	__be16 flags;
};

/* What the outer headers take from the inner packet, and what they are made with. */
struct tunnel {
	const __u32 *source;		/* in network order, 4 or 16 bytes */
	const __u32 *destination;
	__u32 hash;			/* of the flow */
	__u16 port;			/* GUE's, host order; 0: IP in IP */
	__u16 length;			/* of the inner packet */
	__u8 protocol;			/* of the inner packet */
	__u8 traffic;			/* DSCP and ECN, which the outer header has too
					 * (RFC 2983, 3.1; RFC 6040, 4.1) */
	bool finish;			/* false: a kernel's router takes it from here */
};

/* Bytes that encapsulation adds. */
static __always_inline __u32 tunnel_overhead(enum xlb_mode mode, bool outer6)
{
	return (outer6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)) +
	       (mode == XLB_GUE ? sizeof(struct gue_header) : 0);
}

/* Put together in registers: bytes that have just been stored are slow to read as words. */
static __always_inline void outer4_fill(struct iphdr *ip, const struct tunnel *tunnel, __u32 extra)
{
	__u16 length = bpf_htons(sizeof(*ip) + extra + tunnel->length);
	__u32 *word = (__u32 *)ip;
	__u32 first = IPV4_PLAIN | (__u32)tunnel->traffic << 8 | (__u32)length << 16;
	__u32 third = OUTER_TTL | (extra ? IPPROTO_UDP : (__u32)tunnel->protocol) << 8;
	/* Never a fragment, so it needs no identification (RFC 6864, 4.1). */
	__u32 second = (__u32)bpf_htons(IPV4_DONT_FRAGMENT) << 16;
	__u32 source = *tunnel->source, destination = *tunnel->destination;
	__u32 sum = sum_fold((__u64)first + second + third + source + destination);

	sum = (sum & 0xffff) + (sum >> 16);
	sum += sum >> 16;
	word[0] = first;
	word[1] = second;
	word[2] = third | ~sum << 16;
	word[3] = source;
	word[4] = destination;
}

static __always_inline void outer6_fill(struct ipv6hdr *ip, const struct tunnel *tunnel,
					__u32 extra)
{
	/* RFC 6438: the label tells flows apart where ports cannot be seen. */
	*(__be32 *)ip = bpf_htonl(6U << 28 | (__u32)tunnel->traffic << 20 |
				  (tunnel->hash & IPV6_FLOW_LABEL));
	ip->payload_len = bpf_htons(extra + tunnel->length);
	ip->nexthdr = extra ? IPPROTO_UDP : tunnel->protocol;
	ip->hop_limit = OUTER_TTL;
	__builtin_memcpy(&ip->saddr, tunnel->source, sizeof(ip->saddr));
	__builtin_memcpy(&ip->daddr, tunnel->destination, sizeof(ip->daddr));
}

/* No UDP checksum: the inner packet has its own (RFC 6935, 5). */
static __always_inline void gue_fill(struct gue_header *gue, const struct tunnel *tunnel)
{
	gue->udp.source = bpf_htons(GUE_PORTS | (tunnel->hash & ~GUE_PORTS & 0xffff));
	gue->udp.dest = bpf_htons(tunnel->port);
	gue->udp.len = bpf_htons(sizeof(*gue) + tunnel->length);
	gue->udp.check = 0;
	gue->version = 0;
	gue->protocol = tunnel->protocol;
	gue->flags = 0;
}

/* All outer headers, for which there is room. */
static __always_inline void outer_fill(void *outer, const struct tunnel *tunnel, const bool outer6)
{
	const __u32 header = outer6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	const __u32 extra = tunnel->port ? sizeof(struct gue_header) : 0;

	if (outer6)
		outer6_fill(outer, tunnel, extra);
	else
		outer4_fill(outer, tunnel, extra);
	if (extra)
		gue_fill(outer + header, tunnel);
}

/*
 * Puts the outer headers in front; p->ethernet is the frame's new start, and
 * nothing else of the packet may be used then.  False: no room.
 */
static __always_inline bool tunnel_push(struct packet *p, const struct tunnel *tunnel,
					const bool outer6)
{
	const __u32 header = outer6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	const __u32 extra = tunnel->port ? sizeof(struct gue_header) : 0;
	const __u8 network = p->odd ? p->shape.network : sizeof(struct ethernet_header);
	const __be16 type = outer6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	void *data, *end, *outer;

	if (bpf_xdp_adjust_head(p->ctx, -(int)(header + extra)))
		return false;
	data = (void *)(long)p->ctx->data;
	end = (void *)(long)p->ctx->data_end;
	outer = data + network;
	pin_down(outer);
	/* The second is for what precedes the IP header, in its old place. */
	if (outer + header + sizeof(struct gue_header) > end ||
	    data + header + sizeof(struct gue_header) + NETWORK_MAX > end)
		return false;
	p->ethernet = data;
	if (p->odd || !tunnel->finish) {
		if (extra)
			ethernet_move(data, data + header + sizeof(struct gue_header), network);
		else
			ethernet_move(data, data + header, network);
	}
	if (!p->odd)
		p->ethernet->type = type;
	else if (!network_type_set(p->ctx, network, type))
		return false;
	outer_fill(outer, tunnel, outer6);
	return true;
}

/* Passing through xlb is a hop for the inner packet (RFC 2003, 3.1). */
static __always_inline void inner_age(struct packet *p, const bool v6)
{
	if (v6) {
		p->ip6->hop_limit--;
	} else {
		checksum_update(&p->ip4->check, TTL_STEP);
		p->ip4->ttl--;
	}
}

static __always_inline __u8 traffic_class(const struct packet *p, const bool v6)
{
	return v6 ? bpf_ntohl(*(const __be32 *)p->ip6) >> 20 : p->ip4->tos;
}

/* The packet to a backend by tunnel: 0, or the verdict that it is dropped by. */
static __always_inline int encapsulate(struct packet *p, const struct xlb_config *config,
				       const struct xlb_target *target, enum xlb_mode mode,
				       __u32 hash, bool finish, const bool v6)
{
	struct tunnel tunnel = {
		.destination = (const __u32 *)target->address,
		.hash = hash,
		.port = mode == XLB_GUE ? config->gue_port : 0,
		.length = p->length,
		.protocol = v6 ? IPPROTO_IPV6 : IPPROTO_IPIP,
		.traffic = traffic_class(p, v6),
		.finish = finish,
	};
	bool pushed;

	tunnel.source = target->v6 ? (const __u32 *)config->tunnel6
				   : (const __u32 *)config->tunnel4;
	if (unlikely(!tunnel.source[0]))
		return drop(no_source);
	/* Whoever sends the outer packet: into the tunnel is a hop. */
	if (unlikely(!hops_left(p, v6)))
		return drop(ttl);
	inner_age(p, v6);
	pushed = target->v6 ? tunnel_push(p, &tunnel, true) : tunnel_push(p, &tunnel, false);
	return likely(pushed) ? 0 : drop(no_headroom);
}

#endif
