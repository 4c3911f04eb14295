// SPDX-License-Identifier: GPL-2.0-only
/*
 * For backends: unpacks what tunnels carry to local addresses, and passes the inner
 * packet up.  IP in IP (RFC 2003, 2473, 4213), and Generic UDP Encapsulation,
 * versions 0 and 1 (draft-ietf-intarea-gue).
 */
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "checksum.h"
#include "decap_abi.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DECAP_LOCALS_MAX);
	__type(key, __u8[16]);
	__type(value, struct decap_local);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} decap_locals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct decap_stats);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} decap_stats SEC(".maps");

#define VLAN_TAGS_MAX 2
#define NETWORK_MAX (sizeof(struct ethernet_header) + VLAN_TAGS_MAX * 4)

#define IPV4_FRAGMENT 0x3fff		/* more, and offset (RFC 791, 3.1) */
#define IPV4_FRAGMENT_OFFSET 0x1fff
#define IPV6_HOP_BY_HOP 0		/* RFC 8200, 4.1 */
#define IPV6_ROUTING 43
#define IPV6_FRAGMENT 44
#define IPV6_DESTINATION 60
#define IPV6_FRAGMENT_OFFSET 0xfff8	/* RFC 8200, 4.5 */

#define ECN_CAPABLE_0 2			/* RFC 3168, 5 */
#define ECN_CAPABLE_1 1
#define ECN_CONGESTION 3
#define ECN_MASK 3

#define GUE_CONTROL 0x20
#define GUE_FIELDS 0x1f			/* length of fields, in words of 4 bytes */

/* Not packed, unlike <linux/if_ether.h>: a packed field is read byte by byte. */
struct ethernet_header {
	__u16 macs[6];
	__be16 type;
};

struct vlan_header {
	__be16 tag;
	__be16 next;
};

struct ipv6_extension {
	__u8 next;
	__u8 length;		/* in words of 8 bytes, without the first */
	__be16 offset_more;	/* of a fragment */
};

struct gue_header {
	__u8 first;		/* version, control bit, length of fields */
	__u8 protocol;
	__be16 flags;
};

/* What stands between an outer IP header and what it carries. */
enum form {
	FORM_PLAIN,		/* nothing */
	FORM_OPTIONS,		/* IPv4 options, or an IPv6 extension header */
	FORM_FRAGMENT,		/* the first of several */
};

/* The outer packet, then what was found to be inside. */
struct packet {
	void *network;		/* outer IP header */
	void *carried;		/* what follows it; in the end the inner IP header */
	void *end;		/* of the frame */
	__u32 length;		/* of what is carried, by the headers' account */
	__u32 address[4];	/* where it goes, IPv4 as ::ffff:a.b.c.d */
	__u8 protocol;		/* carried; in the end IPPROTO_IPIP or IPPROTO_IPV6 */
	__u8 ecn;
	enum form form;
	bool outer6;
	bool gue;
};

/* Keeps the compiler from knowing better than the verifier, which wants a check. */
#define pin_down(value) asm volatile("" : "+r"(value))

/* What a step returns instead of a verdict: the next one is to see the packet. */
#define GO_ON (-1)

/* A counter's number is its field's place in struct decap_stats. */
#define COUNTER(field) (__builtin_offsetof(struct decap_stats, field) / sizeof(__u64))

#define pass(why) counted(XDP_PASS, COUNTER(passed_##why))
#define drop(why) counted(XDP_DROP, COUNTER(dropped_##why))

static __always_inline int counted(int verdict, __u32 counter)
{
	__u32 zero = 0;
	__u64 *counters = bpf_map_lookup_elem(&decap_stats, &zero);

	if (counters && counter < sizeof(struct decap_stats) / sizeof(__u64))
		counters[counter]++;
	return verdict;
}

/* --- the outer packet --- */

/* False: no tunnel's packet, or a later fragment, whose first has been counted. */
static __always_inline bool outer4(struct packet *p)
{
	struct iphdr *ip = p->network;

	if ((void *)(ip + 1) > p->end || ip->version != 4 || ip->ihl < 5 ||
	    ip->frag_off & bpf_htons(IPV4_FRAGMENT_OFFSET))
		return false;
	if (ip->ihl > 5)
		p->form = FORM_OPTIONS;
	if (ip->frag_off & bpf_htons(IPV4_FRAGMENT))
		p->form = FORM_FRAGMENT;
	p->carried = p->network + ip->ihl * 4;
	p->protocol = ip->protocol;
	p->ecn = ip->tos & ECN_MASK;
	p->address[2] = bpf_htonl(0xffff);
	p->address[3] = ip->daddr;
	return true;
}

