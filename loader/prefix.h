/* SPDX-License-Identifier: GPL-2.0-only */
/* Prefixes of addresses: as typed, as printed, as keys of the maps. */
#ifndef XLB_PREFIX_H
#define XLB_PREFIX_H

#include "endpoint.h"

/* Room for the longest text of one. */
#define PREFIX_TEXT (ENDPOINT_TEXT + 4)

struct prefix {
	__u8 address[16];	/* IPv4 as ::ffff:a.b.c.d; 0 behind the prefix */
	__u8 length;		/* bits, up to 32 or 128 */
};

/* A key of xlb_acl4, or of xlb_acl6. */
union prefix_key {
	struct xlb_prefix4 v4;
	struct xlb_prefix6 v6;
};

/* PREFIX := { a.b.c.d | IPv6 }[/LENGTH].  Returns NULL, or what is wrong with the word. */
const char *prefix_parse(const char *word, struct prefix *prefix);
const char *prefix_text(const struct prefix *prefix, char *text);

bool prefix_is4(const struct prefix *prefix);

/* To so many bits, at most those that it has. */
void prefix_shorten(struct prefix *prefix, __u8 length);

/* IPv4 first, then by address, shorter ones first. */
int prefix_compare(const struct prefix *a, const struct prefix *b);

/* `service`: its number, 0 is all. */
void prefix_to_key(const struct prefix *prefix, __u32 service, union prefix_key *key);
void prefix_from_key(struct prefix *prefix, __u32 *service, const union prefix_key *key, bool v6);

#endif
