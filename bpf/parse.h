/* SPDX-License-Identifier: GPL-2.0-only */
/* First step: from a frame to a struct packet.  What is not plain is survey.h's. */
#ifndef XLB_PARSE_H
#define XLB_PARSE_H

#include <stdbool.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>

#include "maps.h"

/* Keys and MAC addresses are put together in registers, a word at a time. */
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "xlb is for little-endian machines"
#endif

#define likely(condition) __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

/* As <linux/if_ether.h> has it, but not packed: a frame's start is 2-byte aligned,
 * and a packed field is read and written byte by byte. */
struct ethernet_header {
	__u16 macs[6];
	__be16 type;
};

/* The first 8 bytes of every message in both families (RFC 792, RFC 4443). */
struct icmp_header {
	__u8 type;
	__u8 code;
	__sum16 checksum;
	__be32 rest;		/* of an error "too big": the MTU, in its low half with ICMP */
};

/* Keeps the compiler from working a pointer or number out twice: for the verifier
 * those would be two, and only one of them checked. */
#define pin_down(value) asm volatile("" : "+r"(value))

#define VLAN_TAGS_MAX 2
#define NETWORK_MAX (sizeof(struct ethernet_header) + VLAN_TAGS_MAX * 4)
#define IPV4_PLAIN 0x45			/* version 4, no options */
#define IPV4_DONT_FRAGMENT 0x4000	/* RFC 791, 3.1 */
#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_FRAGMENT_OFFSET 0x1fff

/*
 * Where a packet's parts are and what it is about, in one word.  A function that
 * is called rather than inlined is verified by itself, which keeps the whole
 * within what old verifiers bear; but it can be given nothing but numbers, and
 * finds the packet again by this.
 */
union shape {
	__u64 word;
	struct {
		__u8 network;		/* offset of the IP header in the frame */
		__u8 transport;		/* from there to the transport header, in
					 * words of 4 bytes; 0: there is none, the
					 * packet is a later fragment */
		__u8 protocol;
		__u8 flags;
		__u16 source_port;	/* host order */
		__u16 destination_port;
	};
};

/*
 * An ICMP error quotes a packet, and goes where an answer to that packet would: so
 * it has the protocol and ports of such an answer, and `transport` leads to the
 * quoted packet's transport header.
 */

#define SHAPE_V6 1		/* IPv6 */
#define SHAPE_OPENING 2		/* TCP with SYN and no ACK */
#define SHAPE_TAGGED 4		/* has a VLAN tag */
#define SHAPE_REPLY 8		/* of a backend, by its flow's record */
#define SHAPE_ERROR 16		/* an ICMP error about a packet of the flow */
#define SHAPE_FAULT_SHIFT 5	/* above: number of a reason to drop it, 0: none */

/* A TCP or UDP packet.  The pointers into the frame have been checked for the
 * whole of the fixed headers; none of them survives bpf_xdp_adjust_head. */
struct packet {
	struct xdp_md *ctx;
	struct ethernet_header *ethernet;
	struct iphdr *ip4;	/* one of the two */
	struct ipv6hdr *ip6;
	__be16 *ports;		/* source, destination; meaningless in a later fragment */
	__sum16 *checksum;	/* of TCP or UDP; the same */
	struct icmp_header *icmp;	/* of an error; ports and checksum then are those */
	struct iphdr *quoted4;		/* of the quoted packet, whose checksum may */
	struct ipv6hdr *quoted6;	/* have been cut off: NULL */
	union shape shape;
	bool odd;		/* came by survey.h: not everything is as usual */
	bool error;		/* an ICMP error */
	bool fin, rst;		/* TCP's flags; not looked at in plain packets */
	__u32 length;		/* of the IP packet */
	__u32 bytes;		/* of the frame */
};

static __always_inline bool packet_is_error(const struct packet *p)
{
	return p->odd && p->error;
}

/* The addresses of the packet's flow, seen from its source: 4 or 16 bytes. */
static __always_inline const __u32 *packet_source(const struct packet *p, const bool v6)
{
	if (packet_is_error(p))
		return v6 ? p->quoted6->daddr.s6_addr32 : &p->quoted4->daddr;
	return v6 ? p->ip6->saddr.s6_addr32 : &p->ip4->saddr;
}

