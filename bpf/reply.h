/* SPDX-License-Identifier: GPL-2.0-only */
/* Backend to client: the packet gets back the address that the client asked for. */
#ifndef XLB_REPLY_H
#define XLB_REPLY_H

#include "nat.h"

static __always_inline struct xlb_reply *reply_at(const union tuple *tuple, __u16 port,
						  const bool v6)
{
	union endpoint endpoint;

	endpoint_source(&endpoint, tuple, port, v6);
	return v6 ? bpf_map_lookup_elem(&xlb_replies6, &endpoint)
		  : bpf_map_lookup_elem(&xlb_replies4, &endpoint);
}

static __always_inline struct xlb_reply *reply_find(const union tuple *tuple,
						    const struct xlb_needs *needs, const bool v6)
{
	struct xlb_reply *reply = reply_at(tuple, tuple_source_port(tuple, v6), v6);

	if (!reply && unlikely(v6 ? needs->any_port6 : needs->any_port4))
		reply = reply_at(tuple, 0, v6);
	return reply;
}

/* The packet of a backend, once it is known what it becomes.  `client`: its new
 * destination, NULL where that stays.  `vips`: as in route_client(). */
static __always_inline int reply_send(struct packet *p, const struct xlb_config *config,
				      const struct translation *vip,
				      const struct translation *client, __u32 backend,
				      const bool vips, const bool v6)
{
	const __u32 *to = v6 ? p->ip6->daddr.s6_addr32 : &p->ip4->daddr;
	struct hop hop = { .mtu = MTU_UNKNOWN };
	int way;

	way = route_client(p->ctx, client ? client->address : to, vip->address, backend,
			   p->shape.protocol, &hop, config->hz, vips, v6);
	/* This machine's own connection to a backend: a health check, say.  Where
	 * the kernel does not forward it cannot tell which it is, but can only
	 * be that. */
	if (!client && (way == WAY_LOCAL || way == WAY_UNKNOWN))
		return XDP_PASS;
	if (unlikely(way >= WAY_DROP))
		return way;
	if (unlikely(way == WAY_UNKNOWN))
		return drop(forwarding_disabled);
	if (unlikely(packet_fault(p)))
		return drop_reason(packet_fault(p));
	if (unlikely(p->length > hop.mtu) && hop_limits(p)) {
		if (!divisible(p->ctx, p->shape.word))
			return too_big(p->ctx, p->shape.word, hop.mtu);
		way = WAY_STACK;
	}
	if (likely(way == WAY_SEND)) {
		if (!hop_usable(p, &hop))
			way = WAY_STACK;
		else if (unlikely(!hops_left(p, v6)))
			return drop(ttl);
	}
	if (client)
		rewrite_both(p, vip, client, way == WAY_SEND, v6);
	else
		rewrite(p, SOURCE, vip, way == WAY_SEND, v6);
	count_out(p, backend);
	return likely(way == WAY_SEND) ? transmit(p, &hop) : XDP_PASS;
}

/* A backend's FIN or RST: the record of the way there is to know it as well. */
static __always_inline void nat_close(struct xlb_flow *back, const struct packet *p,
				      enum xlb_closing closing, const bool v6)
{
	struct xlb_flow *flow;
	union tuple tuple;
	bool embryonic;

	back->closing |= closing;
	tuple_set(&tuple, back->client, back->address, back->client_port, back->port,
		  p->shape.protocol, v6);
	flow = record_find(&tuple, v6, &embryonic);
	if (flow && flow->direction == XLB_NAT_FORWARD)
		flow->closing |= closing;
}

static __always_inline bool nat_source_is(const struct xlb_config *config, const __u32 *address,
					  const bool v6)
{
	const __u32 count = v6 ? config->nat6_count : config->nat4_count;

	for (__u32 i = 0; i < XLB_NAT_ADDRESSES; i++)
		if (i < count && address_equal(v6 ? (const __u32 *)config->nat6[i]
						  : (const __u32 *)config->nat4[i],
					       address, v6))
			return true;
	return false;
}

