// SPDX-License-Identifier: GPL-2.0-only
/* Runs one row of the benchmark: restored packets through a program, verified and timed. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "rows.h"

#define FEW 10000
#define MANY 1000000

/* Packets sent before the clock starts: all of a few flows, enough of many. */
#define WARM_UP (2 * FEW)
/* Packets looked at one by one, and how many backends that many must reach. */
#define VERIFIED 256
#define VERIFIED_BACKENDS (BACKENDS / 2)

struct row rows[] = {
	{ "XDP_PASS", PASS, .traffic = { IPV4, XLB_TCP, .flows = MANY }, .outcome = UNTOUCHED },
	{ "MAC swap", BOUNCE, .traffic = { IPV4, XLB_TCP, .flows = MANY }, .outcome = BOUNCED },
	{ "seed balancer, 1 flow", SEED, .traffic = { IPV4, XLB_TCP, .flows = 1 } },
	{ "seed balancer, 1M flows", SEED, .traffic = { IPV4, XLB_TCP, .flows = MANY } },

	{ "IPv4 TCP, 1 flow", XLB, .traffic = { IPV4, XLB_TCP, .flows = 1 }, .target = 30 },
	{ "IPv4 TCP, 10k flows", XLB, .traffic = { IPV4, XLB_TCP, .flows = FEW } },
	{ "IPv4 TCP, 1M flows", XLB, .traffic = { IPV4, XLB_TCP, .flows = MANY }, .target = 45 },
	{ "IPv4 TCP, SYNs of 1M new flows", XLB,
	  .traffic = { IPV4, XLB_TCP, .flows = MANY, .opening = true }, .target = 45 },
	{ "IPv4 TCP, 1M flows, redirected", XLB,
	  .traffic = { IPV4, XLB_TCP, .flows = MANY }, .side = true },
	{ "IPv4 UDP, 1 flow", XLB, .traffic = { IPV4, XLB_UDP, .flows = 1 } },
	{ "IPv4 UDP, 10k flows", XLB, .traffic = { IPV4, XLB_UDP, .flows = FEW } },
	{ "IPv4 UDP, 1M flows", XLB, .traffic = { IPV4, XLB_UDP, .flows = MANY } },
	{ "IPv6 TCP, 1 flow", XLB, .traffic = { IPV6, XLB_TCP, .flows = 1 } },
	{ "IPv6 TCP, 10k flows", XLB, .traffic = { IPV6, XLB_TCP, .flows = FEW } },
	{ "IPv6 TCP, 1M flows", XLB, .traffic = { IPV6, XLB_TCP, .flows = MANY } },
	{ "IPv6 TCP, SYNs of 1M new flows", XLB,
	  .traffic = { IPV6, XLB_TCP, .flows = MANY, .opening = true } },
	{ "IPv6 UDP, 1 flow", XLB, .traffic = { IPV6, XLB_UDP, .flows = 1 } },
	{ "IPv6 UDP, 10k flows", XLB, .traffic = { IPV6, XLB_UDP, .flows = FEW } },
	{ "IPv6 UDP, 1M flows", XLB, .traffic = { IPV6, XLB_UDP, .flows = MANY } },

	{ "IPv4 TCP to no service, 1M flows", XLB,
	  .traffic = { IPV4, XLB_TCP, SERVICE_NONE, .flows = MANY }, .outcome = UNTOUCHED },
	{ "IPv6 TCP to no service, 1M flows", XLB,
	  .traffic = { IPV6, XLB_TCP, SERVICE_NONE, .flows = MANY }, .outcome = UNTOUCHED },
	{ "IPv4 TCP reply, 1 flow", XLB,
	  .traffic = { IPV4, XLB_TCP, .flows = 1, .reply = true }, .outcome = TO_CLIENT },
	{ "IPv4 TCP reply, 1M flows", XLB,
	  .traffic = { IPV4, XLB_TCP, .flows = MANY, .reply = true }, .outcome = TO_CLIENT },
	{ "IPv6 TCP reply, 1 flow", XLB,
	  .traffic = { IPV6, XLB_TCP, .flows = 1, .reply = true }, .outcome = TO_CLIENT },
	{ "IPv6 TCP reply, 1M flows", XLB,
	  .traffic = { IPV6, XLB_TCP, .flows = MANY, .reply = true }, .outcome = TO_CLIENT },

