// SPDX-License-Identifier: GPL-2.0-only
/* Rules for sources: finding them, reading all, editing them in memory. */
#define _GNU_SOURCE	/* tdestroy */
#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>

#include "rule.h"

/* xlb_service.number has 16 bits. */
#define NUMBERS 65536

static int rule_order(const void *a, const void *b)
{
	const struct rule *left = a, *right = b;

	if (left->number != right->number)
		return left->number < right->number ? -1 : 1;
	return prefix_compare(&left->prefix, &right->prefix);
}

static enum map map_of(const struct prefix *prefix)
{
	return prefix_is4(prefix) ? MAP_ACL4 : MAP_ACL6;
}

/* The rule with the longest prefix that has all of this one; action 0: none has. */
static struct xlb_rule rule_longest(const struct state *state, const struct prefix *prefix,
				    __u32 number)
{
	union prefix_key key;
	struct xlb_rule value;

	prefix_to_key(prefix, number, &key);
	if (bpf_map_lookup_elem(state->maps.fd[map_of(prefix)], &key, &value))
		return (struct xlb_rule){};
	return value;
}

/* What stands; 0: nothing. */
static enum xlb_action action_standing(const struct state *state, const struct prefix *prefix,
				       __u32 number)
{
	struct xlb_rule longest = rule_longest(state, prefix, number);

	return longest.length == prefix->length ? longest.action : 0;
}

bool rule_deciding(const struct state *state, const struct service *service,
		   const __u8 *address, struct prefix *prefix)
{
	struct xlb_rule all, own = {};

	memcpy(prefix->address, address, sizeof(prefix->address));
	prefix->length = address_is4(address) ? 32 : 128;
	all = rule_longest(state, prefix, 0);
	if (service->value.number)
		own = rule_longest(state, prefix, service->value.number);
	if (own.action && (!all.action || own.length >= all.length))
		all = own;
	prefix_shorten(prefix, all.length);
	return all.action;
}

static int list_add(struct state *state, struct rule *rule)
{
	/* Room grows by doubling, at each power of two. */
	if (!(state->rule_count & (state->rule_count - 1))) {
		void *more = reallocarray(state->rules, state->rule_count * 2 + 1,
					  sizeof(*state->rules));

		if (!more)
			return -ENOMEM;
		state->rules = more;
	}
	state->rules[state->rule_count++] = rule;
	return 0;
}

/* One that is not known yet, or NULL. */
static struct rule *rule_make(struct state *state, const struct rule *like)
{
	struct rule *rule = malloc(sizeof(*rule));

	if (!rule)
		return NULL;
	*rule = *like;
	if (tsearch(rule, &state->rule_tree, rule_order)) {
		if (!list_add(state, rule))
			return rule;
		tdelete(rule, &state->rule_tree, rule_order);
	}
	free(rule);
	return NULL;
}

static struct rule *rule_known(const struct state *state, const struct rule *like)
{
	struct rule **found = tfind(like, &state->rule_tree, rule_order);

	return found ? *found : NULL;
}

int rule_get(struct state *state, struct service *service, const struct prefix *prefix,
	     struct rule **rule)
{
	struct rule like = { .prefix = *prefix, .service = service };

	if (service) {
		int error = rule_number(state, service);

		if (error)
			return error;
		like.number = service->value.number;
	}
	*rule = rule_known(state, &like);
	if (*rule) {
		/* It may have been left by a service that was deleted and added again. */
		(*rule)->service = service;
		return 0;
	}
	if (!state->rules_known)
		like.stands = like.wanted = action_standing(state, prefix, like.number);
	*rule = rule_make(state, &like);
	return *rule ? 0 : -ENOMEM;
}

static __u32 *count_of(struct state *state, const struct rule *rule)
{
	if (rule->service)
		return &rule->service->value.rules;
	return prefix_is4(&rule->prefix) ? &state->config.rules4 : &state->config.rules6;
}

int rule_set(struct state *state, struct rule *rule, enum xlb_action action, enum map *full)
{
	enum map map = map_of(&rule->prefix);
	bool comes = action && !rule->wanted, goes = !action && rule->wanted;

	*full = map;
	/* What goes makes no room before what comes has taken its. */
	if (comes && !rule->stands && state->used[map] >= state->maps.entries[map])
		return -ENOSPC;
	if (!rule->stands)
		state->used[map] += comes - goes;
	*count_of(state, rule) += comes - goes;
	rule->wanted = action;
	state->rules_edited = true;
	if (rule->service)
		rule->service->edited = true;
	return 0;
}

/* --- all of them --- */

static struct service *service_numbered(const struct state *state, __u32 number)
{
	for (unsigned i = 0; number && i < state->count; i++)
		if (state->list[i]->value.number == number)
			return state->list[i];
	return NULL;
}

