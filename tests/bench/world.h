/* SPDX-License-Identifier: GPL-2.0-only */
/* The programs under test, loaded, and xlb's maps, filled as its tools would. */
#ifndef WORLD_H
#define WORLD_H

#include "frames.h"

enum program { PASS, BOUNCE, SEED, XLB, PROGRAMS };

/* The interface that all routes lead to, and another. */
#define NEAR "near"
#define SIDE "side"

struct world {
	int programs[PROGRAMS];
	int restore;		/* program */
	int source, tested;	/* maps of `restore` */
	int config, flows[FAMILIES], embryos[FAMILIES];	/* maps of xlb */
	unsigned near, side;	/* ifindex */
};

/* Loads all into this network namespace; 0 or -errno, and says what failed. */
int world_open(struct world *world, const char *object);

/* How many records of older flows xlb may make per second from now on. */
int world_records(const struct world *world, __u32 records);

/* Does xlb have a record of the frame's flow? */
bool world_recorded(const struct world *world, enum family family, const __u8 *frame);

#endif