/* One extension header is looked behind, to tell what it is that passes. */
static __always_inline bool outer6(struct packet *p)
{
	struct ipv6hdr *ip = p->network;
	struct ipv6_extension *extension = (void *)(ip + 1);

	if ((void *)(extension + 1) > p->end || ip->version != 6)
		return false;
	p->outer6 = true;
	p->carried = ip + 1;
	p->protocol = ip->nexthdr;
	p->ecn = ip->flow_lbl[0] >> 4 & ECN_MASK;
	__builtin_memcpy(p->address, &ip->daddr, sizeof(p->address));
	switch (ip->nexthdr) {
	case IPV6_HOP_BY_HOP:
	case IPV6_ROUTING:
	case IPV6_DESTINATION:
		p->form = FORM_OPTIONS;
		p->carried += (extension->length + 1) * 8;
		p->protocol = extension->next;
		break;
	case IPV6_FRAGMENT:
		p->form = FORM_FRAGMENT;
		p->carried += 8;
		p->protocol = extension->next;
		return !(extension->offset_more & bpf_htons(IPV6_FRAGMENT_OFFSET));
	}
	return true;
}

/* From the frame's start to the outer IP header; false: no IP, or cut short. */
static __always_inline bool outer_find(struct packet *p, struct xdp_md *ctx)
{
	struct ethernet_header *ethernet = (void *)(long)ctx->data;
	__be16 type;

	p->end = (void *)(long)ctx->data_end;
	p->network = ethernet + 1;
	if (p->network > p->end)
		return false;
	type = ethernet->type;

#pragma unroll
	for (int tags = 0; tags < VLAN_TAGS_MAX; tags++) {
		struct vlan_header *vlan = p->network;

		if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD))
			break;
		p->network = vlan + 1;
		if (p->network > p->end)
			return false;
		type = vlan->next;
	}
	if (type == bpf_htons(ETH_P_IP))
		return outer4(p);
	return type == bpf_htons(ETH_P_IPV6) && outer6(p);
}

/* Is it IP in IP, or to the port of GUE? */
static __always_inline bool outer_is_tunnel(const struct packet *p, const struct decap_local *local)
{
	struct udphdr *udp = p->carried;

	if (p->protocol != IPPROTO_UDP)
		return true;
	return (void *)(udp + 1) <= p->end && udp->dest == bpf_htons(local->gue_port);
}

/* RFC 1122, 3.2.1.2: a packet with a wrong sum is not even known to be for us. */
static __always_inline bool outer_sum_right(const struct iphdr *ip)
{
	const __u32 *word = (const __u32 *)ip;
	__u16 sum = 0xffff;

	checksum_update(&sum, sum_fold((__u64)word[0] + word[1] + word[2] + word[3] + word[4]));
	return !sum;
}

/* Lengths are compared with how much there is, never added to a pointer: up to
 * Linux 6.12 the verifier loses the bounds of a swapped word. */
static __always_inline int outer_check(struct packet *p)
{
	const struct ipv6hdr *ip6 = p->network;
	const struct iphdr *ip4 = p->network;
	__u32 there = p->end - p->carried;

	if (p->outer6) {
		p->length = bpf_ntohs(ip6->payload_len);
	} else {
		if (!outer_sum_right(ip4))
			return drop(outer_checksum);
		/* Too little is more than there is, too. */
		p->length = bpf_ntohs(ip4->tot_len) - sizeof(*ip4);
	}
	return p->length > there ? drop(outer_length) : GO_ON;
}

/*
 * Steps over UDP and GUE.  The UDP checksum is not looked at: the inner packet has
 * sums of its own (RFC 6935, 5).  Flags announce fields without which the rest may
 * not be what it seems (fragmented, transformed, its checksum left to us); fields
 * of no flag are the sender's private matter.
 */
static __always_inline int gue_open(struct packet *p)
{
	struct udphdr *udp = p->carried;
	struct gue_header *gue = (void *)(udp + 1);
	__u32 length, header;

	if ((void *)(gue + 1) > p->end)
		return drop(outer_length);
	length = bpf_ntohs(udp->len);
	if (length > p->length || length < sizeof(*udp) + sizeof(*gue))
		return drop(outer_length);
	p->gue = true;
	p->carried = gue;
	p->length = length - sizeof(*udp);
	if (gue->first >> 6 == 1) {
		/* The inner packet itself, whose IP version begins with these bits. */
		p->protocol = gue->first >> 4 == 4 ? IPPROTO_IPIP : IPPROTO_IPV6;
		return GO_ON;
	}
	if (gue->first >> 6)
		return pass(gue_version);
	if (gue->first & GUE_CONTROL)
		return pass(gue_control);
	if (gue->flags)
		return pass(gue_flags);
	if (gue->protocol != IPPROTO_IPIP && gue->protocol != IPPROTO_IPV6)
		return pass(gue_protocol);
	header = sizeof(*gue) + (gue->first & GUE_FIELDS) * 4;
	if (header > p->length)
		return drop(outer_length);
	p->protocol = gue->protocol;
	p->carried += header;
	p->length -= header;
	return GO_ON;
}

/* --- the inner packet --- */

