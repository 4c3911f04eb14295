// SPDX-License-Identifier: GPL-2.0-only
/* The object file xlb.o: where it is, and loading one program of it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "object.h"

static int object_try(const char *candidate, char *path)
{
	snprintf(path, PATH_MAX, "%s", candidate);
	return access(path, R_OK) ? -ENOENT : 0;
}

/* Relative to the folder of the running executable. */
static int object_try_beside(const char *relative, char *path)
{
	ssize_t length = readlink("/proc/self/exe", path, PATH_MAX);
	char *slash;
	size_t used;

	if (length < 0 || length >= PATH_MAX)
		return -ENOENT;
	path[length] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		return -ENOENT;
	used = slash + 1 - path;
	snprintf(slash + 1, PATH_MAX - used, "%s", relative);
	return access(path, R_OK) ? -ENOENT : 0;
}

int object_find(const char *given, char *path)
{
	if (!given)
		given = getenv("XLB_OBJECT");
	if (given && *given)
		return object_try(given, path);
	if (!object_try(XLB_OBJECT_PATH, path) || !object_try_beside("xlb.o", path) ||
	    !object_try_beside("../bpf/xlb.o", path))
		return 0;
	/* What an error is to name. */
	snprintf(path, PATH_MAX, "%s", XLB_OBJECT_PATH);
	return -ENOENT;
}

static __u32 size_wanted(const struct object_size *sizes, const char *name)
{
	for (; sizes && sizes->map; sizes++)
		if (!strcmp(sizes->map, name))
			return sizes->entries;
	return 0;
}

/*
 * A map that is pinned already keeps its size, which libbpf wants to match;
 * `wanted` is 0 where any will do.
 */
static int map_size(struct bpf_map *map, const char *folder, __u32 wanted)
{
	struct bpf_map_info info = {};
	__u32 size = sizeof(info);
	char path[PATH_MAX];
	int pinned, error;

	if (snprintf(path, sizeof(path), "%s/%s", folder, bpf_map__name(map)) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	pinned = bpf_obj_get(path);
	if (pinned == -ENOENT)
		return wanted ? bpf_map__set_max_entries(map, wanted) : 0;
	if (pinned < 0)
		return pinned;
	error = bpf_obj_get_info_by_fd(pinned, &info, &size);
	close(pinned);
	if (error)
		return error;
	if (wanted && wanted != info.max_entries)
		return -EEXIST;
	return bpf_map__set_max_entries(map, info.max_entries);
}

static int object_prepare(struct bpf_object *object, const char *name, const char *folder,
			  const struct object_size *sizes)
{
	struct bpf_program *program;
	struct bpf_map *map;
	int error = 0;

	bpf_object__for_each_program(program, object) {
		bpf_program__set_type(program, BPF_PROG_TYPE_XDP);
		bpf_program__set_autoload(program, !strcmp(bpf_program__name(program), name));
	}
	bpf_object__for_each_map(map, object) {
		if (bpf_map__pin_path(map))
			error = map_size(map, folder, size_wanted(sizes, bpf_map__name(map)));
		if (error)
			return error;
	}
	return bpf_object__load(object);
}

int object_load(const char *path, const char *program, const char *folder,
		const struct object_size *sizes, struct bpf_object **object)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .pin_root_path = folder);
	int error;

	*object = bpf_object__open_file(path, &options);
	if (!*object)
		return -errno;
	error = object_prepare(*object, program, folder, sizes);
	if (error) {
		bpf_object__close(*object);
		*object = NULL;
	}
	return error;
}
