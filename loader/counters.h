/* SPDX-License-Identifier: GPL-2.0-only */
/* Counters that have names: the one element of a per-CPU array, a struct. */
#ifndef XLB_COUNTERS_H
#define XLB_COUNTERS_H

#include "output.h"

/* What such counters are called. */
struct counters {
	struct btf *btf;
	const struct btf_type *type;
};

/*
 * The names of a map's counters, which are those of the program that counts; who may not
 * ask the kernel for these (CAP_SYS_ADMIN) gets those of the struct of this name in an
 * object file beside xlb.o.  0 or -errno, always to be followed by counters_close().
 */
int counters_open(struct counters *counters, int map, const char *object, const char *name);
void counters_close(struct counters *counters);

/* By its place; "?" where there is none. */
const char *counter_name(const struct counters *counters, unsigned number);

/*
 * Each field, summed over CPUs, as fields of the object, or words of the line, that
 * is open; all must be of 8 bytes.  0 or -errno.
 */
int counters_show(struct output *output, int map, const char *object, const char *name);

#endif
