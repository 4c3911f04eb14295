// SPDX-License-Identifier: GPL-2.0-only
/* Counters that have names: the one element of a per-CPU array, a struct. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "counters.h"
#include "object.h"

/* A counter's name is its field's, which only BTF knows for the object that is loaded. */
static int counters_print(struct output *output, const struct btf *btf, __u32 type_id,
			  const __u64 *values, unsigned cpus)
{
	const struct btf_type *type = btf__type_by_id(btf, type_id);
	const struct btf_member *member;

	if (!type || !btf_is_struct(type))
		return -ENODATA;
	member = btf_members(type);
	for (unsigned i = 0; i < btf_vlen(type); i++, member++) {
		__u64 sum = 0;

		for (unsigned cpu = 0; cpu < cpus; cpu++)
			sum += values[cpu * (type->size / 8) + member->offset / 64];
		output_number(output, btf__name_by_offset(btf, member->name_off), sum);
	}
	return 0;
}

/* The types of an object file of the same layout; NULL and errno. */
static struct btf *object_types(const char *object, const char *name, struct bpf_map_info *info)
{
	char path[PATH_MAX];
	int error = object_find_beside(object, path);
	struct btf *btf = error ? NULL : btf__parse(path, NULL);
	const struct btf_type *type;
	int id;

	if (!btf) {
		errno = EPERM;
		return NULL;
	}
	id = btf__find_by_name_kind(btf, name, BTF_KIND_STRUCT);
	type = id < 0 ? NULL : btf__type_by_id(btf, id);
	if (!type || type->size != info->value_size) {
		btf__free(btf);
		errno = EPERM;
		return NULL;
	}
	info->btf_value_type_id = id;
	return btf;
}

int counters_show(struct output *output, int map, const char *object, const char *name)
{
	int error, cpus = libbpf_num_possible_cpus();
	struct bpf_map_info info = {};
	__u32 size = sizeof(info), zero = 0;
	struct btf *btf;
	__u64 *values;

	if (cpus < 0)
		return cpus;
	error = bpf_obj_get_info_by_fd(map, &info, &size);
	if (error)
		return error;
	btf = btf__load_from_kernel_by_id(info.btf_id);
	if (!btf && errno == EPERM)
		btf = object_types(object, name, &info);
	if (!btf)
		return -errno;
	values = calloc(cpus, info.value_size);
	error = values ? bpf_map_lookup_elem(map, &zero, values) : -ENOMEM;
	if (!error)
		error = counters_print(output, btf, info.btf_value_type_id, values, cpus);
	free(values);
	btf__free(btf);
	return error;
}