static __always_inline const __u32 *packet_destination(const struct packet *p, const bool v6)
{
	if (packet_is_error(p))
		return v6 ? p->quoted6->saddr.s6_addr32 : &p->quoted4->saddr;
	return v6 ? p->ip6->daddr.s6_addr32 : &p->ip4->daddr;
}

static __always_inline bool packet_is_later(const struct packet *p)
{
	return p->odd && !p->shape.transport;
}

static __always_inline bool packet_opens(const struct packet *p)
{
	return p->shape.flags & SHAPE_OPENING;
}

static __always_inline bool packet_is_tagged(const struct packet *p)
{
	return p->odd && p->shape.flags & SHAPE_TAGGED;
}

/* Number of a reason to drop it, 0: none. */
static __always_inline __u32 packet_fault(const struct packet *p)
{
	return p->odd ? p->shape.flags >> SHAPE_FAULT_SHIFT : 0;
}

/* What IP's length must leave for the header that xlb is going to write to. */
static __always_inline __u16 transport_least(__u8 protocol)
{
	return protocol == XLB_TCP ? sizeof(struct tcphdr) : sizeof(struct udphdr);
}

/* Do the transport header's own words on lengths fit `room`, what IP has for it? */
static __always_inline bool transport_fits(const void *header, __u8 protocol, __u32 room)
{
	const struct tcphdr *tcp = header;
	const struct udphdr *udp = header;
	__u32 least = protocol == XLB_TCP ? tcp->doff * 4 : bpf_ntohs(udp->len);

	return least >= transport_least(protocol) && least <= room;
}

/* Addresses that no packet may come from or go to (RFC 1122, 3.2.1.3). */
static __always_inline bool address4_odd(__be32 address)
{
	__u8 first = address;

	return first == 127 || (__u8)(first - 1) >= 0xdf;
}

/* Multicast, unspecified, loopback (RFC 4291, 2.5 and 2.7). */
static __always_inline bool address6_odd(const struct in6_addr *address)
{
	const __u64 *word = (const __u64 *)address;

	return (__u8)word[0] == 0xff ||
	       (!word[0] && (word[1] & ~bpf_cpu_to_be64(1)) == 0);
}

static __always_inline bool address6_equal(const struct in6_addr *a, const struct in6_addr *b)
{
	const __u64 *left = (const __u64 *)a, *right = (const __u64 *)b;

	return !((left[0] ^ right[0]) | (left[1] ^ right[1]));
}

static __always_inline bool address_equal(const __u32 *a, const __u32 *b, const bool v6)
{
	__u32 difference = a[0] ^ b[0];

	if (v6)
		difference |= (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]);
	return !difference;
}

/* The transport part of a plain packet: false: something is odd. */
static __always_inline bool parse_transport(struct packet *p, void *header, __u32 room)
{
	struct tcphdr *tcp = header;
	struct udphdr *udp = header;

	if (!transport_fits(header, p->shape.protocol, room))
		return false;
	if (p->shape.protocol == XLB_TCP) {
		p->shape.flags = tcp->syn && !tcp->ack ? SHAPE_OPENING : 0;
		p->checksum = &tcp->check;
	} else {
		p->shape.flags = 0;
		p->checksum = &udp->check;
	}
	p->ports = header;
	p->shape.source_port = bpf_ntohs(p->ports[0]);
	p->shape.destination_port = bpf_ntohs(p->ports[1]);
	return true;
}

static __always_inline bool protocol_known(__u8 protocol)
{
	return protocol == XLB_TCP || protocol == XLB_UDP;
}

/* Lengths are compared with how much there is, never added to a pointer: up to
 * Linux 6.12 the verifier loses the bounds of a swapped word. */
static __always_inline bool parse_plain4(struct packet *p, struct iphdr *ip, void *end)
{
	void *transport = ip + 1;

	if (transport + sizeof(struct tcphdr) > end)
		return false;
	p->length = bpf_ntohs(ip->tot_len);
	if (unlikely(*(__u8 *)ip != IPV4_PLAIN ||
		     ip->frag_off & bpf_htons(IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET) ||
		     !protocol_known(ip->protocol) || ip->ttl <= 1 ||
		     p->length > end - (void *)ip || p->length < sizeof(*ip) ||
		     address4_odd(ip->saddr) || ip->saddr == ip->daddr))
		return false;
	p->ip4 = ip;
	p->shape.transport = sizeof(*ip) / 4;
	p->shape.protocol = ip->protocol;
	return parse_transport(p, transport, p->length - sizeof(*ip));
}

