/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A flow's addresses, ports and protocol, and its two ends as keys of maps.  Keys
 * are put together in the widest words that jhash and memcmp will read: narrower
 * stores would first have to reach the cache.
 */
#ifndef XLB_TUPLE_H
#define XLB_TUPLE_H

#include "parse.h"

/* IPv4 has its addresses in one word, IPv6 in four; ports and protocol are the last. */
union tuple {
	__u64 word[5];
	struct xlb_tuple4 v4;
	struct xlb_tuple6 v6;
};

union endpoint {
	__u64 word4;
	struct {
		__u64 address[2];
		__u32 word6;
	} __attribute__((packed, aligned(4)));
	struct xlb_endpoint4 v4;
	struct xlb_endpoint6 v6;
};

/* Addresses in network order, 4 or 16 bytes each; ports in host order. */
static __always_inline void tuple_set(union tuple *tuple, const void *source,
				      const void *destination, __u16 source_port,
				      __u16 destination_port, __u8 protocol, const bool v6)
{
	__u64 last = source_port | (__u32)destination_port << 16 | (__u64)protocol << 32;

	if (v6) {
		tuple->word[0] = ((const __u64 *)source)[0];
		tuple->word[1] = ((const __u64 *)source)[1];
		tuple->word[2] = ((const __u64 *)destination)[0];
		tuple->word[3] = ((const __u64 *)destination)[1];
		tuple->word[4] = last;
	} else {
		tuple->word[0] = *(const __u32 *)source |
				 (__u64)*(const __u32 *)destination << 32;
		tuple->word[1] = last;
	}
}

static __always_inline void tuple_of(union tuple *tuple, const struct packet *p, const bool v6)
{
	const union shape *shape = &p->shape;

	tuple_set(tuple, packet_source(p, v6), packet_destination(p, v6), shape->source_port,
		  shape->destination_port, shape->protocol, v6);
}

/* The last word of a tuple; both families have it. */
static __always_inline __u64 tuple_last(const union tuple *tuple, const bool v6)
{
	return tuple->word[v6 ? 4 : 1];
}

static __always_inline __u16 tuple_source_port(const union tuple *tuple, const bool v6)
{
	return tuple_last(tuple, v6);
}

static __always_inline __u16 tuple_destination_port(const union tuple *tuple, const bool v6)
{
	return tuple_last(tuple, v6) >> 16;
}

static __always_inline __u8 tuple_protocol(const union tuple *tuple, const bool v6)
{
	return tuple_last(tuple, v6) >> 32;
}

/* In network order, 4 or 16 bytes. */
static __always_inline const __u32 *tuple_destination(const union tuple *tuple, const bool v6)
{
	return (const __u32 *)tuple->word + (v6 ? 4 : 1);
}

/* As a port and a protocol stand in an endpoint. */
static __always_inline __u32 endpoint_last(__u16 port, __u8 protocol)
{
	return port | (__u32)protocol << 16;
}

static __always_inline void endpoint_source(union endpoint *endpoint, const union tuple *tuple,
					    __u16 port, const bool v6)
{
	__u32 last = endpoint_last(port, tuple_protocol(tuple, v6));

	if (v6) {
		endpoint->address[0] = tuple->word[0];
		endpoint->address[1] = tuple->word[1];
		endpoint->word6 = last;
	} else {
		endpoint->word4 = (__u32)tuple->word[0] | (__u64)last << 32;
	}
}

/* `any`: no matter which address. */
static __always_inline void endpoint_destination(union endpoint *endpoint,
						 const union tuple *tuple, __u16 port,
						 const bool any, const bool v6)
{
	__u32 last = endpoint_last(port, tuple_protocol(tuple, v6));

	if (v6) {
		endpoint->address[0] = any ? 0 : tuple->word[2];
		endpoint->address[1] = any ? 0 : tuple->word[3];
		endpoint->word6 = last;
	} else {
		endpoint->word4 = (any ? 0 : tuple->word[0] >> 32) | (__u64)last << 32;
	}
}

/* An address as 16 bytes, IPv4 as ::ffff:a.b.c.d. */
static __always_inline void address_mapped(__u64 *to, const __u32 *address, const bool v6)
{
	const __u64 *word = (const __u64 *)address;

	to[0] = v6 ? word[0] : 0;
	to[1] = v6 ? word[1] : 0xffffULL << 16 | (__u64)*address << 32;
}

#endif
