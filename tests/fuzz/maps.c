// SPDX-License-Identifier: GPL-2.0-only
/* The program loaded, its maps read and emptied. */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "network.h"
#include "rules.h"

#define PINS "/sys/fs/bpf/xlb"

static const char *const map_names[WORLD_MAPS] = {
	[MAP_CONFIG] = "xlb_config",	   [MAP_LINKS] = "xlb_links",
	[MAP_SERVICES4] = "xlb_services4", [MAP_SERVICES6] = "xlb_services6",
	[MAP_LIMITS] = "xlb_limits",	   [MAP_BACKENDS] = "xlb_backends",
	[MAP_NEXTHOPS] = "xlb_nexthops",   [MAP_ROUTES] = "xlb_routes",
	[MAP_FLOWS4] = "xlb_flows4",	   [MAP_FLOWS6] = "xlb_flows6",
	[MAP_EMBRYOS4] = "xlb_embryos4",   [MAP_EMBRYOS6] = "xlb_embryos6",
	[MAP_FRAGMENTS] = "xlb_fragments", [MAP_BUDGET] = "xlb_budget",
	[MAP_STATS] = "xlb_stats",	   [MAP_DROPS] = "xlb_drops",
};

static int failed(const char *what, int error)
{
	fprintf(stderr, "fuzz: %s: %s\n", what, strerror(-error));
	return -1;
}

/* What the reasons are called, in the order of their numbers. */
static void drops_name(struct world *world, const struct btf *btf)
{
	int id = btf__find_by_name_kind(btf, "xlb_drops", BTF_KIND_STRUCT);
	const struct btf_type *type = id < 0 ? NULL : btf__type_by_id(btf, id);
	const struct btf_member *member = type ? btf_members(type) : NULL;

	world->drop_count = type ? btf_vlen(type) : 0;
	for (unsigned i = 0; i < world->drop_count; i++)
		world->drops[i] = btf__name_by_offset(btf, member[i].name_off);
}

/* An LRU map forgets somebody before it is full, and nobody can tell whom. */
#define RECORDS 131072

static int records_widen(struct bpf_object *object)
{
	int error = 0;

	for (unsigned i = MAP_FLOWS4; i <= MAP_FRAGMENTS && !error; i++)
		error = bpf_map__set_max_entries(bpf_object__find_map_by_name(object, map_names[i]),
						 RECORDS);
	return error;
}

int world_open(struct world *world, const char *path)
{
	DECLARE_LIBBPF_OPTS(bpf_object_open_opts, options, .pin_root_path = PINS);
	struct bpf_program *program;
	struct bpf_object *object;
	int error;

	if (network_make(world) || mkdir(PINS, 0700))
		return -1;
	object = bpf_object__open_file(path, &options);
	if (!object)
		return failed(path, -errno);
	bpf_object__for_each_program(program, object) {
		bpf_program__set_type(program, BPF_PROG_TYPE_XDP);
		bpf_program__set_autoload(program,
					  !strcmp(bpf_program__name(program), "xlb_xdp"));
	}
	error = records_widen(object) ?: bpf_object__load(object);
	if (error)
		return failed(path, error);
	world->program = bpf_program__fd(bpf_object__find_program_by_name(object, "xlb_xdp"));
	for (unsigned i = 0; i < WORLD_MAPS; i++)
		world->maps[i] = bpf_object__find_map_fd_by_name(object, map_names[i]);
	drops_name(world, bpf_object__btf(object));
	return 0;
}

/* Its number, and counters as they stand. */
static int backend_learn(struct world *world, const struct service *service,
			 struct backend *backend)
{
	struct xlb_backend_key key = {
		.service_port = service->port,
		.port = backend->port,
		.protocol = service->protocol,
	};
	const struct address *ends[] = { &service->address, &backend->address };
	__u8 *places[] = { key.service_address, key.address };
	struct xlb_backend value;

	for (int i = 0; i < 2; i++) {
		if (ends[i]->v6) {
			memcpy(places[i], ends[i]->bytes, 16);
		} else {
			memset(places[i] + 10, 0xff, 2);
			memcpy(places[i] + 12, ends[i]->bytes, 4);
		}
	}
	if (bpf_map_lookup_elem(world->maps[MAP_BACKENDS], &key, &value))
		return failed("a backend that is configured", -errno);
	backend->id = value.id;
	return 0;
}

