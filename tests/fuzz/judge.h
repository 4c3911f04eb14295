/* SPDX-License-Identifier: GPL-2.0-only */
/* What may become of a frame, and whether it has. */
#ifndef FUZZ_JUDGE_H
#define FUZZ_JUDGE_H

#include "memory.h"

/* A reason's number is its field's place. */
#define REASON(field) ((int)(__builtin_offsetof(struct xlb_drops, field) / sizeof(__u64)))
#define REASON_NONE -1

/* A frame, and what the program did with it. */
struct trial {
	const __u8 *in, *out;
	unsigned in_size, out_size;
	enum link link;		/* that it came in by */
	__u32 verdict;
	__u64 drops[64];	/* counted by it */
	struct view view;
	/* Of an ICMP error about a flow; else all 0. */
	bool error;
	unsigned quoted;	/* offsets of the quoted IP and transport headers */
	unsigned quoted_transport;
	/* What stood under these has been judged. */
	const char *production;
};

struct court {
	struct world *world;
	struct memory *memory;
	char complaint[512];
	/* What the trial came to. */
	const char *outcome;
	int reason;
	/* Counters that must have risen; NULL: none. */
	struct backend *in, *connection;
	bool connection_maybe;
	bool learnt;		/* where the flow is */
	/* Nothing in the frame tells which of these it was: exactly one. */
	struct backend *either[BACKENDS_MAX];
	unsigned either_count;
	bool either_out;
};

/* True: all is as it may be.  False: court->complaint says what is not. */
bool judge(struct court *court, struct trial *trial);

/* The parts, each of which judges some frames. */
bool judge_forward(struct court *court, struct trial *trial, struct service *service);
bool judge_reply(struct court *court, struct trial *trial);
bool judge_icmp(struct court *court, struct trial *trial);
bool judge_flow(struct court *court, struct trial *trial);

/* Is a packet of this flow an answer to somebody, before it is one to a service on any
 * address?  Where that takes a record, nobody may know of it. */
enum answers {
	ANSWERS_NOT,
	ANSWERS_MAYBE,
	ANSWERS,
};

enum answers answers(const struct court *court, const struct flow *flow);

/* True, if that is what happened; else it complains. */
bool is_untouched(struct court *court, struct trial *trial, const char *why);
bool is_dropped(struct court *court, struct trial *trial, int reason, const char *why);
bool is_dropped_for_faults(struct court *court, struct trial *trial);
bool complain(struct court *court, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* How a frame leaves that has somewhere to go. */
enum fate {
	FATE_SENT,
	FATE_BACK,		/* by the same link, its MACs swapped */
	FATE_STACK,		/* finished, passed up */
	FATE_DROPPED,		/* by the reason */
	FATE_TOO_BIG,
	FATE_RESOLVED,		/* dr, no neighbour: spent on finding it */
};

struct end {
	enum fate fate;
	int reason;
	struct hop hop;
	unsigned mtu;		/* what the sender is told */
};

/* Can XDP send by it what came in here? */
bool link_takes(const struct court *court, const struct trial *trial, enum link link);

/* Where only the kernel knows the way, what became of the frame tells which of the few there
 * are it was: the default route, up, to the balancer itself, or none. */
struct hop hop_told(const struct trial *trial, const struct address *to);

/* The end of a packet that goes by this hop; `extra`: bytes that are put before it. */
struct end end_by(const struct court *court, const struct trial *trial, const struct hop *hop,
		  unsigned extra, bool divided);

/* The frame as it should be, made step by step from the one that came. */
struct draft {
	__u8 bytes[FRAME_MAX];
	unsigned size;
};

void draft_begin(struct draft *draft, const struct trial *trial);

/* Another address, and port unless that is 0, for the source or destination: of an error
 * too, where it stands in the quote the other way round. */
void draft_end(struct draft *draft, const struct trial *trial, bool source,
	       const struct address *address, __u16 port);
void draft_age(struct draft *draft, const struct trial *trial);

/* Does the frame that came out look like that?  Checksums are worked out here.  `moved`:
 * how much further in the packet stands than it stood. */
bool draft_compare(struct court *court, struct trial *trial, struct draft *draft,
		   const struct end *end, unsigned moved, const char *what);

/* The same of an ICMP message that quotes nothing. */
bool icmp_compare(struct court *court, struct trial *trial, struct draft *draft,
		  const struct end *end, const char *what);

/* Only the bytes, and how they left. */
bool draft_same(struct court *court, struct trial *trial, struct draft *draft,
		const struct end *end, const char *what);

/* An IP header without options, its checksum made; `length` is of the packet. */
void header_write(__u8 *at, bool v6, __u8 traffic, __u32 label, unsigned length, __u8 protocol,
		  const struct address *source, const struct address *destination);

/* The answer to a packet that does not fit. */
bool is_told_too_big(struct court *court, struct trial *trial, unsigned mtu);

/* In an outer IP packet: to this backend. */
bool is_tunnelled(struct court *court, struct trial *trial, const struct service *service,
		  const struct backend *backend, const struct end *end, struct known *known,
		  __u32 *label);

#endif
