/* SPDX-License-Identifier: GPL-2.0-only */
/* A program that runs while nobody can reach its maps any more. */
#ifndef XLB_ADOPT_H
#define XLB_ADOPT_H

#include "program.h"

/*
 * Pins the maps of a program of xlb in a folder, unless they are pinned somewhere.  Under
 * the folder's lock, and while it has no set of its own.  0, -EEXIST if they are, or -errno.
 */
int adopt_maps(const struct program *program, const char *folder);

/*
 * Pins those maps of a program that its own set in the folder misses: how many, or -errno.
 * The same for all programs of the machine that have this xlb_config: no one may have each
 * of its maps.  -EPERM without CAP_SYS_ADMIN.
 */
int adopt_missing(const struct program *program, const char *folder);
int adopt_missing_anywhere(__u32 config, const char *folder);

#endif
