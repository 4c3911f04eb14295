// SPDX-License-Identifier: GPL-2.0-only
/*
 * What turns one configuration into another.  Compared are words, keyword by keyword,
 * as they are saved, and not the fields behind them: so there is no keyword that can
 * be forgotten here.
 */
#define _GNU_SOURCE	/* open_memstream, tdestroy */
#include <errno.h>
#include <search.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "changes.h"

struct pair {
	const char *keyword, *value;	/* of a rule's action: no keyword, "" */
};

/* One command: "OBJECT VERB [NAME] KEYWORD VALUE...". */
struct line {
	const char *object;
	const char *name;	/* "": of the configuration */
	struct pair *pair;
	unsigned pairs;
	struct line *service;	/* of a backend, or of a rule of one; else the line itself */
	struct line *twin;	/* the same thing in the other configuration, or NULL */
	unsigned backends;	/* of a service */
	bool afresh;		/* a service that is deleted and added again */
};

/* In the order of the text: the settings, rules for all services, then each service, its
 * backends and its rules. */
struct configuration {
	struct line *line;
	unsigned count;
	struct pair *pair;	/* of all lines */
};

static bool is(const struct line *line, const char *object)
{
	return line->object && !strcmp(line->object, object);
}

/* Cuts a command into words, its pairs into what is free of these; returns the rest. */
static struct pair *line_cut(struct line *line, char *text, struct pair *pair)
{
	char *rest = text, *word;

	line->object = strtok_r(rest, " ", &rest);
	strtok_r(rest, " ", &rest);
	line->name = is(line, "config") ? "" : strtok_r(rest, " ", &rest);
	line->pair = pair;
	if (is(line, "acl")) {
		*pair++ = (struct pair){ "", strtok_r(rest, " ", &rest) };
		line->pairs++;
	}
	while ((word = strtok_r(rest, " ", &rest))) {
		*pair++ = (struct pair){ word, strtok_r(rest, " ", &rest) };
		line->pairs++;
	}
	return pair;
}

static unsigned count_of(const char *text, char sought)
{
	unsigned count = 0;

	while ((text = strchr(text, sought))) {
		count++;
		text++;
	}
	return count;
}

static int configuration_cut(struct configuration *configuration, char *text)
{
	struct line *line = calloc(count_of(text, '\n') + 1, sizeof(*line)), *service = line;
	struct pair *pair = calloc(count_of(text, ' ') + 1, sizeof(*pair));
	char *rest = text, *next;

	configuration->line = line;
	configuration->pair = pair;
	if (!line || !pair)
		return -ENOMEM;
	while ((next = strtok_r(rest, "\n", &rest))) {
		if (*next == '#')
			continue;
		pair = line_cut(line, next, pair);
		if (is(line, "backend"))
			service->backends++;
		else if (!is(line, "acl"))
			service = line;
		line->service = is(line, "acl") && is(service, "config") ? line : service;
		line++;
	}
	configuration->count = line - configuration->line;
	return 0;
}

/* Of a line, which a twin may not be. */
static const char *value_of(const struct line *line, const char *keyword)
{
	for (unsigned i = 0; line && i < line->pairs; i++)
		if (!strcmp(line->pair[i].keyword, keyword))
			return line->pair[i].value;
	return NULL;
}

/* Is it gone as soon as another keyword says so: a burst with its limit? */
static bool is_carried(const char *keyword)
{
	return !strcmp(keyword, "burst");
}

/* What a checker found of a backend that stays is the checker's to change. */
static bool is_checkers(const char *keyword)
{
	return !strcmp(keyword, "health");
}

/* Has the other line another value of this keyword? */
static bool differs(const struct line *line, const char *keyword)
{
	const char *value = value_of(line, keyword), *other = value_of(line->twin, keyword);

	return !value || !other ? value != other : strcmp(value, other);
}

/* --- what is the same thing in both --- */

/* A backend is of its service. */
static int line_order(const void *a, const void *b)
{
	const struct line *left = a, *right = b;
	int order = strcmp(left->name, right->name);

	order = order ?: strcmp(left->service->name, right->service->name);
	return order ?: strcmp(left->object, right->object);
}

/* Does the other line not say something at all that this one does? */
static bool says_more(const struct line *line, const struct line *other)
{
	for (unsigned i = 0; i < line->pairs; i++)
		if (!is_checkers(line->pair[i].keyword) && !is_carried(line->pair[i].keyword) &&
		    !value_of(other, line->pair[i].keyword))
			return true;
	return false;
}

static void keep(void *node)
{
	(void)node;
}

static int twins_find(struct configuration *from, struct configuration *to)
{
	void *tree = NULL;
	int error = 0;

	for (unsigned i = 0; i < from->count; i++)
		if (!tsearch(&from->line[i], &tree, line_order))
			error = -ENOMEM;
	for (unsigned i = 0; !error && i < to->count; i++) {
		struct line **found = tfind(&to->line[i], &tree, line_order);

		if (!found || (is(*found, "backend") && says_more(*found, &to->line[i])))
			continue;
		to->line[i].twin = *found;
		(*found)->twin = &to->line[i];
	}
	tdestroy(tree, keep);
	return error;
}