/* Is the packet for a socket of this machine, which asks a backend how it is, say? */
static __always_inline bool socket_own(const struct packet *p, const bool v6)
{
	const __u32 size = v6 ? sizeof(((struct bpf_sock_tuple *)0)->ipv6)
			      : sizeof(((struct bpf_sock_tuple *)0)->ipv4);
	struct bpf_sock_tuple ends = {};
	struct bpf_sock *found;
	bool connected;

	if (v6) {
		__builtin_memcpy(ends.ipv6.saddr, packet_source(p, v6), 16);
		__builtin_memcpy(ends.ipv6.daddr, packet_destination(p, v6), 16);
		ends.ipv6.sport = bpf_htons(p->shape.source_port);
		ends.ipv6.dport = bpf_htons(p->shape.destination_port);
	} else {
		ends.ipv4.saddr = *packet_source(p, v6);
		ends.ipv4.daddr = *packet_destination(p, v6);
		ends.ipv4.sport = bpf_htons(p->shape.source_port);
		ends.ipv4.dport = bpf_htons(p->shape.destination_port);
	}
	if (p->shape.protocol == XLB_TCP) {
		found = bpf_skc_lookup_tcp(p->ctx, &ends, size, BPF_F_CURRENT_NETNS, 0);
		if (!found)
			return false;
		connected = found->state != BPF_TCP_LISTEN;
		bpf_sk_release(found);
		return connected;
	}
	found = bpf_sk_lookup_udp(p->ctx, &ends, size, BPF_F_CURRENT_NETNS, 0);
	if (!found)
		return false;
	bpf_sk_release(found);
	return true;
}

static __always_inline int reply_recorded_in(struct xdp_md *ctx, __u64 shape, const bool error,
					     const bool v6)
{
	struct xlb_config *config = config_current();
	struct translation vip, client;
	enum xlb_closing closing;
	struct xlb_reply *reply;
	struct xlb_flow *flow;
	struct packet p = {};
	union tuple tuple;
	bool embryonic;

	if (!config || !shape_find(&p, ctx, shape, error, v6))
		return XDP_PASS;
	tuple_of(&tuple, &p, v6);
	flow = record_find(&tuple, v6, &embryonic);
	if (flow && (flow->direction == XLB_REPLY || flow->direction == XLB_NAT_REPLY)) {
		if (!error)
			record_seen(flow, bpf_jiffies64());
		vip.address = (const __u32 *)flow->address;
		vip.port = flow->port;
		if (flow->direction == XLB_REPLY)
			return reply_send(&p, config, &vip, NULL, flow->backend, true, v6);
		closing = packet_closes(&p, XLB_CLOSING_BACKEND);
		if (closing)
			nat_close(flow, &p, closing, v6);
		client.address = (const __u32 *)flow->client;
		client.port = flow->client_port;
		return reply_send(&p, config, &vip, &client, flow->backend, true, v6);
	}
	reply = reply_find(&tuple, &config->needs, v6);
	/* The kernel would reset what goes on once the client's next packet has made the
	 * record again. */
	if (reply && !error && !packet_opens(&p) &&
	    nat_source_is(config, packet_destination(&p, v6), v6) && !socket_own(&p, v6))
		return drop(no_port);
	if (!reply || !(((__u64 *)reply->address)[0] | ((__u64 *)reply->address)[1]))
		return XDP_PASS;
	vip.address = (const __u32 *)reply->address;
	vip.port = reply->port;
	return reply_send(&p, config, &vip, NULL, reply->backend, true, v6);
}

/* From a backend whose address alone does not say which VIP it answers for. */
__noinline int reply_recorded(struct xdp_md *ctx, __u64 shape)
{
	union shape of = { .word = shape };

	return of.flags & SHAPE_V6 ? reply_recorded_in(ctx, shape, false, true)
				   : reply_recorded_in(ctx, shape, false, false);
}

/* The same for an error about a packet that went to the backend. */
__noinline int reply_recorded_error(struct xdp_md *ctx, __u64 shape)
{
	union shape of = { .word = shape };

	return of.flags & SHAPE_V6 ? reply_recorded_in(ctx, shape, true, true)
				   : reply_recorded_in(ctx, shape, true, false);
}

/* A verdict, or the packet's shape: its flow's record has to be asked. */
static __always_inline __u64 reply(struct packet *p, const union tuple *tuple,
				   const struct xlb_config *config, const bool v6)
{
	struct xlb_reply *reply = reply_find(tuple, &config->needs, v6);
	struct translation vip;

	if (!reply)
		return XDP_PASS;
	if (unlikely(reply->by_flow)) {
		p->shape.flags |= SHAPE_REPLY;
		return p->shape.word;
	}
	vip.address = (const __u32 *)reply->address;
	vip.port = reply->port;
	return reply_send(p, config, &vip, NULL, reply->backend, false, v6);
}

#endif
