// SPDX-License-Identifier: GPL-2.0-only
/* What was said, and whether it was said as it is to be. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "helper.h"

void holds(bool so, const char *what, const struct said *said)
{
	if (so)
		return;
	/* stderr may be what is being judged. */
	dprintf(STDERR_FILENO, "does not hold: %s\n--- stdout:\n%s--- stderr:\n%s---\n", what,
		said ? said->out : "", said ? said->error : "");
	abort();
}

void said_free(struct said *said)
{
	free(said->out);
	free(said->error);
}

bool is_text(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (((unsigned char)text[i] < ' ' && text[i] != '\n' && text[i] != '\t') ||
		    text[i] == 0x7f)
			return false;
	return !size || text[size - 1] == '\n';
}

/* Lines that begin with the program's name, or a usage alone. */
static bool is_told(const char *text)
{
	if (!strncmp(text, "Usage: xlb ", 11))
		return true;
	for (; *text; text = strchr(text, '\n') + 1)
		if (strncmp(text, "xlb: ", 5))
			return false;
	return true;
}

void said_judge(const struct said *said, int status)
{
	holds(status >= STATUS_DONE && status <= STATUS_REFUSED, "the status is 0, 1 or 2", said);
	holds(is_text(said->error, said->error_size), "errors are lines of text", said);
	holds(is_told(said->error), "errors begin with the program's name", said);
	holds(!status || said->error_size, "who fails says why", said);
}
