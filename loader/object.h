/* SPDX-License-Identifier: GPL-2.0-only */
/* The object file xlb.o: where it is, and loading one program of it. */
#ifndef XLB_OBJECT_H
#define XLB_OBJECT_H

#include <limits.h>
#include <stdbool.h>
#include <bpf/libbpf.h>

/*
 * The object file: the given one, else $XLB_OBJECT, else as installed, else
 * beside the executable or in ../bpf of its build tree.  path has PATH_MAX bytes.
 * 0 or -ENOENT.
 */
int object_find(const char *given, char *path);

/* Another object file of this folder: 0 or -ENOENT. */
int object_find_beside(const char *name, char *path);

/* How many entries a map is to have when it is made. */
struct object_size {
	const char *map;	/* NULL ends the list */
	__u32 entries;
};

/* What to load, and with which maps. */
struct object_wish {
	const char *path;
	const char *program;	/* one of the object's; all are of type XDP */
	const char *folder;	/* where maps are pinned by name */
	const struct object_size *sizes;	/* or NULL */
	const char *const *anew;	/* names of maps that are pinned in `aside` instead,
					 * as large as those in folder; or NULL */
	const char *aside;
	bool frags;		/* it takes frames in pieces, where the kernel can (since 5.18) */
};

/*
 * Loads a program with its maps: those that are pinned are shared, sizes included,
 * the others made, as large as the sizes and else the object say.  The caller closes
 * with bpf_object__close().  0 or -errno; -EPROTO: the object is of another ABI
 * version; -EEXIST: a map is there in another size; -ENODATA: the object knows
 * nothing of pieces.
 */
int object_load(const struct object_wish *wish, struct bpf_object **object);

/*
 * What an error of an object file means that libbpf has opened or loaded, where that wants
 * these capabilities (privilege.h): libbpf has numbers of its own, which strerror() does not
 * know.  The text holds until the next call.
 */
const char *object_explain(int error, unsigned long long wanted);

/* The error is that the file is none. */
bool object_is_none(int error);

/* Says after `obj PATH: ` what -EPROTO means. */
#define OBJECT_OTHER_ABI "not of ABI %u, which this xlb speaks: give the one of its own version"

/* Before loading: the program takes frames in pieces, as it and the kernel are told.
 * 0 or -errno; -ENODATA: it knows nothing of pieces. */
int object_set_frags(struct bpf_object *object, struct bpf_program *program);

#endif
