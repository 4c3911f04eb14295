/* SPDX-License-Identifier: GPL-2.0-only */
/* A packet goes forward to a backend, back to a client, or is none of ours. */
#ifndef XLB_DIRECT_H
#define XLB_DIRECT_H

#include "admit.h"
#include "balance.h"
#include "relay.h"
#include "reply.h"

/* Where a service on any address does not listen. */
static __always_inline bool destination_odd(const struct packet *p, const bool v6)
{
	return p->ctx->ingress_ifindex != LOOPBACK_IFINDEX &&
	       (v6 ? address6_odd(&p->ip6->daddr) : address4_odd(p->ip4->daddr));
}

/* Does the packet answer a client that asked from the port of a service on any address?
 * Whoever backends are asked by records of theirs may as well ask somebody themselves. */
static __always_inline bool answers(const union tuple *tuple, const struct xlb_needs *needs,
				    const bool v6)
{
	struct xlb_reply *reply = reply_find(tuple, needs, v6);
	struct xlb_flow *flow;
	bool embryonic;

	if (!reply || !reply->by_flow)
		return reply;
	flow = record_find(tuple, v6, &embryonic);
	return flow && (flow->direction == XLB_REPLY || flow->direction == XLB_NAT_REPLY);
}

/* A verdict, or the packet's shape: a record has to be asked. */
static __always_inline __u64 direct(struct packet *p, const struct xlb_config *config,
				    const bool v6)
{
	struct xlb_service *service;
	union tuple tuple;
	bool any_address;
	int refused;

	tuple_of(&tuple, p, v6);
	service = service_find(&tuple, &config->needs, v6, &any_address);
	if (!service || (unlikely(any_address) && answers(&tuple, &config->needs, v6)))
		return reply(p, &tuple, config, v6);
	/* All zero is how a service on any address is written down. */
	if (unlikely(any_address || !*tuple_destination(&tuple, v6)) && destination_odd(p, v6))
		return drop(bad_destination);
	/* What is dropped anyhow takes nothing from the limit. */
	if (unlikely(guarded(config, service, v6)) && !packet_fault(p)) {
		refused = admit_client(p, &tuple, config, service, v6);
		if (refused)
			return refused;
	}
	return balance(p, &tuple, config, service, v6);
}

/* Returned by plain(): the frame is not. */
#define NOT_PLAIN VERDICT_END

/* The usual way of a packet, in one piece: as direct(). */
__noinline __u64 plain(struct xdp_md *ctx)
{
	struct xlb_config *config = config_current();
	struct packet p = {};

	if (unlikely(!config))
		return XDP_PASS;
	switch (parse_plain(&p, ctx)) {
	case ETH_P_IP:
		return direct(&p, config, false);
	case ETH_P_IPV6:
		return direct(&p, config, true);
	default:
		return NOT_PLAIN;
	}
}

static __always_inline __u64 odd_in(struct xdp_md *ctx, __u64 shape, const bool error,
				    const bool v6)
{
	struct xlb_config *config = config_current();
	struct packet p = {};

	if (!config || !shape_find(&p, ctx, shape, error, v6))
		return XDP_PASS;
	return direct(&p, config, v6);
}

/* TCP and UDP that is not plain: as direct(). */
__noinline __u64 odd(struct xdp_md *ctx, __u64 shape)
{
	union shape of = { .word = shape };

	return of.flags & SHAPE_V6 ? odd_in(ctx, shape, false, true)
				   : odd_in(ctx, shape, false, false);
}

/* An error about such a packet: as direct(). */
__noinline __u64 error(struct xdp_md *ctx, __u64 shape)
{
	union shape of = { .word = shape };

	return of.flags & SHAPE_V6 ? odd_in(ctx, shape, true, true)
				   : odd_in(ctx, shape, true, false);
}

#endif
