// SPDX-License-Identifier: GPL-2.0-only
/* xlb service: the addresses, ports and protocols that are balanced. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mode.h"
#include "rule.h"
#include "service.h"
#include "session.h"
#include "stats.h"

static const struct choice hashes[] = {
	{ "flow", XLB_HASH_FLOW },
	{ "source", XLB_HASH_SOURCE },
	{},
};

static const struct choice switches[] = {
	{ "on", 1 },
	{ "off", 0 },
	{},
};

static const struct choice fails[] = {
	{ "open", XLB_FAIL_OPEN },
	{ "closed", XLB_FAIL_CLOSED },
	{},
};

enum { MODE, HASH, TABLE, SETTLE, ECHO, FAIL, WARMUP, LIMIT, BURST, KEYWORDS };

static const struct keyword service_keywords[KEYWORDS + 1] = {
	[MODE] = { .name = "mode", .type = KEYWORD_CHOICE, .choices = mode_choices },
	[HASH] = { .name = "hash", .type = KEYWORD_CHOICE, .choices = hashes },
	[TABLE] = TABLE_KEYWORD,
	[SETTLE] = SETTLE_KEYWORD,
	[ECHO] = { .name = "echo", .type = KEYWORD_CHOICE, .choices = switches },
	[FAIL] = { .name = "fail", .type = KEYWORD_CHOICE, .choices = fails },
	[WARMUP] = { .name = "warmup", .type = KEYWORD_NUMBER, .maximum = 65535 },
	[LIMIT] = { .name = "limit", .type = KEYWORD_WORD },
	[BURST] = { .name = "burst", .type = KEYWORD_NUMBER, .minimum = 1,
		    .maximum = XLB_LIMIT_MAX },
};

/* The service that a command is about. */
static enum status subject_take(struct args *args, struct endpoint *endpoint)
{
	const char *word = args_subject(args), *why;

	if (!word)
		return args_fail(args, STATUS_USAGE, "which service? ADDRESS:PORT/PROTOCOL");
	why = service_parse(word, endpoint);
	return why ? args_fail(args, STATUS_USAGE, "%s", why) : STATUS_DONE;
}

/* limit off, or so many packets per second. */
static enum status limit_check(const struct args *args, struct keyword *limit,
			       const struct keyword *burst)
{
	if (!limit->given)
		return STATUS_DONE;
	limit->number = 0;
	if (!strcmp(limit->word, "off"))
		return burst->given ? args_fail(args, STATUS_USAGE, "burst: of no limit")
				    : STATUS_DONE;
	if (!args_number(limit->word, 1, XLB_LIMIT_MAX, &limit->number))
		return STATUS_DONE;
	return args_fail(args, STATUS_USAGE, "limit %s: neither off nor a number from 1 to %d",
			 limit->word, XLB_LIMIT_MAX);
}

/* A service with a limit has a number. */
static enum status limit_number(const struct args *args, struct state *state,
				struct service *service, const struct keyword *given)
{
	int error = given[LIMIT].number ? rule_number(state, service) : 0;

	return error ? number_fail(args, "limit: ", error) : STATUS_DONE;
}

/* A burst that nobody names is what comes in a second. */
static void limit_set(struct xlb_service *value, const struct keyword *given)
{
	if (given[LIMIT].given && !given[LIMIT].number)
		value->burst = 0;
	else if (given[BURST].given)
		value->burst = given[BURST].number;
	else if (given[LIMIT].given && !value->limit)
		value->burst = given[LIMIT].number;
	if (given[LIMIT].given)
		value->limit = given[LIMIT].number;
}

/* All but mode and table, which take more. */
static void value_set(struct xlb_service *value, const struct keyword *given)
{
	limit_set(value, given);
	if (given[HASH].given)
		value->hash = given[HASH].number;
	if (given[SETTLE].given)
		value->settle = given[SETTLE].number;
	if (given[ECHO].given)
		value->echo = given[ECHO].number;
	if (given[FAIL].given)
		value->fail = given[FAIL].number;
	if (given[WARMUP].given)
		value->warmup = given[WARMUP].number;
}

static enum status cmd_add(struct context *context, struct args *args)
{
	struct xlb_service value = { .mode = XLB_DNAT, .hash = XLB_HASH_FLOW, .echo = 1 };
	struct keyword given[KEYWORDS + 1];
	struct endpoint endpoint;
	struct service *service;
	enum status status;
	struct state *state;
	enum map full;
	int error;

