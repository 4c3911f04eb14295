/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mode nat: the source that a flow gets towards its backend.  An address and port are
 * taken by the record of the flow's way back, which has them in its key.
 */
#ifndef XLB_NAT_PORT_H
#define XLB_NAT_PORT_H

#include "pick.h"

#define NAT_TRIES 16		/* ports looked at before giving up */
#define NAT_PORT_MIN 1024	/* of ports that are not the client's own */

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

/* Is the source of this record free for another flow? */
static __always_inline bool nat_expired(const struct xlb_flow *flow, bool embryonic,
					const struct xlb_config *config, __u32 now)
{
	struct xlb_target *target = target_at(flow->backend);
	__u32 life = embryonic || record_closed(flow) ? XLB_CLOSED_SECONDS : config->idle;

	return record_silence(flow, now) > life * config->hz || !target ||
	       target->generation != flow->generation;
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

/* Puts a record in the place of one that has expired, or of none: false: another CPU has
 * been there first. */
static __always_inline bool nat_reply_put(const union tuple *tuple, const struct xlb_flow *flow,
					  bool expired, bool embryonic, const bool v6)
{
	if (expired && embryonic && (v6 ? bpf_map_delete_elem(&xlb_embryos6, tuple)
					: bpf_map_delete_elem(&xlb_embryos4, tuple)))
		return false;
	if (v6 ? bpf_map_update_elem(&xlb_embryos6, tuple, flow, BPF_NOEXIST)
	       : bpf_map_update_elem(&xlb_embryos4, tuple, flow, BPF_NOEXIST))
		return false;
	if (expired && !embryonic && v6)
		bpf_map_delete_elem(&xlb_flows6, tuple);
	else if (expired && !embryonic)
		bpf_map_delete_elem(&xlb_flows4, tuple);
	return true;
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
	return nat_reply_put(tuple, &flow, old, embryonic, v6);
}

/* The ports that a flow tries, one after the other: first the client's own, if it has
 * one (RFC 768: UDP need not). */
static __always_inline __u16 nat_port_tried(const union tuple *tuple, const struct packet *p,
					    const struct xlb_config *config, __u32 number,
					    const bool v6)
{
	if (!number && p->shape.source_port)
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
	__u16 port = held ?: nat_port_tried(tuple, p, config, 0, v6);
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

#endif
