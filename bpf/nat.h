/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mode nat, client to backend: every flow has a record of its backend and of the
 * source that it has there, and one for the way back.
 */
#ifndef XLB_NAT_H
#define XLB_NAT_H

#include "icmp.h"
#include "pick.h"
#include "quote.h"

#define NAT_TRIES 16		/* ports looked at before giving up */
#define NAT_PORT_MIN 1024	/* of ports that are not the client's own */

static __always_inline enum xlb_closing packet_closes(const struct packet *p,
						      enum xlb_closing fin)
{
	return (p->rst ? XLB_CLOSING_RESET : 0) | (p->fin ? fin : 0);
}

/* The key of the record for the way back, from a record of the way there. */
static __always_inline void nat_reply_tuple(union tuple *tuple, const struct packet *p,
					    const struct xlb_target *target,
					    const __u32 *source, __u16 port, const bool v6)
{
	tuple_set(tuple, target->address, source, target->port ?: p->shape.destination_port, port,
		  p->shape.protocol, v6);
}

/* The record for the way back of this packet's flow. */
static __always_inline void nat_reply_fill(struct xlb_flow *flow, const struct packet *p,
					   __u16 backend, __u16 generation, const bool v6)
{
	flow->seen = bpf_jiffies64();
	flow->backend = backend;
	flow->generation = generation;
	flow->direction = XLB_NAT_REPLY;
	flow->port = p->shape.destination_port;
	flow->client_port = p->shape.source_port;
	__builtin_memcpy(flow->address, packet_destination(p, v6), v6 ? 16 : 4);
	__builtin_memcpy(flow->client, packet_source(p, v6), v6 ? 16 : 4);
}

static __always_inline bool nat_reply_matches(const struct xlb_flow *flow, const struct packet *p,
					      const bool v6)
{
	const __u32 *vip = packet_destination(p, v6);
	const __u32 *client = packet_source(p, v6);

	return flow->direction == XLB_NAT_REPLY && flow->port == p->shape.destination_port &&
	       flow->client_port == p->shape.source_port &&
	       address_equal((const __u32 *)flow->address, vip, v6) &&
	       address_equal((const __u32 *)flow->client, client, v6);
}

static __always_inline bool nat_closed(enum xlb_closing closing)
{
	const enum xlb_closing both = XLB_CLOSING_CLIENT | XLB_CLOSING_BACKEND;

	return closing & XLB_CLOSING_RESET || (closing & both) == both;
}