static __always_inline bool parse_plain6(struct packet *p, struct ipv6hdr *ip, void *end)
{
	void *transport = ip + 1;
	__u32 room;

	if (transport + sizeof(struct tcphdr) > end)
		return false;
	room = bpf_ntohs(ip->payload_len);
	if (unlikely(ip->version != 6 || !protocol_known(ip->nexthdr) || ip->hop_limit <= 1 ||
		     room > end - transport || address6_odd(&ip->saddr) ||
		     address6_equal(&ip->saddr, &ip->daddr)))
		return false;
	p->ip6 = ip;
	p->length = sizeof(*ip) + room;
	p->shape.transport = sizeof(*ip) / 4;
	p->shape.protocol = ip->nexthdr;
	if (!parse_transport(p, transport, room))
		return false;
	p->shape.flags |= SHAPE_V6;
	return true;
}

/* ETH_P_IP or ETH_P_IPV6: untagged TCP or UDP, neither options nor fragments, and
 * all of it as it should be; 0: anything else. */
static __always_inline int parse_plain(struct packet *p, struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethernet_header *ethernet = data;
	void *network = ethernet + 1;

	if (network > end)
		return 0;
	p->ctx = ctx;
	p->ethernet = ethernet;
	p->bytes = end - data;
	p->shape.network = sizeof(*ethernet);
	switch (ethernet->type) {
	case bpf_htons(ETH_P_IP):
		return parse_plain4(p, network, end) ? ETH_P_IP : 0;
	case bpf_htons(ETH_P_IPV6):
		return parse_plain6(p, network, end) ? ETH_P_IPV6 : 0;
	default:
		return 0;
	}
}

/* 1: loaded with BPF_F_XDP_HAS_FRAGS, so that only a part of a frame may be at hand. */
const volatile __u8 xlb_frags = 0;

/* Of the whole frame. */
static __always_inline __u32 frame_length(struct xdp_md *ctx)
{
	__u64 length = (void *)(long)ctx->data_end - (void *)(long)ctx->data;

	/* Known to Linux 5.18 and later; removed as dead code where nobody asks. */
	if (xlb_frags)
		return bpf_xdp_get_buff_len(ctx);
	pin_down(length);
	return length;
}

/* What packets and errors have in common; `data` is the frame's start. */
static __always_inline void packet_begin(struct packet *p, struct xdp_md *ctx, union shape shape,
					 void *data, void *network, const bool v6)
{
	p->ctx = ctx;
	p->ethernet = data;
	p->shape = shape;
	p->odd = true;
	p->bytes = frame_length(ctx);
	if (v6) {
		p->ip6 = network;
		p->length = sizeof(*p->ip6) + bpf_ntohs(p->ip6->payload_len);
	} else {
		p->ip4 = network;
		p->length = bpf_ntohs(p->ip4->tot_len);
	}
}

/* The packet of this shape; false: it is not there, which only the verifier doubts. */
static __always_inline bool packet_find(struct packet *p, struct xdp_md *ctx, __u64 word,
					const bool v6)
{
	union shape shape = { .word = word };
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	void *network = data + shape.network;
	void *transport = network + shape.transport * 4;
	const __u32 header = v6 ? sizeof(*p->ip6) : sizeof(*p->ip4);

	pin_down(network);
	pin_down(transport);
	if (data + sizeof(*p->ethernet) > end || network + header > end)
		return false;
	packet_begin(p, ctx, shape, data, network, v6);
	p->ports = transport;
	if (shape.protocol == XLB_TCP) {
		if (transport + sizeof(struct tcphdr) > end)
			return false;
		p->checksum = &((struct tcphdr *)transport)->check;
		p->fin = shape.transport && ((struct tcphdr *)transport)->fin;
		p->rst = shape.transport && ((struct tcphdr *)transport)->rst;
	} else {
		if (transport + sizeof(struct udphdr) > end)
			return false;
		p->checksum = &((struct udphdr *)transport)->check;
	}
	return true;
}

#endif
