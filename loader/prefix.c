// SPDX-License-Identifier: GPL-2.0-only
/* Prefixes of addresses: as typed, as printed, as keys of the maps. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "prefix.h"

bool prefix_is4(const struct prefix *prefix)
{
	return address_is4(prefix->address);
}

static const char *address_take(const char *host, __u8 *address)
{
	__u8 bytes[4];

	if (host[0] == '[')
		return "an IPv6 prefix stands without [ ]";
	if (inet_pton(AF_INET, host, bytes) == 1) {
		address_from4(address, bytes);
		return NULL;
	}
	if (inet_pton(AF_INET6, host, address) != 1)
		return "not a.b.c.d[/LENGTH] or IPv6[/LENGTH]";
	return address_is4(address) ? "an IPv4 prefix stands without ::ffff:" : NULL;
}

void prefix_shorten(struct prefix *prefix, __u8 length)
{
	unsigned first = length + (prefix_is4(prefix) ? 96 : 0);

	for (unsigned bit = first; bit < 128; bit++)
		prefix->address[bit / 8] &= ~(0x80 >> bit % 8);
	prefix->length = length;
}

/* Is any bit set behind the prefix? */
static bool bits_behind(const struct prefix *prefix)
{
	unsigned first = prefix->length + (prefix_is4(prefix) ? 96 : 0);

	for (unsigned bit = first; bit < 128; bit++)
		if (prefix->address[bit / 8] & 0x80 >> bit % 8)
			return true;
	return false;
}

const char *prefix_parse(const char *word, struct prefix *prefix)
{
	const char *slash = strchr(word, '/'), *why;
	size_t length = slash ? (size_t)(slash - word) : strlen(word);
	char host[ENDPOINT_TEXT];
	__u64 bits;

	if (length >= sizeof(host))
		return "the address is too long";
	memcpy(host, word, length);
	host[length] = '\0';
	why = address_take(host, prefix->address);
	if (why)
		return why;
	bits = prefix_is4(prefix) ? 32 : 128;
	if (slash && args_number(slash + 1, 0, bits, &bits))
		return prefix_is4(prefix) ? "the length is not a number from 0 to 32"
					  : "the length is not a number from 0 to 128";
	prefix->length = bits;
	return bits_behind(prefix) ? "bits are set behind the prefix" : NULL;
}

const char *prefix_text(const struct prefix *prefix, char *text)
{
	address_text(prefix->address, text);
	snprintf(text + strlen(text), PREFIX_TEXT - strlen(text), "/%u", prefix->length);
	return text;
}

int prefix_compare(const struct prefix *a, const struct prefix *b)
{
	int order = prefix_is4(b) - prefix_is4(a);

	if (!order)
		order = memcmp(a->address, b->address, sizeof(a->address));
	return order ? order : (int)a->length - (int)b->length;
}

void prefix_to_key(const struct prefix *prefix, __u32 service, union prefix_key *key)
{
	const __u8 *bytes = address_bytes(prefix->address);

	memset(key, 0, sizeof(*key));
	if (prefix_is4(prefix)) {
		key->v4.bits = XLB_PREFIX_BITS + prefix->length;
		key->v4.service = service;
		memcpy(key->v4.address, bytes, sizeof(key->v4.address));
	} else {
		key->v6.bits = XLB_PREFIX_BITS + prefix->length;
		key->v6.service = service;
		memcpy(key->v6.address, bytes, sizeof(key->v6.address));
	}
}

void prefix_from_key(struct prefix *prefix, __u32 *service, const union prefix_key *key, bool v6)
{
	memset(prefix, 0, sizeof(*prefix));
	if (v6) {
		memcpy(prefix->address, key->v6.address, sizeof(key->v6.address));
		prefix->length = key->v6.bits - XLB_PREFIX_BITS;
		*service = key->v6.service;
	} else {
		address_from4(prefix->address, key->v4.address);
		prefix->length = key->v4.bits - XLB_PREFIX_BITS;
		*service = key->v4.service;
	}
}
