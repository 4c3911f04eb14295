// SPDX-License-Identifier: GPL-2.0-only
/* Gives xlb's services rules and limits. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "fill.h"

/* Of one service; none keeps a client out. */
#define RULES 100000
#define LIMIT 1000000

/* xorshift64 (G. Marsaglia, Xorshift RNGs, 2003): the same rules in each run. */
static __u64 scatter(__u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* A prefix somewhere, of which those that are long are more, as in the world. */
static int rule_add(int map, enum family family, __u32 service, __u64 *state)
{
	const __u32 bits = family == IPV6 ? 64 : 32;
	union {
		__u64 word[3];
		struct xlb_prefix4 v4;
		struct xlb_prefix6 v6;
	} key = { .word = { [1] = scatter(state), [2] = 0 } };
	struct xlb_rule rule = { .action = XLB_ALLOW, .length = bits - scatter(state) % (bits / 2) };

	key.v6.bits = XLB_PREFIX_BITS + rule.length;
	key.v6.service = service;
	return bpf_map_update_elem(map, &key, &rule, BPF_ANY);
}

int guard_fill(struct bpf_object *xlb, enum family family, enum service service,
	       struct xlb_service *settings)
{
	const unsigned rules[SERVICES] = { [SERVICE_RULE] = 1, [SERVICE_RULES] = RULES };
	int map = bpf_object__find_map_fd_by_name(xlb, family == IPV6 ? "xlb_acl6" : "xlb_acl4");
	__u64 state = XLB_SEED_DEFAULT;
	unsigned i;
	int error = 0;

	settings->number = service + 1;
	settings->rules = rules[service];
	settings->limit = service == SERVICE_LIMIT ? LIMIT : 0;
	settings->burst = settings->limit;
	for (i = 0; !error && i < rules[service]; i++)
		error = rule_add(map, family, settings->number, &state);
	return error ? failed("rules", error) : 0;
}
