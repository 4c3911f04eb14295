/* SPDX-License-Identifier: GPL-2.0-only */
/* Backend to client: the packet gets back the address that the client asked for. */
#ifndef XLB_REPLY_H
#define XLB_REPLY_H

#include "forward.h"
#include "record.h"
#include "rewrite.h"

static __always_inline struct xlb_reply *reply_at(const struct packet *p, __u16 port,
						  const bool v6)
{
	union endpoint4 endpoint4;
	union endpoint6 endpoint6;

	if (v6) {
		endpoint6_set(&endpoint6, &p->ip6->saddr, port, p->protocol);
		return bpf_map_lookup_elem(&xlb_replies6, &endpoint6);
	}
	endpoint4_set(&endpoint4, p->ip4->saddr, port, p->protocol);
	return bpf_map_lookup_elem(&xlb_replies4, &endpoint4);
}

/* The VIP of a flow to a service on any address. */
static __always_inline bool reply_recorded(const struct packet *p, struct translation *to,
					   const bool v6)
{
	struct xlb_flow *flow;
	union tuple tuple;
	bool embryonic;

	tuple_of(&tuple, p, v6);
	flow = record_find(&tuple, v6, &embryonic);
	if (!flow || flow->direction != XLB_REPLY)
		return false;
	record_seen(flow, bpf_jiffies64());
	to->address = (const __u32 *)flow->address;
	to->port = flow->port;
	return true;
}

static __always_inline int reply(struct packet *p, const struct xlb_config *config, const bool v6)
{
	const struct xlb_needs *needs = &config->needs;
	struct xlb_reply *reply = reply_at(p, p->source_port, v6);
	struct translation to;
	enum way way;
	struct hop hop = {};

	if (!reply && unlikely(v6 ? needs->any_port6 : needs->any_port4))
		reply = reply_at(p, 0, v6);
	if (!reply)
		return XDP_PASS;
	to.address = (const __u32 *)reply->address;
	to.port = reply->port;
	if (unlikely(reply->by_flow) && !reply_recorded(p, &to, v6))
		return XDP_PASS;

	way = route_client(p, to.address, reply->backend, &hop, config->hz, v6);
	/* This machine's own connection to a backend: a health check, say.  Where
	 * the kernel does not forward it cannot tell which it is, but can only
	 * be that. */
	if (way == WAY_LOCAL || way == WAY_UNKNOWN)
		return XDP_PASS;
	if (unlikely(way == WAY_DROP))
		return XDP_DROP;
	if (unlikely(p->fault))
		return drop_faulty(p);
	if (likely(way == WAY_SEND)) {
		if (!hop_usable(p, &hop))
			way = WAY_STACK;
		else if (unlikely(!hops_left(p, v6)))
			return drop(ttl);
	}
	to.hop = way == WAY_SEND;
	rewrite(p, SOURCE, &to, v6);
	count_out(p, reply->backend);
	return likely(way == WAY_SEND) ? transmit(p, &hop) : XDP_PASS;
}

#endif
