/* SPDX-License-Identifier: GPL-2.0-only */
/* Frames by a grammar, and what chance makes of them. */
#ifndef FUZZ_GRAMMAR_H
#define FUZZ_GRAMMAR_H

#include "world.h"

#define LARGEST 3400		/* bytes that BPF_PROG_TEST_RUN takes in one page */

struct frame {
	__u8 bytes[FRAME_MAX];
	unsigned size;
	enum link link;		/* that it comes in by */
	const char *production;
};

/* A TCP or UDP packet before it is written down. */
struct spec {
	struct flow flow;
	__u8 tcp_flags, hops, traffic;
	bool dont_fragment;
	unsigned payload;
	unsigned tags;		/* VLAN tags, 0 to 3 */
	unsigned options;	/* words of IPv4 options, 0 to 10 */
	unsigned extensions;	/* IPv6 extension headers */
	__u8 foreign;		/* protocol of a header that xlb does not see through; 0: none */
	bool fragment;
	unsigned offset;	/* of the fragment, in 8 bytes */
	bool more;
	__u32 id;
	enum { CHECKSUM_RIGHT, CHECKSUM_WRONG, CHECKSUM_NONE } checksum;
	__u16 wanted;		/* checksum; 0: any */
	unsigned padding;	/* bytes behind the IP packet */
};

/* What went by lately, to be answered, quoted and repeated. */
#define RECENT 128
struct recent {
	struct frame in, out;
	const char *outcome;
};

struct grammar {
	struct world *world;
	struct random random;
	struct recent recent[RECENT];
	unsigned recent_count;
	const char **names;	/* of productions */
};

/* Makes the next frame. */
void grammar_next(struct grammar *grammar, struct frame *frame);

/* Takes a frame for one that went by. */
void grammar_saw(struct grammar *grammar, const struct frame *in, const __u8 *out,
		 unsigned out_size, const char *outcome);

/* The packet, from its Ethernet header on. */
void spec_write(const struct spec *spec, struct random *random, struct frame *frame);
void spec_decorate(struct spec *spec, struct random *random);

/* All headers up to the transport header; the bytes they take.  Once the packet is whole,
 * ip_end() says how many it has. */
unsigned ip_begin(const struct spec *spec, struct random *random, __u8 *at);
void ip_end(__u8 *at, unsigned length);
void noise_write(struct random *random, __u8 *at, unsigned bytes);

/* An ICMP message about what is quoted. */
void error_write(struct grammar *grammar, struct frame *frame, bool v6,
		 const struct address *source, const struct address *destination,
		 const __u8 *quote, unsigned quoted);
void echo_write(struct random *random, struct frame *frame, const struct address *source,
		const struct address *destination);

/* Bits, bytes, lengths, ends and parts that are not as they were. */
void frame_mutate(struct frame *frame, struct random *random, const struct frame *other);

#endif
