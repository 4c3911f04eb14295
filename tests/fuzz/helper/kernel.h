/* SPDX-License-Identifier: GPL-2.0-only */
/* A kernel in memory, for the helper to run against where it is fuzzed. */
#ifndef XLB_FUZZ_KERNEL_H
#define XLB_FUZZ_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct ifaddrs;
struct mnl_socket;

/* The one file that there is to be read, besides the pinned maps. */
#define KERNEL_FILE "FILE"

/* Makes the maps, empty, and gives up all privileges, should a call still get out. */
void kernel_begin(void);

/* What KERNEL_FILE holds from now on. */
void kernel_file(const void *bytes, size_t size);

/* Keeps what the maps hold, and brings it back. */
void kernel_keep(void);
void kernel_restore(void);

/* Do the maps hold what was kept? */
bool kernel_unchanged(void);

/* What the helper's calls of the C library become: rules.mk renames them in its objects. */
int kernel_open(const char *path, int flags, ...);
FILE *kernel_fopen(const char *path, const char *mode);
int kernel_flock(int descriptor, int operation);
int kernel_access(const char *path, int mode);
int kernel_mkdir(const char *path, unsigned mode);
int kernel_rmdir(const char *path);
int kernel_unlink(const char *path);
int kernel_rename(const char *from, const char *to);
int kernel_getifaddrs(struct ifaddrs **list);
int kernel_inotify_init1(int flags);
int kernel_mnl_socket_close(struct mnl_socket *socket);

#endif
