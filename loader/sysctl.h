/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel settings that a balancer's interface needs. */
#ifndef XLB_SYSCTL_H
#define XLB_SYSCTL_H

#include <stddef.h>

struct args;

/*
 * Makes an interface forward both families and take back frames with one of this
 * machine's own addresses as their source.  Says on stderr what it changes, and
 * what it could not.
 */
void sysctl_prepare(const struct args *args, const char *dev);

/* Makes the FIB answer what is asked for an interface of our own, in silence: 0 or -errno. */
int sysctl_forward(const char *dev);

/*
 * What to give to `sysctl -w` so that the interface forwards a family (AF_INET,
 * AF_INET6): settings with a blank between, "" where it does.
 */
void sysctl_missing_forwarding(int family, const char *dev, char *settings, size_t size);

/*
 * The same so that the kernel forwards what comes in with one of this machine's own
 * IPv4 addresses as its source.  IPv6 always may.
 */
void sysctl_missing_own_source(const char *dev, char *settings, size_t size);

/*
 * The same so that the kernel forwards what comes in with an IPv4 source that it
 * would send to by another interface.
 */
void sysctl_missing_filter(const char *dev, char *settings, size_t size);

#endif
