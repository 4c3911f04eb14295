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
 * Opens a program of the machine whose map xlb_config has this id, if there is one: 0, then
 * program_close(); -ENOENT; -EPERM without CAP_SYS_ADMIN.
 */
int adopt_find(__u32 config, struct program *program);

/* Pins those maps of a program that its own set in the folder misses; 0 or -errno. */
int adopt_missing(const struct program *program, const char *folder);

#endif
