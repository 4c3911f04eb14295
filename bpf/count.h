/* SPDX-License-Identifier: GPL-2.0-only */
/* What happened: counters per backend, and verdicts with the reason for a drop. */
#ifndef XLB_COUNT_H
#define XLB_COUNT_H

#include "parse.h"

/* A reason's number is its field's place in struct xlb_drops. */
#define DROP_REASON(field) (__builtin_offsetof(struct xlb_drops, field) / sizeof(__u64))

/*
 * A verdict tells in its second byte why the packet counts as dropped: the reason's
 * number and 1, or 0 where it does not.  So whoever finds a reason only returns it,
 * and verdict_end() counts it.
 */
#define VERDICT_SHIFT 8
#define VERDICT_END 0x8000	/* above: no verdict, but what a function has to say instead */

#define drop_reason(reason) verdict_counted(XDP_DROP, reason)
#define drop(field) drop_reason(DROP_REASON(field))

/* The packet is lost, and yet a frame goes somewhere: an answer to it, say. */
static __always_inline int verdict_counted(enum xdp_action action, __u32 reason)
{
	return action | (reason + 1) << VERDICT_SHIFT;
}

/* What the kernel is to do. */
static __always_inline int verdict_end(__u32 verdict)
{
	__u32 zero = 0, reason = (verdict >> VERDICT_SHIFT) - 1;
	__u64 *drops;

	if (likely(verdict <= XDP_REDIRECT))
		return verdict;
	drops = bpf_map_lookup_elem(&xlb_drops, &zero);
	pin_down(reason);
	if (drops && reason < sizeof(struct xlb_drops) / sizeof(*drops))
		drops[reason]++;
	return verdict & ((1 << VERDICT_SHIFT) - 1);
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

static __always_inline void count_out(const struct packet *p, __u32 backend)
{
	struct xlb_stats *stats = bpf_map_lookup_elem(&xlb_stats, &backend);

	if (unlikely(!stats))
		return;
	stats->out_packets++;
	stats->out_bytes += p->bytes;
}

#endif
