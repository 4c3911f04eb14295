/* SPDX-License-Identifier: GPL-2.0-only */
/* Counters that have names: the one element of a per-CPU array, a struct. */
#ifndef XLB_COUNTERS_H
#define XLB_COUNTERS_H

#include "output.h"

/*
 * Each field, summed over CPUs, as fields of the object, or words of the line, that
 * is open; all must be of 8 bytes.  Their names are those of the program that counts;
 * who may not ask the kernel for these (CAP_SYS_ADMIN) gets those of the struct of this
 * name in an object file beside xlb.o.  0 or -errno.
 */
int counters_show(struct output *output, int map, const char *object, const char *name);

#endif
