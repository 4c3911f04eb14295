/* SPDX-License-Identifier: GPL-2.0-only */
/* How much the maps are to hold: what xlb load takes, as sizes of single maps. */
#ifndef XLB_SIZING_H
#define XLB_SIZING_H

#include "args.h"
#include "object.h"

enum {
	SIZING_SERVICES,
	SIZING_BACKENDS,
	SIZING_SLOTS,
	SIZING_FLOWS,
	SIZING_RULES,
	SIZING_KEYWORDS,
};

/* How many maps that is at most. */
#define SIZING_MAPS 14

extern const struct keyword sizing_keywords[SIZING_KEYWORDS];

/* From keywords as given to a list with its end; those not given leave maps alone. */
void sizing_fill(const struct keyword *keywords, struct object_size *sizes);

#endif
