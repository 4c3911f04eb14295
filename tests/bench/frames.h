/* SPDX-License-Identifier: GPL-2.0-only */
/* Who is who in the benchmark's network, and the frames that they exchange. */
#ifndef FRAMES_H
#define FRAMES_H

#include <stdbool.h>

#include "bench.h"
#include "xlb_abi.h"

#define SERVICE_PORT 80
#define BACKEND_PORT 8080
/* Each service has as many current owners of its slots, and as many previous. */
#define BACKENDS 100

enum family { IPV4, IPV6, FAMILIES };

enum service {
	SERVICE_STEADY,	/* no slot marked */
	SERVICE_MARKED,	/* every slot marked */
	SERVICES,
	SERVICE_NONE = SERVICES,	/* an address where none is */
};

enum owner { OWNER_CURRENT, OWNER_PREVIOUS, OWNERS };

enum outcome {
	TO_CURRENT,	/* on to one of the current owners */
	TO_PREVIOUS,	/* on to one of the previous owners */
	TO_CLIENT,	/* seems to come from the service */
	BOUNCED,	/* back to the sender, else untouched */
	UNTOUCHED,
};

/* The packets of one row. */
struct traffic {
	enum family family;
	enum xlb_protocol protocol;
	enum service service;
	bool opening;		/* SYN */
	bool reply;		/* from the first current owner to the client */
	__u32 flows;
	__u32 clients;		/* number of their network, so that flows are a row's own */
};

/* Addresses in network order: 4 bytes, or 16. */
unsigned address_size(enum family family);
void address_service(enum family family, enum service service, __u8 *address);
/* number: 0 to BACKENDS - 1. */
void address_backend(enum family family, enum owner owner, unsigned number, __u8 *address);

extern const __u8 gateway_mac[6];

/* Flow 0 of the traffic, and where the others differ. */
void traffic_source(const struct traffic *traffic, struct bench_source *source);

/* The key under which xlb would keep the flow of a frame on its way to a service. */
void frame_tuple(enum family family, const __u8 *frame, void *tuple);

/*
 * What is wrong with `after`, or NULL.  `hop`: the time to live must be one
 * less.  Sets *backend to the number of the one that gets the packet, if any.
 */
const char *frame_judge(const struct traffic *traffic, enum outcome outcome, bool hop,
			const __u8 *before, const __u8 *after, unsigned *backend);

#endif
