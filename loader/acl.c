// SPDX-License-Identifier: GPL-2.0-only
/* xlb acl: who may come in, by the prefix that an address has. */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "acl.h"
#include "service.h"
#include "session.h"

static const struct choice actions[] = {
	{ "allow", XLB_ALLOW },
	{ "deny", XLB_DENY },
	{},
};

/* What a line says, as far as it can be told without the maps. */
struct request {
	struct prefix prefix;
	enum xlb_action action;
	struct keyword given[2];	/* service, and the end */
};

static enum status prefix_take(struct args *args, struct request *request)
{
	const char *word = args_subject(args), *why;

	if (!word)
		return args_fail(args, STATUS_USAGE, "which prefix? ADDRESS[/LENGTH]");
	why = prefix_parse(word, &request->prefix);
	return why ? args_fail(args, STATUS_USAGE, "%s", why) : STATUS_DONE;
}

static enum status action_take(struct args *args, struct request *request)
{
	const char *word = args_take(args);

	if (!word)
		return args_fail(args, STATUS_USAGE, "allow or deny is to follow");
	for (const struct choice *choice = actions; choice->name; choice++)
		if (!strcmp(choice->name, word))
			request->action = choice->value;
	return request->action ? STATUS_DONE
			       : args_fail(args, STATUS_USAGE, "%s: neither allow nor deny", word);
}

static enum status rest_take(struct args *args, struct request *request)
{
	struct endpoint unused;
	enum status status;

	request->given[0] = (struct keyword)SERVICE_KEYWORD;
	status = args_keywords(args, request->given);
	return status ?: service_argument(args, &request->given[0], &unused);
}

/* The rule that a command is about, or NULL after saying what is wrong. */
static struct rule *rule_choose(const struct args *args, struct state *state,
				const struct request *request)
{
	const struct keyword *named = &request->given[0];
	struct service *service;
	struct rule *rule;
	int error;

	if (!service_filter(args, state, named, &service))
		return NULL;
	if (service && address_is4(service->endpoint.address) != prefix_is4(&request->prefix)) {
		args_fail(args, STATUS_REFUSED, "service %s: not of the prefix's family",
			  named->word);
		return NULL;
	}
	error = rule_get(state, service, &request->prefix, &rule);
	if (error) {
		number_fail(args, "", error);
		return NULL;
	}
	return rule;
}

static enum status rule_edit(struct context *context, struct args *args,
			     const struct request *request, bool exists)
{
	struct state *state = session_edit(context, args);
	struct rule *rule = state ? rule_choose(args, state, request) : NULL;
	enum map full;
	int error;

	if (!rule)
		return STATUS_REFUSED;
	if (exists && !rule->wanted)
		return args_fail(args, STATUS_REFUSED, request->given[0].given ?
				 "the service has no such rule" : "no such rule for all services");
	if (!exists && rule->wanted)
		return args_fail(args, STATUS_REFUSED, "exists already");
	error = rule_set(state, rule, request->action, &full);
	return error ? full_fail(args, state, full, error) : STATUS_DONE;
}

static enum status cmd_add(struct context *context, struct args *args)
{
	struct request request = {};

	if (prefix_take(args, &request) || action_take(args, &request) ||
	    rest_take(args, &request))
		return STATUS_USAGE;
	return rule_edit(context, args, &request, false);
}

static enum status cmd_change(struct context *context, struct args *args)
{
	struct request request = {};

	if (prefix_take(args, &request) || action_take(args, &request) ||
	    rest_take(args, &request))
		return STATUS_USAGE;
	return rule_edit(context, args, &request, true);
}

static enum status cmd_del(struct context *context, struct args *args)
{
	struct request request = {};

	if (prefix_take(args, &request) || rest_take(args, &request))
		return STATUS_USAGE;
	return rule_edit(context, args, &request, true);
}

/* What `add` would take, after its subject. */
static void rule_fields(struct output *output, const struct rule *rule, bool of_service)
{
	char text[PREFIX_TEXT];

	output_object(output, NULL);
	output_subject(output, "prefix", prefix_text(&rule->prefix, text));
	output_subject(output, "action", choice_name(actions, rule->wanted));
	if (of_service || !output->json)
		output_string(output, "service", rule->service ?
			      service_text(&rule->service->endpoint, text) : NULL);
	output_close(output);
}

