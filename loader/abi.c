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

/* --- ABI 3: no rules, no limits, no events --- */

struct config3 {
	__u32 abi;
	__u32 hz;
	__u64 seed;
	__u32 settle;
	__u32 idle;
	__u32 table;
	__u32 records;
	struct xlb_needs needs;
	__u16 gue_port;
	__u8 nat4_count;
	__u8 nat6_count;
	__u8 tunnel4[4];
	__u8 tunnel6[16];
	__u8 nat4[XLB_NAT_ADDRESSES][4];
	__u8 nat6[XLB_NAT_ADDRESSES][16];
	__u32 reserved;
};

struct service3 {
	struct xlb_table table;
	__u64 settle_until;
	__u64 changed;
	__u32 settle;
	enum xlb_mode mode;
	enum xlb_hash hash;
	__u8 updating;
	__u8 echo;
	enum xlb_fail fail;
	__u8 reserved[5];
	__u16 warmup;
};

/* struct xlb_drops begins with them. */
struct drops3 {
	__u64 reason[18];
};

static void config_from3(const void *old, void *now)
{
	const struct config3 *from = old;
	struct xlb_config *to = now;

	to->abi = XLB_ABI;
	to->hz = from->hz;
	to->seed = from->seed;
	to->settle = from->settle;
	to->idle = from->idle;
	to->table = from->table;
	to->records = from->records;
	to->needs = from->needs;
	to->gue_port = from->gue_port;
	to->nat4_count = from->nat4_count;
	to->nat6_count = from->nat6_count;
	memcpy(to->tunnel4, from->tunnel4, sizeof(to->tunnel4));
	memcpy(to->tunnel6, from->tunnel6, sizeof(to->tunnel6));
	memcpy(to->nat4, from->nat4, sizeof(to->nat4));
	memcpy(to->nat6, from->nat6, sizeof(to->nat6));
}

static void service_from3(const void *old, void *now)
{
	const struct service3 *from = old;
	struct xlb_service *to = now;

	to->table = from->table;
	to->settle_until = from->settle_until;
	to->changed = from->changed;
	to->settle = from->settle;
	to->mode = from->mode;
	to->hash = from->hash;
	to->updating = from->updating;
	to->echo = from->echo;
	to->fail = from->fail;
	to->warmup = from->warmup;
}

static void drops_from3(const void *old, void *now)
{
	memcpy(now, old, sizeof(struct drops3));
}

#define ABSENT(map) { map, MAPS_ABSENT, NULL }
#define NEW_IN_4 ABSENT(MAP_ACL4), ABSENT(MAP_ACL6), ABSENT(MAP_LIMITS), ABSENT(MAP_WATCH), \
		 ABSENT(MAP_SAMPLES), ABSENT(MAP_EVENTS)

static const struct abi_map maps3[] = {
	{ MAP_CONFIG, sizeof(struct config3), config_from3 },
	{ MAP_SERVICES4, sizeof(struct service3), service_from3 },
	{ MAP_SERVICES6, sizeof(struct service3), service_from3 },
	{ MAP_DROPS, sizeof(struct drops3), drops_from3 },
	NEW_IN_4,
	{},
};

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

static void service_from2(const void *old, void *now)
{
	struct service3 from = {};

	/* It begins with the same fields, the last of which was not used. */
	memcpy(&from, old, sizeof(struct service2));
	from.echo = 1;
	from.fail = XLB_FAIL_CLOSED;
	service_from3(&from, now);
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
	{ MAP_CONFIG, sizeof(struct config3), config_from3 },
	{ MAP_SERVICES4, sizeof(struct service2), service_from2 },
	{ MAP_SERVICES6, sizeof(struct service2), service_from2 },
	{ MAP_VIPS, sizeof(__u32), NULL },
	{ MAP_BACKENDS, sizeof(struct backend2), backend_from2 },
	{ MAP_DROPS, sizeof(struct drops3), drops_from3 },
	NEW_IN_4,
	{},
};

static const struct abi abis[] = {
	{ MAPS_ABI_OLDEST, maps2 },
	{ 3, maps3 },
};

const struct abi *abi_find(__u32 version)
{
	for (unsigned i = 0; i < sizeof(abis) / sizeof(abis[0]); i++)
		if (abis[i].version == version)
			return &abis[i];
	return NULL;
}

/* A value as bpf(2) reads and writes it: one for each CPU, or one. */
struct block {
	unsigned count;
	size_t size;		/* of each, rounded up to 8 bytes where there are several */
	char *bytes;
};

static int block_make(struct block *block, const struct bpf_map *map, size_t size)
{
	bool each = bpf_map__type(map) == BPF_MAP_TYPE_PERCPU_ARRAY;
	int count = each ? libbpf_num_possible_cpus() : 1;

	if (count < 0)
		return count;
	block->count = count;
	block->size = each ? (size + 7) / 8 * 8 : size;
	block->bytes = calloc(count, block->size);
	return block->bytes ? 0 : -ENOMEM;
}

static int entry_convert(int old, int now, const void *key, const struct block *from,
			 const struct block *to, const struct abi_map *map)
{
	int error = bpf_map_lookup_elem(old, key, from->bytes);

	if (error)
		return error;
	memset(to->bytes, 0, to->count * to->size);
	for (unsigned i = 0; i < to->count; i++)
		map->convert(from->bytes + i * from->size, to->bytes + i * to->size);
	return bpf_map_update_elem(now, key, to->bytes, BPF_ANY);
}

static int entries_convert(int old, const struct bpf_map *now, const struct abi_map *map)
{
	char key[sizeof(struct xlb_backend_key)];
	struct block from = {}, to = {};
	bool begun = false;
	int error = block_make(&from, now, map->value);

	error = error ?: block_make(&to, now, bpf_map__value_size(now));
	while (!error) {
		error = bpf_map_get_next_key(old, begun ? key : NULL, key);
		if (!error)
			error = entry_convert(old, bpf_map__fd(now), key, &from, &to, map);
		begun = true;
	}
	free(from.bytes);
	free(to.bytes);
	return error == -ENOENT ? 0 : error;
}

int abi_convert(const struct abi *from, const struct maps *old, const struct bpf_object *object)
{
	int error = 0;

	for (const struct abi_map *map = from->maps; !error && map->value; map++) {
		const struct bpf_map *now = bpf_object__find_map_by_name(object,
									 map_name(map->map));

		if (map->convert)
			error = entries_convert(old->fd[map->map], now, map);
	}
	return error;
}
