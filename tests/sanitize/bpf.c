// SPDX-License-Identifier: GPL-2.0-only
/*
 * Preloaded into a program that runs under valgrind: what valgrind 3.19 does not know of
 * bpf(2).  It looks at all attributes that it knows, though the caller's end earlier; and what
 * the kernel writes where an attribute points to, it does not see.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <valgrind/memcheck.h>

#define ARGUMENTS 6 /* the most that syscall(2) has, after its number */
#define ATTRIBUTES 1024 /* bytes, more than any command has */

static long (*libc_syscall)(long number, ...);

static void written(__u64 address, size_t bytes)
{
	if (address)
		(void)VALGRIND_MAKE_MEM_DEFINED(address, bytes);
}

/* What is asked of BTF comes as bpf_btf_info, of a program or a map otherwise. */
static int is_btf(int file)
{
	char path[64], target[64] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	return readlink(path, target, sizeof(target) - 1) > 0 && strstr(target, "btf");
}

static void all_written(long command, const union bpf_attr *attributes)
{
	const struct bpf_btf_info *info;

	switch (command) {
	case BPF_PROG_LOAD:
		written(attributes->log_buf, attributes->log_size);
		break;
	case BPF_BTF_LOAD:
		written(attributes->btf_log_buf, attributes->btf_log_size);
		break;
	case BPF_OBJ_GET_INFO_BY_FD:
		if (!is_btf((int)attributes->info.bpf_fd))
			break;
		info = (const void *)(unsigned long)attributes->info.info;
		written(info->btf, info->btf_size);
		written(info->name, info->name_len);
		break;
	}
}

static long call_bpf(long command, void *attributes, size_t size)
{
	union {
		union bpf_attr known;
		char bytes[ATTRIBUTES];
	} whole;
	long status;

	memset(&whole, 0, sizeof(whole));
	memcpy(&whole, attributes, size);
	status = libc_syscall(SYS_bpf, command, &whole, size);
	memcpy(attributes, &whole, size);
	all_written(command, &whole.known);
	return status;
}

/* In the place of the C library's, by which libbpf calls bpf(2). */
long syscall(long number, ...)
{
	long arguments[ARGUMENTS];
	va_list list;
	int i;

	if (!libc_syscall)
		*(void **)&libc_syscall = dlsym(RTLD_NEXT, "syscall");
	va_start(list, number);
	for (i = 0; i < ARGUMENTS; i++)
		arguments[i] = va_arg(list, long);
	va_end(list);
	if (number == SYS_bpf && (size_t)arguments[2] <= ATTRIBUTES)
		return call_bpf(arguments[0], (void *)arguments[1], (size_t)arguments[2]);
	return libc_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3],
			    arguments[4], arguments[5]);
}
