/* SPDX-License-Identifier: GPL-2.0-only */
/* Who is let in: rules for prefixes of sources, and sources that have used up their limit. */
#ifndef FUZZ_RULES_H
#define FUZZ_RULES_H

#include "world.h"

/* Half of the rounds have rules: of those there are, and no others. */
void rules_tell(struct world *world, FILE *batch, bool wanted);

/* What rules there were are to go. */
void rules_forget(struct world *world, FILE *batch);

/* Of a limited service, which takes one more a second: more than any source sends. */
#define LIMIT_BURST 1000000

/* Sources of which a limited service has had all that it takes for now. */
int limits_exhaust(struct world *world);

/* `service`: NULL where only rules for all count. */
bool rules_deny(const struct world *world, const struct address *source,
		const struct service *service);
bool limit_reached(const struct service *service, const struct address *source);

#endif
