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

/* Never 0, which nobody would take for an error. */
static int error_last(void)
{
	int error = -errno;

	return error < 0 ? error : -EINVAL;
}

/* A counter's name is its field's, which only BTF knows for the object that is loaded. */
int counters_open(struct counters *counters, int map, const char *object, const char *name)
{
	struct bpf_map_info info = {};
	__u32 size = sizeof(info);
	int error = bpf_obj_get_info_by_fd(map, &info, &size);

	*counters = (struct counters){};
	if (error)
		return error;
	counters->btf = btf__load_from_kernel_by_id(info.btf_id);
	if (!counters->btf && errno == EPERM)
		counters->btf = object_types(object, name, &info);
	if (!counters->btf)
		return error_last();
	counters->type = btf__type_by_id(counters->btf, info.btf_value_type_id);
	if (counters->type && btf_is_struct(counters->type))
		return 0;
	counters_close(counters);
	return -ENODATA;
}

void counters_close(struct counters *counters)
{
	btf__free(counters->btf);
	*counters = (struct counters){};
}

const char *counter_name(const struct counters *counters, unsigned number)
{
	if (!counters->type || number >= btf_vlen(counters->type))
		return "?";
	return btf__name_by_offset(counters->btf, btf_members(counters->type)[number].name_off);
}

static void counters_print(struct output *output, const struct counters *counters,
			   const __u64 *values, unsigned cpus)
{
	const struct btf_type *type = counters->type;
	const struct btf_member *member = btf_members(type);

	for (unsigned i = 0; i < btf_vlen(type); i++, member++) {
		__u64 sum = 0;

		for (unsigned cpu = 0; cpu < cpus; cpu++)
			sum += values[cpu * (type->size / 8) + member->offset / 64];
		output_number(output, counter_name(counters, i), sum);
	}
}

int counters_show(struct output *output, int map, const char *object, const char *name)
{
	int error, cpus = libbpf_num_possible_cpus();
	struct counters counters;
	__u32 zero = 0;
	__u64 *values;

	if (cpus < 0)
		return cpus;
	error = counters_open(&counters, map, object, name);
	if (error)
		return error;
	values = calloc(cpus, counters.type->size);
	error = values ? bpf_map_lookup_elem(map, &zero, values) : -ENOMEM;
	if (!error)
		counters_print(output, &counters, values, cpus);
	free(values);
	counters_close(&counters);
	return error;
}
