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

static bool wants_json(const char *const *words)
{
	bool json = false;

	for (; *words && **words == '-'; words++) {
		json |= !strcmp(*words, "-j") || !strcmp(*words, "-p");
		if (!strcmp(*words, "-n") || !strcmp(*words, "-pin") || !strcmp(*words, "-batch"))
			words++;
	}
	return json;
}

static bool is_json(const struct said *said)
{
	json_t *document = json_loadb(said->out, said->out_size, 0, NULL);

	json_decref(document);
	return document;
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
	holds(is_text(said->out, said->out_size), "the output is lines of text", said);
	if (!status && wants_json(words) && strncmp(said->out, "Usage: ", 7) &&
	    strncmp(said->out, "xlb ", 4))
		holds(is_json(said), "-j is one document", said);
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
