// SPDX-License-Identifier: GPL-2.0-only
/* Inputs that are kept, one file each, through what libFuzzer would run: REPLAY FILE... */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "helper.h"

#define INPUT_MAX 65536

static int replay(const char *path)
{
	uint8_t room[INPUT_MAX], *input;
	int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size = file < 0 ? -1 : read(file, room, sizeof(room));

	if (size < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 2;
	}
	close(file);
	/* Of its own size, so that a read past its end is one. */
	input = malloc(size ? size : 1);
	if (!input)
		return 2;
	memcpy(input, room, size);
	fprintf(stderr, "%s\n", path);
	LLVMFuzzerTestOneInput(input, size);
	free(input);
	return 0;
}

int main(int argc, char **argv)
{
	int failed = LLVMFuzzerInitialize(&argc, &argv);

	for (int i = 1; i < argc && !failed; i++)
		failed = replay(argv[i]);
	return failed;
}
