/* SPDX-License-Identifier: GPL-2.0-only */
/* Client to backend: a service's packet gets its backend's address and next hop. */
#ifndef XLB_BALANCE_H
#define XLB_BALANCE_H

#include "icmp.h"
#include "nat.h"
#include "pick.h"
#include "tunnel.h"

/* What reply_record() answers. */
enum recorded {
	RECORD_CONFLICT = 0,
	RECORD_KNOWN = 1,
	RECORD_NEW = 2,
};

static __always_inline enum recorded reply_record_in(struct xdp_md *ctx, __u64 shape,
						     __u32 backend, const bool v6)
{
	struct xlb_config *config = config_current();
	struct xlb_target *target = target_at(backend);
	struct xlb_flow *old, flow = {};
	bool embryonic, opening, same;
	__u32 now = bpf_jiffies64();
	struct packet p = {};
	const __u32 *vip;
	union tuple tuple;

	if (!config || !target || !packet_find(&p, ctx, shape, v6))
		return RECORD_CONFLICT;
	opening = packet_opens(&p);
	vip = packet_destination(&p, v6);
	flow.seen = now;
	flow.backend = backend;
	flow.generation = target->generation;
	flow.direction = XLB_REPLY;
	flow.port = p.shape.destination_port;
	__builtin_memcpy(flow.address, vip, v6 ? 16 : 4);
	tuple_set(&tuple, target->address, packet_source(&p, v6),
		  target->port ?: p.shape.destination_port, p.shape.source_port,
		  p.shape.protocol, v6);
	old = record_find(&tuple, v6, &embryonic);
	if (old) {
		same = old->direction == XLB_REPLY && old->port == flow.port &&
		       address_equal((const __u32 *)old->address, vip, v6);
		if (same && old->backend == backend && old->generation == flow.generation) {
			record_seen(old, now);
			if (embryonic && !opening)
				record_put(&tuple, &flow, v6, false);
			return RECORD_KNOWN;
		}
		if (!same && record_fresh(old, true, now, config->hz))
			return RECORD_CONFLICT;
	}
	/* Whatever begins a record may be one of a flood; the next packet confirms it. */
	record_put(&tuple, &flow, v6, opening || !old);
	return RECORD_NEW;
}

/*
 * Where the backend's address does not say which VIP its reply is to come from,
 * only a record can tell: enum recorded.  A conflict: the backend already talks to
 * this client's port about another VIP, and could not tell the two flows apart.
 */
__noinline int reply_record(struct xdp_md *ctx, __u64 shape, __u32 backend)
{
	union shape of = { .word = shape };

	return of.flags & SHAPE_V6 ? reply_record_in(ctx, shape, backend, true)
				   : reply_record_in(ctx, shape, backend, false);
}

static __always_inline void resolve_in(struct xdp_md *ctx, __u64 shape, __u32 backend,
				       const bool v6)
{
	struct xlb_target *target = target_at(backend);
	struct translation to = {};
	struct packet p = {};

	if (!target || !packet_find(&p, ctx, shape, v6))
		return;
	to.address = (const __u32 *)target->address;
	rewrite(&p, DESTINATION, &to, false, v6);
	/* Never from one form of zero to the other, nor to "no checksum". */
	*p.checksum = *p.checksum ^ 0x5555 ?: 0xaaaa;
}

/*
 * Mode dr, and the kernel does not know the backend's MAC.  A packet for the VIP
 * would not make it ask: so it gets one for the backend itself, with a checksum
 * that keeps anybody there from reading it.  The client will send again.
 */
__noinline int resolve(struct xdp_md *ctx, __u64 shape, __u32 backend)
{
	union shape of = { .word = shape };

	if (!of.transport || of.flags & SHAPE_ERROR)
		return drop(no_neighbour);
	if (of.flags & SHAPE_V6)
		resolve_in(ctx, shape, backend, true);
	else
		resolve_in(ctx, shape, backend, false);
	return verdict_counted(XDP_PASS, DROP_REASON(no_neighbour));
}

/* Mode dr, and XDP cannot send the frame: the stack would not know whereto. */
static __always_inline bool direct_stuck(const struct packet *p, int way)
{
	return way == WAY_STACK && p->ctx->ingress_ifindex != LOOPBACK_IFINDEX;
}

/* A verdict, or for mode nat the packet's shape. */
static __always_inline __u64 balance(struct packet *p, const union tuple *tuple,
				     const struct xlb_config *config,
				     const struct xlb_service *service, const bool v6)
{
	enum xlb_mode mode = service->mode;
	struct choice choice = {};
	struct xlb_target *target;
	struct translation to;
	struct hop hop = { .mtu = MTU_UNKNOWN };
	__u32 overhead = 0;
	int recorded = 0, way, stuck;

	if (unlikely(packet_fault(p)))
		return drop_reason(packet_fault(p));
	if (unlikely(mode == XLB_NAT))
		return p->shape.word;
	pick_slot(tuple, &choice, config, service, v6);
	pick(p, tuple, &choice, config, service, v6);
	target = target_at(choice.backend);
	if (unlikely(!choice.backend || !target))
		return drop(no_backend);

	way = route_backend(p, target, choice.backend, &hop, config->hz, mode == XLB_DR);
	if (mode >= XLB_IPIP)
		overhead = tunnel_overhead(mode, target->v6);
	if (unlikely(p->length + overhead > hop.mtu) && hop_limits(p)) {
		if (mode != XLB_DNAT || !divisible(p->ctx, p->shape.word))
			return too_big(p->ctx, p->shape.word, hop.mtu - overhead);
		way = WAY_STACK;
	}
	if (likely(way == WAY_SEND)) {
		if (unlikely(!hop_usable(p, &hop)))
			way = WAY_STACK;
		else if (unlikely(!hops_left(p, v6)))
			return drop(ttl);
	} else if (way >= WAY_DROP) {
		return way;
	} else if (way == WAY_UNKNOWN) {
		return drop(forwarding_disabled);
	}

	if (mode == XLB_DR && unlikely(direct_stuck(p, way)))
		return hop_ifindex(&hop) ? drop(off_link)
					 : resolve(p->ctx, p->shape.word, choice.backend);
	if (unlikely(target->by_flow) && !packet_is_error(p)) {
		recorded = reply_record(p->ctx, p->shape.word, choice.backend);
		if (recorded == RECORD_CONFLICT)
			return drop(record_conflict);
		/* As numbers, because of the verifier: RECORD_NEW, and not told of yet. */
		event_flow(p->ctx, choice.backend, recorded >> 1 & !choice.recorded);
	}
	if (mode == XLB_DNAT) {
		to.address = (const __u32 *)target->address;
		to.port = target->port;
		rewrite(p, DESTINATION, &to, way == WAY_SEND, v6);
	} else if (mode >= XLB_IPIP) {
		if (unlikely(service->hash == XLB_HASH_SOURCE))
			choice.hash = flow_hash(tuple, config->seed, XLB_HASH_FLOW, v6);
		stuck = encapsulate(p, config, target, mode, choice.hash, way == WAY_SEND, v6);
		if (unlikely(stuck))
			return stuck;
	}
	count_in(p, choice.backend,
		 packet_opens(p) || (p->shape.protocol == XLB_UDP &&
				     (choice.recorded || recorded == RECORD_NEW)));
	return likely(way == WAY_SEND) ? transmit(p, &hop) : XDP_PASS;
}

#endif
