/* SPDX-License-Identifier: GPL-2.0-only */
/* One packet's way to one backend. */
#ifndef FUZZ_ATTEMPT_H
#define FUZZ_ATTEMPT_H

#include "judge.h"

/* Everything that is to be known of one packet's way to one backend. */
struct attempt {
	struct service *service;
	struct backend *backend;
	struct end end;
	struct known *known;	/* of the flow; NULL: not seen before */
	__u32 label;
	struct address source;	/* nat */
	__u16 source_port;
};

/* The end that a packet to this backend should have. */
struct end attempt_end(const struct court *court, const struct trial *trial,
		       const struct service *service, const struct backend *backend);

/* Did it come to that end, at that backend?  If so, that is remembered. */
bool attempt_judge(struct court *court, struct trial *trial, struct attempt *attempt);

/* The client's port is in use towards another VIP at this backend. */
bool attempt_conflicts(struct court *court, struct trial *trial, const struct attempt *attempt);

#endif
