// SPDX-License-Identifier: GPL-2.0-only
/*
 * The command line: the input's lines are its words, in which \001 stands for the end of
 * a line.  What fails changes nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "helper.h"
#include "kernel.h"

int LLVMFuzzerInitialize(int *count, char ***words)
{
	(void)count;
	(void)words;
	helper_begin();
	return 0;
}

static bool has(const char *const *words, const char *sought)
{
	for (; *words; words++)
		if (!strcmp(*words, sought))
			return true;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size), *rest = text;
	const char *words[HELPER_WORDS + 1] = {};
	struct said said;
	int status;

	for (char *at = text; (at = strchr(at, 1)); at++)
		*at = '\n';
	for (unsigned i = 0; i < HELPER_WORDS && rest; i++)
		words[i] = strsep(&rest, "\n");
	kernel_restore();
	status = helper_run(&said, words);
	if (status && !has(words, "-batch") && !has(words, "restore"))
		holds(kernel_unchanged(), "what fails changes nothing", &said);
	said_free(&said);
	free(text);
	return 0;
}