	/* Every slot in transition; 10k flows fit the map of records, 1M do not, and
	 * from the first turn that records each of them on the map is full. */
	{ "marked: IPv4 TCP, 10k flows recorded", XLB,
	  .traffic = { IPV4, XLB_TCP, SERVICE_MARKED, .flows = FEW }, .outcome = TO_PREVIOUS,
	  .records = -1, .memory = RECORDED },
	{ "marked: IPv4 UDP, 10k flows recorded", XLB,
	  .traffic = { IPV4, XLB_UDP, SERVICE_MARKED, .flows = FEW }, .outcome = TO_PREVIOUS,
	  .records = -1, .memory = RECORDED },
	{ "marked: IPv6 TCP, 10k flows recorded", XLB,
	  .traffic = { IPV6, XLB_TCP, SERVICE_MARKED, .flows = FEW }, .outcome = TO_PREVIOUS,
	  .records = -1, .memory = RECORDED },
	{ "marked: IPv4 TCP, 10k flows, no budget left", XLB,
	  .traffic = { IPV4, XLB_TCP, SERVICE_MARKED, .flows = FEW }, .outcome = TO_PREVIOUS,
	  .records = 0, .memory = UNRECORDED },
	{ "marked: IPv6 TCP, 10k flows, no budget left", XLB,
	  .traffic = { IPV6, XLB_TCP, SERVICE_MARKED, .flows = FEW }, .outcome = TO_PREVIOUS,
	  .records = 0, .memory = UNRECORDED },
	{ "marked: IPv4 TCP, 1M flows, no budget left", XLB,
	  .traffic = { IPV4, XLB_TCP, SERVICE_MARKED, .flows = MANY }, .outcome = TO_PREVIOUS,
	  .records = 0, .memory = UNRECORDED },
	{ "marked: IPv4 TCP, 1M flows, default budget", XLB,
	  .traffic = { IPV4, XLB_TCP, SERVICE_MARKED, .flows = MANY }, .outcome = TO_PREVIOUS,
	  .records = XLB_RECORDS_DEFAULT },
	{ "marked: IPv4 TCP, 1M flows, each recorded", XLB,
	  .traffic = { IPV4, XLB_TCP, SERVICE_MARKED, .flows = MANY }, .outcome = TO_PREVIOUS,
	  .records = -1, .memory = RECORDED },
	{ "marked: IPv6 TCP, 1M flows, each recorded", XLB,
	  .traffic = { IPV6, XLB_TCP, SERVICE_MARKED, .flows = MANY }, .outcome = TO_PREVIOUS,
	  .records = -1, .memory = RECORDED },
	{ "marked: IPv4 TCP, SYNs of 1M new flows", XLB,
	  .traffic = { IPV4, XLB_TCP, SERVICE_MARKED, .flows = MANY, .opening = true },
	  .memory = RECORDED },
	{ "marked: IPv6 TCP, SYNs of 1M new flows", XLB,
	  .traffic = { IPV6, XLB_TCP, SERVICE_MARKED, .flows = MANY, .opening = true },
	  .memory = RECORDED },
};

const unsigned row_count = sizeof(rows) / sizeof(rows[0]);

/* What one BPF_PROG_TEST_RUN came to. */
struct result {
	__u32 verdict;
	__u8 frame[BENCH_FRAME_SIZE];	/* the last packet's */
	double ns;			/* per packet */
};

void rows_prepare(void)
{
	unsigned i;

	for (i = 0; i < row_count; i++) {
		rows[i].traffic.clients = i;
		traffic_source(&rows[i].traffic, &rows[i].source);
	}
}

static int row_failed(const struct row *row, const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", row->name, what);
	return -1;
}

/* Time that this thread has had: the kernel's own figure is of whole nanoseconds, and
 * counts those that others on the machine took. */
static double clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * 1e9 + now.tv_nsec;
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
		    .data_out = result->frame, .data_size_out = sizeof(result->frame),
		    .ctx_in = &context, .ctx_size_in = sizeof(context), .repeat = packets);
	const __u32 zero = 0;
	double begin;

	if (bpf_map_update_elem(world->source, &zero, &row->source, BPF_ANY) ||
	    bpf_map_update_elem(world->tested, &zero, &world->programs[program], BPF_ANY))
		return row_failed(row, strerror(errno));
	begin = clock_ns();
	if (bpf_prog_test_run_opts(world->restore, &options))
		return row_failed(row, strerror(errno));
	result->ns = (clock_ns() - begin) / packets;
	result->verdict = options.retval;
	return 0;
}

static __u32 verdict_expected(const struct row *row)
{
	if (row->outcome == UNTOUCHED)
		return XDP_PASS;
	return row->side ? XDP_REDIRECT : XDP_TX;
}

/* Holds what became of the packet of row->source.next against what must. */
static int row_judge(const struct world *world, const struct row *row,
		     const struct result *result, unsigned *backend)
{
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
	wrong = frame_judge(&row->traffic, row->outcome, row->program == XLB, before.frame,
			    result->frame, backend);
	if (wrong)
		return row_failed(row, wrong);
	if (row->memory != NO_MATTER &&
	    world_recorded(world, row->traffic.family, before.frame) !=
		    (row->memory == RECORDED))
		return row_failed(row, row->memory == RECORDED ? "flow not recorded"
							       : "flow recorded");
	return 0;
}

int row_verify(const struct world *world, struct row *row)
{
	const __u32 flows = row->traffic.flows;
	bool reached[BACKENDS] = {};
	unsigned i, backend, distinct = 0;
	struct result result;

	if (world_records(world, row->records))
		return row_failed(row, strerror(errno));
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

int row_measure(const struct world *world, struct row *row, unsigned packets, double *sample,
		double *pass)
{
	const __u32 flows = row->traffic.flows;
	struct result result;
	unsigned backend;

	if (world_records(world, row->records))
		return row_failed(row, strerror(errno));
	if (row_run(world, row, PASS, packets, &result))
		return -1;
	*pass = result.ns;
	if (row_run(world, row, row->program, WARM_UP, &result))
		return -1;
	row->source.next = (row->source.next + WARM_UP) % flows;
	if (row_run(world, row, row->program, packets, &result))
		return -1;
	*sample = result.ns - *pass;
	row->source.next = (row->source.next + packets - 1) % flows;
	if (row_judge(world, row, &result, &backend))
		return -1;
	row->source.next = (row->source.next + 1) % flows;
	return 0;
}
