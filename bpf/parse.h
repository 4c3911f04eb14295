/* SPDX-License-Identifier: GPL-2.0-only */
/* First step: from a frame to a struct packet, or the news that it is not ours. */
#ifndef XLB_PARSE_H
#define XLB_PARSE_H

#include <stdbool.h>
#include <linux/if_ether.h>
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

#define VLAN_TAGS_MAX 2
#define IP_FRAGMENT_OFFSET 0x1fff	/* RFC 791, 3.1 */
#define IP_MORE_FRAGMENTS 0x2000
#define IPV6_NEXT_FRAGMENT 44		/* RFC 8200, 4.5 */
#define IPV6_FRAGMENT_OFFSET 0xfff8

struct vlan_header {
	__be16 tag;
	__be16 next;
};

struct ipv6_fragment {
	__u8 next;
	__u8 reserved;
	__be16 offset_more;
	__be32 id;
};

/* Why a packet for a service cannot be balanced. */
enum fault {
	FAULT_NONE,
	FAULT_FRAGMENT,		/* the first of several */
	FAULT_MALFORMED,	/* a length says more than there is, or too little */
};

/* A TCP or UDP packet.  The pointers into the frame have been checked for the
 * whole of the fixed headers; none of them survives bpf_xdp_adjust_head. */
struct packet {
	struct xdp_md *ctx;
	struct ethernet_header *ethernet;
	struct iphdr *ip4;	/* one of the two */
	struct ipv6hdr *ip6;
	__be16 *ports;		/* source, destination */
	__sum16 *checksum;	/* of TCP or UDP */
	__u16 source_port;	/* host order */
	__u16 destination_port;	/* host order */
	__u8 protocol;
	bool tagged;		/* has a VLAN tag */
	bool opening;		/* TCP with SYN and no ACK */
	enum fault fault;
	__u32 bytes;		/* length of the frame */
};

/* What IP's length must leave for the header that xlb is going to write to. */
static __always_inline __u16 transport_least(__u8 protocol)
{
	return protocol == XLB_TCP ? sizeof(struct tcphdr) : sizeof(struct udphdr);
}

/* TCP or UDP at `header`; false: neither, or not all of it is there. */
static __always_inline bool parse_transport(struct packet *p, void *header, void *end)
{
	struct tcphdr *tcp = header;
	struct udphdr *udp = header;

	if (p->protocol == XLB_TCP) {
		if ((void *)(tcp + 1) > end)
			return false;
		p->opening = tcp->syn && !tcp->ack;
		p->checksum = &tcp->check;
	} else if (p->protocol == XLB_UDP) {
		if ((void *)(udp + 1) > end)
			return false;
		p->checksum = &udp->check;
	} else {
		return false;
	}
	p->ports = header;
	p->source_port = bpf_ntohs(p->ports[0]);
	p->destination_port = bpf_ntohs(p->ports[1]);
	return true;
}

static __always_inline bool parse_ipv4(struct packet *p, void *header, void *end)
{
	struct iphdr *ip = header;
	__u16 fragment, length;

	if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5)
		return false;
	fragment = bpf_ntohs(ip->frag_off);
	if (fragment & IP_FRAGMENT_OFFSET)
		return false;
	length = bpf_ntohs(ip->tot_len);
	if (unlikely(fragment & IP_MORE_FRAGMENTS))
		p->fault = FAULT_FRAGMENT;
	/* Compared with how much there is, never added to a pointer: up to Linux
	 * 6.12 the verifier loses the bounds of a swapped word. */
	if (unlikely(length > end - header || length < ip->ihl * 4 + transport_least(ip->protocol)))
		p->fault = FAULT_MALFORMED;
	p->protocol = ip->protocol;
	p->ip4 = ip;
	if (likely(ip->ihl == 5))
		return parse_transport(p, ip + 1, end);
	return parse_transport(p, header + ip->ihl * 4, end);
}

static __always_inline bool parse_ipv6(struct packet *p, void *header, void *end)
{
	struct ipv6hdr *ip = header;
	struct ipv6_fragment *fragment = header + sizeof(*ip);
	__u16 length;

	if ((void *)(ip + 1) > end || ip->version != 6)
		return false;
	length = bpf_ntohs(ip->payload_len);
	if (length > end - (void *)(ip + 1) || length < transport_least(ip->nexthdr))
		p->fault = FAULT_MALFORMED;
	p->protocol = ip->nexthdr;
	p->ip6 = ip;
	if (likely(p->protocol != IPV6_NEXT_FRAGMENT))
		return parse_transport(p, ip + 1, end);

	if ((void *)(fragment + 1) > end ||
	    bpf_ntohs(fragment->offset_more) & IPV6_FRAGMENT_OFFSET)
		return false;
	if (!p->fault)
		p->fault = FAULT_FRAGMENT;
	p->protocol = fragment->next;
	return parse_transport(p, fragment + 1, end);
}

/* Sets *header to what follows Ethernet and VLAN tags; its type, 0 if cut short. */
static __always_inline __be16 parse_ethernet(struct packet *p, void **header, void *end)
{
	__be16 next;

	p->ethernet = *header;
	p->bytes = end - *header;
	*header += sizeof(struct ethernet_header);
	if (*header > end)
		return 0;
	next = p->ethernet->type;

#pragma unroll
	for (int tags = 0; tags < VLAN_TAGS_MAX; tags++) {
		struct vlan_header *vlan = *header;

		if (next != bpf_htons(ETH_P_8021Q) && next != bpf_htons(ETH_P_8021AD))
			break;
		*header += sizeof(*vlan);
		if (*header > end)
			return 0;
		next = vlan->next;
		p->tagged = true;
	}
	return next;
}

/* What the frame is: ETH_P_IP or ETH_P_IPV6 with TCP or UDP, else 0: no service
 * could want it. */
static __always_inline int parse(struct packet *p, struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	void *header = (void *)(long)ctx->data;

	p->ctx = ctx;
	switch (parse_ethernet(p, &header, end)) {
	case bpf_htons(ETH_P_IP):
		return parse_ipv4(p, header, end) ? ETH_P_IP : 0;
	case bpf_htons(ETH_P_IPV6):
		return parse_ipv6(p, header, end) ? ETH_P_IPV6 : 0;
	default:
		return 0;
	}
}

#endif
