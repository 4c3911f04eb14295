// SPDX-License-Identifier: GPL-2.0-only
/*
 * Preloaded into a tool: its n-th allocation from main() on finds no memory, n being in
 * $NOMEMORY; how many were wanted is told in the file that $NOMEMORY_COUNT names.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);

static unsigned long count, failing;
static int counting;

/* Is it this one's turn? */
static int fails(void)
{
	if (!counting || ++count != failing)
		return 0;
	errno = ENOMEM;
	return 1;
}

void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t number, size_t size)
{
	return fails() ? NULL : __libc_calloc(number, size);
}

void *realloc(void *old, size_t size)
{
	return fails() ? NULL : __libc_realloc(old, size);
}

void *reallocarray(void *old, size_t number, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(number, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(old, bytes);
}

static void tell(void)
{
	const char *path = getenv("NOMEMORY_COUNT");
	char text[32];
	int file, length;

	counting = 0;
	file = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
	length = snprintf(text, sizeof(text), "%lu\n", count);
	if (file < 0 || write(file, text, length) != length)
		_exit(99);
	close(file);
}

/* What libraries allocate before main() is the loader's affair. */
int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv,
		      void (*init)(void), void (*fini)(void), void (*end)(void), void *stack)
{
	int (*start)(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void),
		     void (*)(void), void *) = dlsym(RTLD_NEXT, "__libc_start_main");

	failing = strtoul(getenv("NOMEMORY") ?: "0", NULL, 10);
	/* A command that it runs has its own. */
	unsetenv("LD_PRELOAD");
	atexit(tell);
	counting = 1;
	return start(main, argc, argv, init, fini, end, stack);
}
