// SPDX-License-Identifier: GPL-2.0-only
/* The lines of a file as commands; -batch, which writes them together. */
#define _GNU_SOURCE	/* fopencookie */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "session.h"
#include "words.h"

/* Milliseconds that changes wait for each further line of a pipe, and for all of them:
 * they hold the lock meanwhile. */
#define PAUSE 100
#define PAUSES 2000

/* What lines come from. */
struct input {
	struct context *context;
	int file;
	__s64 due;		/* when changes wait for no line more; 0: there are none */
	enum status failed;	/* to write them */
};

/*
 * Is nothing there to be read, and won't be for a moment?  A file always has something,
 * its end at least, so that it is written as a whole.
 */
static bool input_pauses(struct input *input)
{
	struct pollfd pollfd = { .fd = input->file, .events = POLLIN };
	__s64 now = clock_milliseconds(), left;

	if (!input->due)
		input->due = now + PAUSES;
	left = now < input->due ? input->due - now : 0;
	return !poll(&pollfd, 1, left < PAUSE ? left : PAUSE);
}

/* While nothing comes, those that warm up get more when it is due. */
static enum status steps_take(const struct input *input)
{
	struct pollfd pollfd = { .fd = input->file, .events = POLLIN };
	struct context *context = input->context;
	enum status status = STATUS_DONE;

	context->stepping = true;
	while (!status && context->step_at) {
		__s64 left = context->step_at - clock_milliseconds();

		if (poll(&pollfd, 1, left > 0 ? left : 0))
			break;
		status = session_edit(context, NULL) ? session_commit(context, NULL)
						     : STATUS_REFUSED;
	}
	context->stepping = false;
	return status;
}

/* Called whenever the lines that have come are done. */
static ssize_t input_read(void *cookie, char *buffer, size_t size)
{
	struct input *input = cookie;

	if (!input->context->state) {
		input->due = 0;
	} else if (input_pauses(input)) {
		input->due = 0;
		input->failed = session_commit(input->context, NULL);
	}
	if (!input->failed && !input->context->state)
		input->failed = steps_take(input);
	return input->failed ? 0 : read(input->file, buffer, size);
}

static int input_close(void *cookie)
{
	struct input *input = cookie;

	return input->file == STDIN_FILENO ? 0 : close(input->file);
}

/* NULL and errno. */
static FILE *input_open(struct input *input, const char *file)
{
	static const cookie_io_functions_t functions = { .read = input_read,
							 .close = input_close };
	FILE *stream;

	input->file = strcmp(file, "-") ? open(file, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
	if (input->file < 0)
		return NULL;
	stream = fopencookie(input, "r", functions);
	if (!stream)
		input_close(input);
	return stream;
}

enum status batch_line(struct context *context, char *line, const char *file, unsigned number,
		       command_runner *run)
{
	char *words[WORDS_MAX];
	struct args args = { .words = words, .file = file, .line = number };
	const char *why = words_cut(line, words, &args.count);

	if (why)
		return args_fail(&args, STATUS_USAGE, "%s", why);
	return args.count ? run(context, &args) : STATUS_DONE;
}

/* The same for a line of so many bytes; of one with a NUL words would be lost in silence. */
static enum status bytes_run(struct context *context, char *line, size_t length,
			     const char *file, unsigned number, command_runner *run)
{
	const struct args args = { .file = file, .line = number };

	if (strlen(line) < length)
		return args_fail(&args, STATUS_USAGE, "a NUL byte: not a line of text");
	return batch_line(context, line, file, number, run);
}

enum status batch_lines(struct context *context, FILE *stream, const char *file,
			command_runner *run)
{
	enum status failed = STATUS_DONE, status;
	unsigned number = 0;
	char *line = NULL;
	size_t size = 0;
	ssize_t length;
	int lost = 0;

	while (!failed || context->force) {
		length = getline(&line, &size, stream);
		if (length < 0) {
			/* Out of memory is not the end: what follows must not be forgotten. */
			lost = feof(stream) ? 0 : errno;
			break;
		}
		status = bytes_run(context, line, length, file, ++number, run);
		if (!failed)
			failed = status;
	}
	free(line);
	return lost ? args_fail(NULL, STATUS_REFUSED, "%s: %s", file, strerror(lost)) : failed;
}

/*
 * Like a single command, a batch that fails changes nothing, unless it is forced; of one
 * that comes through a pipe with pauses, what comes between two of them.
 */
enum status batch_run(struct context *context, const char *file)
{
	struct input input = { .context = context };
	FILE *stream = input_open(&input, file);
	enum status status, written;

	if (!stream)
		return args_fail(NULL, errno == ENOMEM ? STATUS_REFUSED : STATUS_USAGE,
				 "-batch %s: %s", file, strerror(errno));
	context->output.batch = true;
	status = batch_lines(context, stream, file, command_run);
	if (!status)
		status = input.failed;
	fclose(stream);
	if (status && !context->force) {
		session_drop(context);
		return status;
	}
	written = session_commit(context, NULL);
	return status ?: written;
}
