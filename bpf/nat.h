/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mode nat, client to backend: every flow has a record of its backend and of the
 * source that it has there, and one for the way back.
 */
#ifndef XLB_NAT_H
#define XLB_NAT_H

#include "nat_port.h"
#include "quote.h"

static __always_inline enum xlb_closing packet_closes(const struct packet *p,
						      enum xlb_closing fin)
{
	return (p->rst ? XLB_CLOSING_RESET : 0) | (p->fin ? fin : 0);
}

/*
 * The record of the way there is to be trusted for another second: that of the way
 * back stands (again), a packet that opens nothing has confirmed both, and both
 * know of FIN and RST.  False: its source is another flow's by now.
 */
static __always_inline bool nat_keep_in(struct xdp_md *ctx, __u64 shape, const bool v6)
{
	struct xlb_flow *flow, *back, copy = {};
	bool embryonic, back_embryonic, opening;
	enum xlb_closing closing, over;
	struct xlb_target *target;
	struct packet p = {};
	union tuple tuple;

	if (!packet_find(&p, ctx, shape, v6))
		return false;
	opening = packet_opens(&p);
	closing = packet_closes(&p, XLB_CLOSING_CLIENT);
	/* A client that goes on has not taken the RST for one: it may be forged.  A FIN may
	 * have crossed it. */
	over = opening || p.fin ? 0 : XLB_CLOSING_RESET;
	tuple_of(&tuple, &p, v6);
	flow = record_find(&tuple, v6, &embryonic);
	target = flow ? target_at(flow->backend) : NULL;
	if (!target)
		return false;
	flow->seen = bpf_jiffies64();
	flow->closing = (flow->closing & ~over) | closing;
	copy = *flow;
	if (embryonic && !opening)
		record_put(&tuple, &copy, v6, false);

	nat_reply_tuple(&tuple, &p, target, (const __u32 *)copy.address, copy.port, v6);
	back = record_find(&tuple, v6, &back_embryonic);
	if (back && !nat_reply_matches(back, &p, v6))
		return false;
	if (back) {
		record_seen(back, copy.seen);
		back->closing = (back->closing & ~over) | closing;
	}
	if (back && !(back_embryonic && !opening))
		return true;
	if (back)
		closing = back->closing;
	nat_reply_fill(&copy, &p, copy.backend, copy.generation, v6);
	copy.closing = closing;
	record_put(&tuple, &copy, v6, embryonic && opening);
	return true;
}

__noinline bool nat_keep(struct xdp_md *ctx, __u64 shape)
{
	union shape of = { .word = shape };

	return of.flags & SHAPE_V6 ? nat_keep_in(ctx, shape, true)
				   : nat_keep_in(ctx, shape, false);
}

static __always_inline int nat_begin_in(struct xdp_md *ctx, __u64 shape, __u32 slot,
					__u16 backend, __u16 held, const bool v6)
{
	struct xlb_config *config = config_current();
	struct xlb_target *target = target_at(backend);
	struct xlb_flow flow = {};
	struct packet p = {};
	const __u32 *source;
	union tuple tuple;

	if (!config || !target || !packet_find(&p, ctx, shape, v6))
		return XDP_DROP;
	tuple_of(&tuple, &p, v6);
	source = nat_address(&tuple, config, v6);
	if (!source)
		return drop(no_source);
	flow.port = nat_port_find(&tuple, &p, config, backend, source, held, v6);
	if (!flow.port)
		return drop(no_port);
	flow.seen = bpf_jiffies64();
	flow.slot = slot;
	flow.backend = backend;
	flow.generation = target->generation;
	flow.direction = XLB_NAT_FORWARD;
	__builtin_memcpy(flow.address, source, v6 ? 16 : 4);
	/* Whatever begins a record may be one of a flood; the next packet confirms it. */
	record_put(&tuple, &flow, v6, true);
	return 0;
}

/* Records the flow of this packet, to this backend: 0, or the verdict that it is
 * dropped by.  Apart, because both together would take more stack than a call may. */
__noinline int nat_begin4(struct xdp_md *ctx, __u64 shape, __u32 slot, __u32 backend, __u32 held)
{
	return nat_begin_in(ctx, shape, slot, backend, held, false);
}

__noinline int nat_begin6(struct xdp_md *ctx, __u64 shape, __u32 slot, __u32 backend, __u32 held)
{
	return nat_begin_in(ctx, shape, slot, backend, held, true);
}

/* Mode nat has a record of every flow: who is to have one that has none? */
static __always_inline __u16 nat_owner(const struct choice *choice,
				       const struct xlb_service *service, const struct packet *p)
{
	__u16 previous = choice->owner.slot.previous;

	if (unlikely(previous) && flow_older(service, p->shape.protocol, packet_opens(p)) &&
	    target_live(previous))
		return previous;
	return choice->backend;
}

/* Where the flow of a packet is to go, as a called function can answer. */
union nat_choice {
	__u64 word;
	struct {
		__u32 slot;
		__u16 backend;	/* 0: nobody */
	};
};

static __always_inline __u64 nat_choose_in(struct xdp_md *ctx, __u64 shape, const bool v6)
{
	union nat_choice chosen = {};
	struct xlb_config *config = config_current();
	struct xlb_service *service;
	struct choice choice = {};
	struct packet p = {};
	union tuple tuple;
	bool any_address;

	if (!config || !packet_find(&p, ctx, shape, v6))
		return 0;
	tuple_of(&tuple, &p, v6);
	service = service_find(&tuple, &config->needs, v6, &any_address);
	if (!service)
		return 0;
	pick_slot(&tuple, &choice, config, service, v6);
	chosen.slot = choice.slot;
	chosen.backend = nat_owner(&choice, service, &p);
	return chosen.word;
}

