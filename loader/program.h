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
	int fd;			/* -1: there is none, or it could not be opened */
	__u32 id;
	__u32 config;		/* id of its map xlb_config; 0: not of xlb */
	char name[BPF_OBJ_NAME_LEN];
	__u32 maps[PROGRAM_MAPS_MAX];	/* ids */
	unsigned map_count;
};

/*
 * Opens a program by its id, 0 being none; 0 or -errno.  Then program_close().
 *
 * By id alone the kernel wants CAP_SYS_ADMIN.  So `xlb load` pins programs beside the
 * maps, by a name that has the id in it: without that capability, they are looked for in
 * pin (may be NULL), $XLB_PIN and maps_folders[].  -EPERM: it has no pin there; -EACCES: it
 * has, but this kernel opens none without CAP_BPF.
 */
int program_open(__u32 id, const char *pin, struct program *program);

/* What an error of program_open() means, and the way out. */
const char *program_explain(int error);

/*
 * The same for who only wants to know whose it is: the pin's name tells, and need not be
 * opened (a descriptor can send packets).  Then fd is -1, name is "" and maps are none.
 */
int program_look(__u32 id, const char *pin, struct program *program);
void program_close(struct program *program);

/* Pins an open program in the folder of its maps; 0 or -errno. */
int program_pin(const char *folder, int fd);

/* Takes away the pins of programs that run on no interface here; how many these were. */
unsigned program_pins_prune(const char *folder);

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