	memcpy(given, service_keywords, sizeof(given));
	if (subject_take(args, &endpoint) || args_keywords(args, given) ||
	    table_check(args, &given[TABLE]) ||
	    limit_check(args, &given[LIMIT], &given[BURST]))
		return STATUS_USAGE;
	if (given[BURST].given && !given[LIMIT].given)
		return args_fail(args, STATUS_USAGE, "burst: of no limit: limit PPS");
	state = session_edit(context, args);
	if (!state)
		return STATUS_REFUSED;
	if (state_service(state, &endpoint))
		return args_fail(args, STATUS_REFUSED, "exists already");
	if (given[MODE].given)
		value.mode = given[MODE].number;
	value.table.size = given[TABLE].given ? given[TABLE].number : state->config.table;
	value.settle = state->config.settle;
	value_set(&value, given);
	error = state_service_add(state, &endpoint, &value, &full);
	if (error)
		return full_fail(args, state, full, error);
	service = state_service(state, &endpoint);
	status = limit_number(args, state, service, given);
	if (status)
		state_service_delete(state, service);
	return status;
}

/* What of a change would move every flow at once, or NULL. */
static const char *change_moves(const struct service *service, const struct keyword *given)
{
	if (given[TABLE].given && given[TABLE].number != service->value.table.size)
		return "table";
	if (given[HASH].given && given[HASH].number != service->value.hash)
		return "hash";
	return NULL;
}

/* Every backend must fit the new mode. */
static enum status mode_check(const struct args *args, const struct state *state,
			      const struct service *service, enum xlb_mode mode)
{
	char name[ENDPOINT_TEXT], text[MODE_TEXT];

	for (const struct backend *backend = service->backends; backend; backend = backend->next) {
		const char *why = mode_misfit(state, service, mode, &backend->end, text);

		if (why)
			return args_fail(args, STATUS_REFUSED, "backend %s: %s",
					 backend_text(&backend->end, name), why);
	}
	return STATUS_DONE;
}

static void mode_set(struct service *service, enum xlb_mode mode)
{
	service->collect |= service->value.mode != mode;
	service->value.mode = mode;
}

/*
 * The service to change, or NULL after saying why not.  What moves every flow is
 * refused while the service has backends, in the maps as well as in memory; of the
 * latter all must fit a new mode.
 */
static struct service *change_begin(struct context *context, const struct args *args,
				    const struct endpoint *endpoint, const struct keyword *given)
{
	struct state *state = session_edit(context, args);
	struct service *service = state ? state_service(state, endpoint) : NULL;
	const char *moves;

	if (!service) {
		if (state)
			args_fail(args, STATUS_REFUSED, "no such service");
		return NULL;
	}
	moves = change_moves(service, given);
	if (moves && service->count) {
		args_fail(args, STATUS_REFUSED, "%s: cannot change while the service has backends: "
			  "delete them first", moves);
		return NULL;
	}
	if (!state->deleted_backends ||
	    (!moves && (!given[MODE].given || given[MODE].number == service->value.mode)))
		return service;
	if (session_commit(context, args))
		return NULL;
	return change_begin(context, args, endpoint, given);
}

static enum status cmd_change(struct context *context, struct args *args)
{
	struct keyword given[KEYWORDS + 1];
	struct endpoint endpoint;
	struct service *service;
	struct state *state;
	enum map full;
	int error = 0;

	memcpy(given, service_keywords, sizeof(given));
	if (subject_take(args, &endpoint))
		return STATUS_USAGE;
	if (!args_peek(args))
		return args_fail(args, STATUS_USAGE, "nothing to change: mode MODE, hash HASH, "
				 "table SIZE, settle SECONDS, echo { on | off }, "
				 "fail { open | closed }, warmup SECONDS, "
				 "limit { off | PPS burst N }");
	if (args_keywords(args, given) || table_check(args, &given[TABLE]) ||
	    limit_check(args, &given[LIMIT], &given[BURST]))
		return STATUS_USAGE;
	service = change_begin(context, args, &endpoint, given);
	if (!service)
		return STATUS_REFUSED;
	state = context->state;
	if (given[BURST].given && !given[LIMIT].given && !service->value.limit)
		return args_fail(args, STATUS_REFUSED, "burst: the service has no limit");
	if (given[MODE].given && mode_check(args, state, service, given[MODE].number))
		return STATUS_REFUSED;
	if (limit_number(args, state, service, given))
		return STATUS_REFUSED;
	if (given[TABLE].given && given[TABLE].number != service->value.table.size)
		error = state_service_resize(state, service, given[TABLE].number, &full);
	if (error)
		return full_fail(args, state, full, error);
	if (given[MODE].given)
		mode_set(service, given[MODE].number);
	value_set(&service->value, given);
	service->rebuild |= given[FAIL].given;
	service->edited = true;
	return STATUS_DONE;
}

static enum status cmd_del(struct context *context, struct args *args)
{
	struct endpoint endpoint;
	struct service *service;
	struct state *state;
	int error;

