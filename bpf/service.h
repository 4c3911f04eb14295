/* SPDX-License-Identifier: GPL-2.0-only */
/* From a packet's destination to the service that listens there. */
#ifndef XLB_SERVICE_H
#define XLB_SERVICE_H

#include "parse.h"

/* Keys are put together in the widest words that jhash and memcmp will read:
 * narrower stores would first have to reach the cache. */
union endpoint4 {
	__u64 word;
	struct xlb_endpoint4 key;
};

union endpoint6 {
	struct {
		__u64 address[2];
		__u32 word;
	} __attribute__((packed, aligned(4)));
	struct xlb_endpoint6 key;
};

static __always_inline __u32 endpoint_word(__u16 port, __u8 protocol)
{
	return port | (__u32)protocol << 16;
}

static __always_inline void endpoint4_set(union endpoint4 *endpoint, __be32 address, __u16 port,
					  __u8 protocol)
{
	endpoint->word = address | (__u64)endpoint_word(port, protocol) << 32;
}

static __always_inline void endpoint6_set(union endpoint6 *endpoint,
					  const struct in6_addr *address, __u16 port,
					  __u8 protocol)
{
	const __u64 *word = (const __u64 *)address;

	endpoint->address[0] = word[0];
	endpoint->address[1] = word[1];
	endpoint->word = endpoint_word(port, protocol);
}

static __always_inline struct xlb_service *service4_at(const struct packet *p, __be32 address,
						       __u16 port)
{
	union endpoint4 endpoint;

	endpoint4_set(&endpoint, address, port, p->protocol);
	return bpf_map_lookup_elem(&xlb_services4, &endpoint);
}

static __always_inline struct xlb_service *
service6_at(const struct packet *p, const struct in6_addr *address, __u16 port)
{
	union endpoint6 endpoint;

	endpoint6_set(&endpoint, address, port, p->protocol);
	return bpf_map_lookup_elem(&xlb_services6, &endpoint);
}

/*
 * The most exact match: address and port, the address on any port, any address
 * on the port.  Sets *any_address if it was the last.  Look-ups that no service
 * needs are not made.
 */
static __always_inline struct xlb_service *service_find(const struct packet *p,
							const struct xlb_needs *needs,
							const bool v6, bool *any_address)
{
	const struct in6_addr any6 = {};
	struct xlb_service *service;

	*any_address = false;
	service = v6 ? service6_at(p, &p->ip6->daddr, p->destination_port)
		     : service4_at(p, p->ip4->daddr, p->destination_port);
	if (!service && unlikely(v6 ? needs->any_port6 : needs->any_port4))
		service = v6 ? service6_at(p, &p->ip6->daddr, 0)
			     : service4_at(p, p->ip4->daddr, 0);
	if (!service && unlikely(v6 ? needs->any_address6 : needs->any_address4)) {
		service = v6 ? service6_at(p, &any6, p->destination_port)
			     : service4_at(p, 0, p->destination_port);
		*any_address = service;
	}
	return service;
}

#endif
