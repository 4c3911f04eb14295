/* SPDX-License-Identifier: GPL-2.0-only */
/* The pinned maps: where they are, opening and locking them, reading them whole. */
#ifndef XLB_MAPS_H
#define XLB_MAPS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#include "xlb_abi.h"
#include "args.h"

/* Where `xlb load` pins. */
#define BPFFS "/sys/fs/bpf"
#define MAPS_OWN_FOLDER "/sys/fs/bpf/xlb"

/*
 * In the folder of a set: maps that are to take the place of its own of an earlier ABI
 * version, until all have (migrate.c).
 */
#define MAPS_ASIDE "xlb_new"

/* The earliest version that `xlb load` can migrate from. */
#define MAPS_ABI_OLDEST 2

/* Where xlb, iproute2 and bpftool pin, NULL at the end. */
extern const char *const maps_folders[];

enum map {
	MAP_CONFIG,
	MAP_SERVICES4,
	MAP_SERVICES6,
	MAP_VIPS,
	MAP_BACKENDS,
	MAP_TARGETS,
	MAP_SLOTS,
	MAP_LINKS,
	MAP_REPLIES4,
	MAP_REPLIES6,
	MAP_NEXTHOPS,
	MAP_ROUTES,
	MAP_FLOWS4,
	MAP_FLOWS6,
	MAP_EMBRYOS4,
	MAP_EMBRYOS6,
	MAP_FRAGMENTS,
	MAP_BUDGET,
	MAP_STATS,
	MAP_DROPS,
	MAP_ACL4,
	MAP_ACL6,
	MAP_LIMITS,
	MAP_WATCH,
	MAP_SAMPLES,
	MAP_EVENTS,
	MAP_COUNT,
};

/* What maps are opened for. */
enum maps_use {
	MAPS_LOOK,		/* reading is enough, as a group may be allowed to */
	MAPS_LOOK_LOCKED,	/* the same while nobody writes */
	MAPS_CHANGE,		/* and writing, under the lock */
};

struct maps {
	char folder[PATH_MAX];	/* where they are pinned */
	char second[PATH_MAX];	/* the other set of -ENOTUNIQ */
	const char *culprit;	/* the map of -ENODATA and -EPROTO */
	enum maps_use use;
	__u32 abi;		/* the version that they are of; 0: fresh, or not known yet */
	int lock;		/* the folder, held by writers; else -1 */
	int fd[MAP_COUNT];
	__u32 entries[MAP_COUNT];	/* max_entries */
};

/* "xlb_config" and so on. */
const char *map_name(enum map map);

/* What a key and a value take, in bytes; a per-CPU value is rounded up to 8.  The ring has
 * neither. */
size_t map_key_size(enum map map);
size_t map_value_size(enum map map);

/* The folder that somebody has named: pin, else $XLB_PIN; NULL: nobody, or it is empty. */
const char *pin_named(const char *pin);

/*
 * Finds the one folder where this name is pinned: pin, else $XLB_PIN, else the
 * places where xlb, iproute2 and bpftool pin.  0 and folder, of PATH_MAX bytes as
 * second; -ENOENT: none; -ENOTUNIQ: two, in folder and second; -EACCES, -EPERM.
 */
int pins_find(const char *name, const char *pin, char *folder, char *second);

/* The same for the maps of xlb. */
int maps_find(struct maps *maps, const char *pin);

/*
 * Waits for the writers' lock on a folder.  Returns a descriptor whose close()
 * releases it, or -errno.
 */
int maps_lock(const char *folder);

/*
 * Opens a pinned map, to be read alone if so wanted: then it need not be writable.
 * A descriptor or -errno.
 */
int map_pin_open(const char *path, bool read_only);

/*
 * Finds and opens all maps, under the lock if so wanted.  0 or what maps_find()
 * says; -ENODATA: one is missing; -EPROTO: other sizes or another ABI version
 * (0, fresh, is fine); -EINPROGRESS: they are on their way to this version.  Always
 * to be followed by maps_close().
 */
int maps_open(struct maps *maps, const char *pin, enum maps_use use);

/* Instead of a size: the version has no such map. */
#define MAPS_ABSENT (~0U)

/*
 * Opens all maps of a folder, whatever their version: one that is pinned in MAPS_ASIDE
 * too, from there, if asked to.  Sizes of values are as now where values (or NULL)
 * has 0; where it has MAPS_ABSENT there was no such map.  0, -ENODATA, -EPROTO or
 * -errno; then maps_close().
 */
int maps_open_all(struct maps *maps, const char *folder, bool aside, const __u32 *values);
void maps_close(struct maps *maps);

/* Says what an error of the above means and what to do; STATUS_REFUSED. */
enum status maps_fail(const struct args *args, const struct maps *maps, int error);

/*
 * All entries of a hash, or of an array that is not per CPU: the key and the
 * value of entry i start at byte i times their size.  The caller frees both.
 * Packets may change the map meanwhile.  0 or -errno.
 */
int map_read(const struct maps *maps, enum map map, void **keys, void **values, unsigned *count);

/* The values of all CPUs at one place of a per-CPU array, which the caller frees. */
int map_read_percpu(const struct maps *maps, enum map map, __u32 key, void **values,
		    unsigned *count);

#endif
