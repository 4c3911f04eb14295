// SPDX-License-Identifier: GPL-2.0-only
/*
 * xlb restore: the input is a batch that is forced first, a line of --, and the file.  Of
 * a file that was restored there is nothing left to be done; one that was refused has
 * changed nothing; and what `xlb save` prints is such a file.
 */
#define _GNU_SOURCE	/* memmem */
#include <stdlib.h>
#include <string.h>

#include "helper.h"
#include "kernel.h"

#define RULE "\n--\n"

static const char *const batch[] = { "-force", "-batch", KERNEL_FILE, NULL };
static const char *const restore[] = { "restore", KERNEL_FILE, NULL };
static const char *const print[] = { "restore", KERNEL_FILE, "print", NULL };
static const char *const save[] = { "save", NULL };

int LLVMFuzzerInitialize(int *count, char ***words)
{
	(void)count;
	(void)words;
	helper_begin();
	return 0;
}

static void nothing_left(const char *what)
{
	struct said said;

	holds(!helper_run(&said, print) && !said.out_size, what, &said);
	said_free(&said);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *rule = memmem(data, size, RULE, strlen(RULE));
	const uint8_t *begins = rule ? rule + strlen(RULE) : data;
	struct said said;

	kernel_restore();
	if (rule) {
		kernel_file(data, rule - data);
		helper_status(batch);
	}
	kernel_file(begins, data + size - begins);
	if (!helper_status(restore))
		nothing_left("what was restored is there");
	holds(!helper_run(&said, save), "it can be saved", &said);
	kernel_file(said.out, said.out_size);
	said_free(&said);
	nothing_left("what is saved is what there is");
	return 0;
}
