// SPDX-License-Identifier: GPL-2.0-only
/* The batch reader: the input is the file, run after each other with and without -force. */
#include <stdlib.h>

#include "helper.h"
#include "kernel.h"

int LLVMFuzzerInitialize(int *count, char ***words)
{
	(void)count;
	(void)words;
	helper_begin();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const plain[] = { "-batch", KERNEL_FILE, NULL };
	static const char *const forced[] = { "-j", "-force", "-batch", KERNEL_FILE, NULL };

	kernel_restore();
	kernel_file(data, size);
	helper_status(plain);
	helper_status(forced);
	return 0;
}