/* Is the source of this record free for another flow? */
static __always_inline bool nat_expired(const struct xlb_flow *flow, bool embryonic,
					const struct xlb_config *config, __u32 now)
{
	struct xlb_target *target = target_at(flow->backend);
	__u32 life = embryonic || nat_closed(flow->closing) ? XLB_CLOSED_SECONDS : config->idle;

	return now - flow->seen > life * config->hz || !target ||
	       target->generation != flow->generation;
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
	enum xlb_closing closing;
	struct xlb_target *target;
	struct packet p = {};
	union tuple tuple;

	if (!packet_find(&p, ctx, shape, v6))
		return false;
	opening = packet_opens(&p);
	closing = packet_closes(&p, XLB_CLOSING_CLIENT);
	tuple_of(&tuple, &p, v6);
	flow = record_find(&tuple, v6, &embryonic);
	target = flow ? target_at(flow->backend) : NULL;
	if (!target)
		return false;
	flow->seen = bpf_jiffies64();
	flow->closing |= closing;
	copy = *flow;
	if (embryonic && !opening)
		record_put(&tuple, &copy, v6, false);

	nat_reply_tuple(&tuple, &p, target, (const __u32 *)copy.address, copy.port, v6);
	back = record_find(&tuple, v6, &back_embryonic);
	if (back && !nat_reply_matches(back, &p, v6))
		return false;
	if (back)
		back->closing |= closing;
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

/* One of the addresses for mode nat, the same for all flows of a client; NULL: none. */
static __always_inline const __u32 *nat_address(const union tuple *tuple,
						const struct xlb_config *config, const bool v6)
{
	__u32 count = v6 ? config->nat6_count : config->nat4_count;
	__u32 hash = flow_hash(tuple, config->seed, XLB_HASH_SOURCE, v6);
	__u32 index = ((__u64)hash * count >> 32) % XLB_NAT_ADDRESSES;

	if (!count)
		return NULL;
	return v6 ? (const __u32 *)config->nat6[index] : (const __u32 *)config->nat4[index];
}

/* Takes this source port for the way back: false: it is in use. */
static __always_inline bool nat_port_take(const union tuple *tuple, const struct packet *p,
					  const struct xlb_config *config, __u16 backend,
					  __u16 generation, const bool v6)
{
	struct xlb_flow *old, flow = {};
	bool embryonic;

	old = record_find(tuple, v6, &embryonic);
	if (old && nat_reply_matches(old, p, v6) && old->generation == generation) {
		record_seen(old, bpf_jiffies64());
		/* The port is being used again by the same client. */
		if (packet_opens(p))
			old->closing = 0;
		return true;
	}
	if (old && !nat_expired(old, embryonic, config, bpf_jiffies64()))
		return false;
	nat_reply_fill(&flow, p, backend, generation, v6);
	if (old) {
		record_put(tuple, &flow, v6, true);
		return true;
	}
	/* Another CPU may have taken it since. */
	return !(v6 ? bpf_map_update_elem(&xlb_embryos6, tuple, &flow, BPF_NOEXIST)
		    : bpf_map_update_elem(&xlb_embryos4, tuple, &flow, BPF_NOEXIST));
}

/* The ports that a flow tries, one after the other: first the client's own. */
static __always_inline __u16 nat_port_tried(const union tuple *tuple, const struct packet *p,
					    const struct xlb_config *config, __u32 number,
					    const bool v6)
{
	if (!number)
		return p->shape.source_port;
	return NAT_PORT_MIN + ((__u64)flow_hash(tuple, config->seed + number, XLB_HASH_FLOW, v6) *
			       (65536 - NAT_PORT_MIN) >> 32);
}

/* A source port for the way back: the `held` one if there is, else the client's own if it
 * is free; 0: none found. */
static __always_inline __u16 nat_port_find(const union tuple *tuple, const struct packet *p,
					   const struct xlb_config *config, __u16 backend,
					   const __u32 *source, __u16 held, const bool v6)
{
	struct xlb_target *target = target_at(backend);
	__u16 port = held ?: p->shape.source_port;
	union tuple back;

	if (!target)
		return 0;
#pragma clang loop unroll(disable)
	for (__u32 i = 1; i <= NAT_TRIES; i++) {
		nat_reply_tuple(&back, p, target, source, port, v6);
		if (nat_port_take(&back, p, config, backend, target->generation, v6))
			return port;
		port = nat_port_tried(tuple, p, config, i, v6);
	}
	return 0;
}

static __always_inline __u16 nat_port_held_in(struct xdp_md *ctx, __u64 shape, __u16 backend,
					      const bool v6)
{
	struct xlb_config *config = config_current();
	struct xlb_target *target = target_at(backend);
	union tuple tuple, back;
	const __u32 *source;
	struct packet p = {};
	struct xlb_flow *old;
	bool embryonic;
	__u16 port;

	if (!config || !target || !packet_find(&p, ctx, shape, v6))
		return 0;
	tuple_of(&tuple, &p, v6);
	source = nat_address(&tuple, config, v6);
	if (!source)
		return 0;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < NAT_TRIES; i++) {
		port = nat_port_tried(&tuple, &p, config, i, v6);
		nat_reply_tuple(&back, &p, target, source, port, v6);
		old = record_find(&back, v6, &embryonic);
		if (old && old->generation == target->generation && nat_reply_matches(old, &p, v6))
			return port;
	}
	return 0;
}

/*
 * The source port that a connection has had, by its record for the way back, where that
 * of the way there was washed out; 0: none.  It need not be the first that is free: others
 * may have come free since.
 */
__noinline int nat_port_held(struct xdp_md *ctx, __u64 shape, __u32 backend)
{
	union shape of = { .word = shape };

	return of.flags & SHAPE_V6 ? nat_port_held_in(ctx, shape, backend, true)
				   : nat_port_held_in(ctx, shape, backend, false);
}

static __always_inline bool nat_begin_in(struct xdp_md *ctx, __u64 shape, __u32 slot,
					 __u16 backend, __u16 held, const bool v6)
{
	struct xlb_config *config = config_current();
	struct xlb_target *target = target_at(backend);
	struct xlb_flow flow = {};
	struct packet p = {};
	const __u32 *source;
	union tuple tuple;

	if (!config || !target || !packet_find(&p, ctx, shape, v6))
		return false;
	tuple_of(&tuple, &p, v6);
	source = nat_address(&tuple, config, v6);
	if (!source) {
		drop(no_source);
		return false;
	}
	flow.port = nat_port_find(&tuple, &p, config, backend, source, held, v6);
	if (!flow.port) {
		drop(no_port);
		return false;
	}
	flow.seen = bpf_jiffies64();
	flow.slot = slot;
	flow.backend = backend;
	flow.generation = target->generation;
	flow.direction = XLB_NAT_FORWARD;
	__builtin_memcpy(flow.address, source, v6 ? 16 : 4);
	/* Whatever begins a record may be one of a flood; the next packet confirms it. */
	record_put(&tuple, &flow, v6, true);
	if (packet_opens(&p) || p.shape.protocol == XLB_UDP)
		count_connection(backend);
	return true;
}

/* Records the flow of this packet, to this backend.  False after counting why not.
 * Apart, because both together would take more stack than a call may. */
