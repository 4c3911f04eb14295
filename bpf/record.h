/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Records of single flows: embryonic ones, made by a SYN or by the first packet
 * to a service on any address, and those of flows that have gone on since.  The
 * two kinds are apart so that a flood cannot wash out what is established.
 */
#ifndef XLB_RECORD_H
#define XLB_RECORD_H

#include "service.h"

/* A retransmitted SYN follows its record this long; later, the client is using
 * the port again for a new connection. */
#define SYN_RETRANSMIT_SECONDS 3

/* A flow's key, in words: IPv4 has its addresses in one, IPv6 in four; ports and
 * protocol are the last. */
union tuple {
	__u64 word[5];
	struct xlb_tuple4 v4;
	struct xlb_tuple6 v6;
};

/* Addresses in network order, 4 or 16 bytes each; ports in host order. */
static __always_inline void tuple_set(union tuple *tuple, const void *source,
				      const void *destination, __u16 source_port,
				      __u16 destination_port, __u8 protocol, const bool v6)
{
	__u64 last = source_port | (__u32)destination_port << 16 | (__u64)protocol << 32;

	if (v6) {
		tuple->word[0] = ((const __u64 *)source)[0];
		tuple->word[1] = ((const __u64 *)source)[1];
		tuple->word[2] = ((const __u64 *)destination)[0];
		tuple->word[3] = ((const __u64 *)destination)[1];
		tuple->word[4] = last;
	} else {
		tuple->word[0] = *(const __u32 *)source |
				 (__u64)*(const __u32 *)destination << 32;
		tuple->word[1] = last;
	}
}

static __always_inline void tuple_of(union tuple *tuple, const struct packet *p, const bool v6)
{
	if (v6)
		tuple_set(tuple, &p->ip6->saddr, &p->ip6->daddr, p->source_port,
			  p->destination_port, p->protocol, true);
	else
		tuple_set(tuple, &p->ip4->saddr, &p->ip4->daddr, p->source_port,
			  p->destination_port, p->protocol, false);
}

static __always_inline struct xlb_flow *record_find(const union tuple *tuple, const bool v6,
						    bool *embryonic)
{
	struct xlb_flow *flow;

	flow = v6 ? bpf_map_lookup_elem(&xlb_flows6, tuple)
		  : bpf_map_lookup_elem(&xlb_flows4, tuple);
	*embryonic = false;
	if (flow)
		return flow;
	*embryonic = true;
	return v6 ? bpf_map_lookup_elem(&xlb_embryos6, tuple)
		  : bpf_map_lookup_elem(&xlb_embryos4, tuple);
}

/* Leaves exactly one record of the flow, in the map where it belongs. */
static __always_inline void record_put(const union tuple *tuple, const struct xlb_flow *flow,
				       const bool v6, bool embryonic)
{
	if (embryonic) {
		if (v6) {
			bpf_map_update_elem(&xlb_embryos6, tuple, flow, BPF_ANY);
			bpf_map_delete_elem(&xlb_flows6, tuple);
		} else {
			bpf_map_update_elem(&xlb_embryos4, tuple, flow, BPF_ANY);
			bpf_map_delete_elem(&xlb_flows4, tuple);
		}
	} else {
		if (v6) {
			bpf_map_update_elem(&xlb_flows6, tuple, flow, BPF_ANY);
			bpf_map_delete_elem(&xlb_embryos6, tuple);
		} else {
			bpf_map_update_elem(&xlb_flows4, tuple, flow, BPF_ANY);
			bpf_map_delete_elem(&xlb_embryos4, tuple);
		}
	}
}

/* The line is left alone when there is nothing new: replies and requests of a flow
 * may be on different CPUs. */
static __always_inline void record_seen(struct xlb_flow *flow, __u32 now)
{
	if (flow->seen != now)
		flow->seen = now;
}

/* The flow has been seen again; a packet that opens nothing confirms it. */
static __always_inline void record_touch(const union tuple *tuple, struct xlb_flow *flow,
					 const bool v6, bool embryonic, bool opening, __u32 now)
{
	record_seen(flow, now);
	if (embryonic && !opening) {
		struct xlb_flow confirmed = *flow;

		record_put(tuple, &confirmed, v6, false);
	}
}

/* A SYN follows a record only as a retransmission. */
static __always_inline bool record_fresh(const struct xlb_flow *flow, bool opening, __u32 now,
					 __u32 hz)
{
	return !opening || now - flow->seen <= SYN_RETRANSMIT_SECONDS * hz;
}

/* May this CPU record one more flow that is older than a change?  Without the
 * bound, packets of flows that never were could fill the table. */
static __always_inline bool record_allowed(const struct xlb_config *config, __u64 now)
{
	__u32 zero = 0;
	struct xlb_budget *budget = bpf_map_lookup_elem(&xlb_budget, &zero);

	if (!budget)
		return false;
	if ((__u32)now - budget->since >= config->hz) {
		budget->since = now;
		budget->made = 0;
	}
	if (budget->made >= config->records) {
		budget->refused++;
		budget->refused_at = now;
		return false;
	}
	budget->made++;
	return true;
}

#endif
