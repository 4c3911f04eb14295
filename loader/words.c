// SPDX-License-Identifier: GPL-2.0-only
/* Lines of a file as words. */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "words.h"

#define BLANKS " \t\r\n"

/* Ends the word that begins here, and returns what follows it; NULL: no second quote. */
static char *word_end(char *word, bool quoted)
{
	char *end = quoted ? strchr(word, '"') : word + strcspn(word, BLANKS "#");
	bool comment;

	if (!end)
		return NULL;
	comment = *end == '#';
	if (!*end)
		return end;
	*end++ = '\0';
	if (comment)
		*end = '\0';
	return end;
}

const char *words_cut(char *line, char **words, int *count)
{
	bool quoted;

	*count = 0;
	while (*(line += strspn(line, BLANKS)) && *line != '#') {
		if (*count == WORDS_MAX)
			return "too many words";
		quoted = *line == '"';
		words[(*count)++] = line += quoted;
		line = word_end(line, quoted);
		if (!line)
			return "a quote without its second";
		if (quoted && *line && !strchr(BLANKS "#", *line))
			return "a blank is to follow the second quote of a word";
	}
	return NULL;
}
