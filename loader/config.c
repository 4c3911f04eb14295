// SPDX-License-Identifier: GPL-2.0-only
/* xlb config: what holds for all services, and defaults for new ones. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "mode.h"
#include "service.h"
#include "session.h"

enum { SEED, SETTLE, IDLE, TABLE, RECORDS, TUNNEL4, TUNNEL6, NAT4, NAT6, GUE };

/* The address that a word is, as 4 or 16 bytes: NULL, or what is wrong with it. */
static const char *source_parse(const char *word, bool v4, __u8 *bytes)
{
	struct in6_addr address = {};

	if (inet_pton(v4 ? AF_INET : AF_INET6, word, &address) != 1)
		return v4 ? "not an IPv4 address" : "not an IPv6 address";
	memcpy(bytes, &address, v4 ? 4 : 16);
	if (v4 ? !bytes[0] || bytes[0] == 127 || bytes[0] >= 224
	       : bytes[0] == 0xff || IN6_IS_ADDR_UNSPECIFIED(&address) ||
			 IN6_IS_ADDR_LOOPBACK(&address) || IN6_IS_ADDR_LINKLOCAL(&address))
		return "not an address that others could send to";
	return NULL;
}

/*
 * ADDRESS[,ADDRESS]... or none, into room for XLB_NAT_ADDRESSES of them: NULL and
 * *count, or what is wrong.
 */
static const char *sources_parse(const char *word, bool v4, __u8 *bytes, __u8 *count)
{
	size_t size = v4 ? 4 : 16;
	char text[XLB_NAT_ADDRESSES * INET6_ADDRSTRLEN], *next = text;
	const char *each, *why;

	memset(bytes, 0, XLB_NAT_ADDRESSES * size);
	*count = 0;
	if (!strcmp(word, "none"))
		return NULL;
	if (snprintf(text, sizeof(text), "%s", word) >= (int)sizeof(text))
		return "too many addresses";
	while ((each = strsep(&next, ","))) {
		__u8 *place = bytes + *count * size;

		if (*count == XLB_NAT_ADDRESSES)
			return "too many addresses";
		why = source_parse(each, v4, place);
		if (why)
			return why;
		for (const __u8 *other = bytes; other < place; other += size)
			if (!memcmp(other, place, size))
				return "the same address twice";
		(*count)++;
	}
	return NULL;
}

/* Sources for modes, as a command gives them. */
struct sources {
	__u8 bytes[XLB_NAT_ADDRESSES * 16];
	__u8 count;
};

static enum status sources_take(const struct args *args, const struct keyword *given,
				struct sources *sources)
{
	const bool tunnel = given->name[0] == 't', v4 = given->name[strlen(given->name) - 1] == '4';
	const char *why;

	if (!given->given)
		return STATUS_DONE;
	why = sources_parse(given->word, v4, sources->bytes, &sources->count);
	if (!why && tunnel && sources->count > 1)
		why = "one address is all it takes";
	return why ? args_fail(args, STATUS_USAGE, "%s %s: %s", given->name, given->word, why)
		   : STATUS_DONE;
}

/* The first backend that could not be reached any more, or NULL. */
static const struct backend *source_user(const struct state *state)
{
	for (unsigned i = 0; i < state->count; i++)
		for (const struct backend *backend = state->list[i]->backends; backend;
		     backend = backend->next)
			if (mode_source_missing(&state->config, state->list[i]->value.mode,
						address_is4(backend->end.address)))
				return backend;
	return NULL;
}

static enum status sources_set(const struct args *args, struct state *state,
			       const struct keyword *given, const struct sources *sources)
{
	struct xlb_config *config = &state->config, before = *config;
	char service[ENDPOINT_TEXT], text[ENDPOINT_TEXT];
	const struct backend *user;

	if (given[TUNNEL4].given)
		memcpy(config->tunnel4, sources[0].bytes, sizeof(config->tunnel4));
	if (given[TUNNEL6].given)
		memcpy(config->tunnel6, sources[1].bytes, sizeof(config->tunnel6));
	if (given[NAT4].given) {
		memcpy(config->nat4, sources[2].bytes, sizeof(config->nat4));
		config->nat4_count = sources[2].count;
	}
	if (given[NAT6].given) {
		memcpy(config->nat6, sources[3].bytes, sizeof(config->nat6));
		config->nat6_count = sources[3].count;
	}
	user = source_user(state);
	if (!user)
		return STATUS_DONE;
	*config = before;
	return args_fail(args, STATUS_REFUSED, "service %s needs it for %s",
			 service_text(&user->service->endpoint, service),
			 backend_text(&user->end, text));
}

