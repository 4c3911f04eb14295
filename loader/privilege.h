/* SPDX-License-Identifier: GPL-2.0-only */
/* The capabilities that the kernel wants: which one is missing, and what to do. */
#ifndef XLB_PRIVILEGE_H
#define XLB_PRIVILEGE_H

#include <linux/capability.h>

#define PRIVILEGE(capability) (1ULL << (capability))

/* Opening pinned maps before Linux 5.19, where kernel.unprivileged_bpf_disabled is set. */
#define PRIVILEGE_LOOK PRIVILEGE(CAP_BPF)
/* Reading the packet path's clock, by which changes are stamped. */
#define PRIVILEGE_CHANGE (PRIVILEGE(CAP_BPF) | PRIVILEGE(CAP_NET_ADMIN))
/* Loading the program, which compares pointers. */
#define PRIVILEGE_LOAD (PRIVILEGE_CHANGE | PRIVILEGE(CAP_PERFMON))
/* Putting it on an interface. */
#define PRIVILEGE_ATTACH PRIVILEGE(CAP_NET_ADMIN)
/* Opening anything by its id; entering a network namespace. */
#define PRIVILEGE_ADMIN PRIVILEGE(CAP_SYS_ADMIN)

/*
 * What an error of a call that wants these capabilities means: for EPERM and EACCES
 * which of them are missing and the way out, where any are, else what strerror() says.
 * The text holds until the next call.
 */
const char *privilege_explain(int error, unsigned long long wanted);

#endif
