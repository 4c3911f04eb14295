/* SPDX-License-Identifier: GPL-2.0-only */
/* Internet checksums, brought up to date (RFC 1624, eqn. 3) rather than made anew. */
#ifndef XLB_CHECKSUM_H
#define XLB_CHECKSUM_H

#include <linux/types.h>
#include <bpf/bpf_helpers.h>

/* Sums are of 16-bit words in the order of the wire, unfolded: 32-bit words may
 * be added as they are, since 2^16 is 1 in one's complement arithmetic. */
static __always_inline __u32 sum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	return (sum & 0xffff) + (sum >> 16);
}

/* `difference` is ~m + m' of what changed, folded once: 20 bits at most. */
static __always_inline void checksum_update(__u16 *checksum, __u32 difference)
{
	__u32 sum = (__u16)~*checksum + difference;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	*checksum = ~sum;
}

#endif
