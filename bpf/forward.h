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

/* What the packet program does with a packet whose destination is known.  Functions
 * answer with one of these, or with the verdict by which it is dropped. */
enum way {
	WAY_SEND,	/* transmit by the hop found */
	WAY_STACK,	/* up to the kernel, which forwards it and resolves the neighbour */
	WAY_LOCAL,	/* to this machine itself */
	WAY_UNKNOWN,	/* the kernel does not forward what came in here */
	WAY_DROP = 1 << VERDICT_SHIFT,	/* and above: nowhere, such a verdict */
};

/* What struct xlb_nexthop holds, kept whole: taken apart on the stack its words
 * cost more than all the rest of forwarding. */
struct hop {
	__u64 destination;	/* MAC in the low 48 bits, ifindex above */
	__u64 source;		/* MAC in the low 48 bits, redirect and veth above */
	__u16 mtu;		/* of the route; 65535: that, more, or unknown */
};

#define HOP_MAC_BITS 48
#define HOP_MAC ((1ULL << HOP_MAC_BITS) - 1)
#define MTU_UNKNOWN 65535

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

/* The question to the FIB.  Ports stay 0, so that a flow hash over equal-cost routes
 * does not make the cached next hop flap. */
static __always_inline int fib_find(struct xdp_md *ctx, struct bpf_fib_lookup *fib,
				    const __u32 *source, const __u32 *destination,
				    __u8 protocol, const bool v6)
{
	fib->family = v6 ? ADDRESS_FAMILY_INET6 : ADDRESS_FAMILY_INET;
	fib->l4_protocol = protocol;
	fib->ifindex = ctx->ingress_ifindex;
	if (v6) {
		__builtin_memcpy(fib->ipv6_dst, destination, sizeof(fib->ipv6_dst));
		__builtin_memcpy(fib->ipv6_src, source, sizeof(fib->ipv6_src));
	} else {
		fib->ipv4_dst = *destination;
		fib->ipv4_src = *source;
	}
	return bpf_fib_lookup(ctx, fib, sizeof(*fib), 0);
}

/* The kernel has put the gateway, if there is one, in the destination's place. */
static __always_inline bool fib_on_link(const struct bpf_fib_lookup *fib,
					const __u32 *destination, const bool v6)
{
	__u32 difference = fib->ipv4_dst ^ destination[0];

	if (v6)
		difference |= (fib->ipv6_dst[1] ^ destination[1]) |
			      (fib->ipv6_dst[2] ^ destination[2]) |
			      (fib->ipv6_dst[3] ^ destination[3]);
	return !difference;
}

static __always_inline struct xlb_link *link_to(const struct bpf_fib_lookup *fib)
{
	__u32 ifindex = fib->ifindex;

	return bpf_map_lookup_elem(&xlb_links, &ifindex);
}

static __always_inline __u16 link_mtu(const struct xlb_link *link)
{
	return link && link->mtu ? link->mtu : MTU_UNKNOWN;
}

/* What the kernel said, as words of a hop.  Before Linux 5.12 it does not tell a
 * route's MTU. */
static __always_inline void hop_fill(struct hop *hop, const struct bpf_fib_lookup *fib)
{
	struct xlb_link *link = link_to(fib);

	hop->destination = hop_word(fib->dmac, fib->ifindex);
	hop->source = hop_word(fib->smac, link ? link->redirect | link->veth << 8 : 0);
	hop->mtu = fib->tot_len ? fib->tot_len : link_mtu(link);
}

/*
 * Asks the kernel for the way; fills the hop on WAY_SEND.  `on_link`: a router on
 * the way will not do.
 */
static __always_inline int route(struct xdp_md *ctx, const __u32 *source,
				 const __u32 *destination, __u8 protocol, bool on_link,
				 struct hop *hop, const bool v6)
{
	struct bpf_fib_lookup fib = {};

	/* What comes in by lo is for this machine, whatever its address. */
	if (ctx->ingress_ifindex == LOOPBACK_IFINDEX)
		return WAY_STACK;
	switch (fib_find(ctx, &fib, source, destination, protocol, v6)) {
	case BPF_FIB_LKUP_RET_SUCCESS:
		break;
	case BPF_FIB_LKUP_RET_BLACKHOLE:
	case BPF_FIB_LKUP_RET_UNREACHABLE:
	case BPF_FIB_LKUP_RET_PROHIBIT:
		return drop(no_route);
	case BPF_FIB_LKUP_RET_NOT_FWDED:
		return WAY_LOCAL;
	case BPF_FIB_LKUP_RET_FWD_DISABLED:
		return WAY_UNKNOWN;
	case BPF_FIB_LKUP_RET_NO_NEIGH:
		/* The kernel will not ask for one because of a packet that is too large. */
		hop->mtu = link_mtu(link_to(&fib));
		return WAY_STACK;
	case BPF_FIB_LKUP_RET_UNSUPP_LWT:
		return WAY_STACK;
	default:
		return drop(fib_failed);
	}
	if (on_link && !fib_on_link(&fib, destination, v6))
		return drop(off_link);
	hop_fill(hop, &fib);
	/* Old kernels answer "found" with a zero MAC for an unresolved neighbour;
	 * an ifindex that the hop cannot hold is the stack's as well. */
	if (!(hop->destination & HOP_MAC) || hop_ifindex(hop) != fib.ifindex)
		return WAY_STACK;
	return WAY_SEND;
}

