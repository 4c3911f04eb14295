/* SPDX-License-Identifier: GPL-2.0-only */
/* Moving the maps of an earlier ABI version on to this one, under running programs. */
#ifndef XLB_MIGRATE_H
#define XLB_MIGRATE_H

#include "maps.h"
#include "object.h"
#include "program.h"

/*
 * After maps_open() said -EPROTO or -EINPROGRESS, under the lock: the maps, and all
 * programs that use them.  `attached` is the program of the interface that the command
 * is about, fd -1 if it has none.  The wish says which object, and which sizes.
 * STATUS_REFUSED after saying why not, and then nothing is changed unless the words are
 * of an interruption.
 */
enum status migrate(const struct args *args, const struct maps *maps,
		    const struct program *attached, const struct object_wish *wish);

#endif
