/* SPDX-License-Identifier: GPL-2.0-only */
/* From results of probes to the health of a backend. */
#ifndef XLB_PROBE_HEALTH_H
#define XLB_PROBE_HEALTH_H

#include <stdbool.h>
#include <linux/types.h>

enum result {
	RESULT_UP,
	RESULT_WARNING,		/* up, but not at its best */
	RESULT_DOWN,
	RESULT_UNKNOWN,		/* the probe itself could not be made: says nothing */
};

struct health {
	bool known;		/* some result has told */
	bool up;		/* what the map has, until then */
	unsigned contrary;	/* results in a row that say otherwise */
};

/*
 * What a result makes of it: the first one tells by itself, after that it takes
 * `rise` or `fall` contrary ones in a row.  True if it is another now.
 */
bool health_judge(struct health *health, enum result result, unsigned rise, unsigned fall);

/* Milliseconds between two probes: the interval, `jitter` percent more or less. */
__u32 interval_jittered(__u32 interval, unsigned jitter, __u32 random);

#endif
