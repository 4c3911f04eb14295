// SPDX-License-Identifier: GPL-2.0-only
/* Rules for sources, from the state to the maps. */
#include <errno.h>
#include <stdlib.h>
#include <bpf/bpf.h>

#include "rule.h"
#include "write.h"

static __u32 more(__u32 a, __u32 b)
{
	return a > b ? a : b;
}

/* While rules are written, nothing is said to have fewer than there may be. */
int rules_begin(struct state *state)
{
	struct xlb_config *config = &state->config, now = state->config_stands;

	if (!state->rules_edited)
		return 0;
	state->rules4 = config->rules4;
	state->rules6 = config->rules6;
	config->rules4 = more(config->rules4, now.rules4);
	config->rules6 = more(config->rules6, now.rules6);
	config->rules_updating = 1;
	for (unsigned i = 0; i < state->count; i++) {
		struct service *service = state->list[i];

		service->rules = service->value.rules;
		service->value.rules = more(service->rules, service->stood_rules);
	}
	/* With a fresh configuration no packet asks, and nothing stands. */
	if (!now.abi)
		return 0;
	now.rules4 = config->rules4;
	now.rules6 = config->rules6;
	now.rules_updating = 1;
	return write_config(state, &now);
}

/* Those of services are asked from now on, though they are not there yet. */
static int services_ask(const struct state *state)
{
	int error = 0;

	for (unsigned i = 0; !error && i < state->count; i++) {
		const struct service *service = state->list[i];

		if (service->written && !service->stood_rules && service->value.rules)
			error = write_service(state, service, &service->value);
	}
	return error;
}

/* Longest first, of two that are equally long the service's own: what decides. */
static int strength_order(const void *a, const void *b)
{
	const struct rule *left = *(struct rule *const *)a, *right = *(struct rule *const *)b;

	if (left->prefix.length != right->prefix.length)
		return right->prefix.length - left->prefix.length;
	return !left->number - !right->number;
}

static int rule_write(const struct state *state, const struct rule *rule)
{
	int fd = state->maps.fd[prefix_is4(&rule->prefix) ? MAP_ACL4 : MAP_ACL6];
	struct xlb_rule value = { .action = rule->wanted, .length = rule->prefix.length };
	union prefix_key key;
	int error;

	prefix_to_key(&rule->prefix, rule->number, &key);
	if (rule->wanted)
		return bpf_map_update_elem(fd, &key, &value, BPF_ANY);
	error = bpf_map_delete_elem(fd, &key);
	return error == -ENOENT ? 0 : error;
}

int rules_write(struct state *state)
{
	int error;

	if (!state->rules_edited)
		return 0;
	if (state->rule_count)
		qsort(state->rules, state->rule_count, sizeof(*state->rules), strength_order);
	error = services_ask(state);
	for (unsigned i = 0; !error && i < state->rule_count; i++) {
		const struct rule *rule = state->rules[i];

		if (rule->wanted && rule->wanted != rule->stands)
			error = rule_write(state, rule);
	}
	for (unsigned i = state->rule_count; !error && i-- > 0;)
		if (state->rules[i]->stands && !state->rules[i]->wanted)
			error = rule_write(state, state->rules[i]);
	return error;
}

void rules_end(struct state *state)
{
	if (!state->rules_edited)
		return;
	state->config.rules4 = state->rules4;
	state->config.rules6 = state->rules6;
	state->config.rules_updating = 0;
	for (unsigned i = 0; i < state->count; i++)
		state->list[i]->value.rules = state->list[i]->rules;
}
