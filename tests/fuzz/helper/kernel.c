// SPDX-License-Identifier: GPL-2.0-only
/*
 * A kernel in memory: the calls of libbpf that the helper makes of pinned maps, and of
 * the C library that would reach files.  What is not answered here fails for want of
 * privileges.
 *
 * libbpf's calls have their own names, since a program's go before a library's.  What the
 * helper's objects call open() and so on has been renamed kernel_open() in them, where
 * libFuzzer, which is in the same program, goes on to find the C library's.
 */
#define _GNU_SOURCE	/* memfd_create */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "kernel.h"
#include "maps.h"

#define CPUS 2
/* Small, so that they get full. */
#define SERVICES 6
#define BACKENDS 24
#define SLOTS_VALUES (6 * 512 / XLB_SLOTS_PER_VALUE)
#define ENTRIES 64

struct storage {
	__u32 key, value;	/* sizes */
	__u32 entries, count;
	bool array;		/* keys are indices: all entries are there */
	bool percpu;
	char *keys, *values;
	char *kept_keys, *kept_values;
	__u32 kept_count;
	int memory;		/* of values that can be mapped, else -1 */
};

static struct storage maps[MAP_COUNT];
static enum map of_file[1024];	/* by descriptor */
static int nothing;		/* a descriptor to duplicate */
static int lock, file;		/* memory files */

static __u32 entries_of(enum map map)
{
	switch (map) {
	case MAP_CONFIG:
	case MAP_BUDGET:
	case MAP_DROPS:
		return 1;
	case MAP_SERVICES4:
	case MAP_SERVICES6:
		return SERVICES;
	case MAP_BACKENDS:
	case MAP_REPLIES4:
	case MAP_REPLIES6:
		return BACKENDS;
	case MAP_SLOTS:
		return SLOTS_VALUES;
	default:
		return ENTRIES;
	}
}

static bool is_percpu(enum map map)
{
	return map == MAP_STATS || map == MAP_DROPS || map == MAP_BUDGET;
}

static void map_begin(enum map name)
{
	struct storage *map = &maps[name];
	size_t keys, values;

	map->key = map_key_size(name);
	map->value = map_value_size(name);
	map->percpu = is_percpu(name);
	map->array = map->key == sizeof(__u32) && name != MAP_LINKS;
	map->entries = entries_of(name);
	map->memory = -1;
	keys = (size_t)map->key * map->entries;
	values = (size_t)map->value * map->entries * (map->percpu ? CPUS : 1);
	map->keys = calloc(1, keys);
	map->kept_keys = calloc(1, keys);
	map->kept_values = calloc(1, values);
	if (name == MAP_SLOTS) {
		map->memory = memfd_create("slots", MFD_CLOEXEC);
		if (map->memory < 0 || ftruncate(map->memory, values))
			abort();
		map->values = mmap(NULL, values, PROT_READ | PROT_WRITE, MAP_SHARED, map->memory,
				   0);
	} else {
		map->values = calloc(1, values);
	}
	if (!map->array)
		return;
	map->count = map->entries;
	for (__u32 i = 0; i < map->entries; i++)
		memcpy(map->keys + i * sizeof(i), &i, sizeof(i));
}

static void privileges_drop(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = {};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_capset, &header, none))
		abort();
}

void kernel_begin(void)
{
	nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	lock = memfd_create("lock", MFD_CLOEXEC);
	file = memfd_create("file", MFD_CLOEXEC);
	if (nothing < 0 || lock < 0 || file < 0 || dup2(nothing, STDIN_FILENO) < 0)
		abort();
	unsetenv("XLB_PIN");
	unsetenv("XLB_OBJECT");
	for (enum map map = 0; map < MAP_COUNT; map++)
		map_begin(map);
	privileges_drop();
}

void kernel_file(const void *bytes, size_t size)
{
	if (ftruncate(file, 0) || pwrite(file, bytes, size, 0) != (ssize_t)size)
		abort();
}

static size_t keys_length(const struct storage *map)
{
	return (size_t)map->key * map->entries;
}

static size_t value_length(const struct storage *map)
{
	return (size_t)map->value * (map->percpu ? CPUS : 1);
}

static size_t values_length(const struct storage *map)
{
	return value_length(map) * map->entries;
}

void kernel_keep(void)
{
	for (struct storage *map = maps; map < maps + MAP_COUNT; map++) {
		memcpy(map->kept_keys, map->keys, keys_length(map));
		memcpy(map->kept_values, map->values, values_length(map));
		map->kept_count = map->count;
	}
}

void kernel_restore(void)
{
	for (struct storage *map = maps; map < maps + MAP_COUNT; map++) {
		memcpy(map->keys, map->kept_keys, keys_length(map));
		memcpy(map->values, map->kept_values, values_length(map));
		map->count = map->kept_count;
	}
}

bool kernel_unchanged(void)
{
	for (struct storage *map = maps; map < maps + MAP_COUNT; map++)
		if (map->count != map->kept_count ||
		    memcmp(map->keys, map->kept_keys, (size_t)map->key * map->count) ||
		    memcmp(map->values, map->kept_values, value_length(map) * map->count))
			return false;
	return true;
}

/* --- libbpf's --- */

int bpf_obj_get_opts(const char *path, const struct bpf_obj_get_opts *options)
{
	const char *slash = strrchr(path, '/');
	size_t folder = slash ? (size_t)(slash - path) : 0;
	int descriptor;

	(void)options;
	if (folder != strlen(MAPS_OWN_FOLDER) || strncmp(path, MAPS_OWN_FOLDER, folder))
		return -ENOENT;
	for (enum map map = 0; map < MAP_COUNT; map++) {
		if (strcmp(slash + 1, map_name(map)))
			continue;
		descriptor = fcntl(maps[map].memory < 0 ? nothing : maps[map].memory,
				   F_DUPFD_CLOEXEC, 3);
		if (descriptor < 0 || descriptor >= (int)(sizeof(of_file) / sizeof(of_file[0])))
			abort();
		of_file[descriptor] = map;
		return descriptor;
	}
	return -ENOENT;
}

