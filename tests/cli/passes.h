/* SPDX-License-Identifier: GPL-2.0-only */
/* A program that refers to every map, as tools expect of xlb's, and lets all pass. */
#ifndef XLB_TEST_PASSES_H
#define XLB_TEST_PASSES_H

#define use(map) asm volatile("" : : "r"(&(map)))

SEC("xdp")
int xlb_xdp(void *context)
{
	(void)context;
	use(xlb_config);
	use(xlb_services4);
	use(xlb_services6);
	use(xlb_vips);
	use(xlb_backends);
	use(xlb_targets);
	use(xlb_slots);
	use(xlb_links);
	use(xlb_replies4);
	use(xlb_replies6);
	use(xlb_nexthops);
	use(xlb_routes);
	use(xlb_flows4);
	use(xlb_flows6);
	use(xlb_embryos4);
	use(xlb_embryos6);
	use(xlb_fragments);
	use(xlb_budget);
	use(xlb_stats);
	use(xlb_drops);
#ifndef ALL_MAPS_ARE_OLD
	use(xlb_acl4);
	use(xlb_acl6);
	use(xlb_limits);
	use(xlb_watch);
	use(xlb_samples);
	use(xlb_events);
#endif
	return XDP_PASS;
}

char test_license[] SEC("license") = "GPL";

#endif
