/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where a finished packet goes: out of the interface it came in by, out of
 * another, or up to the kernel.  What the kernel's FIB and neighbour table say
 * is asked once a second per backend, and per client that replies go to.
 */
#ifndef XLB_FORWARD_H
#define XLB_FORWARD_H

#include "count.h"

#define LOOPBACK_IFINDEX 1
#define ADDRESS_FAMILY_INET 2	/* <sys/socket.h>, which does not belong here */
#define ADDRESS_FAMILY_INET6 10

/* What the packet program does with a packet whose destination is known. */
enum way {
	WAY_SEND,	/* transmit by the hop found */
	WAY_STACK,	/* up to the kernel, which forwards it and resolves the neighbour */
	WAY_LOCAL,	/* to this machine itself */
	WAY_UNKNOWN,	/* the kernel does not forward what came in here */
	WAY_DROP,	/* counted already */
};

/* The first two words of struct xlb_nexthop, kept whole: taken apart on the stack
 * they cost more than all the rest of forwarding. */
struct hop {
	__u64 destination;	/* MAC in the low 48 bits, ifindex above */
	__u64 source;		/* MAC in the low 48 bits, redirect and veth above */
};

#define HOP_MAC_BITS 48
#define HOP_MAC ((1ULL << HOP_MAC_BITS) - 1)

static __always_inline __u64 hop_word(const __u8 *mac, __u16 above)
{
	__u64 word = above;

#pragma unroll
	for (int i = ETH_ALEN - 1; i >= 0; i--)
		word = word << 8 | mac[i];
	return word;
}

static __always_inline __u32 hop_ifindex(const struct hop *hop)
{
	return hop->destination >> HOP_MAC_BITS;
}

static __always_inline bool hop_redirects(const struct hop *hop)
{
	return (__u8)(hop->source >> HOP_MAC_BITS);
}

static __always_inline bool hop_is_veth(const struct hop *hop)
{
	return hop->source >> (HOP_MAC_BITS + 8);
}

static __always_inline int fib_find(struct packet *p, struct bpf_fib_lookup *fib,
				    const __u32 *source, const __u32 *destination, const bool v6)
{
	/* Ports stay 0, so that a flow hash over equal-cost routes does not make
	 * the cached next hop flap. */
	fib->family = v6 ? ADDRESS_FAMILY_INET6 : ADDRESS_FAMILY_INET;
	fib->l4_protocol = p->protocol;
	fib->ifindex = p->ctx->ingress_ifindex;
	if (v6) {
		__builtin_memcpy(fib->ipv6_dst, destination, sizeof(fib->ipv6_dst));
		if (source)
			__builtin_memcpy(fib->ipv6_src, source, sizeof(fib->ipv6_src));
	} else {
		fib->ipv4_dst = *destination;
		if (source)
			fib->ipv4_src = *source;
	}
	return bpf_fib_lookup(p->ctx, fib, sizeof(*fib), 0);
}

/* As the hop's source has it above the MAC. */
static __always_inline __u16 link_flags(__u32 ifindex)
{
	struct xlb_link *link = bpf_map_lookup_elem(&xlb_links, &ifindex);

	return link ? link->redirect | link->veth << 8 : 0;
}

/* Asks the kernel.  `source` may be NULL: any.  Fills the hop on WAY_SEND. */
static __always_inline enum way route(struct packet *p, const __u32 *source,
				      const __u32 *destination, struct hop *hop, const bool v6)
{
	struct bpf_fib_lookup fib = {};

	/* What comes in by lo is for this machine, whatever its address. */
	if (p->ctx->ingress_ifindex == LOOPBACK_IFINDEX)
		return WAY_STACK;
	switch (fib_find(p, &fib, source, destination, v6)) {
	case BPF_FIB_LKUP_RET_SUCCESS:
		break;
	case BPF_FIB_LKUP_RET_BLACKHOLE:
	case BPF_FIB_LKUP_RET_UNREACHABLE:
	case BPF_FIB_LKUP_RET_PROHIBIT:
		drop(no_route);
		return WAY_DROP;
	case BPF_FIB_LKUP_RET_NOT_FWDED:
		return WAY_LOCAL;
	case BPF_FIB_LKUP_RET_FWD_DISABLED:
		return WAY_UNKNOWN;
	case BPF_FIB_LKUP_RET_UNSUPP_LWT:
	case BPF_FIB_LKUP_RET_NO_NEIGH:
		return WAY_STACK;
	default:
		drop(fib_failed);
		return WAY_DROP;
	}
	hop->destination = hop_word(fib.dmac, fib.ifindex);
	hop->source = hop_word(fib.smac, link_flags(fib.ifindex));
	/* Old kernels answer "found" with a zero MAC for an unresolved neighbour;
	 * an ifindex that the hop cannot hold is the stack's as well. */
	if (!(hop->destination & HOP_MAC) || hop_ifindex(hop) != fib.ifindex)
		return WAY_STACK;
	return WAY_SEND;
}

