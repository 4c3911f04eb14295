// SPDX-License-Identifier: GPL-2.0-only
/* Runs one row of the benchmark: restored packets through a program, verified and timed. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "rows.h"

/* Packets sent before the clock starts: all of a few flows, enough of many. */
#define WARM_UP 20000
/* Packets looked at one by one, and how many backends that many must reach. */
#define VERIFIED 256
#define VERIFIED_BACKENDS (BACKENDS / 2)

/* Packets between a flow's first and its second while flows are established: fewer than
 * xlb has room for unconfirmed records. */
#define ESTABLISHED_AT_ONCE 2000
/* How far on the next flow is, which has nothing in common with any number of flows:
 * records lie in memory as they were made, and must not be used in that order. */
#define STEP 618031
#define SECOND 1e9
#define SILENCE (1.1 * SECOND)

/* What one BPF_PROG_TEST_RUN came to. */
struct result {
	__u32 verdict;
	struct result_frame frame;	/* the last packet */
	double ns;			/* per packet */
};

void rows_prepare(void)
{
	unsigned i;

	for (i = 0; i < row_count; i++) {
		struct row *row = &rows[i];

		row->traffic.clients = row->shared ? rows[i - 1].traffic.clients : i;
		traffic_source(&row->traffic, &row->source);
		row->source.step = STEP % row->traffic.flows;
	}
}

static int row_failed(const struct row *row, const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", row->name, what);
	return -1;
}

/* CLOCK_THREAD_CPUTIME_ID is the time that this thread has had: the kernel's own figure
 * is of whole nanoseconds, and counts those that others on the machine took. */
static double clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * SECOND + now.tv_nsec;
}

/* The first row that has these clients. */
static struct row *row_owner(const struct row *row)
{
	return &rows[row->traffic.clients];
}

/* Sends packets from row->source.next on, and leaves it there. */
static int row_run(const struct world *world, const struct row *row, enum program program,
		   unsigned packets, struct result *result)
{
	const __u8 frame[BENCH_FRAME_SIZE] = {};
	struct xdp_md context = {
		.data_end = BENCH_FRAME_SIZE,
		.ingress_ifindex = row->side ? world->side : world->near,
	};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = sizeof(frame),
		    .data_out = result->frame.bytes,
		    .data_size_out = sizeof(result->frame.bytes),
		    .ctx_in = &context, .ctx_size_in = sizeof(context), .repeat = packets);
	const __u32 zero = 0;
	double begin;

	if (bpf_map_update_elem(world->source, &zero, &row->source, BPF_ANY) ||
	    bpf_map_update_elem(world->tested, &zero, &world->programs[program], BPF_ANY))
		return row_failed(row, strerror(errno));
	begin = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	if (bpf_prog_test_run_opts(world->restore, &options))
		return row_failed(row, strerror(errno));
	result->ns = (clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin) / packets;
	result->verdict = options.retval;
	result->frame.length = options.data_size_out;
	if (program != PASS)
		row_owner(row)->last = clock_ns(CLOCK_MONOTONIC);
	return 0;
}

static void row_skip(struct row *row, unsigned packets)
{
	row->source.next = (row->source.next + (__u64)row->source.step * packets) %
			   row->traffic.flows;
}

static __u32 verdict_expected(const struct row *row)
{
	if (row->outcome == UNTOUCHED || row->outcome == PUSHED)
		return XDP_PASS;
	return row->side ? XDP_REDIRECT : XDP_TX;
}

