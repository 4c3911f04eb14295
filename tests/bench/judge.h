/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether a program did the right thing to one of the benchmark's frames. */
#ifndef JUDGE_H
#define JUDGE_H

#include "frames.h"

enum outcome {
	TO_BACKEND,	/* on to one of the service's backends, in the way of its mode */
	TO_PREVIOUS,	/* on to one of the previous owners */
	TO_CLIENT,	/* seems to come from the service */
	BOUNCED,	/* back to the sender, else untouched */
	PUSHED,		/* with 20 bytes of whatever in front */
	UNTOUCHED,
};

/* A frame, and what may have been put in front of it. */
struct result_frame {
	unsigned length;
	__u8 bytes[BENCH_FRAME_SIZE + BENCH_GROWTH_MAX];
};

/*
 * What is wrong with `after`, or NULL.  `hop`: the time to live must be one
 * less.  Sets *backend to the number of the one that gets the packet, if any.
 */
const char *frame_judge(const struct traffic *traffic, enum outcome outcome, bool hop,
			const struct result_frame *before, const struct result_frame *after,
			unsigned *backend);

#endif