/*
 * The way to a backend, from the cache while that is at most a second old and
 * of this backend.  Where two CPUs refresh while the route changes, words of both
 * answers may stand together until the next refresh.
 */
static __always_inline enum way route_backend(struct packet *p, const struct xlb_target *target,
					      __u32 backend, struct hop *hop, __u32 hz,
					      const bool v6, __u32 now)
{
	struct xlb_nexthop *nexthop = bpf_map_lookup_elem(&xlb_nexthops, &backend);
	volatile __u64 *word = (volatile __u64 *)nexthop;
	union {
		__u64 word;
		struct {
			__u32 stamp;
			__u16 generation;
			__u16 mtu;
		};
	} validity;
	enum way way;

	if (unlikely(!nexthop))
		return WAY_STACK;
	validity.word = word[2];
	hop->destination = word[0];
	hop->source = word[1];
	if (likely(now - validity.stamp <= hz && validity.generation == target->generation &&
		   hop_ifindex(hop)))
		return WAY_SEND;

	way = route(p, NULL, (const __u32 *)target->address, hop, v6);
	if (way != WAY_SEND)
		hop->destination = 0;
	word[0] = hop->destination;
	word[1] = hop->source;
	validity.stamp = now;
	validity.generation = target->generation;
	word[2] = validity.word;
	return way;
}

#define ROUTE_HASH 0x9e3779b97f4a7c15ULL	/* 2^64 over the golden ratio */

/*
 * The way from a backend to a client, whom the backend's VIP answers.  Each CPU
 * remembers some clients, one for each value of a hash: a FIB look-up costs as
 * much as all the rest of a reply, over IPv6 three times as much.
 */
static __always_inline enum way route_client(struct packet *p, const __u32 *vip, __u32 backend,
					     struct hop *hop, __u32 hz, const bool v6)
{
	const __u32 *client = v6 ? p->ip6->daddr.s6_addr32 : &p->ip4->daddr;
	__u64 first = v6 ? ((const __u64 *)client)[0] : *client;
	__u64 second = v6 ? ((const __u64 *)client)[1] : 0;
	__u32 ingress = p->ctx->ingress_ifindex, now = bpf_jiffies64();
	__u32 index = (first ^ second) * ROUTE_HASH >> (64 - XLB_ROUTES_BITS);
	struct xlb_route *cached = bpf_map_lookup_elem(&xlb_routes, &index);
	__u64 *word = (__u64 *)cached;
	enum way way;

	if (unlikely(!cached))
		return WAY_STACK;
	if (likely(word[0] == first && word[1] == second && cached->backend == backend &&
		   cached->ingress == ingress && now - cached->stamp <= hz)) {
		hop->destination = word[2];
		hop->source = word[3];
		return WAY_SEND;
	}
	way = route(p, vip, client, hop, v6);
	if (way == WAY_SEND) {
		word[0] = first;
		word[1] = second;
		word[2] = hop->destination;
		word[3] = hop->source;
		cached->stamp = now;
		cached->ingress = ingress;
		cached->backend = backend;
	}
	return way;
}

/* Does the hop leave by a way that XDP can take with this frame?  Tags are kept,
 * so a tagged frame may only go back where it came from; and what came in by lo
 * stays, though others may have cached a hop to its backend. */
static __always_inline bool hop_usable(const struct packet *p, const struct hop *hop)
{
	__u32 ingress = p->ctx->ingress_ifindex;

	return hop_ifindex(hop) == ingress ||
	       (hop_redirects(hop) && !p->tagged && ingress != LOOPBACK_IFINDEX);
}

static __always_inline bool hops_left(const struct packet *p, const bool v6)
{
	return v6 ? p->ip6->hop_limit > 1 : p->ip4->ttl > 1;
}

/* A frame begins with the destination's MAC and goes on with the source's.  What a
 * veth sends back by XDP_TX stays in its peer's queue, unless that has an XDP program
 * as well; a redirected frame only wants GRO there. */
static __always_inline int transmit(struct packet *p, const struct hop *hop)
{
	*(__u64 *)p->ethernet = (hop->destination & HOP_MAC) | hop->source << HOP_MAC_BITS;
	*(__u32 *)((void *)p->ethernet + sizeof(__u64)) = hop->source >> (64 - HOP_MAC_BITS);
	if (hop_ifindex(hop) == p->ctx->ingress_ifindex && !hop_is_veth(hop))
		return XDP_TX;
	return bpf_redirect(hop_ifindex(hop), 0);
}

#endif
