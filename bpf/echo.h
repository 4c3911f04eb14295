/* SPDX-License-Identifier: GPL-2.0-only */
/* Echo requests to a VIP, which no host need have, are answered in place. */
#ifndef XLB_ECHO_H
#define XLB_ECHO_H

#include "admit.h"
#include "icmp.h"

/* RFC 792 */
#define ICMP_ECHO 8
#define ICMP_ECHO_REPLY 0
/* RFC 4443, 4 */
#define ICMPV6_ECHO 128
#define ICMPV6_ECHO_REPLY 129

/* A verdict, or ECHO_ANSWER. */
#define ECHO_ANSWER (-1)

/* Where it is not for us, or wants more than a swap, the kernel may know what to do. */
static __always_inline int echo_admit(struct xdp_md *ctx, const union shape *shape,
				      struct ethernet_header *ethernet, const __u32 *source,
				      const __u32 *destination, const bool v6)
{
	const __u32 header = v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	struct xlb_vip *vip = vip_at(destination, v6);
	struct xlb_config *config = config_current();
	int refused;

	if (!vip || !config)
		return XDP_PASS;
	refused = admit_echo(shape, source, config, v6);
	if (refused)
		return refused;
	if (!vip->echo || shape->transport != header / 4 || ethernet->macs[0] & 1 ||
	    ctx->ingress_ifindex == LOOPBACK_IFINDEX)
		return XDP_PASS;
	if (shape->flags >> SHAPE_FAULT_SHIFT)
		return drop_reason(shape->flags >> SHAPE_FAULT_SHIFT);
	macs_swap(ethernet);
	return ECHO_ANSWER;
}

static __always_inline void icmp_retype(struct icmp_header *icmp, __u8 from, __u8 to)
{
	icmp->type = to;
	checksum_update(&icmp->checksum, (__u16)~from + to);
}

static __always_inline int echo4(struct xdp_md *ctx, const union shape *shape,
				 struct ethernet_header *ethernet, struct iphdr *ip,
				 struct icmp_header *icmp)
{
	int verdict = XDP_PASS;
	__be32 address = ip->saddr;

	if (bpf_ntohs(ip->tot_len) >= shape->transport * 4 + sizeof(*icmp))
		verdict = echo_admit(ctx, shape, ethernet, &ip->saddr, &ip->daddr, false);
	if (verdict != ECHO_ANSWER)
		return verdict;
	ip->saddr = ip->daddr;
	ip->daddr = address;
	checksum_update(&ip->check, (__u16)~ip->ttl + ICMP_TTL);
	ip->ttl = ICMP_TTL;
	icmp_retype(icmp, ICMP_ECHO, ICMP_ECHO_REPLY);
	return send_back(ctx);
}

static __always_inline int echo6(struct xdp_md *ctx, const union shape *shape,
				 struct ethernet_header *ethernet, struct ipv6hdr *ip,
				 struct icmp_header *icmp)
{
	int verdict = XDP_PASS;
	struct in6_addr address = ip->saddr;

	if (bpf_ntohs(ip->payload_len) >= sizeof(*icmp))
		verdict = echo_admit(ctx, shape, ethernet, ip->saddr.s6_addr32,
				     ip->daddr.s6_addr32, true);
	if (verdict != ECHO_ANSWER)
		return verdict;
	ip->saddr = ip->daddr;
	ip->daddr = address;
	ip->hop_limit = ICMP_TTL;
	icmp_retype(icmp, ICMPV6_ECHO, ICMPV6_ECHO_REPLY);
	return send_back(ctx);
}

#endif
