// SPDX-License-Identifier: GPL-2.0-only
/* xlb restore: the maps become what a file says, by the fewest changes. */
#define _GNU_SOURCE	/* open_memstream */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "changes.h"
#include "save.h"
#include "session.h"

/* Is this a line that configures?  Help is no line of a file, either. */
static bool configures(const struct args *args)
{
	static const char *const objects[] = { "config", "service", "backend", "acl", NULL };
	static const char *const verbs[] = { "set", "add", "change", "del", NULL };
	bool object = false, verb = false;

	for (unsigned i = 0; args->count > 1 && objects[i]; i++)
		object |= !strcmp(args->words[0], objects[i]);
	for (unsigned i = 0; args->count > 1 && verbs[i]; i++)
		verb |= !strcmp(args->words[1], verbs[i]);
	return object && verb && (args->count == 2 || !args_help(args->words[2]));
}

static enum status line_run(struct context *context, struct args *args)
{
	if (configures(args)) {
		context->configured = true;
		return command_run(context, args);
	}
	return args_fail(args, STATUS_USAGE, "%s%s%s: configures nothing: config set, or add, "
			 "change or del of a service, backend or rule is expected", args->words[0],
			 args->count > 1 ? " " : "", args->count > 1 ? args->words[1] : "");
}

/*
 * What the file configures where nothing is configured; its lines never see the maps,
 * except for their sizes.  NULL after saying what is wrong with it, and *status.
 */
static struct state *file_read(struct context *context, const struct args *args,
			       const char *file, bool empty, enum status *status)
{
	bool input = !strcmp(file, "-");
	FILE *stream = input ? stdin : fopen(file, "re");
	struct state *state = NULL;

	if (!stream) {
		*status = args_fail(args, errno == ENOMEM ? STATUS_REFUSED : STATUS_USAGE, "%s",
				    strerror(errno));
		return NULL;
	}
	*status = STATUS_REFUSED;
	context->configured = false;
	context->state = session_blank(context, args);
	if (context->state)
		*status = batch_lines(context, stream, file, line_run);
	if (!input)
		fclose(stream);
	if (!*status && !context->configured && !empty)
		*status = args_fail(args, STATUS_USAGE, "has no line, and all would be deleted: if "
				    "that is meant, give it one, such as config set settle 30");
	if (*status)
		session_drop(context);
	state = context->state;
	context->state = NULL;
	return state;
}

/* As `xlb save` prints it, for the caller to free; NULL: out of memory. */
static char *saved(struct state *state)
{
	struct output output = {};
	char *text = NULL;
	size_t size;
	int error;

	output.stream = open_memstream(&text, &size);
	if (!output.stream)
		return NULL;
	error = save_print(&output, state);
	if (!fclose(output.stream) && !error)
		return text;
	free(text);
	return NULL;
}

static char *changes_find(struct state *state, struct state *wanted)
{
	char *from = saved(state), *to = saved(wanted), *lines = NULL;

	if (from && to && changes_make(from, to, &lines)) {
		free(lines);
		lines = NULL;
	}
	free(from);
	free(to);
	return lines;
}

static void changes_show(struct output *output, char *lines)
{
	char *line;

	output_list(output, NULL);
	while ((line = strsep(&lines, "\n")) && *line) {
		output_line(output, 0);
		output_subject(output, NULL, line);
	}
	output_close(output);
}

static enum status changes_run(struct context *context, char *lines)
{
	enum status status = STATUS_DONE;
	char *line;

	while (!status && (line = strsep(&lines, "\n")))
		status = batch_line(context, line, NULL, 0, command_run);
	return status;
}

static enum status restore(struct context *context, const struct args *args,
			   struct state *wanted, bool print)
{
	struct state *state = session_edit(context, args);
	enum status status = STATUS_DONE;
	char *lines;

	/* What a writer that died has left over is set right by itself. */
	if (state && state->repair && !print) {
		if (session_commit(context, args))
			return STATUS_REFUSED;
		state = session_edit(context, args);
	}
	if (!state)
		return STATUS_REFUSED;
	lines = changes_find(state, wanted);
	if (!lines)
		status = args_fail(args, STATUS_REFUSED, "%s", strerror(ENOMEM));
	else if (print)
		changes_show(&context->output, lines);
	else
		status = changes_run(context, lines);
	if (status || print)
		session_drop(context);
	free(lines);
	return status;
}

static enum status cmd_restore(struct context *context, struct args *args)
{
	enum { PRINT, EMPTY, KEYWORDS };
	struct keyword given[KEYWORDS + 1] = {
		[PRINT] = { .name = "print", .type = KEYWORD_FLAG },
		[EMPTY] = { .name = "empty", .type = KEYWORD_FLAG },
	};
	const char *file = args_subject(args);
	struct state *wanted;
	enum status status;

	if (!file)
		return args_fail(args, STATUS_USAGE, "which file? FILE, or - for the standard "
				 "input");
	if (args_keywords(args, given))
		return STATUS_USAGE;
	wanted = file_read(context, args, file, given[EMPTY].given, &status);
	if (!wanted)
		return status;
	status = restore(context, args, wanted, given[PRINT].given);
	state_free(wanted);
	return status;
}

const struct object restore_object = {
	.name = "restore",
	.usage = "xlb restore FILE [ print ] [ empty ]\n"
		 "FILE has lines of config, service, backend and acl, as xlb save prints them;\n"
		 "- is the standard input; empty: it may have none, and all is deleted\n",
	.run = cmd_restore,
};
