// SPDX-License-Identifier: GPL-2.0-only
/* Loads what the benchmark compares, and looks after the maps that rows depend on. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "fill.h"

int failed(const char *what, int error)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(-error));
	return error;
}

/* Loads one program of an object (all if NULL), without pins; `records`: how many the
 * tables of flows hold, 0: as many as the object says. */
static struct bpf_object *object_load(const char *path, const char *only, __u32 records)
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
	bpf_object__for_each_map(map, object) {
		bpf_map__set_pin_path(map, NULL);
		if (records && !strncmp(bpf_map__name(map), "xlb_flows", strlen("xlb_flows")))
			bpf_map__set_max_entries(map, records);
	}
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

static int map_find(struct bpf_object *object, const char *name)
{
	return bpf_object__find_map_fd_by_name(object, name);
}

static int seed_fill(struct bpf_object *seed)
{
	struct seed_backend backend = { .port = __builtin_bswap16(BACKEND_PORT) };
	int error, ring = map_find(seed, "seed_ring");
	unsigned slot;

	memcpy(backend.mac, gateway_mac, sizeof(backend.mac));
	for (slot = 0; slot < SEED_RING_SIZE; slot++) {
		address_backend(IPV4, POOL_CURRENT, slot % BACKENDS, backend.address);
		error = bpf_map_update_elem(ring, &slot, &backend, BPF_ANY);
		if (error)
			return failed("seed_ring", error);
	}
	return 0;
}

static int peers_load(struct world *world)
{
	struct bpf_object *restore = object_load("tests/bench/restore.o", NULL, 0);
	struct bpf_object *bounce = object_load("tests/bench/bounce.o", NULL, 0);
	struct bpf_object *seed = object_load("tests/bench/seed.o", NULL, 0);

	if (!restore || !bounce || !seed)
		return -EINVAL;
	world->restore = program_find(restore, "bench_restore");
	world->source = map_find(restore, "bench_source");
	world->tested = map_find(restore, "bench_tested");
	world->programs[PASS] = program_find(bounce, "bench_pass");
	world->programs[BOUNCE] = program_find(bounce, "bench_bounce");
	world->programs[PUSH] = program_find(bounce, "bench_push");
	world->programs[SEED] = program_find(seed, "seed_balancer");
	return seed_fill(seed);
}

static int xlb_load(struct world *world, enum program program, const char *path)
{
	struct bpf_object *xlb = object_load(path, "xlb_xdp",
					     program == XLB_ROOMY ? ROOMY_RECORDS : 0);

	if (!xlb)
		return -EINVAL;
	world->programs[program] = program_find(xlb, "xlb_xdp");
	world->xlb[program == XLB_ROOMY] = (struct xlb_maps){
		.config = map_find(xlb, "xlb_config"),
		.flows = { map_find(xlb, "xlb_flows4"), map_find(xlb, "xlb_flows6") },
		.embryos = { map_find(xlb, "xlb_embryos4"), map_find(xlb, "xlb_embryos6") },
	};
	return xlb_fill(xlb, world);
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

int world_open(struct world *world, const char *object, bool roomy)
{
	if (peers_load(world) || interface_open(world, NEAR, &world->near) ||
	    interface_open(world, SIDE, &world->side) || xlb_load(world, XLB, object))
		return -EINVAL;
	return roomy ? xlb_load(world, XLB_ROOMY, object) : 0;
}

int world_records(const struct world *world, enum program program, __u32 records)
{
	struct xlb_config config = config_make(records);

	return bpf_map_update_elem(world->xlb[program == XLB_ROOMY].config, &(__u32){ 0 },
				   &config, BPF_ANY);
}

enum memory world_memory(const struct world *world, enum program program,
			 enum family family, const __u8 *frame)
{
	const struct xlb_maps *maps = &world->xlb[program == XLB_ROOMY];
	struct xlb_tuple6 tuple;
	struct xlb_flow flow;

	frame_tuple(family, frame, &tuple);
	if (!bpf_map_lookup_elem(maps->flows[family], &tuple, &flow))
		return CONFIRMED;
	return bpf_map_lookup_elem(maps->embryos[family], &tuple, &flow) ? UNRECORDED : EMBRYONIC;
}

int world_replies(const struct world *world, enum program program,
		  const struct traffic *traffic, const struct bench_source *source)
{
	int flows = world->xlb[program == XLB_ROOMY].flows[traffic->family], error = 0;
	struct xlb_flow record = {
		.backend = backend_id(traffic->family, POOL_NAT, 0),
		.generation = 1,
		.direction = XLB_NAT_REPLY,
		.port = SERVICE_PORT,
	};
	struct xlb_tuple6 tuple;
	__u32 flow;

	address_service(traffic->family, traffic->service, record.address);
	for (flow = 0; flow < traffic->flows && !error; flow++) {
		address_client(traffic->family, traffic->clients, flow, record.client);
		record.client_port = port_client(flow);
		traffic_tuple(traffic, source, flow, &tuple);
		error = bpf_map_update_elem(flows, &tuple, &record, BPF_ANY);
	}
	return error;
}
