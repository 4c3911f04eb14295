// SPDX-License-Identifier: GPL-2.0-only
/* Loads what the benchmark compares, and gives xlb its services by the ABI alone. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "world.h"

#define TABLE_SIZE 65537
#define NANOSECONDS 1000000000L

static const enum xlb_protocol protocols[] = { XLB_TCP, XLB_UDP };

static int failed(const char *what, int error)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(-error));
	return error;
}

static int map_set(struct bpf_object *object, const char *name, const void *key, const void *value)
{
	int error = bpf_map_update_elem(bpf_object__find_map_fd_by_name(object, name), key, value,
					BPF_ANY);

	return error ? failed(name, error) : 0;
}

/* Loads one program of an object (all if NULL), without pins. */
static struct bpf_object *object_load(const char *path, const char *only)
{
	struct bpf_object *object = bpf_object__open(path);
	struct bpf_program *program;
	struct bpf_map *map;
	int error;

	if (!object) {
		failed(path, -errno);
		return NULL;
	}
	bpf_object__for_each_program(program, object) {
		bpf_program__set_type(program, BPF_PROG_TYPE_XDP);
		bpf_program__set_autoload(program, !only ||
						   !strcmp(bpf_program__name(program), only));
	}
	bpf_object__for_each_map(map, object)
		bpf_map__set_pin_path(map, NULL);
	error = bpf_object__load(object);
	if (error) {
		failed(path, error);
		bpf_object__close(object);
		return NULL;
	}
	return object;
}

static int program_find(struct bpf_object *object, const char *name)
{
	return bpf_program__fd(bpf_object__find_program_by_name(object, name));
}

static int peers_load(struct world *world)
{
	struct bpf_object *restore = object_load("tests/bench/restore.o", NULL);
	struct bpf_object *bounce = object_load("tests/bench/bounce.o", NULL);
	struct bpf_object *seed = object_load("tests/bench/seed.o", NULL);
	struct seed_backend backend = { .port = __builtin_bswap16(BACKEND_PORT) };
	unsigned slot;

	if (!restore || !bounce || !seed)
		return -EINVAL;
	world->restore = program_find(restore, "bench_restore");
	world->source = bpf_object__find_map_fd_by_name(restore, "bench_source");
	world->tested = bpf_object__find_map_fd_by_name(restore, "bench_tested");
	world->programs[PASS] = program_find(bounce, "bench_pass");
	world->programs[BOUNCE] = program_find(bounce, "bench_bounce");
	world->programs[SEED] = program_find(seed, "seed_balancer");

	memcpy(backend.mac, gateway_mac, sizeof(backend.mac));
	for (slot = 0; slot < SEED_RING_SIZE; slot++) {
		address_backend(IPV4, OWNER_CURRENT, slot % BACKENDS, backend.address);
		if (map_set(seed, "seed_ring", &slot, &backend))
			return -EINVAL;
	}
	return 0;
}

static __u16 backend_id(enum family family, enum owner owner, unsigned number)
{
	return 1 + (family * OWNERS + owner) * BACKENDS + number;
}

static unsigned table_first(enum family family, enum service service)
{
	unsigned step = (TABLE_SIZE / XLB_SLOTS_PER_VALUE + 1) * XLB_SLOTS_PER_VALUE;

	return (family * SERVICES + service) * step;
}

/* As `address` and `port` stand in either kind of key; its padding is zero. */
static void endpoint_set(struct xlb_endpoint6 *endpoint, enum family family, const __u8 *address,
			 __u16 port, enum xlb_protocol protocol)
{
	struct xlb_endpoint4 *short_form = (struct xlb_endpoint4 *)endpoint;

	memset(endpoint, 0, sizeof(*endpoint));
	if (family == IPV6) {
		memcpy(endpoint->address, address, sizeof(endpoint->address));
		endpoint->port = port;
		endpoint->protocol = protocol;
	} else {
		memcpy(short_form->address, address, sizeof(short_form->address));
		short_form->port = port;
		short_form->protocol = protocol;
	}
}

static int backend_add(struct bpf_object *xlb, enum family family, enum owner owner,
		       unsigned number)
{
	struct xlb_target target = { .port = BACKEND_PORT, .generation = 1, .live = 1 };
	struct xlb_reply reply = { .port = SERVICE_PORT,
				   .backend = backend_id(family, owner, number) };
	struct xlb_endpoint6 endpoint;
	unsigned i;

	address_backend(family, owner, number, target.address);
	address_service(family, SERVICE_STEADY, reply.address);
	for (i = 0; i < 2; i++) {
		endpoint_set(&endpoint, family, target.address, BACKEND_PORT, protocols[i]);
		if (map_set(xlb, family == IPV6 ? "xlb_replies6" : "xlb_replies4", &endpoint,
			    &reply))
			return -EINVAL;
	}
	return map_set(xlb, "xlb_targets", &(__u32){ reply.backend }, &target);
}

/* Scattered evenly, as a real table is: the constant is odd and has its bits mixed. */
static unsigned slot_owner(unsigned slot)
{
	return (__u64)(slot * 0x9e3779b1U) * BACKENDS >> 32;
}

