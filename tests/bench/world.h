/* SPDX-License-Identifier: GPL-2.0-only */
/* The programs under test, loaded, and xlb's maps, filled as its tools would. */
#ifndef WORLD_H
#define WORLD_H

#include "frames.h"

enum program {
	PASS,
	BOUNCE,
	PUSH,
	SEED,
	XLB,
	XLB_ROOMY,	/* once more, with maps of its own that hold ROOMY_RECORDS */
	PROGRAMS,
};

/* In mode nat two a flow, of a million flows, and one each of a million replies: some
 * more, because the map begins to drop records before it is full. */
#define ROOMY_RECORDS 3400000

/* The interface that all routes lead to, and another. */
#define NEAR "near"
#define SIDE "side"

/* Maps of an xlb. */
struct xlb_maps {
	int config, flows[FAMILIES], embryos[FAMILIES];
};

struct world {
	int programs[PROGRAMS];
	int restore;		/* program */
	int source, tested;	/* maps of `restore` */
	struct xlb_maps xlb[2];	/* of XLB and XLB_ROOMY */
	unsigned near, side;	/* ifindex */
};

/* What xlb knows of a flow. */
enum memory { NO_MATTER, UNRECORDED, EMBRYONIC, CONFIRMED };

/* Says what failed, and returns the error. */
int failed(const char *what, int error);

/*
 * Loads all into this network namespace, XLB_ROOMY only if wanted, since it takes
 * a gigabyte; 0 or -errno, and says what failed.
 */
int world_open(struct world *world, const char *object, bool roomy);

/* How many records of older flows xlb may make per second from now on. */
int world_records(const struct world *world, enum program program, __u32 records);

enum memory world_memory(const struct world *world, enum program program,
			 enum family family, const __u8 *frame);

/* Gives all flows of replies in mode nat the record that xlb would tell them by. */
int world_replies(const struct world *world, enum program program,
		  const struct traffic *traffic, const struct bench_source *source);

#endif
