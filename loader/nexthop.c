// SPDX-License-Identifier: GPL-2.0-only
/* How packets last left for backends: xlb_nexthops as a backend's and a link's. */
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "nexthop.h"
#include "service.h"

#define MTU_UNKNOWN 65535

int nexthops_read(struct nexthops *nexthops, const struct state *state)
{
	unsigned count;
	__u64 now;
	__u32 *ids;
	int error;

	*nexthops = (struct nexthops){ .state = state };
	error = clock_jiffies_about(&now);
	if (error)
		return error;
	nexthops->now = now;
	error = map_read(&state->maps, MAP_NEXTHOPS, (void **)&ids, (void **)&nexthops->hops,
			 &count);
	free(ids);
	return error;
}

void nexthops_free(struct nexthops *nexthops)
{
	free(nexthops->hops);
}

/* NULL if none is cached, or only that of a backend which had the id before. */
static const struct xlb_nexthop *hop_of(const struct nexthops *nexthops,
					const struct backend *backend)
{
	__u16 id = backend->value.id;
	const struct xlb_nexthop *hop = &nexthops->hops[id];

	if (!hop->ifindex || hop->generation != nexthops->state->targets[id].generation)
		return NULL;
	return hop;
}

const char *lladdr_text(const __u8 *address, char *text)
{
	snprintf(text, LLADDR_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", address[0], address[1],
		 address[2], address[3], address[4], address[5]);
	return text;
}

static void hop_print(struct output *output, const struct nexthops *nexthops,
		      const struct xlb_nexthop *hop)
{
	__u32 silent = nexthops->now - hop->stamp;
	char text[LLADDR_TEXT];

	output_string(output, "lladdr", lladdr_text(hop->destination, text));
	if (hop->mtu != MTU_UNKNOWN)
		output_number(output, "mtu", hop->mtu);
	else
		output_detail(output, "mtu", json_null());
	output_number(output, "age", silent / nexthops->state->config.hz);
}

void nexthop_show(struct output *output, const struct nexthops *nexthops,
		  const struct backend *backend)
{
	const struct xlb_nexthop *hop = hop_of(nexthops, backend);
	char name[IF_NAMESIZE];

	if (!hop) {
		output_detail(output, "nexthop", json_null());
		return;
	}
	if (!if_indextoname(hop->ifindex, name))
		snprintf(name, sizeof(name), "if%u", hop->ifindex);
	output_line(output, 4);
	output_object(output, "nexthop");
	output_text(output, "nexthop");
	output_string(output, "dev", name);
	hop_print(output, nexthops, hop);
	output_close(output);
}

bool nexthops_use(const struct nexthops *nexthops, unsigned ifindex)
{
	const struct state *state = nexthops->state;

	for (__u32 id = 1; id < state->maps.entries[MAP_TARGETS]; id++) {
		const struct backend *backend = state->by_id[id];
		const struct xlb_nexthop *hop = backend ? hop_of(nexthops, backend) : NULL;

		if (hop && hop->ifindex == ifindex)
			return true;
	}
	return false;
}

static void service_show(struct output *output, const struct nexthops *nexthops,
			 const struct service *service, unsigned ifindex)
{
	struct backend **backends = backends_sorted(service);
	char text[ENDPOINT_TEXT];

	for (unsigned i = 0; backends && backends[i]; i++) {
		const struct xlb_nexthop *hop = hop_of(nexthops, backends[i]);

		if (!hop || hop->ifindex != ifindex)
			continue;
		output_line(output, 4);
		output_object(output, NULL);
		output_string(output, "backend", backend_text(&backends[i]->end, text));
		output_string(output, "service", service_text(&service->endpoint, text));
		hop_print(output, nexthops, hop);
		output_close(output);
	}
	free(backends);
}

void nexthops_show(struct output *output, const struct nexthops *nexthops, unsigned ifindex)
{
	output_list(output, "nexthops");
	for (unsigned i = 0; i < nexthops->state->count; i++)
		service_show(output, nexthops, nexthops->state->list[i], ifindex);
	output_close(output);
}
