/* SPDX-License-Identifier: GPL-2.0-only */
/* What is saved of the rules for sources. */
#ifndef XLB_ACL_H
#define XLB_ACL_H

#include "output.h"
#include "rule.h"

/*
 * Those of a service (NULL: of all) as a list and as lines of `acl add`, once they are
 * sorted; *next is the first rule that has not been printed yet, and goes on.
 */
void rules_save(struct output *output, const struct state *state, const struct service *service,
		unsigned *next);

#endif
