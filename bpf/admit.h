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

/* How many rules there are to be asked, in one word. */
union guards {
	__u64 word;
	struct {
		__u32 all;	/* for all services */
		__u32 own;	/* of the service itself */
	};
};

/* A service's limit, in one word. */
union allowance {
	__u64 word;
	struct {
		__u64 service : 16;	/* its number */
		__u64 limit : 24;
		__u64 burst : 24;
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
static __always_inline bool denied(__u64 first, __u64 second, union guards guards, __u32 service,
				   const bool v6)
{
	struct xlb_rule *rule = guards.all ? rule_at(first, second, 0, v6) : NULL;
	struct xlb_rule *own = guards.own ? rule_at(first, second, service, v6) : NULL;

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
	if (full.full_at - now > (burst - 1ULL) * each) {
		/* What is missing by a lower limit, which this was, is no more than all. */
		if (bucket && full.full_at - now > burst * each)
			*(volatile __u64 *)&bucket->full_at = now + burst * each;
		return false;
	}
	full.full_at += each;
	if (bucket)
		*(volatile __u64 *)&bucket->full_at = full.full_at;
	else
		bpf_map_update_elem(&xlb_limits, &source, &full, BPF_ANY);
	return true;
}

/* UDP has no packet that opens a connection, so each counts. */
static __always_inline bool counts(union shape shape)
{
	return shape.flags & SHAPE_OPENING ||
	       (shape.protocol == XLB_UDP && !(shape.flags & SHAPE_ERROR));
}

static __always_inline int admit_in(__u64 first, __u64 second, union shape shape,
				    union guards guards, union allowance allowance, const bool v6)
{
	if (guards.word && denied(first, second, guards, allowance.service, v6))
		return drop(denied);
	if (allowance.limit && counts(shape) &&
	    !bucket_take(first, allowance.service, allowance.limit, allowance.burst, v6))
		return drop(limited);
	return 0;
}

/*
 * 0, or the verdict that a packet of this shape is dropped by.  `first` and `second` are
 * its source, an IPv4 address in the low half of the first.  Whoever calls this has but
 * numbers to put together: any branch there is one in each of the ways to here, and each
 * is verified for all that follows.
 */
__noinline int admit(__u64 first, __u64 second, __u64 word, __u64 guards, __u64 allowance)
{
	union allowance allowed = { .word = allowance };
	union guards asked = { .word = guards };
	union shape shape = { .word = word };

	return shape.flags & SHAPE_V6 ? admit_in(first, second, shape, asked, allowed, true)
				      : admit_in(first, second, shape, asked, allowed, false);
}

static __always_inline union guards guards_of(const struct xlb_config *config,
					      const struct xlb_service *service, const bool v6)
{
	return (union guards){ .all = rules_for_all(config, v6), .own = service->rules };
}

/*
 * The same for a packet of a service, whose client is asked for: an ICMP error comes
 * from anywhere on the way, and is let in if the packets that it is about are.
 */
static __always_inline int admit_client(const struct packet *p, const union tuple *tuple,
					const struct xlb_config *config,
					const struct xlb_service *service, const bool v6)
{
	union guards guards = guards_of(config, service, v6);
	__u64 allowance = service->number | (__u64)service->limit << 16 |
			  (__u64)service->burst << 40;

	return v6 ? admit(tuple->word[0], tuple->word[1], p->shape.word, guards.word, allowance)
		  : admit((__u32)tuple->word[0], 0, p->shape.word, guards.word, allowance);
}

/* The same for an echo request, which is for an address and no service of its own. */
static __always_inline int admit_echo(const union shape *shape, const __u32 *source,
				      const struct xlb_config *config, const bool v6)
{
	const __u64 *word = (const __u64 *)source;
	__u32 rules = rules_for_all(config, v6);

	if (!rules)
		return 0;
	return v6 ? admit(word[0], word[1], shape->word, rules, 0)
		  : admit(*source, 0, shape->word, rules, 0);
}

/* Would a packet of this flow be denied? */
static __always_inline bool denied_dry(const union tuple *tuple, const struct xlb_config *config,
				       const struct xlb_service *service, const bool v6)
{
	union guards guards = guards_of(config, service, v6);

	return v6 ? denied(tuple->word[0], tuple->word[1], guards, service->number, true)
		  : denied((__u32)tuple->word[0], 0, guards, service->number, false);
}

#endif
