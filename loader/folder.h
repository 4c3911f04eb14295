/* SPDX-License-Identifier: GPL-2.0-only */
/* The folder that the maps of a new set are pinned in. */
#ifndef XLB_FOLDER_H
#define XLB_FOLDER_H

#include "maps.h"

/*
 * Makes the folder where it is not, with the bpf file system below, and locks it.  made: it
 * was not; fresh: nor were maps, once the lock was had.  -EMEDIUMTYPE: not on a bpf file
 * system; -EXDEV: others may change what is pinned there; or -errno.
 */
int folder_make(struct maps *maps, bool *made, bool *fresh);

/*
 * Of an open folder: whoever else may make pins there can put other maps in the places of
 * ours.  0, or -EMEDIUMTYPE, -EXDEV or -errno as above.
 */
int folder_check(int folder);

/* What an error of these means, and what to do. */
const char *folder_explain(int error);

#endif