static int table_fill(struct bpf_object *xlb, enum family family, enum service service)
{
	__u32 value = table_first(family, service) / XLB_SLOTS_PER_VALUE;
	struct xlb_slots slots;
	unsigned slot, number;

	for (slot = 0; slot < TABLE_SIZE; slot++) {
		number = slot_owner(slot);
		slots.slot[slot % XLB_SLOTS_PER_VALUE] = (struct xlb_slot){
			.current = backend_id(family, OWNER_CURRENT, number),
			.previous = service == SERVICE_MARKED
					    ? backend_id(family, OWNER_PREVIOUS, number)
					    : XLB_BACKEND_NONE,
		};
		if ((slot + 1) % XLB_SLOTS_PER_VALUE && slot + 1 < TABLE_SIZE)
			continue;
		if (map_set(xlb, "xlb_slots", &value, &slots))
			return -EINVAL;
		value++;
	}
	return 0;
}

static int service_add(struct bpf_object *xlb, enum family family, enum service service)
{
	struct xlb_service settings = {
		.table = { .first = table_first(family, service), .size = TABLE_SIZE },
		.settle_until = -1ULL,	/* UDP stays where it is */
		.settle = XLB_SETTLE_DEFAULT,
		.mode = XLB_DNAT,
		.hash = XLB_HASH_FLOW,
	};
	struct xlb_endpoint6 endpoint;
	__u8 address[16];
	unsigned i;

	if (table_fill(xlb, family, service))
		return -EINVAL;
	address_service(family, service, address);
	for (i = 0; i < 2; i++) {
		endpoint_set(&endpoint, family, address, SERVICE_PORT, protocols[i]);
		if (map_set(xlb, family == IPV6 ? "xlb_services6" : "xlb_services4", &endpoint,
			    &settings))
			return -EINVAL;
	}
	return 0;
}

static int family_add(struct bpf_object *xlb, enum family family)
{
	enum service service;
	enum owner owner;
	unsigned number;

	for (owner = 0; owner < OWNERS; owner++)
		for (number = 0; number < BACKENDS; number++)
			if (backend_add(xlb, family, owner, number))
				return -EINVAL;
	for (service = 0; service < SERVICES; service++)
		if (service_add(xlb, family, service))
			return -EINVAL;
	return 0;
}

static struct xlb_config config_make(__u32 records)
{
	struct timespec tick;

	clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
	return (struct xlb_config){
		.abi = XLB_ABI,
		.hz = NANOSECONDS / tick.tv_nsec,
		.seed = XLB_SEED_DEFAULT,
		.settle = XLB_SETTLE_DEFAULT,
		.idle = XLB_IDLE_DEFAULT,
		.table = TABLE_SIZE,
		.records = records,
	};
}

int world_records(const struct world *world, __u32 records)
{
	struct xlb_config config = config_make(records);

	return bpf_map_update_elem(world->config, &(__u32){ 0 }, &config, BPF_ANY);
}

static int xlb_load(struct world *world, const char *path)
{
	struct bpf_object *xlb = object_load(path, "xlb_xdp");
	struct xlb_link link = { .redirect = 1 };

	if (!xlb)
		return -EINVAL;
	world->programs[XLB] = program_find(xlb, "xlb_xdp");
	world->config = bpf_object__find_map_fd_by_name(xlb, "xlb_config");
	world->flows[IPV4] = bpf_object__find_map_fd_by_name(xlb, "xlb_flows4");
	world->flows[IPV6] = bpf_object__find_map_fd_by_name(xlb, "xlb_flows6");
	world->embryos[IPV4] = bpf_object__find_map_fd_by_name(xlb, "xlb_embryos4");
	world->embryos[IPV6] = bpf_object__find_map_fd_by_name(xlb, "xlb_embryos6");
	if (map_set(xlb, "xlb_links", &world->near, &link) ||
	    map_set(xlb, "xlb_links", &world->side, &link) ||
	    family_add(xlb, IPV4) || family_add(xlb, IPV6))
		return -EINVAL;
	return world_records(world, XLB_RECORDS_DEFAULT);
}

/* A veth has receive queues that BPF_PROG_TEST_RUN accepts only while a program is attached. */
static int interface_open(const struct world *world, const char *name, unsigned *ifindex)
{
	int error;

	*ifindex = if_nametoindex(name);
	if (!*ifindex)
		return failed(name, -errno);
	error = bpf_xdp_attach(*ifindex, world->programs[PASS], XDP_FLAGS_DRV_MODE, NULL);
	return error ? failed(name, error) : 0;
}

int world_open(struct world *world, const char *object)
{
	if (peers_load(world) || interface_open(world, NEAR, &world->near) ||
	    interface_open(world, SIDE, &world->side))
		return -EINVAL;
	return xlb_load(world, object);
}

bool world_recorded(const struct world *world, enum family family, const __u8 *frame)
{
	struct xlb_tuple6 tuple;
	struct xlb_flow flow;

	frame_tuple(family, frame, &tuple);
	return !bpf_map_lookup_elem(world->flows[family], &tuple, &flow) ||
	       !bpf_map_lookup_elem(world->embryos[family], &tuple, &flow);
}