__noinline bool nat_begin4(struct xdp_md *ctx, __u64 shape, __u32 slot, __u32 backend, __u32 held)
{
	return nat_begin_in(ctx, shape, slot, backend, held, false);
}

__noinline bool nat_begin6(struct xdp_md *ctx, __u64 shape, __u32 slot, __u32 backend, __u32 held)
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
		__u16 backend;	/* 0: nowhere, as has been counted */
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
	if (!chosen.backend)
		drop(no_backend);
	return chosen.word;
}

/* The backend of a flow that has no record: union nat_choice. */
__noinline __u64 nat_choose(struct xdp_md *ctx, __u64 shape)
{
	union shape of = { .word = shape };

	return of.flags & SHAPE_V6 ? nat_choose_in(ctx, shape, true)
				   : nat_choose_in(ctx, shape, false);
}

/* Makes the records of a flow that has none.  False after counting why not. */
static __always_inline bool nat_new(struct xdp_md *ctx, __u64 shape)
{
	union nat_choice chosen = { .word = nat_choose(ctx, shape) };
	union shape of = { .word = shape };
	__u32 held = 0;

	if (!chosen.backend)
		return false;
	/* A UDP packet may be a flow's first, for which all this looking would be idle. */
	if (of.protocol == XLB_TCP && !(of.flags & SHAPE_OPENING))
		held = nat_port_held(ctx, shape, chosen.backend);
	return of.flags & SHAPE_V6
		       ? nat_begin6(ctx, shape, chosen.slot, chosen.backend, held)
		       : nat_begin4(ctx, shape, chosen.slot, chosen.backend, held);
}

/* Is the packet of the connection that was recorded, not of a new one? */
static __always_inline bool nat_goes_on(const struct xlb_flow *flow, const struct packet *p,
					__u32 now, __u32 hz)
{
	return record_fresh(flow, packet_opens(p), now, hz) &&
	       !(packet_opens(p) && nat_closed(flow->closing));
}

/* What nat_forward() says when it has nothing to go by. */
enum nat_lack {
	NAT_NEW = 16,		/* no usable record: nat_new() */
	NAT_KEEP,		/* the records want care: nat_keep() */
};

static __always_inline int nat_forward_in(struct xdp_md *ctx, __u64 shape, bool ready,
					  const bool error, const bool v6)
{
	struct xlb_config *config = config_current();
	struct translation source, destination;
	__u32 now = bpf_jiffies64();
	struct xlb_target *target;
	struct xlb_flow *flow;
	struct packet p = {};
	struct hop hop = {};
	union tuple tuple;
	bool embryonic;
	enum way way;

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
	if (way == WAY_DROP)
		return XDP_DROP;
	if (way == WAY_UNKNOWN)
		return drop(forwarding_disabled);
	if (likely(way == WAY_SEND)) {
		if (!hop_usable(&p, &hop)) {
			way = WAY_STACK;
		} else if (!hops_left(&p, v6)) {
			return drop(ttl);
		} else if (unlikely(p.length > hop.mtu)) {
			if (!divisible(ctx, shape))
				return too_big(ctx, shape, hop.mtu);
			way = WAY_STACK;
		}
	}
	count_in(&p, flow->backend, false);
	source.address = (const __u32 *)flow->address;
	source.port = flow->port;
	destination.address = (const __u32 *)target->address;
	destination.port = target->port;
	rewrite_both(&p, &source, &destination, way == WAY_SEND, v6);
	return likely(way == WAY_SEND) ? transmit(&p, &hop) : XDP_PASS;
}

/* The packet by its flow's record: a verdict, or enum nat_lack unless `ready`. */
__noinline int nat_forward(struct xdp_md *ctx, __u64 shape, bool ready)
{
	union shape of = { .word = shape };

	return of.flags & SHAPE_V6 ? nat_forward_in(ctx, shape, ready, false, true)
				   : nat_forward_in(ctx, shape, ready, false, false);
}

/* The same for an error about one of the flow's packets, which makes no record. */
__noinline int nat_forward_error(struct xdp_md *ctx, __u64 shape)
{
	union shape of = { .word = shape };
	int verdict = of.flags & SHAPE_V6 ? nat_forward_in(ctx, shape, false, true, true)
					  : nat_forward_in(ctx, shape, false, true, false);

	return verdict < NAT_NEW ? verdict : XDP_PASS;
}

/* A packet of a service of mode nat.  Here, and not each within the other, because
 * the stack that a call may use is bounded. */
static __always_inline int nat(struct xdp_md *ctx, __u64 shape)
{
	int verdict = nat_forward(ctx, shape, false);
	bool kept = verdict == NAT_KEEP && nat_keep(ctx, shape);

	if (likely(verdict < NAT_NEW))
		return verdict;
	return kept || nat_new(ctx, shape) ? nat_forward(ctx, shape, true) : XDP_DROP;
}

#endif
