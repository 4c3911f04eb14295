/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ICMP errors: whoever cannot pass a packet on tells its sender, and quotes it (RFC
 * 792, RFC 4443).  The quote says which flow that is about, and the error goes where
 * an answer to the quoted packet would: one about a VIP's packet to the backend that
 * wrote it, one about what went to a backend to the client.
 */
#ifndef XLB_QUOTE_H
#define XLB_QUOTE_H

#include "echo.h"
#include "survey.h"
#include "tunnel.h"

/* RFC 792 */
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETER_PROBLEM 12
/* RFC 4443; 3 and 4 are time exceeded and parameter problem */
#define ICMPV6_UNREACHABLE 1
#define ICMPV6_ERRORS_END 5

/* An error has at least this much of a transport header: the ports. */
#define QUOTE_LEAST 8

/* Redirects are about routes, not about flows; source quench is deprecated (RFC 6633). */
static __always_inline bool icmp_is_error(const struct icmp_header *icmp, const bool v6)
{
	if (v6)
		return icmp->type >= ICMPV6_UNREACHABLE && icmp->type < ICMPV6_ERRORS_END;
	return icmp->type == ICMP_UNREACHABLE || icmp->type == ICMP_TIME_EXCEEDED ||
	       icmp->type == ICMP_PARAMETER_PROBLEM;
}

/*
 * The quoted packet, if it went into a tunnel of ours: the shape gets the protocol
 * of what was in there, and leads to it.  False: it did not.  `carried` stands
 * `words` behind the error's own IP header.
 */
static __always_inline bool quote_tunnel(union shape *shape, void *carried, __u32 words,
					 __u8 protocol, const struct xlb_config *config, void *end)
{
	struct gue_header *gue = carried;

	if (protocol == IPPROTO_UDP) {
		if ((void *)(gue + 1) > end || gue->udp.dest != bpf_htons(config->gue_port) ||
		    gue->version || gue->flags)
			return false;
		protocol = gue->protocol;
		words += sizeof(*gue) / 4;
	}
	if (protocol != IPPROTO_IPIP && protocol != IPPROTO_IPV6)
		return false;
	shape->protocol = protocol;
	shape->transport = words;
	return true;
}

/* The rest of the shape, once the quote has been walked up to its transport header. */
static __always_inline __u64 quote_end(union shape *shape, void *network, __u32 words,
				       __u8 protocol, void *end)
{
	void *transport = network + words * 4;
	const __be16 *ports;

	pin_down(transport);
	ports = transport;
	if (!protocol_known(protocol) || transport + QUOTE_LEAST > end)
		return shape_verdict(XDP_PASS);
	shape->protocol = protocol;
	shape->transport = words;
	shape->flags |= SHAPE_ERROR;
	shape->source_port = bpf_ntohs(ports[1]);
	shape->destination_port = bpf_ntohs(ports[0]);
	return shape->word;
}

static __always_inline __u64 quote4(union shape *shape, struct iphdr *ip, struct iphdr *quoted,
				    void *end)
{
	struct xlb_config *config = config_current();
	__u32 words = ip->ihl + sizeof(struct icmp_header) / 4;

	if ((void *)(quoted + 1) > end || !config || quoted->version != 4 || quoted->ihl < 5 ||
	    quoted->saddr != ip->daddr ||
	    quoted->frag_off & bpf_htons(IPV4_FRAGMENT_OFFSET))
		return shape_verdict(XDP_PASS);
	words += quoted->ihl;
	/* Ours have no options. */
	if (quoted->saddr == *(__u32 *)config->tunnel4 && quoted->ihl == 5 && ip->ihl == 5 &&
	    quote_tunnel(shape, quoted + 1, words, quoted->protocol, config, end))
		return shape->word;
	return quote_end(shape, ip, words, quoted->protocol, end);
}

static __always_inline __u64 quote6(union shape *shape, struct ipv6hdr *ip,
				    struct ipv6hdr *quoted, void *end)
{
	struct xlb_config *config = config_current();
	/* Its length does not matter, since most of it is not there. */
	struct walk walk = { .left = 65535 };
	const __u32 words = (2 * sizeof(*ip) + sizeof(struct icmp_header)) / 4;
	enum step step = STEP_ON;

