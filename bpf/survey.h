/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a frame that is not plain to its shape: VLAN tags, IPv4 options, IPv6
 * extension headers, fragments, and whatever is wrong.
 */
#ifndef XLB_SURVEY_H
#define XLB_SURVEY_H

#include "count.h"
#include "forward.h"
#include "fragment.h"

#define EXTENSIONS_MAX 7
#define TRANSPORT_MAX 255	/* words of 4 bytes that come before the transport header */

#define IPV6_HOP_BY_HOP 0	/* RFC 8200, 4.1 */
#define IPV6_ROUTING 43
#define IPV6_FRAGMENT 44
#define IPV6_DESTINATION 60
#define IPV6_FRAGMENT_OFFSET 0xfff8	/* RFC 8200, 4.5 */
#define IPV6_MORE_FRAGMENTS 1

struct vlan_header {
	__be16 tag;
	__be16 next;
};

struct ipv6_extension {
	__u8 next;
	__u8 length;		/* in words of 8 bytes, without the first */
	__u8 type;		/* of a routing header */
	__u8 left;		/* segments that it still has to visit */
};

struct ipv6_fragment {
	__u8 next;
	__u8 reserved;
	__be16 offset_more;
	__be32 id;
};

/* What is known of a packet whose headers are being walked. */
struct walk {
	union shape shape;
	__u8 fault;		/* as the shape will have it */
	bool fragmented;
	__u32 id;		/* of the packet that this is a fragment of */
	__u32 left;		/* bytes that IP has from the transport header on */
};

/* The shape of a packet that is not to go on: nothing but a verdict. */
static __always_inline __u64 shape_verdict(int verdict)
{
	return verdict;
}

/* Only for a packet to a VIP is what is wrong with it our affair. */
static __always_inline __u64 drop_for_vip(const __u32 *destination, __u8 fault, const bool v6)
{
	return shape_verdict(vip_at(destination, v6) ? drop_reason(fault) : XDP_PASS);
}

/*
 * The transport header, and what stands in it.  False: the frame ends before it, so
 * that the packet is nobody's but the VIP's.
 */
static __always_inline bool walk_transport(struct walk *walk, void *network, void *end)
{
	void *transport = network + walk->shape.transport * 4;
	struct tcphdr *tcp;
	__be16 *ports;

	pin_down(transport);
	tcp = transport;
	ports = transport;
	/* In steps, because old verifiers want to see a constant. */
	if (transport + sizeof(struct udphdr) > end)
		return false;
	walk->shape.source_port = bpf_ntohs(ports[0]);
	walk->shape.destination_port = bpf_ntohs(ports[1]);
	if (walk->shape.protocol == XLB_TCP) {
		if (transport + sizeof(*tcp) > end)
			return false;
		if (tcp->syn && !tcp->ack)
			walk->shape.flags |= SHAPE_OPENING;
	}
	/* The first fragment of a datagram has not all that its header says. */
	if (walk->fragmented ? walk->left < transport_least(walk->shape.protocol)
			     : !transport_fits(transport, walk->shape.protocol, walk->left))
		walk->fault = walk->fault ?: DROP_REASON(bad_length);
	return true;
}

/* What of the addresses is wrong; what comes in by lo may have any. */
static __always_inline __u8 addresses_fault(bool source_odd, bool same, __u32 ingress)
{
	if (ingress == LOOPBACK_IFINDEX)
		return 0;
	return source_odd ? DROP_REASON(bad_source) : same ? DROP_REASON(land) : 0;
}

static __always_inline __u64 walk_end(struct walk *walk)
{
	walk->shape.flags |= walk->fault << SHAPE_FAULT_SHIFT;
	return walk->shape.word;
}

