// SPDX-License-Identifier: GPL-2.0-only
/* The object file xlb.o: where it is, and loading one program of it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>

#include "object.h"
#include "privilege.h"
#include "xlb_abi.h"

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

int object_find_beside(const char *name, char *path)
{
	int error = object_find(NULL, path);
	char *slash = strrchr(path, '/'), *start = slash ? slash + 1 : path;

	snprintf(start, PATH_MAX - (start - path), "%s", name);
	return error || access(path, R_OK) ? -ENOENT : 0;
}

static bool listed(const char *const *names, const char *name)
{
	for (; names && *names; names++)
		if (!strcmp(*names, name))
			return true;
	return false;
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

static int map_prepare(struct bpf_map *map, const struct object_wish *wish)
{
	const char *name = bpf_map__name(map);
	char path[PATH_MAX];
	int error = map_size(map, wish->folder, size_wanted(wish->sizes, name));

	if (error || !listed(wish->anew, name))
		return error;
	if (snprintf(path, sizeof(path), "%s/%s", wish->aside, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	return bpf_map__set_pin_path(map, path);
}

/* Where a variable stands among the object's constants, or -ENODATA. */
static int constant_offset(const struct bpf_object *object, const char *name)
{
	const struct btf *btf = bpf_object__btf(object);
	int id = btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC);
	const struct btf_type *section = btf__type_by_id(btf, id < 0 ? 0 : id);
	const struct btf_var_secinfo *variable = btf_var_secinfos(section);

	for (unsigned i = 0; id > 0 && i < btf_vlen(section); i++, variable++) {
		const struct btf_type *type = btf__type_by_id(btf, variable->type);

		if (!strcmp(btf__name_by_offset(btf, type->name_off), name))
			return variable->offset;
	}
	return -ENODATA;
}

/* One of the object's constants, to be read or, before it is loaded, set; or NULL. */
static void *constant(struct bpf_object *object, const char *name)
{
	struct bpf_map *constants = bpf_object__find_map_by_name(object, ".rodata");
	int offset = constant_offset(object, name);
	size_t size;

	/* libbpf's own skeletons write there, too, though it was const before 1.2. */
	return constants && offset >= 0 ? (char *)bpf_map__initial_value(constants, &size) + offset
					: NULL;
}

int object_set_frags(struct bpf_object *object, struct bpf_program *program)
{
	__u8 *frags = constant(object, "xlb_frags");

	if (!frags)
		return -ENODATA;
	*frags = 1;
	return bpf_program__set_flags(program, bpf_program__flags(program) | BPF_F_XDP_HAS_FRAGS);
}

/* Before anything is made that a program of another version would not know. */
static int object_check(struct bpf_object *object)
{
	const __u32 *abi = constant(object, "xlb_abi");

	return abi && *abi == XLB_ABI ? 0 : -EPROTO;
}

static int object_prepare(struct bpf_object *object, const struct object_wish *wish)
{
	struct bpf_program *program;
	struct bpf_map *map;
	int error = object_check(object);

	if (error)
		return error;
	bpf_object__for_each_program(program, object) {
		bool wanted = !strcmp(bpf_program__name(program), wish->program);

		bpf_program__set_type(program, BPF_PROG_TYPE_XDP);
		bpf_program__set_autoload(program, wanted);
		if (wanted && wish->frags)
			error = object_set_frags(object, program);
		if (error)
			return error;
	}
	bpf_object__for_each_map(map, object) {
		if (bpf_map__pin_path(map))
			error = map_prepare(map, wish);
		if (error)
			return error;
	}
	return bpf_object__load(object);
}

static int object_try_load(const struct object_wish *wish, struct bpf_object **object)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .pin_root_path = wish->folder);
	int error;

	*object = bpf_object__open_file(wish->path, &options);
	if (!*object)
		return -errno;
	error = object_prepare(*object, wish);
	if (error) {
		bpf_object__close(*object);
		*object = NULL;
	}
	return error;
}

int object_load(const struct object_wish *wish, struct bpf_object **object)
{
	struct object_wish older = *wish;
	int error = object_try_load(wish, object);

	/* Before Linux 5.18 the flag is not known, and frames are always in one piece. */
	older.frags = false;
	if (wish->frags && error == -EINVAL)
		error = object_try_load(&older, object);
	return error;
}

bool object_is_none(int error)
{
	return error == -LIBBPF_ERRNO__FORMAT || error == -LIBBPF_ERRNO__LIBELF;
}

const char *object_explain(int error, unsigned long long wanted)
{
	static char text[128];

	if (object_is_none(error))
		return "not a BPF object file";
	if (error > -__LIBBPF_ERRNO__START)
		return privilege_explain(error, wanted);
	libbpf_strerror(error, text, sizeof(text));
	return text;
}