/* RFC 6040, 4.2; negative: to be dropped. */
static __always_inline int ecn_combine(__u8 inner, __u8 outer)
{
	if (outer == ECN_CONGESTION)
		return inner ? ECN_CONGESTION : -1;
	if (outer == ECN_CAPABLE_1 && inner == ECN_CAPABLE_0)
		return ECN_CAPABLE_1;
	return inner;
}

static __always_inline int inner4(struct packet *p, struct iphdr *ip)
{
	__u16 *first = (__u16 *)ip, before;
	__u32 length;
	int ecn;

	if ((void *)(ip + 1) > p->end || p->length < sizeof(*ip))
		return drop(inner_length);
	if (ip->version != 4 || ip->ihl < 5)
		return drop(inner_header);
	length = bpf_ntohs(ip->tot_len);
	if (length > p->length || length < ip->ihl * 4)
		return drop(inner_length);
	ecn = ecn_combine(ip->tos & ECN_MASK, p->ecn);
	if (ecn < 0)
		return drop(ecn);
	before = *first;
	ip->tos = (ip->tos & ~ECN_MASK) | ecn;
	if (*first != before)
		checksum_update(&ip->check, (__u16)~before + *first);
	return GO_ON;
}

static __always_inline int inner6(struct packet *p, struct ipv6hdr *ip)
{
	int ecn;

	if ((void *)(ip + 1) > p->end || p->length < sizeof(*ip))
		return drop(inner_length);
	if (ip->version != 6)
		return drop(inner_header);
	if (sizeof(*ip) + bpf_ntohs(ip->payload_len) > p->length)
		return drop(inner_length);
	ecn = ecn_combine(ip->flow_lbl[0] >> 4 & ECN_MASK, p->ecn);
	if (ecn < 0)
		return drop(ecn);
	ip->flow_lbl[0] = (ip->flow_lbl[0] & ~(ECN_MASK << 4)) | ecn << 4;
	return GO_ON;
}

static __always_inline int inner_check(struct packet *p)
{
	return p->protocol == IPPROTO_IPV6 ? inner6(p, p->carried) : inner4(p, p->carried);
}

/* --- taking the outer headers away --- */

static __always_inline void words_copy(__u16 *to, const __u16 *from, const int words)
{
#pragma unroll
	for (int i = 0; i < words; i++)
		to[i] = from[i];
}

/* Puts MACs and tags, so many words, and the type of what follows. */
static __always_inline void link_put(void *to, const __u16 *from, const int words, __be16 type)
{
	words_copy(to, from, words);
	((__u16 *)to)[words] = type;
}

/* Moves what precedes the IP header up to the inner one, and the frame's start. */
static __always_inline int strip(struct xdp_md *ctx, const struct packet *p)
{
	const bool inner6 = p->protocol == IPPROTO_IPV6;
	const __be16 type = inner6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	void *data = (void *)(long)ctx->data;
	__u32 network = p->network - data;
	__u16 link[NETWORK_MAX / 2];
	__u32 counter = p->gue << 2 | p->outer6 << 1 | inner6;

	if (data + sizeof(link) > p->end)
		return XDP_ABORTED;
	words_copy(link, data, NETWORK_MAX / 2);
	if (bpf_xdp_adjust_head(ctx, p->carried - p->network))
		return XDP_ABORTED;
	data = (void *)(long)ctx->data;
	if (data + sizeof(link) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	if (network == sizeof(struct ethernet_header))
		link_put(data, link, 6, type);
	else if (network == sizeof(struct ethernet_header) + sizeof(struct vlan_header))
		link_put(data, link, 8, type);
	else
		link_put(data, link, 10, type);
	pin_down(counter);
	return counted(XDP_PASS, counter);
}

static __always_inline int decap(struct xdp_md *ctx)
{
	struct packet p = {};
	struct decap_local *local;
	int verdict;

	if (!outer_find(&p, ctx))
		return XDP_PASS;
	if (p.protocol != IPPROTO_IPIP && p.protocol != IPPROTO_IPV6 && p.protocol != IPPROTO_UDP)
		return XDP_PASS;
	local = bpf_map_lookup_elem(&decap_locals, p.address);
	if (!local || !outer_is_tunnel(&p, local))
		return XDP_PASS;
	if (p.form == FORM_OPTIONS)
		return pass(options);
	if (p.form == FORM_FRAGMENT)
		return pass(fragment);
	verdict = outer_check(&p);
	if (verdict == GO_ON && p.protocol == IPPROTO_UDP)
		verdict = gue_open(&p);
	if (verdict == GO_ON)
		verdict = inner_check(&p);
	return verdict == GO_ON ? strip(ctx, &p) : verdict;
}

/* What `ip link set dev IF xdp obj decap.o` loads. */
SEC("prog")
int decap_prog(struct xdp_md *ctx)
{
	return decap(ctx);
}

/* What everything else loads, as in xlb.bpf.c. */
SEC("xdp")
int decap_xdp(struct xdp_md *ctx)
{
	return decap(ctx);
}

const char decap_license[] SEC("license") = "GPL";