static bool loses_backends(const struct line *service)
{
	for (unsigned i = 1; i <= service->backends; i++)
		if (!service[i].twin)
			return true;
	return false;
}

/*
 * Services that stay but cannot be changed: another table, hash or seed would move
 * every flow.  A backend that is deleted may not fit the new mode, and would have to
 * be gone before that.  A keyword that is not there any more has no new value.
 */
static void afresh_find(const struct configuration *from, bool seed)
{
	for (unsigned i = 0; i < from->count; i++) {
		struct line *line = &from->line[i];

		if (!is(line, "service") || !line->twin)
			continue;
		line->afresh = seed || (line->backends && (differs(line, "table") ||
							   differs(line, "hash"))) ||
			       (differs(line, "mode") && loses_backends(line)) ||
			       says_more(line, line->twin);
		line->twin->afresh = line->afresh;
	}
}

/* --- the lines --- */

static void print_subject(FILE *to, const struct line *line, const char *verb)
{
	fprintf(to, "%s %s", line->object, verb);
	if (*line->name)
		fprintf(to, " %s", line->name);
	if (line->service != line)
		fprintf(to, " service %s", line->service->name);
}

static void print_pair(FILE *to, const struct pair *pair)
{
	if (*pair->keyword)
		fprintf(to, " %s", pair->keyword);
	fprintf(to, " %s", pair->value);
}

static void print_pairs(FILE *to, const struct line *line, bool of_checker)
{
	for (unsigned i = 0; i < line->pairs; i++)
		if (is_checkers(line->pair[i].keyword) == of_checker)
			print_pair(to, &line->pair[i]);
}

/* Also of what stays but cannot be changed. */
static void print_add(FILE *to, const struct line *line)
{
	fprintf(to, "%s add %s", line->object, line->name);
	print_pairs(to, line, false);
	print_pairs(to, line->twin ?: line, true);
	fputc('\n', to);
}

/* What the line has otherwise than its twin, if anything. */
static void print_change(FILE *to, const struct line *line, const char *verb)
{
	bool any = false;

	if (is(line, "acl")) {
		if (!differs(line, ""))
			return;
		fprintf(to, "acl %s %s", verb, line->name);
		print_pairs(to, line, false);
		fputc('\n', to);
		return;
	}
	for (unsigned i = 0; i < line->pairs; i++) {
		if (is_checkers(line->pair[i].keyword) ||
		    !differs(line, line->pair[i].keyword))
			continue;
		if (!any)
			print_subject(to, line, verb);
		any = true;
		fprintf(to, " %s %s", line->pair[i].keyword, line->pair[i].value);
	}
	if (any)
		fputc('\n', to);
}

static void print_del(FILE *to, const struct line *line)
{
	print_subject(to, line, "del");
	if (line->afresh)
		fputs(" # and added again: it cannot be changed like this while it has backends",
		      to);
	fputc('\n', to);
}

/* Addresses that are not to be set any more: what was in need of them is gone by now. */
static void print_unset(FILE *to, const struct line *config)
{
	for (unsigned i = 0; i < config->pairs; i++)
		if (!value_of(config->twin, config->pair[i].keyword))
			fprintf(to, "config set %s none\n", config->pair[i].keyword);
}

/* Modes first, while no backend has been deleted; then what goes; then what comes. */
static void changes_print(FILE *to, const struct configuration *from,
			  const struct configuration *wanted, bool seed)
{
	if (!seed)
		print_change(to, &wanted->line[0], "set");
	for (unsigned i = 1; i < wanted->count; i++) {
		const struct line *line = &wanted->line[i];

		if (is(line, "service") && line->twin && !line->afresh)
			print_change(to, line, "change");
	}
	for (unsigned i = 1; i < from->count; i++) {
		const struct line *line = &from->line[i];
		bool goes = !line->service->twin || line->service->afresh;

		if (line->service == line ? goes : !goes && !line->twin)
			print_del(to, line);
	}
	if (seed)
		print_change(to, &wanted->line[0], "set");
	for (unsigned i = 1; i < wanted->count; i++) {
		const struct line *line = &wanted->line[i];

		if (!line->twin || line->service->afresh)
			print_add(to, line);
		else if (!is(line, "service"))
			print_change(to, line, "change");
	}
	print_unset(to, &from->line[0]);
}

int changes_make(char *from, char *to, char **lines)
{
	struct configuration old = {}, new = {};
	FILE *stream = NULL;
	size_t size;
	bool seed;
	int error;

	*lines = NULL;
	error = configuration_cut(&old, from);
	error = error ?: configuration_cut(&new, to);
	error = error ?: twins_find(&old, &new);
	if (!error) {
		seed = differs(&new.line[0], "seed");
		afresh_find(&old, seed);
		stream = open_memstream(lines, &size);
	}
	if (stream)
		changes_print(stream, &old, &new, seed);
	if (!stream || fclose(stream))
		error = -ENOMEM;
	free(old.line);
	free(old.pair);
	free(new.line);
	free(new.pair);
	return error;
}
