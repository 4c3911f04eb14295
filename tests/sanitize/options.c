// SPDX-License-Identifier: GPL-2.0-only
/* What ASan asks of each program that tests/sanitize/run builds. */
#include <stdio.h>

int __lsan_is_turned_off(void);

/* Leaks are looked for by ptrace(2), which nobody can whom strace(1) has. */
int __lsan_is_turned_off(void)
{
	FILE *stream = fopen("/proc/self/status", "re");
	char line[256];
	int tracer = 0;

	while (stream && !tracer && fgets(line, sizeof(line), stream))
		sscanf(line, "TracerPid: %d", &tracer);
	if (stream)
		fclose(stream);
	return tracer;
}
