/* SPDX-License-Identifier: GPL-2.0-only */
/* The XDP program on an interface: is it of xlb, and where are its maps? */
#ifndef XLB_PROGRAM_H
#define XLB_PROGRAM_H

#include <limits.h>
#include <stdbool.h>
#include <linux/bpf.h>

/* The verifier's own limit (MAX_USED_MAPS). */
#define PROGRAM_MAPS_MAX 64

struct program {
	int fd;			/* -1: there is none */
	__u32 id;
	__u32 config;		/* id of its map xlb_config; 0: not of xlb */
	char name[BPF_OBJ_NAME_LEN];
	__u32 maps[PROGRAM_MAPS_MAX];	/* ids */
	unsigned map_count;
};

/* Opens a program by its id, 0 being none; 0 or -errno.  Then program_close(). */
int program_open(__u32 id, struct program *program);
void program_close(struct program *program);

/* Does it use one of these maps?  0 is none. */
bool program_shares(const struct program *program, const __u32 *ids, unsigned count);

/* The id of an open map, 0 if it has none. */
__u32 program_map_id(int map_fd);

/*
 * The folder where the program's xlb_config is pinned: pin (may be NULL), $XLB_PIN
 * or one of maps_folders[].  folder has PATH_MAX bytes.  False: in none of them.
 */
bool program_folder(const struct program *program, const char *pin, char *folder);

#endif
