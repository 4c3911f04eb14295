// SPDX-License-Identifier: GPL-2.0-only
/* Rules and limits as they are configured, and what they mean: the longest prefix decides,
 * of two that are equally long the service's own. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "network.h"
#include "rules.h"

#define SECOND 1000000000ULL	/* in nanoseconds */

/* Nested, beside each other, and some that no packet is from. */
static const struct {
	const char *prefix;
	unsigned length;
	bool deny, own;		/* own: of some services, else of all */
} samples[] = {
	{ "203.0.113.4", 30, true, false },   { "203.0.113.6", 32, false, false },
	{ "203.0.113.0", 28, true, true },    { "203.0.113.8", 30, false, true },
	{ "203.0.113.4", 30, false, true },   { "10.16.0.0", 24, true, true },
	{ "10.16.0.12", 32, false, false },   { "192.0.2.128", 25, true, false },
	{ "2001:db8:cc::4", 126, true, false }, { "2001:db8:cc::6", 128, false, false },
	{ "2001:db8:cc::", 124, true, true }, { "2001:db8:cc::8", 126, false, true },
	{ "2001:db8:2::", 48, true, false },  { "2001:db8:2::b5", 128, false, true },
};

static const char *rule_text(const struct rule *rule, char *to)
{
	char address[INET6_ADDRSTRLEN], name[128];
	int length;

	inet_ntop(rule->prefix.v6 ? AF_INET6 : AF_INET, rule->prefix.bytes, address,
		  sizeof(address));
	length = sprintf(to, "%s/%u", address, rule->length);
	if (rule->service) {
		service_name(rule->service, name);
		sprintf(to + length, " service %s", name);
	}
	return to;
}

static void rule_tell(struct world *world, FILE *batch, unsigned sample, struct service *service)
{
	struct rule *rule = &world->rules[world->rule_count++];
	const char *prefix = samples[sample].prefix;
	char text[256], *after;

	*rule = (struct rule){
		.prefix.v6 = strchr(prefix, ':'),
		.length = samples[sample].length,
		.deny = samples[sample].deny,
		.service = service,
	};
	inet_pton(rule->prefix.v6 ? AF_INET6 : AF_INET, prefix, rule->prefix.bytes);
	rule_text(rule, text);
	after = strchr(text, ' ');
	if (after)
		*after++ = '\0';
	fprintf(batch, "acl add %s %s %s\n", text, rule->deny ? "deny" : "allow", after ?: "");
}

void rules_tell(struct world *world, FILE *batch, bool wanted)
{
	const unsigned count = sizeof(samples) / sizeof(*samples);

	for (unsigned i = 0; wanted && i < count; i++) {
		if (!samples[i].own)
			rule_tell(world, batch, i, NULL);
		for (unsigned j = 0; samples[i].own && j < world->count; j += 4)
			if (world->services[j].address.v6 == !!strchr(samples[i].prefix, ':'))
				rule_tell(world, batch, i, &world->services[j]);
	}
}

void rules_forget(struct world *world, FILE *batch)
{
	char text[256];

	for (unsigned i = 0; i < world->rule_count; i++)
		fprintf(batch, "acl del %s\n", rule_text(&world->rules[i], text));
	world->rule_count = 0;
}

/* An IPv6 host has all addresses that begin as its own: 2001:db8:10::/64, and for IPv4
 * two of the clients. */
static const struct address exhausted[] = {
	{ { 203, 0, 113, 9 }, false },
	{ { 203, 0, 113, 17 }, false },
	{ { 0x20, 0x01, 0x0d, 0xb8, 0, 0x10 }, true },
};

bool limit_reached(const struct service *service, const struct address *source)
{
	for (unsigned i = 0; i < sizeof(exhausted) / sizeof(*exhausted); i++)
		if (service->limited && exhausted[i].v6 == source->v6 &&
		    !memcmp(exhausted[i].bytes, source->bytes, source->v6 ? 8 : 4))
			return true;
	return false;
}

static int bucket_fill(struct world *world, __u32 number, const struct address *source)
{
	struct xlb_source key = { .service = number };
	struct xlb_bucket bucket;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	bucket.full_at = (now.tv_sec + LIMIT_BURST) * SECOND + now.tv_nsec;
	if (source->v6) {
		memcpy(key.address, source->bytes, 8);
	} else {
		memset(key.address + 10, 0xff, 2);
		memcpy(key.address + 12, source->bytes, 4);
	}
	return bpf_map_update_elem(world->maps[MAP_LIMITS], &key, &bucket, BPF_ANY);
}

/* What the service's rules and sources are kept under. */
static int service_number(struct world *world, const struct service *service, __u32 *number)
{
	struct xlb_endpoint6 key6 = { .port = service->port, .protocol = service->protocol };
	struct xlb_endpoint4 key4 = { .port = service->port, .protocol = service->protocol };
	const bool v6 = service->address.v6;
	struct xlb_service value;

	memcpy(key6.address, service->address.bytes, 16);
	memcpy(key4.address, service->address.bytes, 4);
	if (bpf_map_lookup_elem(world->maps[v6 ? MAP_SERVICES6 : MAP_SERVICES4],
				v6 ? (void *)&key6 : (void *)&key4, &value))
		return -errno;
	*number = value.number;
	return 0;
}

int limits_exhaust(struct world *world)
{
	__u32 number = 0;

	for (unsigned i = 0; i < world->count; i++) {
		if (!world->services[i].limited)
			continue;
		if (service_number(world, &world->services[i], &number))
			return -1;
		for (unsigned j = 0; j < sizeof(exhausted) / sizeof(*exhausted); j++)
			if (exhausted[j].v6 == world->services[i].address.v6 &&
			    bucket_fill(world, number, &exhausted[j]))
				return -1;
	}
	return 0;
}

static bool prefix_has(const struct rule *rule, const struct address *source)
{
	const unsigned bytes = rule->length / 8, bits = rule->length % 8;

	if (rule->prefix.v6 != source->v6 || memcmp(rule->prefix.bytes, source->bytes, bytes) != 0)
		return false;
	return !bits || !((rule->prefix.bytes[bytes] ^ source->bytes[bytes]) >> (8 - bits));
}

bool rules_deny(const struct world *world, const struct address *source,
		const struct service *service)
{
	const struct rule *found = NULL;

	for (unsigned i = 0; i < world->rule_count; i++) {
		const struct rule *rule = &world->rules[i];

		if ((rule->service && rule->service != service) || !prefix_has(rule, source))
			continue;
		if (!found || rule->length > found->length ||
		    (rule->length == found->length && rule->service))
			found = rule;
	}
	return found && found->deny;
}