static int rule_load(struct state *state, const union prefix_key *key,
		     const struct xlb_rule *value, bool v6)
{
	struct rule like = { .stands = value->action, .wanted = value->action };

	prefix_from_key(&like.prefix, &like.number, key, v6);
	if (value->length != like.prefix.length || rule_known(state, &like))
		return 0;
	/* They come service by service. */
	if (state->rule_count && state->rules[state->rule_count - 1]->number == like.number)
		like.service = state->rules[state->rule_count - 1]->service;
	else
		like.service = service_numbered(state, like.number);
	return rule_make(state, &like) ? 0 : -ENOMEM;
}

static int map_load(struct state *state, enum map map, bool v6)
{
	union prefix_key key, next;
	int fd = state->maps.fd[map], error;
	struct xlb_rule value;
	bool begun = false;

	/* Batches of these are known to Linux 5.13 and later. */
	while (!(error = bpf_map_get_next_key(fd, begun ? &key : NULL, &next))) {
		key = next;
		begun = true;
		/* Without the lock it may be gone by now, and perhaps a shorter one found. */
		error = bpf_map_lookup_elem(fd, &key, &value);
		if (!error)
			error = rule_load(state, &key, &value, v6);
		if (error && error != -ENOENT)
			return error;
	}
	return error == -ENOENT ? 0 : error;
}

int rules_load(struct state *state)
{
	int error = 0;

	if (state->rules_known)
		return 0;
	error = map_load(state, MAP_ACL4, false);
	error = error ?: map_load(state, MAP_ACL6, true);
	state->rules_known = !error;
	return error;
}

static int shown_order(const void *a, const void *b)
{
	const struct rule *left = *(struct rule *const *)a, *right = *(struct rule *const *)b;

	if (left->service == right->service)
		return prefix_compare(&left->prefix, &right->prefix);
	if (!left->service || !right->service)
		return left->service ? 1 : -1;
	return endpoint_compare(&left->service->endpoint, &right->service->endpoint);
}

void rules_sort(struct state *state)
{
	if (state->rule_count)
		qsort(state->rules, state->rule_count, sizeof(*state->rules), shown_order);
}

int rules_leave(struct state *state, struct service *service)
{
	int error = service->stood_rules ? rules_load(state) : 0;

	for (unsigned i = 0; !error && i < state->rule_count; i++) {
		struct rule *rule = state->rules[i];

		if (rule->service != service)
			continue;
		state->rules_edited |= rule->stands != 0;
		rule->service = NULL;
		rule->wanted = 0;
	}
	return error;
}

/* --- numbers --- */

/* Those that some rule or service has, or had when the state was read. */
static int numbers_find(struct state *state)
{
	bool *taken = calloc(NUMBERS, sizeof(*taken));

	if (!taken)
		return -ENOMEM;
	taken[0] = true;
	for (unsigned i = 0; i < state->count; i++)
		taken[state->list[i]->value.number] = true;
	for (const struct service *gone = state->deleted_services; gone; gone = gone->next)
		taken[gone->value.number] = true;
	for (unsigned i = 0; i < state->rule_count; i++)
		if (state->rules[i]->number < NUMBERS)
			taken[state->rules[i]->number] = true;
	free(state->numbers);
	state->numbers = taken;
	for (state->number_last = NUMBERS - 1; !taken[state->number_last];)
		state->number_last--;
	return 0;
}

/* Upwards, so that one is seldom given to another while sources are remembered under it. */
static int number_untaken(const struct state *state)
{
	__u32 next = state->number_last;

	for (unsigned i = 0; i < NUMBERS; i++) {
		next = (next + 1) % NUMBERS;
		if (!state->numbers[next])
			return next;
	}
	return -ENOSPC;
}

/* Services that came and went since the numbers were found out have left theirs. */
static int number_next(struct state *state)
{
	int number = state->numbers ? number_untaken(state) : -ENOSPC;

	if (number == -ENOSPC)
		number = numbers_find(state) ?: number_untaken(state);
	return number;
}

int rule_number(struct state *state, struct service *service)
{
	int number = service->value.number ? 0 : number_next(state);

	if (number <= 0)
		return number;
	state->numbers[number] = true;
	state->number_last = number;
	service->value.number = number;
	service->edited = true;
	return 0;
}

int rules_repair(struct state *state)
{
	int error = rules_load(state);

	if (error)
		return error;
	state->config.rules4 = state->config.rules6 = 0;
	for (unsigned i = 0; i < state->count; i++)
		state->list[i]->value.rules = 0;
	state->used[MAP_ACL4] = state->used[MAP_ACL6] = 0;
	for (unsigned i = 0; i < state->rule_count; i++) {
		struct rule *rule = state->rules[i];

		state->used[map_of(&rule->prefix)]++;
		if (rule->number && !rule->service)
			rule->wanted = 0;
		else
			++*count_of(state, rule);
	}
	for (unsigned i = 0; i < state->count; i++)
		state->list[i]->edited |= state->list[i]->value.rules !=
					  state->list[i]->stood_rules;
	state->rules_edited = true;
	return 0;
}

static void keep(void *node)
{
	(void)node;
}

void rules_free(struct state *state)
{
	tdestroy(state->rule_tree, keep);
	for (unsigned i = 0; i < state->rule_count; i++)
		free(state->rules[i]);
	free(state->rules);
	free(state->numbers);
}
