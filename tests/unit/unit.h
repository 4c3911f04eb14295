/* SPDX-License-Identifier: GPL-2.0-only */
/* What unit tests share: cmocka, random numbers, and what a stream was told. */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <linux/types.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* The same numbers in each run: what fails once fails again. */
static inline __u32 random32(void)
{
	static __u64 state = 1;

	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return state >> 32;
}

static inline void random_fill(void *bytes, size_t size)
{
	for (__u8 *byte = bytes; size--; byte++)
		*byte = random32();
}

/* stdout or stderr, while it goes to a file. */
struct capture {
	FILE *stream, *file;
	int saved;
};

/* Until capture_end() nothing may fail: cmocka would tell it to the file. */
static inline struct capture capture_begin(FILE *stream)
{
	struct capture capture = { .stream = stream, .file = tmpfile() };

	assert_non_null(capture.file);
	fflush(stream);
	capture.saved = dup(fileno(stream));
	dup2(fileno(capture.file), fileno(stream));
	return capture;
}

/* All that was written since; good until the next call. */
static inline const char *capture_end(struct capture *capture)
{
	static char text[4096];

	fflush(capture->stream);
	dup2(capture->saved, fileno(capture->stream));
	close(capture->saved);
	rewind(capture->file);
	text[fread(text, 1, sizeof(text) - 1, capture->file)] = '\0';
	fclose(capture->file);
	return text;
}

#endif
