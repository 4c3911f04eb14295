/* SPDX-License-Identifier: GPL-2.0-only */
/* The maps of xlb_abi.h, pinned by name, with BTF so that dumps read well. */
#ifndef XLB_MAPS_H
#define XLB_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "xlb_abi.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct xlb_config);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xlb_config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, XLB_SERVICES_MAX);
	__type(key, struct xlb_endpoint4);
	__type(value, struct xlb_service);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xlb_services4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, XLB_SERVICES_MAX);
	__type(key, struct xlb_endpoint6);
	__type(value, struct xlb_service);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xlb_services6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * XLB_SERVICES_MAX);
	__type(key, struct xlb_address);
	__type(value, struct xlb_vip);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xlb_vips SEC(".maps");

/* No packet reads this one: it is what the tools make the others from. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, XLB_BACKENDS_MAX);
	__type(key, struct xlb_backend_key);
	__type(value, struct xlb_backend);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xlb_backends SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XLB_TARGETS_MAX);
	__type(key, __u32);
	__type(value, struct xlb_target);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xlb_targets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, XLB_SLOT_VALUES);
	__type(key, __u32);
	__type(value, struct xlb_slots);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xlb_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, XLB_LINKS_MAX);
	__type(key, __u32);
	__type(value, struct xlb_link);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xlb_links SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, XLB_BACKENDS_MAX);
	__type(key, struct xlb_endpoint4);
	__type(value, struct xlb_reply);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xlb_replies4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, XLB_BACKENDS_MAX);
	__type(key, struct xlb_endpoint6);
	__type(value, struct xlb_reply);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xlb_replies6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XLB_TARGETS_MAX);
	__type(key, __u32);
	__type(value, struct xlb_nexthop);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xlb_nexthops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1 << XLB_ROUTES_BITS);
	__type(key, __u32);
	__type(value, struct xlb_route);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xlb_routes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, XLB_FLOWS_MAX);
	__type(key, struct xlb_tuple4);
	__type(value, struct xlb_flow);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xlb_flows4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, XLB_FLOWS_MAX);
	__type(key, struct xlb_tuple6);
	__type(value, struct xlb_flow);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xlb_flows6 SEC(".maps");

/* Records of flows that may be nothing but a flood live here until their next
 * packet: a flood can wash out this map, but not the established flows. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, XLB_EMBRYOS_MAX);
	__type(key, struct xlb_tuple4);
	__type(value, struct xlb_flow);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xlb_embryos4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, XLB_EMBRYOS_MAX);
	__type(key, struct xlb_tuple6);
	__type(value, struct xlb_flow);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xlb_embryos6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, XLB_FRAGMENTS_MAX);
	__type(key, struct xlb_datagram);
	__type(value, struct xlb_fragment);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xlb_fragments SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct xlb_budget);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xlb_budget SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, XLB_TARGETS_MAX);
	__type(key, __u32);
	__type(value, struct xlb_stats);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xlb_stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct xlb_drops);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xlb_drops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, XLB_RULES_MAX);
	__type(key, struct xlb_prefix4);
	__type(value, struct xlb_rule);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xlb_acl4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, XLB_RULES_MAX);
	__type(key, struct xlb_prefix6);
	__type(value, struct xlb_rule);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xlb_acl6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, XLB_LIMITS_MAX);
	__type(key, struct xlb_source);
	__type(value, struct xlb_bucket);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xlb_limits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct xlb_watch);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xlb_watch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, XLB_EVENT_KINDS);
	__type(key, __u32);
	__type(value, struct xlb_sample);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xlb_samples SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, XLB_EVENTS_SIZE);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xlb_events SEC(".maps");

/* For xlb load, which knows by it whether the object fits the maps. */
const volatile __u32 xlb_abi = XLB_ABI;

/* NULL: nothing is configured, or by tools of another version. */
static __always_inline struct xlb_config *config_current(void)
{
	__u32 zero = 0;
	struct xlb_config *config = bpf_map_lookup_elem(&xlb_config, &zero);

	return config && config->abi == XLB_ABI ? config : NULL;
}

#endif
