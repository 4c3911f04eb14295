// SPDX-License-Identifier: GPL-2.0-only
/* The helper run within this process, and what is to hold whatever it is asked. */
#define _GNU_SOURCE	/* open_memstream */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>

#include "helper.h"
#include "kernel.h"
#include "state.h"

/* loader/main.c's main(). */
int xlb_main(int argc, char **argv);

static const char beginning[] =
	"config set table 251 tunnel4 10.0.0.100 tunnel6 fd00::100 nat4 10.0.0.101,10.0.0.102\n"
	"service add 192.0.2.1:80/tcp\n"
	"service add 192.0.2.2:*/udp mode dr hash source fail open warmup 60\n"
	"service add [2001:db8::1]:80/tcp mode gue\n"
	"backend add 10.0.0.1:8080 service 192.0.2.1:80/tcp\n"
	"backend add 10.0.0.2:8080 service 192.0.2.1:80/tcp weight 3 state drain\n"
	"backend add 10.0.0.9 service 192.0.2.2:*/udp health down\n"
	"backend add [fd00::1] service [2001:db8::1]:80/tcp\n";

/* How many documents are to be printed. */
enum json { JSON_NONE, JSON_ONE, JSON_EACH_LINE };

static enum json json_wanted(const char *const *words)
{
	bool json = false, batch = false;

	for (; *words && **words == '-'; words++) {
		json |= !strcmp(*words, "-j") || !strcmp(*words, "-p");
		batch |= !strcmp(*words, "-batch");
		if (words[1] && (!strcmp(*words, "-n") || !strcmp(*words, "-pin") ||
				 !strcmp(*words, "-batch")))
			words++;
	}
	if (!json)
		return JSON_NONE;
	return *words && !batch && !strcmp(*words, "monitor") ? JSON_EACH_LINE : JSON_ONE;
}

/* The document that begins there, up to the end of its line; its bytes, 0: there is none.  An
 * event is an object. */
static size_t document_size(const char *text, size_t size, enum json wanted)
{
	json_error_t error;
	json_t *document = json_loadb(text, size, JSON_DISABLE_EOF_CHECK, &error);
	const bool right = document && (wanted == JSON_ONE || json_is_object(document));
	const size_t end = error.position;

	json_decref(document);
	return right && end < size && text[end] == '\n' ? end + 1 : 0;
}

static bool is_json(const struct said *said, enum json wanted)
{
	size_t at = 0, size;
	unsigned count = 0;

	for (; at < said->out_size; at += size, count++) {
		size = document_size(said->out + at, said->out_size - at, wanted);
		if (!size)
			return false;
	}
	return wanted == JSON_EACH_LINE || count == 1;
}

/* What any writer leaves, others can read, and have nothing to repair. */
static void maps_judge(const struct said *said)
{
	struct state *state;

	holds(!state_open(&state, NULL, true), "the maps can be read", said);
	holds(!state->repair, "nothing is left half-way", said);
	state_free(state);
}

static void output_judge(const struct said *said, int status, const char *const *words)
{
	const enum json wanted = json_wanted(words);

	holds(is_text(said->out, said->out_size), "the output is lines of text", said);
	if (!status && wanted && strncmp(said->out, "Usage: ", 7) &&
	    strncmp(said->out, "xlb ", 4))
		holds(is_json(said, wanted), "-j is one document, of a monitor one a line", said);
}

int helper_run(struct said *said, const char *const *words)
{
	FILE *out = stdout, *error = stderr;
	char *line[HELPER_WORDS + 2] = { "xlb" };
	int status, count = 1;

	for (; words[count - 1]; count++)
		line[count] = strdup(words[count - 1]);
	*said = (struct said){};
	stdout = open_memstream(&said->out, &said->out_size);
	stderr = open_memstream(&said->error, &said->error_size);
	status = xlb_main(count, line);
	fclose(stdout);
	fclose(stderr);
	stdout = out;
	stderr = error;
	while (--count > 0)
		free(line[count]);
	said_judge(said, status);
	output_judge(said, status, words);
	maps_judge(said);
	return status;
}

int helper_status(const char *const *words)
{
	struct said said;
	int status = helper_run(&said, words);

	said_free(&said);
	return status;
}

void helper_begin(void)
{
	static const char *const batch[] = { "-batch", KERNEL_FILE, NULL };

	kernel_begin();
	kernel_file(beginning, sizeof(beginning) - 1);
	holds(!helper_status(batch), "the maps can be filled", NULL);
	kernel_keep();
}
