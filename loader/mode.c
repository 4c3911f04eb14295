// SPDX-License-Identifier: GPL-2.0-only
/* What a mode asks of a service, of its backends and of the configuration. */
#include <stdio.h>
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

const char *mode_misfit(const struct state *state, const struct service *service,
			enum xlb_mode mode, const struct endpoint *end, char *text)
{
	const char *name = choice_name(mode_choices, mode), *missing;
	bool v4 = address_is4(end->address);

	missing = mode_source_missing(&state->config, mode, v4);
	if (!mode_tunnels(mode) && v4 != address_is4(service->endpoint.address))
		snprintf(text, MODE_TEXT, "mode %s wants backends of the service's family; ipip "
			 "and gue take either", name);
	else if (!mode_replies(mode) && end->port != service->endpoint.port)
		snprintf(text, MODE_TEXT, "mode %s keeps the service's port", name);
	else if (missing)
		snprintf(text, MODE_TEXT, "mode %s needs a source address: xlb config set %s "
			 "ADDRESS", name, missing);
	else
		return NULL;
	return text;
}
