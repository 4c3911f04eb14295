/* SPDX-License-Identifier: GPL-2.0-only */
/* From a flow's destination to the service that listens there. */
#ifndef XLB_SERVICE_H
#define XLB_SERVICE_H

#include "tuple.h"

static __always_inline struct xlb_service *service_at(const union tuple *tuple, __u16 port,
						      const bool any, const bool v6)
{
	union endpoint endpoint;

	endpoint_destination(&endpoint, tuple, port, any, v6);
	return v6 ? bpf_map_lookup_elem(&xlb_services6, &endpoint)
		  : bpf_map_lookup_elem(&xlb_services4, &endpoint);
}

/*
 * The most exact match: address and port, the address on any port, any address
 * on the port.  Sets *any_address if it was the last.  Look-ups that no service
 * needs are not made.
 */
static __always_inline struct xlb_service *service_find(const union tuple *tuple,
							const struct xlb_needs *needs,
							const bool v6, bool *any_address)
{
	__u16 port = tuple_destination_port(tuple, v6);
	struct xlb_service *service = service_at(tuple, port, false, v6);

	*any_address = false;
	if (!service && unlikely(v6 ? needs->any_port6 : needs->any_port4))
		service = service_at(tuple, 0, false, v6);
	if (!service && unlikely(v6 ? needs->any_address6 : needs->any_address4)) {
		service = service_at(tuple, port, true, v6);
		*any_address = service;
	}
	return service;
}

/* The address as a key of xlb_vips. */
static __always_inline struct xlb_vip *vip_at(const __u32 *address, const bool v6)
{
	__u64 key[2];

	address_mapped(key, address, v6);
	return bpf_map_lookup_elem(&xlb_vips, key);
}

#endif
