// SPDX-License-Identifier: GPL-2.0-only
/* Reading pinned maps whole. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "maps.h"

/* Zeroed, because valgrind does not know what the kernel fills in batches. */
static int grow(void **entries, size_t size, unsigned old, unsigned count)
{
	void *more = reallocarray(*entries, count, size);

	if (!more)
		return -ENOMEM;
	memset((char *)more + old * size, 0, (count - old) * size);
	*entries = more;
	return 0;
}

/* Makes room for at least 1024 entries more. */
static int room_make(void **keys, void **values, enum map map, unsigned count, unsigned *room)
{
	unsigned old = *room;
	int error;

	if (old - count >= 1024)
		return 0;
	*room = old * 2 + 1024;
	error = grow(keys, map_key_size(map), old, *room);
	return error ?: grow(values, map_value_size(map), old, *room);
}

int map_read(const struct maps *maps, enum map map, void **keys, void **values, unsigned *count)
{
	unsigned room = 0;
	__u64 place[8] = {};	/* where the kernel is; at most a key */
	bool begun = false;
	__u32 got;
	int error;

	*keys = *values = NULL;
	*count = 0;
	do {
		error = room_make(keys, values, map, *count, &room);
		if (error)
			break;
		got = room - *count;
		error = bpf_map_lookup_batch(maps->fd[map], begun ? place : NULL, place,
					     (char *)*keys + (size_t)*count * map_key_size(map),
					     (char *)*values + (size_t)*count * map_value_size(map),
					     &got, NULL);
		if (!error || error == -ENOENT)
			*count += got;
		begun = true;
	} while (!error);
	if (error == -ENOENT)
		return 0;
	free(*keys);
	free(*values);
	*keys = *values = NULL;
	*count = 0;
	return error;
}

int map_read_percpu(const struct maps *maps, enum map map, __u32 key, void **values,
		    unsigned *count)
{
	int cpus = libbpf_num_possible_cpus();
	int error;

	*values = NULL;
	if (cpus < 0)
		return cpus;
	*count = cpus;
	*values = calloc(cpus, map_value_size(map));
	if (!*values)
		return -ENOMEM;
	error = bpf_map_lookup_elem(maps->fd[map], &key, *values);
	if (error) {
		free(*values);
		*values = NULL;
	}
	return error;
}
