/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The maps of the ABI versions before, with sizes of their own, and a program over them:
 * whoever includes this says what service_old, vip_old and
 * backend_old are.
 *
 * What this version has left as it was is taken from xlb_abi.h: whoever changes it puts
 * here what it has been.
 */
#ifndef XLB_TEST_OLDER_H
#define XLB_TEST_OLDER_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "xlb_abi.h"

/* Up to ABI 3: no rules, and two reasons fewer. */
struct config_old {
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

struct drops_old {
	__u64 no_backend;
	__u64 fragment;
	__u64 bad_header;
	__u64 bad_length;
	__u64 bad_source;
	__u64 bad_destination;
	__u64 land;
	__u64 ttl;
	__u64 too_big;
	__u64 no_route;
	__u64 no_neighbour;
	__u64 off_link;
	__u64 forwarding_disabled;
	__u64 fib_failed;
	__u64 no_headroom;
	__u64 record_conflict;
	__u64 no_port;
	__u64 no_source;
};

#define MAP(name, kind, entries, key_type, value_type)   \
	struct {                                          \
		__uint(type, BPF_MAP_TYPE_##kind);        \
		__uint(max_entries, entries);             \
		__type(key, key_type);                    \
		__type(value, value_type);                \
		__uint(pinning, LIBBPF_PIN_BY_NAME);      \
	} name SEC(".maps")

MAP(xlb_config, ARRAY, 1, __u32, struct config_old);
MAP(xlb_services4, HASH, 6, struct xlb_endpoint4, struct service_old);
MAP(xlb_services6, HASH, 6, struct xlb_endpoint6, struct service_old);
MAP(xlb_vips, HASH, 12, struct xlb_address, struct vip_old);
MAP(xlb_backends, HASH, 15, struct xlb_backend_key, struct backend_old);
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
MAP(xlb_drops, PERCPU_ARRAY, 1, __u32, struct drops_old);

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2048 / XLB_SLOTS_PER_VALUE);
	__type(key, __u32);
	__type(value, struct xlb_slots);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xlb_slots SEC(".maps");

#define ALL_MAPS_ARE_OLD
#include "passes.h"

#endif
