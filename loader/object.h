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

/*
 * Loads one program (all are of type XDP) with its maps pinned by name under
 * folder: those that are there are shared, sizes included, the others made, as
 * large as sizes (or NULL) and else the object say.  With `frags` it takes frames
 * in pieces, where the kernel can (since 5.18).  The caller closes with
 * bpf_object__close().  0 or -errno; -EEXIST: a map is there in another size;
 * -ENODATA: the object knows nothing of pieces.
 */
int object_load(const char *path, const char *program, const char *folder,
		const struct object_size *sizes, bool frags, struct bpf_object **object);

/* Before loading: the program takes frames in pieces, as it and the kernel are told.
 * 0 or -errno; -ENODATA: it knows nothing of pieces. */
int object_set_frags(struct bpf_object *object, struct bpf_program *program);

#endif
