// SPDX-License-Identifier: GPL-2.0-only
/* -batch: the lines of a file as commands, written together. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

#define WORDS_MAX 64

/* Cuts the line into words, up to the comment; -E2BIG. */
static int words_cut(char *line, char **words, int *count)
{
	char *rest = line, *word;

	*count = 0;
	line[strcspn(line, "#")] = '\0';
	while ((word = strtok_r(rest, " \t\r\n", &rest))) {
		if (*count == WORDS_MAX)
			return -E2BIG;
		words[(*count)++] = word;
	}
	return 0;
}

static enum status line_run(struct context *context, char *line, const char *file,
			    unsigned number)
{
	char *words[WORDS_MAX];
	struct args args = { .words = words, .file = file, .line = number };

	if (words_cut(line, words, &args.count))
		return args_fail(&args, STATUS_USAGE, "too many words");
	return args.count ? command_run(context, &args) : STATUS_DONE;
}

/* The first failure's status. */
static enum status lines_run(struct context *context, FILE *stream, const char *file)
{
	enum status failed = STATUS_DONE, status;
	unsigned number = 0;
	char *line = NULL;
	size_t size = 0;

	while ((!failed || context->force) && getline(&line, &size, stream) >= 0) {
		status = line_run(context, line, file, ++number);
		if (!failed)
			failed = status;
	}
	free(line);
	if (ferror(stream))
		return args_fail(NULL, STATUS_REFUSED, "%s: %s", file, strerror(errno));
	return failed;
}

/* Like a single command, a batch that fails changes nothing, unless it is forced. */
enum status batch_run(struct context *context, const char *file)
{
	bool input = !strcmp(file, "-");
	FILE *stream = input ? stdin : fopen(file, "re");
	enum status status, written;

	if (!stream)
		return args_fail(NULL, STATUS_USAGE, "-batch %s: %s", file, strerror(errno));
	context->output.batch = true;
	status = lines_run(context, stream, file);
	if (!input)
		fclose(stream);
	if (status && !context->force) {
		session_drop(context);
		return status;
	}
	written = session_commit(context, NULL);
	return status ?: written;
}
