// SPDX-License-Identifier: GPL-2.0-only
/*
 * Takes a probe to the backend that its mark names, the way that traffic for the VIP goes
 * there: the packet as it is to the backend's MAC address (dr), or within another one
 * (ipip, gue).  It stands at the egress of a device that probes alone are routed to.
 */
#include "probe_mark.h"
#include "tunnel.h"

#define SHOT 2			/* <linux/pkt_cls.h>: TC_ACT_SHOT */

static __always_inline bool source_set(const struct xlb_config *config, const bool v6)
{
	return v6 ? *(const __u32 *)config->tunnel6 : *(const __u32 *)config->tunnel4;
}

/* What of an inner packet its outer header shows; 0 where it is too short to tell. */
static __always_inline __u8 inner_traffic(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	const struct iphdr *ip4 = data + sizeof(struct ethernet_header);

	if ((void *)(ip4 + 1) > end)
		return 0;
	return skb->protocol == bpf_htons(ETH_P_IPV6) ? bpf_ntohl(*(const __be32 *)ip4) >> 20
						       : ip4->tos;
}

/* Puts the outer headers in front, made by the functions that traffic has. */
static __always_inline bool probe_push(struct __sk_buff *skb, const struct tunnel *tunnel,
				       const bool outer6)
{
	const __u32 header = outer6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	const __u32 extra = tunnel->port ? sizeof(struct gue_header) : 0;
	__u64 flags = outer6 ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 : BPF_F_ADJ_ROOM_ENCAP_L3_IPV4;
	struct ethernet_header *ethernet;
	void *end, *outer;

	if (extra)
		flags |= BPF_F_ADJ_ROOM_ENCAP_L4_UDP;
	if (bpf_skb_adjust_room(skb, header + extra, BPF_ADJ_ROOM_MAC, flags))
		return false;
	ethernet = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	outer = ethernet + 1;
	if (outer + header + sizeof(struct gue_header) > end)
		return false;
	ethernet->type = outer6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	outer_fill(outer, tunnel, outer6);
	return true;
}

static __always_inline bool probe_encapsulate(struct __sk_buff *skb,
					      const struct xlb_config *config,
					      const struct xlb_target *target, enum xlb_mode mode)
{
	struct tunnel tunnel = {
		.source = target->v6 ? (const __u32 *)config->tunnel6
				     : (const __u32 *)config->tunnel4,
		.destination = (const __u32 *)target->address,
		.hash = bpf_get_hash_recalc(skb),
		.port = mode == XLB_GUE ? config->gue_port : 0,
		.length = skb->len - sizeof(struct ethernet_header),
		.protocol = skb->protocol == bpf_htons(ETH_P_IPV6) ? IPPROTO_IPV6 : IPPROTO_IPIP,
		.traffic = inner_traffic(skb),
	};

	if (!source_set(config, target->v6))
		return false;
	return target->v6 ? probe_push(skb, &tunnel, true) : probe_push(skb, &tunnel, false);
}

/* Sends it to the next hop on the way to the backend, which the kernel resolves. */
static __always_inline int probe_send(struct __sk_buff *skb, const struct xlb_target *target,
				      bool on_link)
{
	const __u32 *destination = (const __u32 *)target->address;
	struct bpf_redir_neigh neighbour = {};
	struct bpf_fib_lookup fib = {
		.family = target->v6 ? ADDRESS_FAMILY_INET6 : ADDRESS_FAMILY_INET,
		.ifindex = skb->ifindex,
	};
	long answer;

	if (target->v6)
		__builtin_memcpy(fib.ipv6_dst, destination, sizeof(fib.ipv6_dst));
	else
		fib.ipv4_dst = *destination;
	answer = bpf_fib_lookup(skb, &fib, sizeof(fib), 0);
	if ((answer != BPF_FIB_LKUP_RET_SUCCESS && answer != BPF_FIB_LKUP_RET_NO_NEIGH) ||
	    fib.ifindex == skb->ifindex)
		return SHOT;
	if (on_link && !fib_on_link(&fib, destination, target->v6))
		return SHOT;
	neighbour.nh_family = fib.family;
	__builtin_memcpy(neighbour.ipv6_nh, fib.ipv6_dst, sizeof(neighbour.ipv6_nh));
	return bpf_redirect_neigh(fib.ifindex, &neighbour, sizeof(neighbour), 0);
}

SEC("tc")
int xlb_probe(struct __sk_buff *skb)
{
	__u32 backend = skb->mark & PROBE_MARK_BACKEND, zero = 0;
	enum xlb_mode mode = (skb->mark & PROBE_MARK_MODE) >> PROBE_MARK_MODE_SHIFT;
	struct xlb_target *target = bpf_map_lookup_elem(&xlb_targets, &backend);
	struct xlb_config *config = bpf_map_lookup_elem(&xlb_config, &zero);

	/* The kernel itself has something to say on any device. */
	if (!target || !config || (skb->mark & PROBE_MARK_MASK) != PROBE_MARK)
		return SHOT;
	if (mode == XLB_DR)
		return probe_send(skb, target, true);
	if ((mode != XLB_IPIP && mode != XLB_GUE) ||
	    !probe_encapsulate(skb, config, target, mode))
		return SHOT;
	return probe_send(skb, target, false);
}

const char probe_license[] SEC("license") = "GPL";
