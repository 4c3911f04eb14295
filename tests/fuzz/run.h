/* SPDX-License-Identifier: GPL-2.0-only */
/* A frame through the program, and the figures of many. */
#ifndef FUZZ_RUN_H
#define FUZZ_RUN_H

#include "grammar.h"
#include "judge.h"

#define REPORT_ROWS 64

/* How often something was seen, by its name. */
struct tally {
	const char *names[REPORT_ROWS];
	__u64 counts[REPORT_ROWS];
};

struct report {
	__u64 frames, failures;
	__u64 first;		/* frame that failed */
	__u64 verdicts[8];
	__u64 reasons[64];
	struct tally productions, outcomes;
	__u64 digest;		/* of what came out */
	double begun;
};

struct fuzz {
	struct world world;
	struct memory memory;
	struct grammar grammar;
	struct court court;
	struct trial trial;
	struct report report;
	__u64 number;		/* of the frame, from 1 on */
	__u64 shown;		/* number of one that is shown even if it is right */
	__u64 drops[64];	/* as counted so far */
	__u8 out[FRAME_MAX];
};

int run_open(struct fuzz *fuzz, const char *object);

/* The configuration has changed: counters are taken as they are. */
int run_begin(struct fuzz *fuzz);

/* False: court.complaint says what is wrong. */
bool run_frame(struct fuzz *fuzz, const struct frame *frame);

/* Is everything counted that went by, and nothing else? */
bool run_counters(struct fuzz *fuzz);

/* xlb may speak again: it sends a bounded number of errors a second. */
void run_refill(struct fuzz *fuzz);

void report_frame(struct fuzz *fuzz, const struct frame *frame, bool right);
void report_print(const struct fuzz *fuzz);
double seconds(void);

#endif