int bpf_obj_get(const char *path)
{
	return bpf_obj_get_opts(path, NULL);
}

static struct storage *map_of(int descriptor)
{
	if (descriptor < 0 || fcntl(descriptor, F_GETFD) < 0)
		abort();
	return &maps[of_file[descriptor]];
}

int bpf_obj_get_info_by_fd(int descriptor, void *info, __u32 *size)
{
	struct bpf_map_info *to = info;
	const struct storage *map = map_of(descriptor);

	if (*size != sizeof(*to))
		return -EINVAL;
	*to = (struct bpf_map_info){ .key_size = map->key, .value_size = map->value,
				     .max_entries = map->entries, .id = map - maps + 1 };
	return 0;
}

/* Where the key is, or its count where it is not. */
static __u32 place_of(const struct storage *map, const void *key)
{
	__u32 i;

	for (i = 0; i < map->count; i++)
		if (!memcmp(map->keys + (size_t)i * map->key, key, map->key))
			break;
	return i;
}

static char *value_at(const struct storage *map, __u32 place)
{
	return map->values + value_length(map) * place;
}

int bpf_map_lookup_elem(int descriptor, const void *key, void *value)
{
	const struct storage *map = map_of(descriptor);
	__u32 place = place_of(map, key);

	if (place == map->count)
		return -ENOENT;
	memcpy(value, value_at(map, place), value_length(map));
	return 0;
}

int bpf_map_update_elem(int descriptor, const void *key, const void *value, __u64 flags)
{
	struct storage *map = map_of(descriptor);
	__u32 place = place_of(map, key);

	if (place == map->entries)
		return -E2BIG;
	if (place < map->count && flags == BPF_NOEXIST)
		return -EEXIST;
	if (place == map->count) {
		if (flags == BPF_EXIST)
			return -ENOENT;
		memcpy(map->keys + (size_t)place * map->key, key, map->key);
		map->count++;
	}
	memcpy(value_at(map, place), value, value_length(map));
	return 0;
}

int bpf_map_delete_elem(int descriptor, const void *key)
{
	struct storage *map = map_of(descriptor);
	__u32 place = place_of(map, key), last = map->count - 1;

	if (map->array)
		return -EINVAL;
	if (place == map->count)
		return -ENOENT;
	memmove(map->keys + (size_t)place * map->key, map->keys + (size_t)last * map->key,
		map->key);
	memmove(value_at(map, place), value_at(map, last), value_length(map));
	map->count = last;
	return 0;
}

int bpf_map_get_next_key(int descriptor, const void *key, void *next)
{
	const struct storage *map = map_of(descriptor);
	__u32 place = key ? place_of(map, key) + 1 : 0;

	if (place >= map->count)
		return -ENOENT;
	memcpy(next, map->keys + (size_t)place * map->key, map->key);
	return 0;
}

int bpf_map_lookup_batch(int descriptor, void *from, void *to, void *keys, void *values,
			 __u32 *count, const struct bpf_map_batch_opts *options)
{
	const struct storage *map = map_of(descriptor);
	__u32 first = 0, left;

	(void)options;
	if (from)
		memcpy(&first, from, sizeof(first));
	left = map->count - first;
	if (*count > left)
		*count = left;
	memcpy(keys, map->keys + (size_t)first * map->key, (size_t)*count * map->key);
	memcpy(values, value_at(map, first), *count * value_length(map));
	left = first + *count;
	memcpy(to, &left, sizeof(left));
	return left == map->count ? -ENOENT : 0;
}

int libbpf_num_possible_cpus(void)
{
	return CPUS;
}

/* --- the C library's --- */

/* A description of its own, so that locks are held against each other. */
static int memory_open(int memory)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", memory);
	return open(path, O_RDONLY | O_CLOEXEC);
}

int kernel_open(const char *path, int flags, ...)
{
	(void)flags;
	if (!strcmp(path, KERNEL_FILE))
		return memory_open(file);
	if (!strcmp(path, MAPS_OWN_FOLDER))
		return memory_open(lock);
	errno = ENOENT;
	return -1;
}

FILE *kernel_fopen(const char *path, const char *mode)
{
	int descriptor = kernel_open(path, O_RDONLY);

	(void)mode;
	return descriptor < 0 ? NULL : fdopen(descriptor, "r");
}

/* Nobody else is there who could hold it. */
int kernel_flock(int descriptor, int operation)
{
	if (flock(descriptor, operation | LOCK_NB))
		abort();
	return 0;
}

int kernel_access(const char *path, int mode)
{
	int descriptor = bpf_obj_get(path);

	(void)mode;
	if (descriptor >= 0)
		return close(descriptor);
	errno = ENOENT;
	return -1;
}

static int refused(void)
{
	errno = EPERM;
	return -1;
}

int kernel_mkdir(const char *path, unsigned mode)
{
	(void)path;
	(void)mode;
	return refused();
}

int kernel_rmdir(const char *path)
{
	(void)path;
	return refused();
}

int kernel_unlink(const char *path)
{
	(void)path;
	return refused();
}

int kernel_rename(const char *from, const char *to)
{
	(void)from;
	(void)to;
	return refused();
}

int kernel_inotify_init1(int flags)
{
	(void)flags;
	return refused();
}