/* A fragment gets its ports, or leaves them.  False: it is a later one and came first. */
static __always_inline bool walk_fragment(struct walk *walk, const __u32 *source,
					  const __u32 *destination, const bool v6)
{
	struct xlb_datagram datagram = {};

	datagram_set(&datagram, source, destination, walk->id, walk->shape.protocol, v6);
	if (!walk->shape.transport)
		return fragment_later(&datagram, &walk->shape);
	/* Where the first is dropped, the others are not to follow it. */
	if (!walk->fault)
		fragment_first(&datagram, &walk->shape);
	return true;
}

/* An IPv4 packet at this offset, of which the verifier wants to see the limit. */
__noinline __u64 survey4(struct xdp_md *ctx, __u32 at)
{
	__u8 network = at;
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + network;
	struct walk walk = { .shape.network = network };
	__u32 header, length, there;
	__u16 fragment;

	pin_down(ip);
	if ((void *)(ip + 1) > end)
		return shape_verdict(XDP_PASS);
	header = ip->ihl * 4;
	length = bpf_ntohs(ip->tot_len);
	there = frame_length(ctx) - network;
	if (ip->version != 4 || header < sizeof(*ip))
		return drop_for_vip(&ip->daddr, DROP_REASON(bad_header), false);
	if (length > there || length < header)
		walk.fault = DROP_REASON(bad_length);
	walk.fault = walk.fault ?: addresses_fault(address4_odd(ip->saddr), ip->saddr == ip->daddr,
						   ctx->ingress_ifindex);
	walk.shape.protocol = ip->protocol;
	walk.shape.flags = network > sizeof(struct ethernet_header) ? SHAPE_TAGGED : 0;
	fragment = bpf_ntohs(ip->frag_off);
	walk.fragmented = fragment & (IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET);
	walk.id = ip->id;
	walk.left = length - header;
	if (ip->protocol == IPPROTO_ICMP && !walk.fragmented) {
		walk.shape.transport = header / 4;
		return walk_end(&walk);
	}
	if (!protocol_known(ip->protocol))
		return shape_verdict(XDP_PASS);
	if (!(fragment & IPV4_FRAGMENT_OFFSET)) {
		walk.shape.transport = header / 4;
		if (!walk_transport(&walk, ip, end))
			return drop_for_vip(&ip->daddr, DROP_REASON(bad_length), false);
	}
	if (walk.fragmented && !walk_fragment(&walk, &ip->saddr, &ip->daddr, false))
		return drop_for_vip(&ip->daddr, DROP_REASON(fragment), false);
	return walk_end(&walk);
}

/* Where the walk along extension headers has come to. */
enum step {
	STEP_ON,
	STEP_END,		/* at a transport header, or a fragment of it */
	STEP_SHORT,		/* the packet ends before its headers do */
	STEP_FOREIGN,		/* a header that xlb does not see through */
};

/* One header; `more`: one that is no end of the walk may still be walked. */
static __always_inline enum step walk_extension(struct walk *walk, void *network, void *end,
						bool more)
{
	struct ipv6_extension *extension = network + walk->shape.transport * 4;
	struct ipv6_fragment *fragment;
	__u32 words;

	pin_down(extension);
	fragment = (void *)extension;
	switch (walk->shape.protocol) {
	case IPV6_HOP_BY_HOP:
	case IPV6_ROUTING:
	case IPV6_DESTINATION:
	case IPV6_FRAGMENT:
		break;
	default:
		return STEP_END;
	}
	if (!more)
		return STEP_FOREIGN;
	if ((void *)(fragment + 1) > end || walk->left < sizeof(*fragment))
		return STEP_SHORT;
	words = 2 + extension->length * 2;
	if (walk->shape.protocol == IPV6_ROUTING && extension->left)
		return STEP_FOREIGN;
	if (walk->shape.protocol == IPV6_FRAGMENT) {
		words = 2;
		walk->id = fragment->id;
		if (bpf_ntohs(fragment->offset_more) & IPV6_FRAGMENT_OFFSET) {
			walk->fragmented = true;
			walk->shape.protocol = fragment->next;
			walk->shape.transport = 0;
			return STEP_END;
		}
		if (bpf_ntohs(fragment->offset_more) & IPV6_MORE_FRAGMENTS)
			walk->fragmented = true;
	}
	if (walk->shape.transport + words > TRANSPORT_MAX)
		return STEP_FOREIGN;
	if (walk->left < words * 4)
		return STEP_SHORT;
	walk->left -= words * 4;
	walk->shape.transport += words;
	walk->shape.protocol = extension->next;
	return STEP_ON;
}