/* Holds what became of the packet of row->source.next against what must. */
static int row_judge(const struct world *world, const struct row *row,
		     const struct result *result, unsigned *backend)
{
	enum memory memory;
	struct result before;
	const char *wrong;
	char text[64];

	if (result->verdict != verdict_expected(row)) {
		snprintf(text, sizeof(text), "verdict %u instead of %u", result->verdict,
			 verdict_expected(row));
		return row_failed(row, text);
	}
	if (row_run(world, row, PASS, 1, &before))
		return -1;
	wrong = frame_judge(&row->traffic, row->outcome, row->program >= XLB, &before.frame,
			    &result->frame, backend);
	if (wrong)
		return row_failed(row, wrong);
	memory = world_memory(world, row->program, row->traffic.family, before.frame.bytes);
	if (row->memory != NO_MATTER && row->memory != memory)
		return row_failed(row, memory == UNRECORDED  ? "flow not recorded"
				       : memory == EMBRYONIC ? "flow not confirmed"
							     : "flow recorded");
	return 0;
}

/* Has all flows of the row made and confirmed, unless another row of theirs has. */
static int row_establish(const struct world *world, const struct row *row)
{
	const __u32 flows = row->traffic.flows;
	struct row ordered = *row;
	struct result result;
	unsigned packets, i;

	if (row_owner(row)->ready >= flows)
		return 0;
	row_owner(row)->ready = flows;
	if (row->traffic.reply)
		return world_replies(world, row->program, &row->traffic, &row->source)
			       ? row_failed(row, strerror(errno))
			       : 0;
	ordered.source.step = flows > 1;
	for (ordered.source.next = 0; ordered.source.next < flows;
	     ordered.source.next += packets) {
		packets = flows - ordered.source.next;
		if (packets > ESTABLISHED_AT_ONCE)
			packets = ESTABLISHED_AT_ONCE;
		for (i = 0; i < 2; i++)
			if (row_run(world, &ordered, row->program, packets, &result))
				return -1;
	}
	return 0;
}

int row_verify(const struct world *world, struct row *row)
{
	const __u32 flows = row->traffic.flows;
	bool reached[BACKENDS] = {};
	unsigned i, backend, distinct = 0;
	struct result result;

	if (world_records(world, row->program, row->records))
		return row_failed(row, strerror(errno));
	if (row->established && row_establish(world, row))
		return -1;
	for (i = 0; i < VERIFIED; i++) {
		backend = BACKENDS;
		row->source.next = (__u64)flows * i / VERIFIED;
		if (row_run(world, row, row->program, 1, &result) ||
		    row_judge(world, row, &result, &backend))
			return -1;
		if (backend < BACKENDS && !reached[backend]) {
			reached[backend] = true;
			distinct++;
		}
	}
	row->source.next = 0;
	if (distinct && flows > 1 && distinct < VERIFIED_BACKENDS)
		return row_failed(row, "reaches too few backends");
	return 0;
}

/* What must have happened before the clock starts, to measure that many packets. */
static int row_warm(const struct world *world, struct row *row, unsigned packets)
{
	struct result result;
	double silence;

	/* Only these flows, for all would take longer than a second and age meanwhile.
	 * Records of so many are more than caches hold. */
	if (row->established && !row->silent)
		return row_run(world, row, row->program, packets, &result);
	if (row->silent) {
		silence = clock_ns(CLOCK_MONOTONIC) - row_owner(row)->last;
		if (silence < SILENCE)
			usleep((SILENCE - silence) / 1000);
	}
	if (row_run(world, row, row->program, WARM_UP, &result))
		return -1;
	row_skip(row, WARM_UP);
	return 0;
}

int row_measure(const struct world *world, struct row *row, unsigned packets, double *sample,
		double *pass)
{
	struct result result;
	unsigned backend;

	if (world_records(world, row->program, row->records))
		return row_failed(row, strerror(errno));
	if (row_run(world, row, PASS, packets, &result))
		return -1;
	*pass = result.ns;
	if (row_warm(world, row, packets))
		return -1;
	if (row_run(world, row, row->program, packets, &result))
		return -1;
	*sample = result.ns - *pass;
	row_skip(row, packets - 1);
	if (row_judge(world, row, &result, &backend))
		return -1;
	row_skip(row, 1);
	return 0;
}
