/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who may come to a service: rules for prefixes of sources, and a limit to the packets
 * of one source that open connections.  Nothing is looked up where nobody has set any.
 */
#ifndef XLB_ADMIT_H
#define XLB_ADMIT_H

#include "count.h"
#include "service.h"

#define SECOND 1000000000ULL	/* in nanoseconds */

/* Where a packet comes to and what is to be asked there, in one word: admit() is
 * verified by itself, and knows nothing of the packet but numbers. */
union visit {
	__u64 word;
	struct {
		__u32 service;	/* its number */
		bool v6;
		bool rules;	/* there are some for all services */
		bool own;	/* and of the service itself */
		bool counts;	/* the packet opens a connection, or could */
	};
};

static __always_inline __u32 rules_for_all(const struct xlb_config *config, const bool v6)
{
	return v6 ? config->rules6 : config->rules4;
}

/* Is anything to be asked? */
static __always_inline bool guarded(const struct xlb_config *config,
				    const struct xlb_service *service, const bool v6)
{
	return rules_for_all(config, v6) | service->rules | service->limit;
}

static __always_inline struct xlb_rule *rule_at(__u64 first, __u64 second, __u32 service,
						const bool v6)
{
	union {
		__u64 word[3];
		struct xlb_prefix4 v4;
		struct xlb_prefix6 v6;
	} key = { .word = { (XLB_PREFIX_BITS + (v6 ? 128 : 32)) | (__u64)service << 32, first,
			    second } };

	return v6 ? bpf_map_lookup_elem(&xlb_acl6, &key) : bpf_map_lookup_elem(&xlb_acl4, &key);
}

/* The longest prefix decides, of two that are equally long the service's own. */
static __always_inline bool denied(__u64 first, __u64 second, union visit visit, const bool v6)
{
	struct xlb_rule *rule = visit.rules ? rule_at(first, second, 0, v6) : NULL;
	struct xlb_rule *own = visit.own ? rule_at(first, second, visit.service, v6) : NULL;

	if (own && !(rule && rule->length > own->length))
		rule = own;
	return rule && rule->action == XLB_DENY;
}

/*
 * Takes a packet's worth out of its source's bucket.  False: there is none left.  CPUs
 * that share a source may take the same at once, and let a packet more through: old
 * kernels know no compare-and-exchange.
 */
static __always_inline bool bucket_take(__u64 first, __u32 service, __u32 limit, __u32 burst,
					const bool v6)
{
	__u64 each = SECOND / limit, now = bpf_ktime_get_ns();
	struct xlb_source source = { .service = service };
	__u64 *word = (__u64 *)source.address;
	struct xlb_bucket *bucket, full = {};

	word[0] = v6 ? first : 0;
	word[1] = v6 ? 0 : 0xffffULL << 16 | first << 32;
	bucket = bpf_map_lookup_elem(&xlb_limits, &source);
	full.full_at = bucket ? *(volatile __u64 *)&bucket->full_at : now;
	if (full.full_at < now)
		full.full_at = now;
	if (full.full_at - now > (burst - 1ULL) * each)
		return false;
	full.full_at += each;
	if (bucket)
		*(volatile __u64 *)&bucket->full_at = full.full_at;
	else
		bpf_map_update_elem(&xlb_limits, &source, &full, BPF_ANY);
	return true;
}

static __always_inline int admit_in(__u64 first, __u64 second, union visit visit, __u32 limit,
				    __u32 burst, const bool v6)
{
	if (denied(first, second, visit, v6))
		return drop(denied);
	if (visit.counts && limit && !bucket_take(first, visit.service, limit, burst, v6))
		return drop(limited);
	return 0;
}

/*
 * 0, or the verdict that a packet is dropped by.  `first` and `second` are its source,
 * an IPv4 address in the low half of the first.
 */
__noinline int admit(__u64 first, __u64 second, __u64 word, __u32 limit, __u32 burst)
{
	union visit visit = { .word = word };

	return visit.v6 ? admit_in(first, second, visit, limit, burst, true)
			: admit_in(first, second, visit, limit, burst, false);
}

static __always_inline union visit visit_of(const struct xlb_config *config,
					    const struct xlb_service *service, bool counts,
					    const bool v6)
{
	return (union visit){
		.service = service->number,
		.v6 = v6,
		.rules = rules_for_all(config, v6),
		.own = service->rules,
		.counts = counts,
	};
}

/*
 * The same for a packet of a service, whose client is asked for: an ICMP error comes
 * from anywhere on the way, and is let in if the packets that it is about are.  UDP
 * has no packet that opens a connection, so each counts.
 */
static __always_inline int admit_client(const struct packet *p, const union tuple *tuple,
					const struct xlb_config *config,
					const struct xlb_service *service, const bool v6)
{
	bool counts = packet_opens(p) ||
		      (p->shape.protocol == XLB_UDP && !packet_is_error(p));
	union visit visit = visit_of(config, service, counts, v6);

	/* A limit is nothing to a connection that goes on. */
	if (!visit.rules && !visit.own && !counts)
		return 0;
	return v6 ? admit(tuple->word[0], tuple->word[1], visit.word, service->limit,
			  service->burst)
		  : admit((__u32)tuple->word[0], 0, visit.word, service->limit, service->burst);
}

/* The same for an echo request, which is for an address and no service of its own. */
static __always_inline int admit_echo(const __u32 *source, const struct xlb_config *config,
				      const bool v6)
{
	const __u64 *word = (const __u64 *)source;
	union visit visit = { .v6 = v6, .rules = rules_for_all(config, v6) };

	if (!visit.rules)
		return 0;
	return v6 ? admit(word[0], word[1], visit.word, 0, 0)
		  : admit(*source, 0, visit.word, 0, 0);
}

/* Would a packet of this flow be denied? */
static __always_inline bool denied_dry(const union tuple *tuple, const struct xlb_config *config,
				       const struct xlb_service *service, const bool v6)
{
	union visit visit = visit_of(config, service, false, v6);

	return v6 ? denied(tuple->word[0], tuple->word[1], visit, true)
		  : denied((__u32)tuple->word[0], 0, visit, false);
}

#endif
