/* SPDX-License-Identifier: GPL-2.0-only */
/* Clocks, the packet path's above all, and waiting for packets that are on their way. */
#ifndef XLB_CLOCK_H
#define XLB_CLOCK_H

#include <time.h>
#include <linux/types.h>

/* Jiffies per second. */
__u32 clock_hz(void);

/* What bpf_jiffies64() tells a packet now; 0 or -errno. */
int clock_jiffies(__u64 *jiffies);

/*
 * The same to within a second, for who only looks and may have no capability: jiffies
 * are counted by the kernel's monotonic clock.
 */
int clock_jiffies_about(__u64 *jiffies);

/* The same for who asks again and again: a descriptor to read it by, or -errno. */
int clock_open(void);
int clock_read(int clock, __u64 *jiffies);

/* What one of the system's clocks shows (clock_gettime(2)). */
__u64 clock_nanoseconds(clockid_t clock);

/* Milliseconds since some point in the past, for waiting. */
__s64 clock_milliseconds(void);

/*
 * Returns once every packet that was being handled is done with what it has
 * looked up (an RCU grace period).  0 or -errno.
 */
int clock_grace(void);

#endif
