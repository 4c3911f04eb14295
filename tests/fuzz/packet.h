/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Frames read, and their checksums made, by the RFCs: 791, 768, 9293, 792, 8200, 4443,
 * 1071.  Nothing of it is bpf/'s, so that no mistake is made twice.
 */
#ifndef FUZZ_PACKET_H
#define FUZZ_PACKET_H

#include <stdbool.h>
#include <linux/types.h>

#define FRAME_MAX 5120
#define ETHERNET 14
#define TAGS_MAX 2		/* that xlb sees through, as xlb(7) says */
#define EXTENSIONS_MAX 7	/* the same of extension headers */

enum {
	PROTOCOL_HOP_BY_HOP = 0,
	PROTOCOL_ICMP = 1,
	PROTOCOL_IPIP = 4,
	PROTOCOL_TCP = 6,
	PROTOCOL_UDP = 17,
	PROTOCOL_IPV6 = 41,
	PROTOCOL_ROUTING = 43,
	PROTOCOL_FRAGMENT = 44,
	PROTOCOL_AUTHENTICATION = 51,
	PROTOCOL_ICMPV6 = 58,
	PROTOCOL_OPTIONS = 60,
};

/* IPv4 in the first 4 bytes, the rest 0. */
struct address {
	__u8 bytes[16];
	bool v6;
};

/* A flow as one of its packets shows it. */
struct flow {
	struct address source, destination;
	__u16 source_port, destination_port;
	__u8 protocol;
};

enum kind {
	KIND_STRANGER,		/* not IP, or not all of its header is there, or of
				 * another protocol */
	KIND_BAD_HEADER,	/* IP version or header length */
	KIND_CUT,		/* ends before the transport header does */
	KIND_LATER,		/* a later fragment, which has no ports */
	KIND_PACKET,		/* TCP or UDP */
	KIND_ICMP,
};

/* Bits: what is wrong with a packet that can be read nevertheless. */
enum {
	FAULT_LENGTH = 1,
	FAULT_SOURCE = 2,
	FAULT_LAND = 4,
};

struct view {
	enum kind kind;
	bool v6, tagged;
	unsigned begin;		/* offsets in the frame: of IP, that of the error if it is quoted */
	unsigned network;
	unsigned transport;
	unsigned header;	/* bytes of the IP header, without extension headers */
	unsigned total;		/* bytes of the IP packet, by its own word */
	unsigned room;		/* bytes that leaves from the transport header on */
	unsigned end;		/* of the IP packet, as far as it is there */
	struct flow flow;	/* ports are 0 where there are none */
	unsigned faults;
	bool fragment;		/* a first or later one */
	__u32 id;		/* of what it is a fragment of */
	bool divisible;		/* IPv4 without "don't fragment" */
	bool opening, closing;	/* SYN without ACK; FIN or RST */
	__u8 hops;		/* TTL or hop limit */
	__u8 traffic;		/* DSCP and ECN */
};

static inline unsigned get16(const __u8 *at)
{
	return at[0] << 8 | at[1];
}

static inline void put16(__u8 *at, unsigned value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static inline __u32 get32(const __u8 *at)
{
	return (__u32)get16(at) << 16 | get16(at + 2);
}

static inline void put32(__u8 *at, __u32 value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

static inline unsigned address_size(bool v6)
{
	return v6 ? 16 : 4;
}

/* Where an IP header has its source; the destination follows. */
static inline unsigned source_offset(bool v6)
{
	return v6 ? 8 : 12;
}

static inline unsigned header_size(bool v6)
{
	return v6 ? 40 : 20;
}

struct address address_read(const __u8 *at, bool v6);
bool address_same(const struct address *a, const struct address *b);
bool flow_same(const struct flow *a, const struct flow *b);

/* The flow as an answer shows it. */
struct flow flow_turned(const struct flow *flow);

/* RFC 1122, 3.2.1.3; RFC 4291, 2.5 and 2.7: no packet comes from there. */
bool address_impossible(const struct address *address);

/* Reads the frame. */
void view_read(struct view *view, const __u8 *frame, unsigned size);

/* Of a packet that this ICMP error quotes: addresses, protocol, and where its transport
 * header is, 0 if that is not to be found.  The lengths are not looked at, since most of
 * it is missing. */
void view_read_quoted(struct view *view, const struct view *error, const __u8 *frame,
		      unsigned network);

/* Sum of 16-bit words in one's complement, 0 to 0xfffe; an odd byte is the high one. */
unsigned sum_words(const __u8 *from, unsigned bytes);
unsigned sum_add(unsigned a, unsigned b);

/* Of a pseudo-header: RFC 9293, 3.1; RFC 8200, 8.1.  The addresses stand in a row. */
unsigned sum_pseudo(const __u8 *addresses, bool v6, __u8 protocol, unsigned length);

/* The checksum of data that sums up to `sum`, without the field itself. */
__u16 sum_checksum(unsigned sum);

/* Makes the checksum of an ICMP message in the packet that begins at `ip`. */
void icmp_finish(__u8 *icmp, const __u8 *ip, unsigned length);

#endif
