// SPDX-License-Identifier: GPL-2.0-only
/* Makes every repetition of BPF_PROG_TEST_RUN a packet of its own for the program under test. */
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bench.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bench_source);
} bench_source SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} bench_tested SEC(".maps");

struct frame {
	__u8 *start;
	__u8 *end;
};

/* The verifier wants each place checked, as it is known only at run time. */
static __always_inline void *frame_field(struct frame frame, __u8 offset, __u8 size)
{
	__u8 *field = frame.start + offset;

	return field + size <= frame.end ? field : NULL;
}

/* Accounts for `added` in what the checksum at `offset` covers. */
static __always_inline bool checksum_add(struct frame frame, __u8 offset, __u32 added,
					 __u16 zero)
{
	__be16 *check = frame_field(frame, offset, sizeof(*check));
	__u32 sum;

	if (!check)
		return false;
	sum = bpf_ntohs(~*check) + added;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	*check = bpf_htons(~sum) ?: zero;
	return true;
}

static __always_inline bool flow_write(const struct bench_source *source, struct frame frame,
				       __u32 flow)
{
	__be32 *address = frame_field(frame, source->address, sizeof(*address));
	__be16 *port = frame_field(frame, source->port, sizeof(*port));
	__u32 low = flow & ((1 << BENCH_PORT_BITS) - 1);
	__u32 added = (flow & 0xffff) + (flow >> 16);

	if (!address || !port)
		return false;
	*address |= bpf_htonl(flow);
	*port |= bpf_htons(low);
	if (source->ip_check && !checksum_add(frame, source->ip_check, added, 0))
		return false;
	return checksum_add(frame, source->check, added + low, source->zero_check);
}

/*
 * The buffer is one for all repetitions: what one packet has pushed in front the
 * next would find there, and after a few the headroom would be gone.  So the head
 * is put back.  That call is made for every packet of every row, whether there is
 * anything to put back or not, and takes as long either way: it is part of what
 * XDP_PASS takes on the same packets, and comes off with it.  The call by which a
 * tunnel makes room is the tunnel's own; the row "XDP_PASS with 20 bytes in front"
 * tells how much that is.
 */
static __always_inline bool head_restore(struct xdp_md *ctx)
{
	long grown = (void *)(long)ctx->data_end - (void *)(long)ctx->data - BENCH_FRAME_SIZE;

	return !bpf_xdp_adjust_head(ctx, grown);
}

SEC("xdp")
int bench_restore(struct xdp_md *ctx)
{
	__u32 key = 0, flow, i;
	struct bench_source *source = bpf_map_lookup_elem(&bench_source, &key);
	struct frame frame;

	if (!source || !head_restore(ctx))
		return XDP_ABORTED;
	frame.start = (void *)(long)ctx->data;
	frame.end = (void *)(long)ctx->data_end;
	if (frame.start + BENCH_FRAME_SIZE > frame.end)
		return XDP_ABORTED;
	flow = source->next;
	source->next = flow + source->step;
	if (source->next >= source->flows)
		source->next -= source->flows;
	for (i = 0; i < BENCH_FRAME_SIZE / 8; i++)
		((__u64 *)frame.start)[i] = source->frame[i];
	if (!flow_write(source, frame, flow))
		return XDP_ABORTED;
	bpf_tail_call(ctx, &bench_tested, 0);
	return XDP_ABORTED;
}

char _license[] SEC("license") = "GPL";