/* The backend of a flow that has no record: union nat_choice. */
__noinline __u64 nat_choose(struct xdp_md *ctx, __u64 shape)
{
	union shape of = { .word = shape };

	return of.flags & SHAPE_V6 ? nat_choose_in(ctx, shape, true)
				   : nat_choose_in(ctx, shape, false);
}

/* Makes the records of a flow that has none: 0, or the verdict that it is dropped by. */
static __always_inline int nat_new(struct xdp_md *ctx, __u64 shape)
{
	union nat_choice chosen = { .word = nat_choose(ctx, shape) };
	union shape of = { .word = shape };
	__u32 held = 0;
	int verdict;

	if (!chosen.backend)
		return drop(no_backend);
	/* A UDP packet may be a flow's first, for which all this looking would be idle. */
	if (of.protocol == XLB_TCP && !(of.flags & SHAPE_OPENING))
		held = nat_port_held(ctx, shape, chosen.backend);
	verdict = of.flags & SHAPE_V6
			  ? nat_begin6(ctx, shape, chosen.slot, chosen.backend, held)
			  : nat_begin4(ctx, shape, chosen.slot, chosen.backend, held);
	event_flow(ctx, chosen.backend, !verdict);
	return verdict;
}

/* Is the packet of the connection that was recorded, not of a new one? */
static __always_inline bool nat_goes_on(const struct xlb_flow *flow, const struct packet *p,
					__u32 now, __u32 hz)
{
	return record_fresh(flow, packet_opens(p), now, hz) &&
	       !(packet_opens(p) && record_closed(flow));
}

/* What nat_forward() says when it has nothing to go by. */
enum nat_lack {
	NAT_NEW = VERDICT_END,	/* no usable record: nat_new() */
	NAT_KEEP,		/* the records want care: nat_keep() */
};

/* Whether the packet's records have been seen to. */
enum nat_ready {
	NAT_UNREADY,
	NAT_KEPT,
	NAT_BEGUN,		/* they have been made just now */
};

static __always_inline int nat_forward_in(struct xdp_md *ctx, __u64 shape, enum nat_ready ready,
					  const bool error, const bool v6)
{
	struct xlb_config *config = config_current();
	struct translation source, destination;
	__u32 now = bpf_jiffies64();
	struct xlb_target *target;
	struct xlb_flow *flow;
	struct packet p = {};
	struct hop hop = { .mtu = MTU_UNKNOWN };
	union tuple tuple;
	bool embryonic;
	int way;

	if (!config || !shape_find(&p, ctx, shape, error, v6))
		return XDP_DROP;
	tuple_of(&tuple, &p, v6);
	flow = record_find(&tuple, v6, &embryonic);
	target = flow ? target_at(flow->backend) : NULL;
	if (!ready && (!target || flow->direction != XLB_NAT_FORWARD || !target->live ||
		       target->generation != flow->generation ||
		       !nat_goes_on(flow, &p, now, config->hz)))
		return NAT_NEW;
	/* Another CPU may have thrown it away again. */
	if (!target)
		return drop(no_port);
	if (!ready && !error && (now - flow->seen >= config->hz || (embryonic && !packet_opens(&p)) ||
		       p.fin || p.rst))
		return NAT_KEEP;

	way = route_backend(&p, target, flow->backend, &hop, config->hz, false);
	if (way >= WAY_DROP)
		return way;
	if (way == WAY_UNKNOWN)
		return drop(forwarding_disabled);
	if (unlikely(p.length > hop.mtu) && hop_limits(&p)) {
		if (!divisible(ctx, shape))
			return too_big(ctx, shape, hop.mtu);
		way = WAY_STACK;
	}
	if (likely(way == WAY_SEND)) {
		if (!hop_usable(&p, &hop))
			way = WAY_STACK;
		else if (!hops_left(&p, v6))
			return drop(ttl);
	}
	count_in(&p, flow->backend, ready == NAT_BEGUN &&
				    (packet_opens(&p) || p.shape.protocol == XLB_UDP));
	source.address = (const __u32 *)flow->address;
	source.port = flow->port;
	destination.address = (const __u32 *)target->address;
	destination.port = target->port;
	rewrite_both(&p, &source, &destination, way == WAY_SEND, v6);
	return likely(way == WAY_SEND) ? transmit(&p, &hop) : XDP_PASS;
}

/* The packet by its flow's record: a verdict, or while unready enum nat_lack. */
__noinline int nat_forward(struct xdp_md *ctx, __u64 shape, enum nat_ready ready)
{
	union shape of = { .word = shape };

	return of.flags & SHAPE_V6 ? nat_forward_in(ctx, shape, ready, false, true)
				   : nat_forward_in(ctx, shape, ready, false, false);
}

/* The same for an error about one of the flow's packets, which makes no record. */
__noinline int nat_forward_error(struct xdp_md *ctx, __u64 shape)
{
	union shape of = { .word = shape };
	int verdict = of.flags & SHAPE_V6 ? nat_forward_in(ctx, shape, NAT_UNREADY, true, true)
					  : nat_forward_in(ctx, shape, NAT_UNREADY, true, false);

	return verdict < VERDICT_END ? verdict : XDP_PASS;
}

/* A packet of a service of mode nat.  Here, and not each within the other, because
 * the stack that a call may use is bounded. */
static __always_inline int nat(struct xdp_md *ctx, __u64 shape)
{
	int verdict = nat_forward(ctx, shape, NAT_UNREADY);

	if (likely(verdict < VERDICT_END))
		return verdict;
	if (verdict == NAT_KEEP && nat_keep(ctx, shape))
		return nat_forward(ctx, shape, NAT_KEPT);
	return nat_new(ctx, shape) ?: nat_forward(ctx, shape, NAT_BEGUN);
}

#endif
