// SPDX-License-Identifier: GPL-2.0-only
/* How much the maps are to hold: what xlb load takes, as sizes of single maps. */
#include "sizing.h"
#include "xlb_abi.h"

/* More than this many slots or flows no machine has memory for. */
#define ENTRIES_MAX (1 << 30)

const struct keyword sizing_keywords[SIZING_KEYWORDS] = {
	[SIZING_SERVICES] = { .name = "services", .type = KEYWORD_NUMBER,
			      .minimum = 1, .maximum = ENTRIES_MAX },
	[SIZING_BACKENDS] = { .name = "backends", .type = KEYWORD_NUMBER,
			      .minimum = 1, .maximum = XLB_BACKEND_ID_MAX },
	[SIZING_SLOTS] = { .name = "slots", .type = KEYWORD_NUMBER,
			   .minimum = XLB_TABLE_MIN, .maximum = ENTRIES_MAX },
	[SIZING_FLOWS] = { .name = "flows", .type = KEYWORD_NUMBER,
			   .minimum = 1, .maximum = ENTRIES_MAX },
	[SIZING_RULES] = { .name = "rules", .type = KEYWORD_NUMBER,
			   .minimum = 1, .maximum = ENTRIES_MAX },
};

/* A map that a keyword sizes, and how. */
struct sizing {
	const char *map;
	int keyword;
	unsigned per_entry;	/* what the keyword counts, in an entry */
	unsigned more;		/* entries besides */
	unsigned times;		/* of them, for each that the keyword counts */
};

static const struct sizing sizings[SIZING_MAPS] = {
	{ "xlb_services4", SIZING_SERVICES, 1, 0, 1 },
	{ "xlb_services6", SIZING_SERVICES, 1, 0, 1 },
	{ "xlb_vips", SIZING_SERVICES, 1, 0, 2 },
	{ "xlb_backends", SIZING_BACKENDS, 1, 0, 1 },
	{ "xlb_replies4", SIZING_BACKENDS, 1, 0, 1 },
	{ "xlb_replies6", SIZING_BACKENDS, 1, 0, 1 },
	{ "xlb_targets", SIZING_BACKENDS, 1, 1, 1 },
	{ "xlb_nexthops", SIZING_BACKENDS, 1, 1, 1 },
	{ "xlb_stats", SIZING_BACKENDS, 1, 1, 1 },
	{ "xlb_slots", SIZING_SLOTS, XLB_SLOTS_PER_VALUE, 0, 1 },
	{ "xlb_flows4", SIZING_FLOWS, 1, 0, 1 },
	{ "xlb_flows6", SIZING_FLOWS, 1, 0, 1 },
	{ "xlb_acl4", SIZING_RULES, 1, 0, 1 },
	{ "xlb_acl6", SIZING_RULES, 1, 0, 1 },
};

void sizing_fill(const struct keyword *keywords, struct object_size *sizes)
{
	for (unsigned i = 0; i < SIZING_MAPS; i++) {
		const struct sizing *sizing = &sizings[i];
		const struct keyword *keyword = &keywords[sizing->keyword];

		if (keyword->given)
			*sizes++ = (struct object_size){
				.map = sizing->map,
				.entries = (keyword->number * sizing->times +
					    sizing->per_entry - 1) /
					   sizing->per_entry + sizing->more,
			};
	}
	sizes->map = NULL;
}
