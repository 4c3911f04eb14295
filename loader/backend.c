// SPDX-License-Identifier: GPL-2.0-only
/* xlb backend: the hosts that serve a service. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "mode.h"
#include "service.h"
#include "session.h"

const struct choice backend_states[] = {
	{ "up", XLB_UP },
	{ "down", XLB_DOWN },
	{ "drain", XLB_DRAIN },
	{},
};

const struct choice backend_healths[] = {
	{ "up", XLB_UP },
	{ "down", XLB_DOWN },
	{},
};

enum { SERVICE, WEIGHT, STATE, HEALTH, KEYWORDS };

static const struct keyword backend_keywords[KEYWORDS + 1] = {
	[SERVICE] = SERVICE_KEYWORD,
	[WEIGHT] = { .name = "weight", .type = KEYWORD_NUMBER, .maximum = 65535 },
	[STATE] = { .name = "state", .type = KEYWORD_CHOICE, .choices = backend_states },
	[HEALTH] = { .name = "health", .type = KEYWORD_CHOICE, .choices = backend_healths },
};

enum status backend_subject(struct args *args, struct endpoint *end)
{
	const char *word = args_subject(args), *why;

	memset(end, 0, sizeof(*end));
	if (!word)
		return args_fail(args, STATUS_USAGE, "which backend? ADDRESS[:PORT]");
	why = backend_parse(word, end);
	return why ? args_fail(args, STATUS_USAGE, "%s", why) : STATUS_DONE;
}

/* What its service decides of a backend's end. */
static void end_take(struct endpoint *end, const struct service *service)
{
	if (!end->port)
		end->port = service->endpoint.port;
	end->protocol = service->endpoint.protocol;
}

static enum status end_complete(const struct args *args, const struct service *service,
				struct endpoint *end)
{
	char text[ENDPOINT_TEXT];

	service_text(&service->endpoint, text);
	if (end->port && !service->endpoint.port)
		return args_fail(args, STATUS_REFUSED, "service %s is on any port, its backends "
				 "keep the client's: give no port", text);
	end_take(end, service);
	return STATUS_DONE;
}

static enum status fit_check(const struct args *args, const struct state *state,
			     const struct service *service, const struct endpoint *end)
{
	char name[ENDPOINT_TEXT], text[MODE_TEXT];
	const char *why = mode_misfit(state, service, service->value.mode, end, text);

	if (!why)
		return STATUS_DONE;
	return args_fail(args, STATUS_REFUSED, "service %s: %s",
			 service_text(&service->endpoint, name), why);
}

/* What a line says, as far as it can be told without the maps. */
static enum status request_parse(struct args *args, struct endpoint *end,
				 struct keyword *given)
{
	struct endpoint unused;
	enum status status = backend_subject(args, end);

	memcpy(given, backend_keywords, sizeof(backend_keywords));
	status = status ?: args_keywords(args, given);
	return status ?: service_argument(args, &given[SERVICE], &unused);
}

static void value_set(struct xlb_backend *value, const struct keyword *given)
{
	if (given[WEIGHT].given)
		value->weight = given[WEIGHT].number;
	if (given[STATE].given)
		value->admin = given[STATE].number;
	if (given[HEALTH].given)
		value->health = given[HEALTH].number;
}

static enum status cmd_add(struct context *context, struct args *args)
{
	struct xlb_backend value = { .weight = 1, .admin = XLB_UP, .health = XLB_UP };
	struct keyword given[KEYWORDS + 1];
	char text[ENDPOINT_TEXT];
	struct service *service;
	struct endpoint end;
	struct state *state;
	enum map full;
	int error;

	if (request_parse(args, &end, given))
		return STATUS_USAGE;
	state = session_edit(context, args);
	service = state ? service_choose(args, state, &given[SERVICE]) : NULL;
	if (!service || end_complete(args, service, &end) ||
	    fit_check(args, state, service, &end))
		return STATUS_REFUSED;
	if (state_backend(state, service, &end))
		return args_fail(args, STATUS_REFUSED, "service %s: exists already",
				 service_text(&service->endpoint, text));
	value_set(&value, given);
	error = state_backend_add(state, service, &end, &value, &full);
	return error ? full_fail(args, state, full, error) : STATUS_DONE;
}

