/* SPDX-License-Identifier: GPL-2.0-only */
/* The rows of the benchmark's table: what is sent to which program, and what must come of it. */
#ifndef ROWS_H
#define ROWS_H

#include "judge.h"
#include "world.h"

struct row {
	const char *name;
	enum program program;
	struct traffic traffic;
	enum outcome outcome;
	double target;		/* ns above XDP_PASS, 0: none */
	__u32 records;		/* records of older flows that xlb may make per second */
	enum memory memory;	/* what xlb must know of a flow after its packet */
	bool side;		/* comes in by the other interface */
	bool established;	/* flows have been there before */
	bool shared;		/* they are those of the row before */
	bool silent;		/* none has sent for over a second, rather than just before */
	struct bench_source source;
	__u32 ready;		/* so many of its clients' flows are established, */
	double last;		/* and sent their last packet then: CLOCK_MONOTONIC, ns */
	double *samples;	/* ns above XDP_PASS, one a turn */
};

extern struct row rows[];
extern const unsigned row_count;

/* Gives each row its flows.  Call once. */
void rows_prepare(void);

/* Sends some of the row's packets one by one; 0, or -1 after saying what is wrong. */
int row_verify(const struct world *world, struct row *row);

/*
 * Measures once.  *sample: ns per packet above XDP_PASS on the same packets just
 * before, which took *pass, restoring included.  0, or -1 after saying why.
 */
int row_measure(const struct world *world, struct row *row, unsigned packets, double *sample,
		double *pass);

#endif