	if ((void *)(quoted + 1) > end || !config || quoted->version != 6 ||
	    !address6_equal(&quoted->saddr, &ip->daddr))
		return shape_verdict(XDP_PASS);
	if (address6_equal(&quoted->saddr, (void *)config->tunnel6) &&
	    quote_tunnel(shape, quoted + 1, words, quoted->nexthdr, config, end))
		return shape->word;
	walk.shape.protocol = quoted->nexthdr;
	walk.shape.transport = words;
#pragma clang loop unroll(disable)
	for (int i = 0; i <= EXTENSIONS_MAX && step == STEP_ON; i++) {
		step = walk_extension(&walk, ip, end, i < EXTENSIONS_MAX);
		/* Else the loop falls back to its start, which Linux 5.10 refuses. */
		pin_down(step);
	}
	/* A later fragment has no ports. */
	if (step != STEP_END || !walk.shape.transport)
		return shape_verdict(XDP_PASS);
	return quote_end(shape, ip, walk.shape.transport, walk.shape.protocol, end);
}

static __always_inline __u64 icmp4(struct xdp_md *ctx, union shape *shape)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + shape->network;
	struct icmp_header *icmp = (void *)ip + shape->transport * 4;

	pin_down(ip);
	pin_down(icmp);
	if (data + sizeof(struct ethernet_header) > end || (void *)(ip + 1) > end ||
	    (void *)(icmp + 1) > end)
		return shape_verdict(XDP_PASS);
	if (icmp->type == ICMP_ECHO)
		return shape_verdict(echo4(ctx, shape, data, ip, icmp));
	if (!icmp_is_error(icmp, false))
		return shape_verdict(XDP_PASS);
	return quote4(shape, ip, (void *)(icmp + 1), end);
}

/* An error behind extension headers is none that a router would send. */
static __always_inline __u64 icmp6(struct xdp_md *ctx, union shape *shape)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ipv6hdr *ip = data + shape->network;
	struct icmp_header *icmp = (void *)(ip + 1);

	pin_down(ip);
	pin_down(icmp);
	if (data + sizeof(struct ethernet_header) > end || (void *)(icmp + 1) > end ||
	    shape->transport != sizeof(*ip) / 4)
		return shape_verdict(XDP_PASS);
	if (icmp->type == ICMPV6_ECHO)
		return shape_verdict(echo6(ctx, shape, data, ip, icmp));
	if (!icmp_is_error(icmp, true))
		return shape_verdict(XDP_PASS);
	return quote6(shape, ip, (void *)(icmp + 1), end);
}

/*
 * An ICMP message: an error about a packet of a flow gets that flow's shape, and one
 * about a packet in a tunnel of ours the protocol of the packet therein; any other
 * message is done with: the shape is but a verdict.
 */
__noinline __u64 icmp(struct xdp_md *ctx, __u64 word)
{
	union shape shape = { .word = word };

	return shape.flags & SHAPE_V6 ? icmp6(ctx, &shape) : icmp4(ctx, &shape);
}

/* As packet_find(), of an error.  Also false: the frame goes on behind the packet, and
 * what would be translated stands there. */
static __always_inline bool error_find(struct packet *p, struct xdp_md *ctx, __u64 word,
				       const bool v6)
{
	union shape shape = { .word = word };
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	void *network = data + shape.network;
	void *transport = network + shape.transport * 4;
	struct iphdr *ip4 = network;
	__u32 least = QUOTE_LEAST;
	void *icmp;

	pin_down(network);
	pin_down(transport);
	if (data + sizeof(*p->ethernet) > end ||
	    network + (v6 ? sizeof(*p->ip6) : sizeof(*p->ip4)) > end)
		return false;
	packet_begin(p, ctx, shape, data, network, v6);
	p->error = true;
	icmp = network + (v6 ? sizeof(*p->ip6) : ip4->ihl * 4);
	pin_down(icmp);
	p->icmp = icmp;
	p->quoted4 = icmp + sizeof(*p->icmp);
	p->quoted6 = icmp + sizeof(*p->icmp);
	p->ports = transport;
	if (icmp + sizeof(*p->icmp) + (v6 ? sizeof(*p->ip6) : sizeof(*p->ip4)) > end ||
	    transport + QUOTE_LEAST > end)
		return false;
	if (shape.protocol == XLB_UDP) {
		p->checksum = &((struct udphdr *)transport)->check;
	} else if (transport + sizeof(struct tcphdr) <= end) {
		p->checksum = &((struct tcphdr *)transport)->check;
		least = sizeof(struct tcphdr);
	}
	return shape.transport * 4 + least <= p->length;
}

/* A packet or an error, as the shape says. */
static __always_inline bool shape_find(struct packet *p, struct xdp_md *ctx, __u64 word,
				       const bool error, const bool v6)
{
	return error ? error_find(p, ctx, word, v6) : packet_find(p, ctx, word, v6);
}

#endif