/* Half of the time links are said to be no veths, as most are that balancers have. */
static int links_learn(struct world *world)
{
	int map = world->maps[MAP_LINKS];

	for (enum link link = 0; link < LINKS; link++) {
		struct xlb_link *value = &world->links[link];

		*value = (struct xlb_link){};
		if (bpf_map_lookup_elem(map, &world->ifindex[link], value))
			continue;
		value->veth = world->veth;
		if (bpf_map_update_elem(map, &world->ifindex[link], value, BPF_ANY))
			return failed(map_names[MAP_LINKS], -errno);
	}
	return 0;
}

/* Of an array: all that could have been written. */
static void array_clear(int map, __u32 entries, unsigned size)
{
	void *zeros = calloc(libbpf_num_possible_cpus(), size);

	for (__u32 i = 0; zeros && i < entries; i++)
		bpf_map_update_elem(map, &i, zeros, BPF_ANY);
	free(zeros);
}

static void hash_clear(int map)
{
	__u8 key[64], next[64];
	bool more = !bpf_map_get_next_key(map, NULL, key);

	while (more) {
		more = !bpf_map_get_next_key(map, key, next);
		bpf_map_delete_elem(map, key);
		memcpy(key, next, sizeof(key));
	}
}

void world_forget_hops(struct world *world)
{
	static struct xlb_nexthop none[XLB_TARGETS_MAX];
	static __u32 ids[XLB_TARGETS_MAX];
	__u32 count = 0;

	for (unsigned i = 0; i < world->count; i++)
		for (unsigned j = 0; j < world->services[i].count; j++)
			ids[count++] = world->services[i].backends[j].id;
	bpf_map_update_batch(world->maps[MAP_NEXTHOPS], ids, none, &count, NULL);
}

/* Without sources, which no tool would take away from services that need them. */
void world_sources(struct world *world, bool stand)
{
	const int map = world->maps[MAP_CONFIG];
	struct xlb_config config, bare;
	__u32 zero = 0;

	if (bpf_map_lookup_elem(map, &zero, &config))
		return;
	if (!stand && config.nat4_count) {
		world->config = bare = config;
		bare.nat4_count = bare.nat6_count = 0;
		memset(bare.tunnel4, 0, sizeof(bare.tunnel4));
		memset(bare.tunnel6, 0, sizeof(bare.tunnel6));
		bpf_map_update_elem(map, &zero, &bare, BPF_ANY);
	} else if (stand && config.abi && !config.nat4_count && world->config.abi) {
		bpf_map_update_elem(map, &zero, &world->config, BPF_ANY);
	}
}

/* So many times longer are the program's seconds, or what becomes of a SYN that comes
 * again would depend on how long this machine takes for a round. */
#define SECOND 1000

static int seconds_stretch(struct world *world)
{
	const int map = world->maps[MAP_CONFIG];
	struct xlb_config config;
	__u32 zero = 0;

	if (bpf_map_lookup_elem(map, &zero, &config))
		return failed(map_names[MAP_CONFIG], -errno);
	if (config.hz == world->hz)
		return 0;
	world->hz = config.hz *= SECOND;
	return bpf_map_update_elem(map, &zero, &config, BPF_ANY);
}

int world_learn(struct world *world)
{
	if (seconds_stretch(world))
		return -1;
	world_sources(world, world->sources);
	for (unsigned i = 0; i < world->count; i++) {
		struct service *service = &world->services[i];

		for (unsigned j = 0; j < service->count; j++)
			if (service->backends[j].state &&
			    backend_learn(world, service, &service->backends[j]))
				return -1;
	}
	if (links_learn(world))
		return -1;
	world_forget_hops(world);
	array_clear(world->maps[MAP_ROUTES], 1 << XLB_ROUTES_BITS, sizeof(struct xlb_route));
	return 0;
}

int world_forget(struct world *world)
{
	for (unsigned map = MAP_FLOWS4; map <= MAP_FRAGMENTS; map++)
		hash_clear(world->maps[map]);
	hash_clear(world->maps[MAP_LIMITS]);
	if (limits_exhaust(world))
		return failed(map_names[MAP_LIMITS], -errno);
	array_clear(world->maps[MAP_BUDGET], 1, sizeof(struct xlb_budget));
	return 0;
}
