/* SPDX-License-Identifier: GPL-2.0-only */
/* A program refers to every map, as tools expect of xlb's. */
#ifndef XLB_TEST_USES_H
#define XLB_TEST_USES_H

#define use(map) asm volatile("" : : "r"(&map))

static __always_inline void use_all(void)
{
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
}

#endif
