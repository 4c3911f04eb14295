/* SPDX-License-Identifier: GPL-2.0-only */
/* Client to backend: a service's packet gets its backend's address and next hop. */
#ifndef XLB_BALANCE_H
#define XLB_BALANCE_H

#include "forward.h"
#include "pick.h"
#include "rewrite.h"

static __always_inline bool address_equal(const __u32 *a, const __u32 *b, const bool v6)
{
	__u32 difference = a[0] ^ b[0];

	if (v6)
		difference |= (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]);
	return !difference;
}

/*
 * A service on any address: the reply must come from the address that this
 * client asked for, which only a record can tell.  False: the backend already
 * talks to this client's port about another VIP, and could not tell the two
 * flows apart.
 */
static __always_inline bool reply_record(const struct packet *p, const struct xlb_config *config,
					 const struct xlb_target *target, struct choice *choice,
					 const bool v6, __u32 now)
{
	const __u32 *vip = v6 ? p->ip6->daddr.s6_addr32 : &p->ip4->daddr;
	const __u32 *client = v6 ? p->ip6->saddr.s6_addr32 : &p->ip4->saddr;
	struct xlb_flow flow = {
		.seen = now,
		.backend = choice->backend,
		.generation = target->generation,
		.direction = XLB_REPLY,
		.port = p->destination_port,
	};
	struct xlb_flow *old;
	union tuple tuple;
	bool embryonic, same;

	tuple_set(&tuple, target->address, client, target->port,
		  p->source_port, p->protocol, v6);
	__builtin_memcpy(flow.address, vip, v6 ? 16 : 4);
	old = record_find(&tuple, v6, &embryonic);
	if (old) {
		same = old->port == flow.port && address_equal((const __u32 *)old->address, vip, v6);
		if (same && old->generation == flow.generation) {
			record_touch(&tuple, old, v6, embryonic, p->opening, now);
			return true;
		}
		if (!same && record_fresh(old, true, now, config->hz))
			return false;
	}
	/* Whatever begins a record may be one of a flood; the next packet confirms it. */
	record_put(&tuple, &flow, v6, p->opening || !old);
	choice->recorded = true;
	return true;
}

static __always_inline int balance(struct packet *p, const struct xlb_config *config,
				   const struct xlb_service *service, const bool v6,
				   bool any_address)
{
	__u64 now = bpf_jiffies64();
	struct choice choice = {};
	struct xlb_target *target;
	struct translation to;
	enum way way;
	struct hop hop = {};

	if (unlikely(p->fault))
		return drop_faulty(p);

	pick(p, config, service, &choice, v6, false, now);
	target = target_at(choice.backend);
	if (unlikely(!choice.backend || !target))
		return drop(no_backend);

	way = route_backend(p, target, choice.backend, &hop, config->hz, v6, now);
	if (likely(way == WAY_SEND)) {
		if (unlikely(!hop_usable(p, &hop)))
			way = WAY_STACK;
		else if (unlikely(!hops_left(p, v6)))
			return drop(ttl);
	} else if (way == WAY_DROP) {
		return XDP_DROP;
	} else if (way == WAY_UNKNOWN) {
		return drop(forwarding_disabled);
	}
	if (unlikely(any_address) &&
	    !reply_record(p, config, target, &choice, v6, now))
		return drop(record_conflict);

	to.address = (const __u32 *)target->address;
	to.port = target->port;
	to.hop = way == WAY_SEND;
	rewrite(p, DESTINATION, &to, v6);
	count_in(p, choice.backend, p->opening || (p->protocol == XLB_UDP && choice.recorded));
	return likely(way == WAY_SEND) ? transmit(p, &hop) : XDP_PASS;
}

#endif
