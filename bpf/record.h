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

/* For how many jiffies nothing was seen of the flow; another CPU may have seen something
 * since this one looked at the clock. */
static __always_inline __u32 record_silence(const struct xlb_flow *flow, __u32 now)
{
	__u32 silence = now - flow->seen;

	return silence < 0xffff0000 ? silence : 0;
}

/* Of mode nat: does its flow want no more of it? */
static __always_inline bool record_closed(const struct xlb_flow *flow)
{
	const enum xlb_closing both = XLB_CLOSING_CLIENT | XLB_CLOSING_BACKEND;

	return flow->closing & XLB_CLOSING_RESET || (flow->closing & both) == both;
}

/* A SYN follows a record only as a retransmission. */
static __always_inline bool record_fresh(const struct xlb_flow *flow, bool opening, __u32 now,
					 __u32 hz)
{
	return !opening || record_silence(flow, now) <= SYN_RETRANSMIT_SECONDS * hz;
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