/* The third word of struct xlb_nexthop. */
union validity {
	__u64 word;
	struct {
		__u32 stamp;
		__u16 generation;
		__u16 mtu;
	};
};

/* Looks the way to a backend up, and remembers it: enum way. */
__noinline int nexthop_refresh(struct xdp_md *ctx, __u32 backend, __u8 protocol, bool on_link)
{
	struct xlb_target *target = bpf_map_lookup_elem(&xlb_targets, &backend);
	struct xlb_nexthop *nexthop = bpf_map_lookup_elem(&xlb_nexthops, &backend);
	volatile __u64 *word = (volatile __u64 *)nexthop;
	union validity validity = {};
	const __u32 any[4] = {};
	struct hop hop = { .mtu = MTU_UNKNOWN };
	int way;

	/* What comes in by lo has no hop, and is not to take that of others. */
	if (!target || !nexthop || ctx->ingress_ifindex == LOOPBACK_IFINDEX)
		return WAY_STACK;
	if (target->v6)
		way = route(ctx, any, (const __u32 *)target->address, protocol, on_link, &hop,
			    true);
	else
		way = route(ctx, any, (const __u32 *)target->address, protocol, on_link, &hop,
			    false);
	if (way != WAY_SEND)
		hop.destination = 0;
	validity.stamp = bpf_jiffies64();
	validity.generation = target->generation;
	validity.mtu = hop.mtu;
	word[0] = hop.destination;
	word[1] = hop.source;
	word[2] = validity.word;
	return way;
}

/*
 * The way to a backend, from the cache while that is at most a second old and
 * of this backend.  Where two CPUs refresh while the route changes, words of both
 * answers may stand together until the next refresh.
 */
static __always_inline int route_backend(struct packet *p, const struct xlb_target *target,
					 __u32 backend, struct hop *hop, __u32 hz, bool on_link)
{
	struct xlb_nexthop *nexthop = bpf_map_lookup_elem(&xlb_nexthops, &backend);
	volatile __u64 *word = (volatile __u64 *)nexthop;
	__u32 now = bpf_jiffies64();
	union validity validity;
	int way;

	if (unlikely(!nexthop))
		return WAY_STACK;
	validity.word = word[2];
	hop->destination = word[0];
	hop->source = word[1];
	hop->mtu = validity.mtu;
	if (likely(now - validity.stamp <= hz && validity.generation == target->generation &&
		   hop_ifindex(hop)))
		return WAY_SEND;

	way = nexthop_refresh(p->ctx, backend, p->shape.protocol, on_link);
	validity.word = word[2];
	hop->destination = word[0];
	hop->source = word[1];
	hop->mtu = validity.mtu;
	/* Another CPU may just have lost it. */
	return way == WAY_SEND && !hop_ifindex(hop) ? WAY_STACK : way;
}

#define ROUTE_HASH 0x9e3779b97f4a7c15ULL	/* 2^64 over the golden ratio */

/* Looks the way up for which an entry has been made out, and completes it: enum way. */
__noinline int route_refresh(struct xdp_md *ctx, __u32 index, __u8 protocol, bool v6)
{
	struct xlb_route *cached = bpf_map_lookup_elem(&xlb_routes, &index);
	__u64 *word = (__u64 *)cached;
	struct hop hop = { .mtu = MTU_UNKNOWN };
	int way;

	if (!cached)
		return WAY_STACK;
	if (v6)
		way = route(ctx, (const __u32 *)cached->vip, (const __u32 *)cached->client,
			    protocol, false, &hop, true);
	else
		way = route(ctx, (const __u32 *)cached->vip, (const __u32 *)cached->client,
			    protocol, false, &hop, false);
	word[2] = way == WAY_SEND ? hop.destination : 0;
	word[3] = hop.source;
	cached->stamp = bpf_jiffies64();
	cached->mtu = hop.mtu;
	return way;
}

/*
 * The way from a backend to a client, whom the VIP answers.  Each CPU remembers
 * some clients, one for each value of a hash: a FIB look-up costs as much as all
 * the rest of a reply, over IPv6 three times as much.
 * `vips`: there may be several that the backend answers for.
 */