	if (subject_take(args, &endpoint) || args_end(args))
		return STATUS_USAGE;
	state = session_edit(context, args);
	service = state ? state_service(state, &endpoint) : NULL;
	if (!service)
		return state ? args_fail(args, STATUS_REFUSED, "no such service") : STATUS_REFUSED;
	error = state_service_delete(state, service);
	return error ? args_fail(args, STATUS_REFUSED, "rules: %s", strerror(-error))
		     : STATUS_DONE;
}

/* What is due is taken when the state is written, here as in any command. */
static enum status cmd_warm(struct context *context, struct args *args)
{
	if (args_end(args))
		return STATUS_USAGE;
	return session_edit(context, args) ? STATUS_DONE : STATUS_REFUSED;
}

static void limit_fields(struct output *output, const struct xlb_service *value)
{
	if (value->limit) {
		output_number(output, "limit", value->limit);
		output_number(output, "burst", value->burst);
		return;
	}
	if (output->usual)
		output_text(output, "limit off");
	output_detail(output, "limit", json_null());
	output_detail(output, "burst", json_null());
}

void service_fields(struct output *output, const struct service *service)
{
	const struct endpoint *endpoint = &service->endpoint;
	const char *protocol = choice_name(protocol_choices, endpoint->protocol);
	char text[ENDPOINT_TEXT];

	output_subject(output, "service", service_text(endpoint, text));
	output_detail(output, "address", json_string(address_text(endpoint->address, text)));
	output_detail(output, "port", json_integer(endpoint->port));
	output_detail(output, "protocol", json_string(protocol));
	output_string(output, "mode", choice_name(mode_choices, service->value.mode));
	output_string(output, "hash", choice_name(hashes, service->value.hash));
	output_number(output, "table", service->value.table.size);
	output_number(output, "settle", service->value.settle);
	output_switch(output, "echo", service->value.echo, true);
	output_choice(output, "fail", choice_name(fails, service->value.fail), "closed");
	output_amount(output, "warmup", service->value.warmup, 0);
	limit_fields(output, &service->value);
}

static void service_show(struct output *output, const struct state *state,
			 const struct service *service, bool statistics)
{
	output_line(output, 0);
	output_object(output, NULL);
	service_fields(output, service);
	if (statistics) {
		output_line(output, 4);
		output_number(output, "backends", service->count);
		output_number(output, "marked", service_marks(state, service));
		output_number(output, "rules", service->value.rules);
		output_flag(output, "failed_open", service_failed_open(service));
		output_line(output, 4);
		stats_show_service(output, state, service);
	}
	output_close(output);
}

static enum status cmd_show(struct context *context, struct args *args)
{
	struct service *only = NULL;
	bool all = !args_peek(args);
	struct endpoint endpoint;
	struct state *state;

	if (!all && (subject_take(args, &endpoint) || args_end(args)))
		return STATUS_USAGE;
	state = session_view(context, args);
	if (!state)
		return STATUS_REFUSED;
	if (!all)
		only = state_service(state, &endpoint);
	if (!all && !only) {
		state_free(state);
		return args_fail(args, STATUS_REFUSED, "no such service");
	}
	services_sort(state);
	output_list(&context->output, NULL);
	for (unsigned i = 0; i < state->count; i++)
		if (!only || only == state->list[i])
			service_show(&context->output, state, state->list[i],
				     context->statistics);
	output_close(&context->output);
	state_free(state);
	return STATUS_DONE;
}

static const struct command commands[] = {
	{ "add", cmd_add, true },
	{ "change", cmd_change, true },
	{ "del", cmd_del, true },
	{ "warm", cmd_warm, true },
	{ "show", cmd_show, false },
	{},
};

const struct object service_object = {
	.name = "service",
	.usage = "xlb service { add | change } SERVICE [ mode MODE ] [ hash { flow | source } ]\n"
		 "                          [ table SIZE ] [ settle SECONDS ] [ echo { on | off } ]\n"
		 "                          [ fail { open | closed } ] [ warmup SECONDS ]\n"
		 "                          [ limit { off | PPS } ] [ burst N ]\n"
		 "       xlb service del SERVICE\n"
		 "       xlb service warm\n"
		 "       xlb service [ show [ SERVICE ] ]\n"
		 "SERVICE := ADDRESS:PORT/PROTOCOL\n"
		 "ADDRESS := { a.b.c.d | [IPv6] | * | [*] }\n"
		 "PORT := { 1..65535 | * }\n"
		 "PROTOCOL := { tcp | udp }\n"
		 "MODE := { dnat | nat | dr | ipip | gue }\n"
		 "SIZE := a prime number from 251 to 655373\n",
	.commands = commands,
};
