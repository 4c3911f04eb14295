// SPDX-License-Identifier: GPL-2.0-only
/* Gives xlb its services and backends, in every mode and family. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "fill.h"

#define TABLE_SIZE 65537
#define NANOSECONDS 1000000000L
#define MTU 1500

static const enum xlb_protocol protocols[] = { XLB_TCP, XLB_UDP };

static int map_set(struct bpf_object *object, const char *name, const void *key, const void *value)
{
	int error = bpf_map_update_elem(bpf_object__find_map_fd_by_name(object, name), key, value,
					BPF_ANY);

	return error ? failed(name, error) : 0;
}

__u16 backend_id(enum family family, enum pool pool, unsigned number)
{
	return 1 + (family * POOLS + pool) * BACKENDS + number;
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

/* Those of modes dnat and nat alone reply through xlb. */
static int reply_add(struct bpf_object *xlb, enum family family, enum pool pool,
		     const struct xlb_target *target, __u16 id)
{
	struct xlb_reply reply = { .backend = id, .by_flow = pool == POOL_NAT };
	struct xlb_endpoint6 endpoint;
	unsigned i;

	if (pool == POOL_ON_LINK || pool == POOL_TUNNEL)
		return 0;
	if (!reply.by_flow) {
		reply.port = SERVICE_PORT;
		address_service(family, SERVICE_STEADY, reply.address);
	}
	for (i = 0; i < 2; i++) {
		endpoint_set(&endpoint, family, target->address, BACKEND_PORT, protocols[i]);
		if (map_set(xlb, family == IPV6 ? "xlb_replies6" : "xlb_replies4", &endpoint,
			    &reply))
			return -EINVAL;
	}
	return 0;
}

static int backend_add(struct bpf_object *xlb, enum family family, enum pool pool,
		       unsigned number)
{
	struct xlb_target target = {
		.port = BACKEND_PORT,
		.generation = 1,
		.live = 1,
		.v6 = family == IPV6,
		.by_flow = pool == POOL_NAT,
	};
	__u32 id = backend_id(family, pool, number);

	if (pool == POOL_ON_LINK || pool == POOL_TUNNEL)
		target.port = SERVICE_PORT;
	address_backend(family, pool, number, target.address);
	return map_set(xlb, "xlb_targets", &id, &target) ||
	       reply_add(xlb, family, pool, &target, id);
}

/* Scattered evenly, as a real table is: the constant is odd and has its bits mixed. */
static unsigned slot_owner(unsigned slot)
{
	return (__u64)(slot * 0x9e3779b1U) * BACKENDS >> 32;
}

static int table_fill(struct bpf_object *xlb, enum family family, enum service service)
{
	const struct service_kind *kind = &service_kinds[service];
	__u32 value = table_first(family, service) / XLB_SLOTS_PER_VALUE;
	struct xlb_slots slots;
	unsigned slot, number;

	for (slot = 0; slot < TABLE_SIZE; slot++) {
		number = slot_owner(slot);
		slots.slot[slot % XLB_SLOTS_PER_VALUE] = (struct xlb_slot){
			.current = backend_id(kind->backends[family], kind->pool, number),
			.previous = service == SERVICE_MARKED
					    ? backend_id(family, POOL_PREVIOUS, number)
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

/* IPv4 as ::ffff:a.b.c.d. */
static int vip_add(struct bpf_object *xlb, enum family family, const __u8 *address)
{
	struct xlb_vip vip = { .services = sizeof(protocols) };
	struct xlb_address key = { .address = { [10] = 0xff, 0xff } };

	memcpy(key.address + sizeof(key.address) - address_size(family), address,
	       address_size(family));
	return map_set(xlb, "xlb_vips", &key, &vip);
}

static int service_add(struct bpf_object *xlb, enum family family, enum service service)
{
	struct xlb_service settings = {
		.table = { .first = table_first(family, service), .size = TABLE_SIZE },
		.settle_until = -1ULL,	/* UDP stays where it is */
		.settle = XLB_SETTLE_DEFAULT,
		.mode = service_kinds[service].mode,
		.hash = XLB_HASH_FLOW,
	};
	struct xlb_endpoint6 endpoint;
	__u8 address[16];
	unsigned i;

	address_service(family, service, address);
	if (guard_fill(xlb, family, service, &settings) ||
	    table_fill(xlb, family, service) || vip_add(xlb, family, address))
		return -EINVAL;
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
	enum pool pool;
	unsigned number;

	for (pool = 0; pool < POOLS; pool++)
		for (number = 0; number < BACKENDS; number++)
			if (backend_add(xlb, family, pool, number))
				return -EINVAL;
	for (service = 0; service < SERVICES; service++)
		if (service_add(xlb, family, service))
			return -EINVAL;
	return 0;
}

struct xlb_config config_make(__u32 records)
{
	struct xlb_config config = {
		.abi = XLB_ABI,
		.seed = XLB_SEED_DEFAULT,
		.settle = XLB_SETTLE_DEFAULT,
		.idle = XLB_IDLE_DEFAULT,
		.table = TABLE_SIZE,
		.records = records,
		.gue_port = XLB_GUE_PORT_DEFAULT,
		.nat4_count = XLB_NAT_ADDRESSES,
		.nat6_count = XLB_NAT_ADDRESSES,
	};
	struct timespec tick;
	unsigned i;

	clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
	config.hz = NANOSECONDS / tick.tv_nsec;
	address_tunnel(IPV4, config.tunnel4);
	address_tunnel(IPV6, config.tunnel6);
	for (i = 0; i < XLB_NAT_ADDRESSES; i++) {
		address_nat(IPV4, i, config.nat4[i]);
		address_nat(IPV6, i, config.nat6[i]);
	}
	return config;
}

int xlb_fill(struct bpf_object *xlb, const struct world *world)
{
	struct xlb_link link = { .redirect = 1, .mtu = MTU };
	struct xlb_config config = config_make(XLB_RECORDS_DEFAULT);

	return map_set(xlb, "xlb_links", &world->near, &link) ||
	       map_set(xlb, "xlb_links", &world->side, &link) ||
	       family_add(xlb, IPV4) || family_add(xlb, IPV6) ||
	       map_set(xlb, "xlb_config", &(__u32){ 0 }, &config) ? -EINVAL : 0;
}
