// SPDX-License-Identifier: GPL-2.0-only
/* What a mode asks of a service, of its backends and of the configuration. */
#include <string.h>

#include "mode.h"

const struct choice mode_choices[] = {
	{ "dnat", XLB_DNAT },
	{ "nat", XLB_NAT },
	{ "dr", XLB_DR },
	{ "ipip", XLB_IPIP },
	{ "gue", XLB_GUE },
	{},
};

bool mode_replies(enum xlb_mode mode)
{
	return mode == XLB_DNAT || mode == XLB_NAT;
}

bool mode_tunnels(enum xlb_mode mode)
{
	return mode == XLB_IPIP || mode == XLB_GUE;
}

const char *mode_source_missing(const struct xlb_config *config, enum xlb_mode mode, bool v4)
{
	static const __u8 none[16];

	if (mode == XLB_NAT && !(v4 ? config->nat4_count : config->nat6_count))
		return v4 ? "nat4" : "nat6";
	if (!mode_tunnels(mode) ||
	    memcmp(v4 ? config->tunnel4 : config->tunnel6, none, v4 ? 4 : 16))
		return NULL;
	return v4 ? "tunnel4" : "tunnel6";
}

enum status mode_check(const struct args *args, const struct state *state,
		       const struct service *service, const struct endpoint *end)
{
	enum xlb_mode mode = service->value.mode;
	const char *name = choice_name(mode_choices, mode), *missing;
	bool v4 = address_is4(end->address);
	char text[ENDPOINT_TEXT];

	service_text(&service->endpoint, text);
	if (!mode_tunnels(mode) && v4 != address_is4(service->endpoint.address))
		return args_fail(args, STATUS_REFUSED, "service %s is IPv%d, and so are backends in "
				 "mode %s; ipip and gue take either", text, v4 ? 6 : 4, name);
	if (!mode_replies(mode) && end->port != service->endpoint.port)
		return args_fail(args, STATUS_REFUSED, "service %s: mode %s keeps the port: "
				 "give none", text, name);
	missing = mode_source_missing(&state->config, mode, v4);
	if (missing)
		return args_fail(args, STATUS_REFUSED, "service %s: mode %s needs a source address: "
				 "xlb config set %s ADDRESS", text, name, missing);
	return STATUS_DONE;
}
