// SPDX-License-Identifier: GPL-2.0-only
/* xlb config: what holds for all services, and defaults for new ones. */
#include <stdio.h>

#include "service.h"
#include "session.h"

enum { SEED, SETTLE, IDLE, TABLE, RECORDS };

static enum status cmd_set(struct context *context, struct args *args)
{
	struct keyword given[] = {
		[SEED] = { .name = "seed", .type = KEYWORD_NUMBER, .maximum = ~0ULL },
		[SETTLE] = SETTLE_KEYWORD,
		[IDLE] = { .name = "idle", .type = KEYWORD_NUMBER, .minimum = 1,
			   .maximum = 86400 },
		[TABLE] = TABLE_KEYWORD,
		[RECORDS] = { .name = "records", .type = KEYWORD_NUMBER, .maximum = 1000000000 },
		{},
	};
	struct state *state;

	if (!args_peek(args))
		return args_fail(args, STATUS_USAGE, "nothing to set: seed N, settle SECONDS, "
				 "idle SECONDS, table SIZE, records N");
	if (args_keywords(args, given) || table_check(args, &given[TABLE]))
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
	if (given[SETTLE].given)
		state->config.settle = given[SETTLE].number;
	if (given[IDLE].given)
		state->config.idle = given[IDLE].number;
	if (given[TABLE].given)
		state->config.table = given[TABLE].number;
	if (given[RECORDS].given)
		state->config.records = given[RECORDS].number;
	state->config_edited = true;
	return STATUS_DONE;
}

static enum status cmd_show(struct context *context, struct args *args)
{
	struct output *output = &context->output;
	const struct xlb_config *config;
	struct state *state;
	char seed[32];

	if (args_end(args))
		return STATUS_USAGE;
	state = session_view(context, args);
	if (!state)
		return STATUS_REFUSED;
	config = &state->config;
	snprintf(seed, sizeof(seed), "0x%llx", config->seed);
	output_line(output, 0);
	output_object(output, NULL);
	output_string(output, "seed", seed);
	output_number(output, "settle", config->settle);
	output_number(output, "idle", config->idle);
	output_number(output, "table", config->table);
	output_number(output, "records", config->records);
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
		 "                      [ records N ]\n"
		 "       xlb config [ show ]\n"
		 "SIZE := a prime number from 251 to 655373\n",
	.commands = commands,
};
