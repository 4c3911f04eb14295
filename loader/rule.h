/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rules for sources, as struct state has them: those that were asked about or edited,
 * and all of them only where a command wants to see all.
 */
#ifndef XLB_RULE_H
#define XLB_RULE_H

#include "prefix.h"
#include "state.h"

struct rule {
	struct prefix prefix;
	__u32 number;			/* of its service; 0: it is for all */
	struct service *service;	/* NULL: for all, or gone */
	enum xlb_action stands;		/* in the maps; 0: it does not */
	enum xlb_action wanted;		/* 0: it is to go, or never came */
};

/*
 * What there is to this prefix and service (NULL: all): 0 and *rule, which may neither
 * stand nor be wanted, or -errno.
 */
int rule_get(struct state *state, struct service *service, const struct prefix *prefix,
	     struct rule **rule);

/*
 * The prefix of the rule that decides about this client of the service, as the maps stand;
 * false: none does.
 */
bool rule_deciding(const struct state *state, const struct service *service,
		   const __u8 *address, struct prefix *prefix);

/* action 0: the rule is to go.  0; -ENOSPC: the map *full is; -ENOMEM. */
int rule_set(struct state *state, struct rule *rule, enum xlb_action action, enum map *full);

/* Reads those that are not known yet: then state->rules has all.  0 or -errno. */
int rules_load(struct state *state);

/* Those that are wanted: of all services first, then by service and prefix. */
void rules_sort(struct state *state);

/* The service's own rules are to go with it; 0 or -errno. */
int rules_leave(struct state *state, struct service *service);

/* Gives the service a number, if it has none yet; 0, -ENOSPC: all are taken, -ENOMEM. */
int rule_number(struct state *state, struct service *service);

/* After a writer died among them: what is left of nobody goes, all are counted anew. */
int rules_repair(struct state *state);

/*
 * The stages of writing them: before services go; when all that stands has its place;
 * and what the configuration and services that stand say at the end.
 *
 * Longest prefixes come in first and go out last.  So whatever has been written, each
 * client finds the rule that it found before or the one that it is to find: none that
 * is to decide for it only together with others that are not there yet.
 */
int rules_begin(struct state *state);
int rules_write(struct state *state);
void rules_end(struct state *state);

void rules_free(struct state *state);

#endif