/* The same for IPv6. */
__noinline __u64 survey6(struct xdp_md *ctx, __u32 at)
{
	__u8 network = at;
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ipv6hdr *ip = data + network;
	struct walk walk = { .shape.network = network, .shape.transport = sizeof(*ip) / 4 };
	enum step step = STEP_ON;
	__u32 there;

	pin_down(ip);
	if ((void *)(ip + 1) > end)
		return shape_verdict(XDP_PASS);
	there = frame_length(ctx) - network - sizeof(*ip);
	if (ip->version != 6)
		return drop_for_vip(ip->daddr.s6_addr32, DROP_REASON(bad_header), true);
	walk.left = bpf_ntohs(ip->payload_len);
	if (walk.left > there)
		walk.fault = DROP_REASON(bad_length);
	walk.fault = walk.fault ?: addresses_fault(address6_odd(&ip->saddr),
						   address6_equal(&ip->saddr, &ip->daddr),
						   ctx->ingress_ifindex);
	walk.shape.protocol = ip->nexthdr;
	walk.shape.flags = SHAPE_V6;
	if (network > sizeof(struct ethernet_header))
		walk.shape.flags |= SHAPE_TAGGED;
#pragma clang loop unroll(disable)
	for (int i = 0; i <= EXTENSIONS_MAX && step == STEP_ON; i++) {
		step = walk_extension(&walk, ip, end, i < EXTENSIONS_MAX);
		/* Else the loop falls back to its start, which Linux 5.10 refuses. */
		pin_down(step);
	}
	if (step == STEP_SHORT)
		return drop_for_vip(ip->daddr.s6_addr32, DROP_REASON(bad_length), true);
	if (step != STEP_END)
		return shape_verdict(XDP_PASS);
	if (walk.shape.protocol == IPPROTO_ICMPV6 && !walk.fragmented)
		return walk_end(&walk);
	if (!protocol_known(walk.shape.protocol))
		return shape_verdict(XDP_PASS);
	if (walk.shape.transport && !walk_transport(&walk, ip, end))
		return drop_for_vip(ip->daddr.s6_addr32, DROP_REASON(bad_length), true);
	if (walk.fragmented &&
	    !walk_fragment(&walk, ip->saddr.s6_addr32, ip->daddr.s6_addr32, true))
		return drop_for_vip(ip->daddr.s6_addr32, DROP_REASON(fragment), true);
	return walk_end(&walk);
}

/*
 * The shape of whatever parse_plain() would not have.  TCP, UDP and ICMP are to go
 * on; without a protocol the shape is but a verdict.
 */
static __always_inline __u64 survey(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethernet_header *ethernet = data;
	void *network = ethernet + 1;
	__be16 type;

	if (network > end)
		return shape_verdict(XDP_PASS);
	type = ethernet->type;
#pragma unroll
	for (int tags = 0; tags < VLAN_TAGS_MAX; tags++) {
		struct vlan_header *vlan = network;

		if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD))
			break;
		network = vlan + 1;
		if (network > end)
			return shape_verdict(XDP_PASS);
		type = vlan->next;
	}
	switch (type) {
	case bpf_htons(ETH_P_IP):
		return survey4(ctx, network - data);
	case bpf_htons(ETH_P_IPV6):
		return survey6(ctx, network - data);
	default:
		return shape_verdict(XDP_PASS);
	}
}

#endif
