/* SPDX-License-Identifier: GPL-2.0-only */
/* What happened: counters per backend, and drops by reason. */
#ifndef XLB_COUNT_H
#define XLB_COUNT_H

#include "parse.h"

/* A reason's number is its field's place in struct xlb_drops. */
#define DROP_REASON(field) (__builtin_offsetof(struct xlb_drops, field) / sizeof(__u64))

#define drop(field) drop_reason(DROP_REASON(field))

static __always_inline int drop_reason(__u32 reason)
{
	__u32 zero = 0;
	__u64 *drops = bpf_map_lookup_elem(&xlb_drops, &zero);

	pin_down(reason);
	if (drops && reason < sizeof(struct xlb_drops) / sizeof(*drops))
		drops[reason]++;
	return XDP_DROP;
}

static __always_inline void count_in(const struct packet *p, __u32 backend, bool connection)
{
	struct xlb_stats *stats = bpf_map_lookup_elem(&xlb_stats, &backend);

	if (unlikely(!stats))
		return;
	stats->in_packets++;
	stats->in_bytes += p->bytes;
	stats->connections += connection;
}

static __always_inline void count_connection(__u32 backend)
{
	struct xlb_stats *stats = bpf_map_lookup_elem(&xlb_stats, &backend);

	if (stats)
		stats->connections++;
}

static __always_inline void count_out(const struct packet *p, __u32 backend)
{
	struct xlb_stats *stats = bpf_map_lookup_elem(&xlb_stats, &backend);

	if (unlikely(!stats))
		return;
	stats->out_packets++;
	stats->out_bytes += p->bytes;
}

#endif