/* Those of nobody are what a writer that died has left. */
static bool rule_counts(const struct rule *rule)
{
	return rule->wanted && (rule->service || !rule->number);
}

void rules_save(struct output *output, const struct state *state, const struct service *service,
		unsigned *next)
{
	output_list(output, "rules");
	for (; *next < state->rule_count && state->rules[*next]->service == service; ++*next) {
		const struct rule *rule = state->rules[*next];

		if (!rule_counts(rule))
			continue;
		output_line(output, 0);
		output_text(output, "acl add");
		rule_fields(output, rule, false);
	}
	output_close(output);
}

/* Are there others than are counted?  Then a writer got between them, or died there. */
static bool rules_torn(const struct state *state)
{
	__u64 counted = (__u64)state->config.rules4 + state->config.rules6;

	for (unsigned i = 0; i < state->count; i++)
		counted += state->list[i]->value.rules;
	for (unsigned i = 0; i < state->rule_count; i++)
		counted -= rule_counts(state->rules[i]);
	return counted || state->config.rules_updating;
}

/*
 * Under the lock: whoever goes through a trie while it changes may miss some.  Who may read
 * the maps need not be allowed to lock out who changes them: -EAGAIN if some were missed.
 */
static int rules_read(struct state *state)
{
	int lock = maps_lock(state->maps.folder), error;

	if (lock < 0 && lock != -EACCES)
		return lock;
	error = rules_load(state);
	if (lock >= 0)
		close(lock);
	else if (!error && rules_torn(state))
		error = -EAGAIN;
	return error;
}

/* The state with all rules, or NULL after saying what is wrong.  Of those that a writer left
 * who died there is nothing better to be had. */
static struct state *rules_view(struct context *context, const struct args *args)
{
	const struct timespec pause = { .tv_nsec = 20000000 };

	for (unsigned tries = 50;; tries--) {
		struct state *state = session_view(context, args);
		int error = state ? rules_read(state) : 0;

		if (!error || (error == -EAGAIN && !tries))
			return state;
		if (error != -EAGAIN)
			maps_fail(args, &state->maps, error);
		state_free(state);
		if (error != -EAGAIN)
			return NULL;
		nanosleep(&pause, NULL);
	}
}

/* Shows those of this prefix and service (NULL: whatever): how many. */
static unsigned rules_show(struct output *output, const struct state *state,
			   const struct prefix *prefix, const struct service *service)
{
	unsigned shown = 0;

	output_list(output, NULL);
	for (unsigned i = 0; i < state->rule_count; i++) {
		const struct rule *rule = state->rules[i];

		if (!rule_counts(rule) || (service && rule->service != service) ||
		    (prefix && prefix_compare(&rule->prefix, prefix)))
			continue;
		shown++;
		output_line(output, 0);
		rule_fields(output, rule, true);
	}
	output_close(output);
	return shown;
}

static enum status cmd_show(struct context *context, struct args *args)
{
	struct request request = {};
	enum status status = STATUS_REFUSED;
	const char *word = args_peek(args);
	struct service *service = NULL;
	bool one = word && strcmp(word, "service");
	struct state *state;

	if ((one && prefix_take(args, &request)) || rest_take(args, &request))
		return STATUS_USAGE;
	state = rules_view(context, args);
	if (!state)
		return STATUS_REFUSED;
	if (!service_filter(args, state, &request.given[0], &service))
		goto free;
	rules_sort(state);
	status = STATUS_DONE;
	if (!rules_show(&context->output, state, one ? &request.prefix : NULL, service) && one)
		status = args_fail(args, STATUS_REFUSED, "no such rule");
free:
	state_free(state);
	return status;
}

static const struct command commands[] = {
	{ "add", cmd_add, true },
	{ "change", cmd_change, true },
	{ "del", cmd_del, true },
	{ "show", cmd_show, false },
	{},
};

const struct object acl_object = {
	.name = "acl",
	.usage = "xlb acl { add | change } PREFIX { allow | deny } [ service SERVICE ]\n"
		 "       xlb acl del PREFIX [ service SERVICE ]\n"
		 "       xlb acl [ show [ PREFIX ] [ service SERVICE ] ]\n"
		 "PREFIX := { a.b.c.d | IPv6 }[/LENGTH]\n"
		 "SERVICE := ADDRESS:PORT/PROTOCOL\n",
	.commands = commands,
};
