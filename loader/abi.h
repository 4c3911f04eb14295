/* SPDX-License-Identifier: GPL-2.0-only */
/* The maps of earlier ABI versions, as far as they were other maps than now. */
#ifndef XLB_OLDER_ABI_H
#define XLB_OLDER_ABI_H

#include <bpf/libbpf.h>

#include "maps.h"

/* A map whose values were others, or that was not there. */
struct abi_map {
	enum map map;
	__u32 value;		/* size of one, or MAPS_ABSENT; 0 ends the list */
	/* Makes the value of today, which is all 0 before, of one CPU where each has its
	 * own.  NULL: the map begins empty, or is made from others. */
	void (*convert)(const void *old, void *now);
};

struct abi {
	__u32 version;
	/*
	 * xlb_config always: programs of either version pass everything while its
	 * version is not theirs.  All other maps are shared with programs that still run.
	 */
	const struct abi_map *maps;
};

/* NULL: it cannot be migrated from. */
const struct abi *abi_find(__u32 version);

/* From the maps of that version to those of an object of this one; 0 or -errno. */
int abi_convert(const struct abi *from, const struct maps *old, const struct bpf_object *object);

#endif
