/* SPDX-License-Identifier: GPL-2.0-only */
/* Lines of a file as words. */
#ifndef XLB_WORDS_H
#define XLB_WORDS_H

/* As many as a line may have. */
#define WORDS_MAX 64

/*
 * Cuts a line in place at its blanks, up to a comment (#).  A word that begins
 * with a double quote goes up to the next one, and may hold blanks and #.  words
 * has WORDS_MAX places.  NULL, or what is wrong with the line.
 */
const char *words_cut(char *line, char **words, int *count);

#endif
