// SPDX-License-Identifier: GPL-2.0-only
/* -n: another network namespace. */
#define _GNU_SOURCE	/* setns */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "namespace.h"
#include "privilege.h"

enum status namespace_enter(const char *name)
{
	char path[PATH_MAX];
	int file;

	if (snprintf(path, sizeof(path), "/run/netns/%s", name) >= (int)sizeof(path))
		return args_fail(NULL, STATUS_USAGE, "-n %s: the name is too long", name);
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0 || setns(file, CLONE_NEWNET)) {
		args_fail(NULL, STATUS_REFUSED, "-n %s: %s", name,
			  errno == ENOENT ? "no such network namespace, see `ip netns`"
					  : privilege_explain(-errno, PRIVILEGE_ADMIN));
		if (file >= 0)
			close(file);
		return STATUS_REFUSED;
	}
	close(file);
	return STATUS_DONE;
}
