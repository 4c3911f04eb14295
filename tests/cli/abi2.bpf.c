// SPDX-License-Identifier: GPL-2.0-only
/*
 * The maps of ABI 2, with sizes of their own, and a program over them.
 *
 * What ABI 3 has left as it was is taken from xlb_abi.h: whoever changes it puts here
 * what it has been.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "xlb_abi.h"

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

struct vip2 {
	__u32 services;
};

struct backend2 {
	__u32 weight;
	__u16 id;
	enum xlb_state admin;
	enum xlb_state health;
};

#define MAP(name, kind, entries, key_type, value_type)   \
	struct {                                          \
		__uint(type, BPF_MAP_TYPE_##kind);        \
		__uint(max_entries, entries);             \
		__type(key, key_type);                    \
		__type(value, value_type);                \
		__uint(pinning, LIBBPF_PIN_BY_NAME);      \
	} name SEC(".maps")

MAP(xlb_config, ARRAY, 1, __u32, struct xlb_config);
MAP(xlb_services4, HASH, 6, struct xlb_endpoint4, struct service2);
MAP(xlb_services6, HASH, 6, struct xlb_endpoint6, struct service2);
MAP(xlb_vips, HASH, 12, struct xlb_address, struct vip2);
MAP(xlb_backends, HASH, 15, struct xlb_backend_key, struct backend2);
MAP(xlb_targets, ARRAY, 16, __u32, struct xlb_target);
MAP(xlb_links, HASH, 8, __u32, struct xlb_link);
MAP(xlb_replies4, HASH, 15, struct xlb_endpoint4, struct xlb_reply);
MAP(xlb_replies6, HASH, 15, struct xlb_endpoint6, struct xlb_reply);
MAP(xlb_nexthops, ARRAY, 16, __u32, struct xlb_nexthop);
MAP(xlb_routes, PERCPU_ARRAY, 1024, __u32, struct xlb_route);
MAP(xlb_flows4, LRU_HASH, 64, struct xlb_tuple4, struct xlb_flow);
MAP(xlb_flows6, LRU_HASH, 64, struct xlb_tuple6, struct xlb_flow);
MAP(xlb_embryos4, LRU_HASH, 64, struct xlb_tuple4, struct xlb_flow);
MAP(xlb_embryos6, LRU_HASH, 64, struct xlb_tuple6, struct xlb_flow);
MAP(xlb_fragments, LRU_HASH, 64, struct xlb_datagram, struct xlb_fragment);
MAP(xlb_budget, PERCPU_ARRAY, 1, __u32, struct xlb_budget);
MAP(xlb_stats, PERCPU_ARRAY, 16, __u32, struct xlb_stats);
MAP(xlb_drops, PERCPU_ARRAY, 1, __u32, struct xlb_drops);

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2048 / XLB_SLOTS_PER_VALUE);
	__type(key, __u32);
	__type(value, struct xlb_slots);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xlb_slots SEC(".maps");

#include "passes.h"
