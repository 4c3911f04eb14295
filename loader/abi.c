// SPDX-License-Identifier: GPL-2.0-only
/*
 * The maps of earlier ABI versions, as far as they were other maps than now.
 *
 * Whoever raises XLB_ABI adds the version that was, and turns what stands here into
 * the values of the new one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>

#include "abi.h"

/* --- ABI 2: no answers to echo requests, no warm-up, no word on what if all fail --- */

struct service2 {
	struct xlb_table table;
	__u64 settle_until;
	__u64 changed;
	__u32 settle;
	enum xlb_mode mode;
	enum xlb_hash hash;
	__u8 updating;
	__u8 reserved;
};

struct backend2 {
	__u32 weight;
	__u16 id;
	enum xlb_state admin;
	enum xlb_state health;
};

static void config_from2(const void *old, void *now)
{
	struct xlb_config *config = now;

	memcpy(config, old, sizeof(*config));
	config->abi = XLB_ABI;
}

static void service_from2(const void *old, void *now)
{
	const struct service2 *from = old;
	struct xlb_service *to = now;

	to->table = from->table;
	to->settle_until = from->settle_until;
	to->changed = from->changed;
	to->settle = from->settle;
	to->mode = from->mode;
	to->hash = from->hash;
	to->updating = from->updating;
	to->echo = 1;
	to->fail = XLB_FAIL_CLOSED;
}

static void backend_from2(const void *old, void *now)
{
	const struct backend2 *from = old;
	struct xlb_backend *to = now;

	to->weight = from->weight;
	to->id = from->id;
	to->admin = from->admin;
	to->health = from->health;
}

static const struct abi_map maps2[] = {
	{ MAP_CONFIG, sizeof(struct xlb_config), config_from2 },
	{ MAP_SERVICES4, sizeof(struct service2), service_from2 },
	{ MAP_SERVICES6, sizeof(struct service2), service_from2 },
	{ MAP_VIPS, sizeof(__u32), NULL },
	{ MAP_BACKENDS, sizeof(struct backend2), backend_from2 },
	{},
};

static const struct abi abis[] = {
	{ MAPS_ABI_OLDEST, maps2 },
};

const struct abi *abi_find(__u32 version)
{
	for (unsigned i = 0; i < sizeof(abis) / sizeof(abis[0]); i++)
		if (abis[i].version == version)
			return &abis[i];
	return NULL;
}

static int entries_convert(int old, int now, __u32 now_size, const struct abi_map *map)
{
	char key[sizeof(struct xlb_backend_key)], value[sizeof(struct xlb_config)];
	void *made = calloc(1, now_size);
	bool begun = false;
	int error = made ? 0 : -ENOMEM;

	while (!error) {
		error = bpf_map_get_next_key(old, begun ? key : NULL, key);
		if (!error)
			error = bpf_map_lookup_elem(old, key, value);
		if (error)
			break;
		begun = true;
		memset(made, 0, now_size);
		map->convert(value, made);
		error = bpf_map_update_elem(now, key, made, BPF_ANY);
	}
	free(made);
	return error == -ENOENT ? 0 : error;
}

int abi_convert(const struct abi *from, const struct maps *old, const struct bpf_object *object)
{
	int error = 0;

	for (const struct abi_map *map = from->maps; !error && map->value; map++) {
		const struct bpf_map *now = bpf_object__find_map_by_name(object,
									 map_name(map->map));

		if (map->convert)
			error = entries_convert(old->fd[map->map], bpf_map__fd(now),
						bpf_map__value_size(now), map);
	}
	return error;
}
