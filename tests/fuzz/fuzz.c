// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzzes the packet program: frames by a grammar, and mutations of them, go through
 * BPF_PROG_TEST_RUN, and what comes of each is judged by code that shares nothing with
 * bpf/: the protocols by their RFCs, the balancing by what the manual says.
 *
 *	fuzz.c		rounds of frames, failures, replays
 *	world.c		what is configured, by xlb(8) (services.c, rules.c), and in what
 *			(network.c, maps.c)
 *	grammar.c	which frames come (spec.c, headers.c: their bytes, mutate.c: what is
 *			done to them)
 *	packet.c	a frame read
 *	memory.c	what is known of flows
 *	judge.c		what may become of a frame (forward.c, attempt.c, reply.c, errors.c)
 *	draft.c		how it should look then, and what checksums it should have (outer.c)
 *	run.c		the program run, its counters compared
 *	report.c	figures, and what went wrong
 *
 * The invariants: the verdict is one that such a frame can have, never XDP_ABORTED; a
 * frame sent is byte for byte what it should be, with checksums right where they were
 * right and wrong by as much as they were; it goes to a backend that is configured, lives
 * and is the flow's; answers come back as exactly the inverse; what is not xlb's passes
 * untouched; a drop raises its reason's counter and no other, and what is counted for
 * backends is what went to and came from them.
 *
 * Frames come in rounds.  Each begins with the same services, nothing remembered, and a
 * seed of its own, and changes backends between its parts, so that slots are marked: any
 * frame is run again by running its round up to it.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "run.h"

#define ROUND 32768ULL		/* frames */
#define PART 8192		/* after which backends change */
#define SEED_STEP 0xd1342543de82ef95ULL

struct plan {
	__u64 seed, frames;
	__u64 only;		/* number of a frame to run again; 0: all */
	unsigned failures;	/* that are shown before it gives up */
	const char *object;
};

/* What is counted is compared with what should be; `since`: the last time. */
static bool counters_hold(struct fuzz *fuzz, __u64 since)
{
	if (run_counters(fuzz))
		return true;
	if (!fuzz->report.failures++)
		fuzz->report.first = fuzz->number;
	printf("frames %llu to %llu: %s\n", (unsigned long long)since + 1,
	       (unsigned long long)fuzz->number, fuzz->court.complaint);
	return false;
}

static int part_begin(struct fuzz *fuzz, unsigned part)
{
	if (part && world_change(&fuzz->world, &fuzz->grammar.random))
		return -1;
	fuzz->memory.change++;
	return run_begin(fuzz);
}

/* One frame, and what becomes of it.  False: it failed. */
static bool frame_try(struct fuzz *fuzz)
{
	struct frame frame;
	bool right;

	fuzz->number++;
	grammar_next(&fuzz->grammar, &frame);
	if (frame.size > LARGEST)
		frame.size = LARGEST;
	right = run_frame(fuzz, &frame);
	report_frame(fuzz, &frame, right);
	if (right && fuzz->trial.verdict != 1)
		grammar_saw(&fuzz->grammar, &frame, fuzz->trial.out, fuzz->trial.out_size,
			    fuzz->court.outcome);
	return right;
}

/* All frames of a round up to this one. */
static int round_run(struct fuzz *fuzz, const struct plan *plan, __u64 number, __u64 last)
{
	__u64 checked = number * ROUND;

	fuzz->number = number * ROUND;
	fuzz->grammar.random.state = plan->seed + number * SEED_STEP;
	fuzz->grammar.recent_count = 0;
	memory_clear(&fuzz->memory);
	if (world_reset(&fuzz->world, number))
		return -1;
	while (fuzz->number < last && fuzz->report.failures < plan->failures) {
		bool every = plan->only && fuzz->number + 1024 > plan->only;

		if (fuzz->number % PART == 0 && part_begin(fuzz, fuzz->number % ROUND / PART))
			return -1;
		frame_try(fuzz);
		if (fuzz->number % 256 && !every && fuzz->number != last)
			continue;
		run_refill(fuzz);
		counters_hold(fuzz, checked);
		checked = fuzz->number;
	}
	return 0;
}

static int rounds_run(struct fuzz *fuzz, const struct plan *plan)
{
	__u64 rounds = (plan->frames + ROUND - 1) / ROUND, last;

	for (__u64 number = 0; number < rounds; number++) {
		last = (number + 1) * ROUND < plan->frames ? (number + 1) * ROUND : plan->frames;
		if (round_run(fuzz, plan, number, last))
			return -1;
		if (fuzz->report.failures >= plan->failures)
			break;
	}
	return 0;
}

static void usage(void)
{
	fputs("Usage: fuzz [ -s SEED ] [ -n FRAMES ] [ -f FRAME ] [ -k FAILURES ] [ -o OBJECT ]\n",
	      stderr);
	exit(1);
}

static __u64 number_read(const char *word)
{
	char *end;
	__u64 number = strtoull(word, &end, 0);

	if (!*word || *end)
		usage();
	return number;
}

static void plan_read(struct plan *plan, int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "s:n:f:k:o:")) >= 0) {
		switch (option) {
		case 's':
			plan->seed = number_read(optarg);
			break;
		case 'n':
			plan->frames = number_read(optarg);
			break;
		case 'f':
			plan->only = number_read(optarg);
			break;
		case 'k':
			plan->failures = number_read(optarg);
			break;
		case 'o':
			plan->object = optarg;
			break;
		default:
			usage();
		}
	}
	if (optind < argc)
		usage();
}

int main(int argc, char **argv)
{
	struct plan plan = {
		.seed = time(NULL),
		.frames = 10000000,
		.failures = 1,
		.object = getenv("XLB_OBJECT") ?: "bpf/xlb.o",
	};
	static struct fuzz fuzz;
	int error;

	setvbuf(stdout, NULL, _IOLBF, 0);
	plan_read(&plan, argc, argv);
	printf("seed %llu\n", (unsigned long long)plan.seed);
	if (run_open(&fuzz, plan.object))
		return 2;
	if (plan.only) {
		fuzz.shown = plan.only;
		error = round_run(&fuzz, &plan, (plan.only - 1) / ROUND, plan.only);
	} else {
		error = rounds_run(&fuzz, &plan);
	}
	if (error)
		return 2;
	if (fuzz.report.failures)
		printf("again: make fuzz SEED=%llu FRAME=%llu\n", (unsigned long long)plan.seed,
		       (unsigned long long)fuzz.report.first);
	report_print(&fuzz);
	return fuzz.report.failures != 0;
}