/* The service's backend there, on the service's port if it has none; or NULL. */
static struct backend *backend_of(const struct state *state, const struct service *service,
				  const struct endpoint *end)
{
	struct endpoint whole = *end;

	if (end->port && !service->endpoint.port)
		return NULL;
	end_take(&whole, service);
	return state_backend(state, service, &whole);
}

/* The backend of the only service that has it, or NULL. */
static struct backend *backend_only(const struct state *state, const struct endpoint *end)
{
	struct backend *only = NULL;

	for (unsigned i = 0; i < state->count; i++) {
		struct backend *found = backend_of(state, state->list[i], end);

		if (found && only)
			return NULL;
		if (found)
			only = found;
	}
	return only;
}

/* Perhaps it is one on another port that was meant. */
static void backend_missing(const struct args *args, const struct service *service,
			    const struct endpoint *end)
{
	char text[ENDPOINT_TEXT], like[ENDPOINT_TEXT];

	service_text(&service->endpoint, text);
	for (const struct backend *each = service->backends; each; each = each->next) {
		if (memcmp(each->end.address, end->address, sizeof(end->address)))
			continue;
		args_fail(args, STATUS_REFUSED, "service %s: no such backend, but %s", text,
			  backend_text(&each->end, like));
		return;
	}
	args_fail(args, STATUS_REFUSED, "service %s: no such backend", text);
}

/* NULL after saying what is wrong. */
static struct backend *backend_find(struct context *context, struct args *args,
				    struct endpoint *end, const struct keyword *service_keyword)
{
	struct state *state = session_edit(context, args);
	struct backend *backend = NULL;
	struct service *service;

	if (state && !service_keyword->given)
		backend = backend_only(state, end);
	if (!state || backend)
		return backend;
	service = service_choose(args, state, service_keyword);
	if (!service || end_complete(args, service, end))
		return NULL;
	backend = state_backend(state, service, end);
	if (!backend)
		backend_missing(args, service, end);
	return backend;
}

static enum status cmd_change(struct context *context, struct args *args)
{
	struct keyword given[KEYWORDS + 1];
	struct backend *backend;
	struct endpoint end;

	if (request_parse(args, &end, given))
		return STATUS_USAGE;
	if (!given[WEIGHT].given && !given[STATE].given && !given[HEALTH].given)
		return args_fail(args, STATUS_USAGE, "nothing to change: weight N, state STATE, "
				 "health { up | down }");
	backend = backend_find(context, args, &end, &given[SERVICE]);
	if (!backend)
		return STATUS_REFUSED;
	value_set(&backend->value, given);
	state_backend_touch(backend);
	return STATUS_DONE;
}

static enum status cmd_del(struct context *context, struct args *args)
{
	struct keyword given[] = { SERVICE_KEYWORD, {} };
	struct endpoint end, unused;
	struct backend *backend;

	if (backend_subject(args, &end) || args_keywords(args, given) ||
	    service_argument(args, &given[0], &unused))
		return STATUS_USAGE;
	backend = backend_find(context, args, &end, &given[0]);
	if (!backend)
		return STATUS_REFUSED;
	/* Until its slots are another's it is to be fit for the new mode, too. */
	if (service_mode_changes(backend->service)) {
		if (session_commit(context, args))
			return STATUS_REFUSED;
		backend = backend_find(context, args, &end, &given[0]);
		if (!backend)
			return STATUS_REFUSED;
	}
	state_backend_delete(context->state, backend);
	return STATUS_DONE;
}

static const struct command commands[] = {
	{ "add", cmd_add, true },
	{ "change", cmd_change, true },
	{ "del", cmd_del, true },
	{ "show", backend_cmd_show, false },
	{},
};

const struct object backend_object = {
	.name = "backend",
	.usage = "xlb backend { add | change } BACKEND [ service SERVICE ] [ weight N ]\n"
		 "                          [ state { up | down | drain } ]\n"
		 "                          [ health { up | down } ]\n"
		 "       xlb backend del BACKEND [ service SERVICE ]\n"
		 "       xlb backend [ show [ BACKEND ] [ service SERVICE ] ]\n"
		 "BACKEND := { a.b.c.d | [IPv6] }[:PORT]\n"
		 "PORT := 1..65535, the service's if left out\n"
		 "N := 0..65535, 1 if left out\n"
		 "SERVICE := ADDRESS:PORT/PROTOCOL, may be left out where there is one,\n"
		 "           or for change and del one that has BACKEND\n",
	.commands = commands,
};
