/* SPDX-License-Identifier: GPL-2.0-only */
/* The helper run within this process, and what is to hold whatever it is asked. */
#ifndef XLB_FUZZ_HELPER_H
#define XLB_FUZZ_HELPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As many words as a command line may have here. */
#define HELPER_WORDS 96

/* What one run had to say, each a text of its own. */
struct said {
	char *out, *error;
	size_t out_size, error_size;
};

/* Makes maps that hold some services and backends. */
void helper_begin(void);

/*
 * Runs `xlb WORDS...`, NULL at the end, and returns its status.  Aborts where that is none
 * of xlb's, or errors are not said as they are to be, or the maps are not whole then.  What
 * was said is to be given to said_free().
 */
int helper_run(struct said *said, const char *const *words);
void said_free(struct said *said);

/* Lines, all of which can be printed? */
bool is_text(const char *text, size_t size);

/* Aborts unless a status is one, and errors are told as they are to be. */
void said_judge(const struct said *said, int status);

/* helper_run() for the status alone. */
int helper_status(const char *const *words);

/* Says what is wrong, and aborts, unless it is so. */
void holds(bool so, const char *what, const struct said *said);

/* One input; each of this folder's programs has one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *count, char ***words);

#endif
