/* SPDX-License-Identifier: GPL-2.0-only */
/* Only a packet's first fragment has its ports: it leaves them for the others. */
#ifndef XLB_FRAGMENT_H
#define XLB_FRAGMENT_H

#include "service.h"

static __always_inline void datagram_set(struct xlb_datagram *datagram, const __u32 *source,
					 const __u32 *destination, __u32 id, __u8 protocol,
					 const bool v6)
{
	__u64 *word = (__u64 *)datagram;

	address_mapped(word, source, v6);
	address_mapped(word + 2, destination, v6);
	datagram->id = id;
	datagram->protocol = protocol;
}

static __always_inline void fragment_first(const struct xlb_datagram *datagram,
					   const union shape *shape)
{
	struct xlb_fragment fragment = {
		.source_port = shape->source_port,
		.destination_port = shape->destination_port,
		.seen = bpf_jiffies64(),
	};

	bpf_map_update_elem(&xlb_fragments, datagram, &fragment, BPF_ANY);
}

/* Puts the ports into the shape of a later fragment.  False: no first was seen. */
static __always_inline bool fragment_later(const struct xlb_datagram *datagram,
					   union shape *shape)
{
	struct xlb_fragment *fragment = bpf_map_lookup_elem(&xlb_fragments, datagram);

	if (!fragment)
		return false;
	shape->source_port = fragment->source_port;
	shape->destination_port = fragment->destination_port;
	return true;
}

#endif