static enum status cmd_set(struct context *context, struct args *args)
{
	struct keyword given[] = {
		[SEED] = { .name = "seed", .type = KEYWORD_NUMBER, .maximum = ~0ULL },
		[SETTLE] = SETTLE_KEYWORD,
		[IDLE] = { .name = "idle", .type = KEYWORD_NUMBER, .minimum = 1,
			   .maximum = 86400 },
		[TABLE] = TABLE_KEYWORD,
		[RECORDS] = { .name = "records", .type = KEYWORD_NUMBER, .maximum = 1000000000 },
		[TUNNEL4] = { .name = "tunnel4", .type = KEYWORD_WORD },
		[TUNNEL6] = { .name = "tunnel6", .type = KEYWORD_WORD },
		[NAT4] = { .name = "nat4", .type = KEYWORD_WORD },
		[NAT6] = { .name = "nat6", .type = KEYWORD_WORD },
		[GUE] = { .name = "gue", .type = KEYWORD_NUMBER, .minimum = 1, .maximum = 65535 },
		{},
	};
	struct sources sources[4] = {};
	struct state *state;

	if (!args_peek(args))
		return args_fail(args, STATUS_USAGE, "nothing to set: seed N, settle SECONDS, "
				 "idle SECONDS, table SIZE, records N, tunnel4 SOURCE, "
				 "tunnel6 SOURCE, nat4 SOURCES, nat6 SOURCES, gue PORT");
	if (args_keywords(args, given) || table_check(args, &given[TABLE]))
		return STATUS_USAGE;
	for (unsigned i = 0; i < 4; i++)
		if (sources_take(args, &given[TUNNEL4 + i], &sources[i]))
			return STATUS_USAGE;
	state = session_edit(context, args);
	if (!state)
		return STATUS_REFUSED;
	if (given[SEED].given && given[SEED].number != state->config.seed) {
		if (state->count)
			return args_fail(args, STATUS_REFUSED, "seed: cannot change while there "
					 "are services, whose flows would all move: delete them "
					 "first");
		state->config.seed = given[SEED].number;
	}
	if (sources_set(args, state, given, sources))
		return STATUS_REFUSED;
	if (given[GUE].given)
		state->config.gue_port = given[GUE].number;
	if (given[SETTLE].given)
		state->config.settle = given[SETTLE].number;
	if (given[IDLE].given)
		state->config.idle = given[IDLE].number;
	if (given[TABLE].given)
		state->config.table = given[TABLE].number;
	if (given[RECORDS].given)
		state->config.records = given[RECORDS].number;
	return STATUS_DONE;
}

/* What `set` would take, or nothing where nothing is set. */
static void sources_show(struct output *output, const char *name, const void *bytes, bool v4,
			 unsigned count)
{
	char text[XLB_NAT_ADDRESSES * INET6_ADDRSTRLEN] = "";
	size_t used = 0;

	for (unsigned i = 0; i < count; i++) {
		if (i)
			text[used++] = ',';
		inet_ntop(v4 ? AF_INET : AF_INET6, (const __u8 *)bytes + (size_t)i * (v4 ? 4 : 16),
			  text + used, sizeof(text) - used);
		used += strlen(text + used);
	}
	if (count)
		output_string(output, name, text);
}

void config_fields(struct output *output, const struct xlb_config *config)
{
	char seed[32];

	snprintf(seed, sizeof(seed), "0x%llx", config->seed);
	output_string(output, "seed", seed);
	output_number(output, "settle", config->settle);
	output_number(output, "idle", config->idle);
	output_number(output, "table", config->table);
	output_number(output, "records", config->records);
	sources_show(output, "tunnel4", config->tunnel4, true,
		     !mode_source_missing(config, XLB_IPIP, true));
	sources_show(output, "tunnel6", config->tunnel6, false,
		     !mode_source_missing(config, XLB_IPIP, false));
	sources_show(output, "nat4", config->nat4, true, config->nat4_count);
	sources_show(output, "nat6", config->nat6, false, config->nat6_count);
	output_number(output, "gue", config->gue_port);
}

static enum status cmd_show(struct context *context, struct args *args)
{
	struct output *output = &context->output;
	const struct xlb_config *config;
	struct state *state;

	if (args_end(args))
		return STATUS_USAGE;
	state = session_view(context, args);
	if (!state)
		return STATUS_REFUSED;
	config = &state->config;
	output_line(output, 0);
	output_object(output, NULL);
	config_fields(output, config);
	output_detail(output, "hz", json_integer(config->hz));
	output_detail(output, "abi", json_integer(config->abi));
	output_detail(output, "pin", json_string(state->maps.folder));
	if (context->statistics) {
		output_line(output, 4);
		output_text(output, "hz %u abi %u pin %s", config->hz, config->abi,
			    state->maps.folder);
	}
	output_close(output);
	state_free(state);
	return STATUS_DONE;
}

static const struct command commands[] = {
	{ "set", cmd_set, true },
	{ "show", cmd_show, false },
	{},
};

const struct object config_object = {
	.name = "config",
	.usage = "xlb config set [ seed N ] [ settle SECONDS ] [ idle SECONDS ] [ table SIZE ]\n"
		 "                      [ records N ] [ tunnel4 SOURCE ] [ tunnel6 SOURCE ]\n"
		 "                      [ nat4 SOURCE[,SOURCE]... ] [ nat6 SOURCE[,SOURCE]... ]\n"
		 "                      [ gue PORT ]\n"
		 "       xlb config [ show ]\n"
		 "SIZE := a prime number from 251 to 655373\n"
		 "SOURCE := { ADDRESS | none }\n",
	.commands = commands,
};
