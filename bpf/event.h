/* SPDX-License-Identifier: GPL-2.0-only */
/* What `xlb monitor` is told of single packets.  Nothing, unless it runs and wants it. */
#ifndef XLB_EVENT_H
#define XLB_EVENT_H

#include "count.h"

/* Somebody watches for this kind, and this CPU has not yet sent all that it may. */
static __always_inline bool event_due(__u32 kind)
{
	__u32 zero = 0, now = bpf_jiffies64();
	struct xlb_watch *watch = bpf_map_lookup_elem(&xlb_watch, &zero);
	struct xlb_sample *sample;

	if (!watch || bpf_jiffies64() >= watch->until || !(watch->kinds & 1 << kind))
		return false;
	sample = bpf_map_lookup_elem(&xlb_samples, &kind);
	if (!sample)
		return false;
	if (now - sample->since >= watch->interval) {
		sample->since = now;
		sample->sent = 0;
	}
	if (sample->sent >= XLB_EVENTS_MAX) {
		sample->missed++;
		return false;
	}
	sample->sent++;
	return true;
}

/* There was no room in the ring. */
static __always_inline void event_missed(__u32 kind)
{
	struct xlb_sample *sample = bpf_map_lookup_elem(&xlb_samples, &kind);

	if (sample)
		sample->missed++;
}

/* The frame's first bytes, in words: bpf_xdp_load_bytes() is Linux 5.18's. */
static __always_inline void event_frame(struct xlb_event *event, struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 *to = (__u32 *)event->frame;
	__u32 length = 0;

#pragma clang loop unroll(full)
	for (int i = 0; i < XLB_EVENT_FRAME / 4; i++) {
		if (data + 4 * i + 4 > end)
			break;
		to[i] = ((__u32 *)data)[i];
		length = 4 * i + 4;
	}
	event->length = length;
}

/* What a packet is told of, as a called function can be given it. */
union occasion {
	__u64 word;
	struct {
		enum xlb_event_kind kind;
		__u8 reason;
		__u8 action;
		__u8 happened;	/* 0: nothing has; to ask here, and not before the call,
				 * spares old verifiers thousands of steps */
		__u16 backend;
	};
};

/* The occasion, and besides when, where, and the frame as it is now. */
__noinline int event(struct xdp_md *ctx, __u64 word)
{
	union occasion occasion = { .word = word };
	struct xlb_event *event;

	if (!occasion.happened || !event_due(occasion.kind))
		return 0;
	event = bpf_ringbuf_reserve(&xlb_events, sizeof(*event), 0);
	if (!event) {
		event_missed(occasion.kind);
		return 0;
	}
	event->time = bpf_ktime_get_ns();
	event->ifindex = ctx->ingress_ifindex;
	event->backend = occasion.backend;
	event->kind = occasion.kind;
	event->reason = occasion.reason;
	event->action = occasion.action;
	__builtin_memset(event->reserved, 0, sizeof(event->reserved));
	event_frame(event, ctx);
	bpf_ringbuf_submit(event, 0);
	return 0;
}

/* A packet counts as dropped by this verdict. */
static __always_inline void event_drop(struct xdp_md *ctx, __u32 verdict)
{
	union occasion occasion = {
		.kind = XLB_EVENT_DROP,
		.reason = (verdict >> VERDICT_SHIFT) - 1,
		.action = verdict,
		.happened = 1,
	};

	event(ctx, occasion.word);
}

/* This packet, not rewritten yet, has made a record of its flow to the backend, or not. */
static __always_inline void event_flow(struct xdp_md *ctx, __u16 backend, __u8 recorded)
{
	union occasion occasion = {
		.kind = XLB_EVENT_FLOW,
		.happened = recorded,
		.backend = backend,
	};

	event(ctx, occasion.word);
}

#endif