static __always_inline int route_client(struct xdp_md *ctx, const __u32 *client,
					const __u32 *vip, __u32 backend, __u8 protocol,
					struct hop *hop, __u32 hz, const bool vips,
					const bool v6)
{
	__u64 first = v6 ? ((const __u64 *)client)[0] : *client;
	__u64 second = v6 ? ((const __u64 *)client)[1] : 0;
	__u32 ingress = ctx->ingress_ifindex, now = bpf_jiffies64();
	__u32 index = (first ^ second) * ROUTE_HASH >> (64 - XLB_ROUTES_BITS);
	struct xlb_route *cached = bpf_map_lookup_elem(&xlb_routes, &index);
	__u64 *word = (__u64 *)cached;
	int way = WAY_SEND;

	if (unlikely(!cached))
		return WAY_STACK;
	if (unlikely(word[0] != first || word[1] != second || cached->backend != backend ||
		     cached->ingress != ingress || now - cached->stamp > hz || !word[2] ||
		     (vips && !address_equal((const __u32 *)cached->vip, vip, v6)))) {
		word[0] = first;
		word[1] = second;
		cached->ingress = ingress;
		cached->backend = backend;
		__builtin_memcpy(cached->vip, vip, v6 ? 16 : 4);
		way = route_refresh(ctx, index, protocol, v6);
	}
	hop->destination = word[2];
	hop->source = word[3];
	hop->mtu = cached->mtu;
	return way;
}

/* Does the hop leave by a way that XDP can take with this frame?  Tags are kept,
 * so a tagged frame may only go back where it came from; and what came in by lo
 * stays, though others may have cached a hop to its backend. */
static __always_inline bool hop_usable(const struct packet *p, const struct hop *hop)
{
	__u32 ingress = p->ctx->ingress_ifindex;

	return hop_ifindex(hop) == ingress ||
	       (hop_redirects(hop) && !packet_is_tagged(p) && ingress != LOOPBACK_IFINDEX);
}

/*
 * Does the hop's MTU count?  Even if the kernel is to send the packet: where that finds
 * it too large, it tells the source about a packet that it has not sent so, or tells the
 * balancer itself.  But what comes in by lo is the kernel's own, and not yet cut up.
 */
static __always_inline bool hop_limits(const struct packet *p)
{
	return p->ctx->ingress_ifindex != LOOPBACK_IFINDEX;
}

/* A plain packet has been seen to have some. */
static __always_inline bool hops_left(const struct packet *p, const bool v6)
{
	if (!p->odd)
		return true;
	return v6 ? p->ip6->hop_limit > 1 : p->ip4->ttl > 1;
}

/* Sends a finished frame.  What a veth sends back by XDP_TX stays in its peer's queue,
 * unless that has an XDP program as well; a redirected frame only wants GRO there. */
static __always_inline int send(struct xdp_md *ctx, __u32 ifindex, bool veth)
{
	return ifindex == ctx->ingress_ifindex && !veth ? XDP_TX : bpf_redirect(ifindex, 0);
}

/* A frame begins with the destination's MAC and goes on with the source's. */
static __always_inline void hop_address(struct ethernet_header *ethernet, const struct hop *hop)
{
	*(__u64 *)ethernet = (hop->destination & HOP_MAC) | hop->source << HOP_MAC_BITS;
	*(__u32 *)((void *)ethernet + sizeof(__u64)) = hop->source >> (64 - HOP_MAC_BITS);
}

/* MAC addresses and VLAN tags, all of the `size` bytes but the last type, come to
 * stand before a new header.  Where they overlap, what is behind is moved first. */
static __always_inline void ethernet_move(void *to, const void *from, __u8 size)
{
	if (size > 18)
		*(__u32 *)(to + 16) = *(const __u32 *)(from + 16);
	if (size > 14)
		*(__u32 *)(to + 12) = *(const __u32 *)(from + 12);
	*(__u32 *)(to + 8) = *(const __u32 *)(from + 8);
	*(__u64 *)to = *(const __u64 *)from;
}

/* Says what stands at `network`.  False: it stands nowhere, which only the verifier
 * doubts; it wants no offset that is less than another. */
static __always_inline bool network_type_set(struct xdp_md *ctx, __u8 network, __be16 type)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 at = network - sizeof(type);

	asm volatile("" : "+r"(at));
	at &= 0xff;
	if (data + at + sizeof(type) > end)
		return false;
	*(__be16 *)(data + at) = type;
	return true;
}

static __always_inline int transmit(struct packet *p, const struct hop *hop)
{
	hop_address(p->ethernet, hop);
	return send(p->ctx, hop_ifindex(hop), hop_is_veth(hop));
}

#endif
