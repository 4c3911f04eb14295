// SPDX-License-Identifier: GPL-2.0-only
/* The capabilities that the kernel wants: which one is missing, and what to do. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "privilege.h"

static const struct {
	unsigned capability;
	const char *name;
	unsigned long long covers;	/* others that have it in them */
} names[] = {
	{ CAP_BPF, "CAP_BPF", PRIVILEGE(CAP_SYS_ADMIN) },
	{ CAP_NET_ADMIN, "CAP_NET_ADMIN", 0 },
	{ CAP_PERFMON, "CAP_PERFMON", PRIVILEGE(CAP_SYS_ADMIN) },
	{ CAP_SYS_ADMIN, "CAP_SYS_ADMIN", 0 },
};

/* What this process has, or all if that can't be found out. */
static unsigned long long capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};

	if (syscall(__NR_capget, &header, data))
		return ~0ULL;
	return data[0].effective | (unsigned long long)data[1].effective << 32;
}

static bool memory_limited(void)
{
	struct rlimit limit;
	unsigned major = 0, minor = 0;
	struct utsname name;

	return !uname(&name) && sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
	       major * 1000 + minor < 5011 && !getrlimit(RLIMIT_MEMLOCK, &limit) &&
	       limit.rlim_cur != RLIM_INFINITY;
}

const char *privilege_explain(int error, unsigned long long wanted)
{
	static char text[160];
	unsigned long long have = capabilities();
	unsigned missing = 0;
	size_t used = 0;

	if (error != -EPERM && error != -EACCES)
		return strerror(-error);
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!(wanted & PRIVILEGE(names[i].capability)) ||
		    have & (PRIVILEGE(names[i].capability) | names[i].covers))
			continue;
		used += snprintf(text + used, sizeof(text) - used, "%s%s", missing++ ? ", " : "",
				 names[i].name);
	}
	/* What changes something loads a program, too, which reads the clock. */
	if (!missing && (wanted & PRIVILEGE_CHANGE) == PRIVILEGE_CHANGE && memory_limited())
		return "Operation not permitted: before Linux 5.11 maps and programs are locked "
		       "memory, which is limited here (ulimit -l)";
	if (!missing)
		return strerror(-error);
	snprintf(text + used, sizeof(text) - used, " %s missing: run as root, or see PRIVILEGES in "
		 "xlb(8)", missing == 1 ? "is" : "are");
	return text;
}
