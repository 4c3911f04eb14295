// SPDX-License-Identifier: GPL-2.0-only
/* IP headers, and what may stand between them and a transport header: RFC 791, 2113, 8200,
 * 4302.  Whatever it is, xlb is to leave it as it came. */
#include <string.h>

#include "grammar.h"

#define OPTION_NONE 1		/* "no operation" */
#define EXTENSION_LARGEST 1016	/* xlb follows headers up to byte 1020 of a packet */

void noise_write(struct random *random, __u8 *at, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		at[i] = random_word(random) >> 32;
}

/* One option of IPv4, well-formed or not; the bytes it takes, at most `room`. */
static unsigned option_write(struct random *random, __u8 *at, unsigned room)
{
	/* Record route, timestamp, router alert, loose and strict source route, security,
	 * stream, traceroute, one of nobody's: and where they have it, what they point to. */
	static const struct {
		__u8 type, length, pointer;
	} options[] = {
		{ 7, 11, 4 }, { 68, 12, 5 }, { 148, 4, 0 }, { 131, 7, 4 }, { 137, 11, 8 },
		{ 130, 11, 0 }, { 136, 4, 0 }, { 82, 12, 0 }, { 222, 3, 0 },
	};
	static const __u8 lies[] = { 0, 1, 2, 3, 40, 255 };
	const unsigned kind = random_below(random, 9), length = options[kind].length;

	if (length > room || random_once(random, 4)) {
		*at = random_once(random, 8) ? 0 : OPTION_NONE;
		return 1;
	}
	noise_write(random, at, length);
	at[0] = options[kind].type;
	at[1] = length;
	at[2] = options[kind].pointer;
	if (random_once(random, 6))
		at[1] = random_once(random, 2) ? room + 1 : lies[random_below(random, sizeof(lies))];
	return length;
}

static unsigned ipv4_begin(const struct spec *spec, struct random *random, __u8 *at)
{
	const unsigned header = 20 + 4 * spec->options;

	memset(at, 0, 20);
	at[0] = 0x40 | header / 4;
	at[1] = spec->traffic;
	put16(at + 4, spec->id);
	put16(at + 6, (spec->dont_fragment ? 0x4000 : 0) |
			      (spec->fragment ? (spec->more ? 0x2000 : 0) | spec->offset : 0));
	at[8] = spec->hops;
	at[9] = spec->foreign ?: spec->flow.protocol;
	memcpy(at + 12, spec->flow.source.bytes, 4);
	memcpy(at + 16, spec->flow.destination.bytes, 4);
	for (unsigned i = 20; i < header;)
		i += option_write(random, at + i, header - i);
	return header;
}

static void fragment_write(const struct spec *spec, struct random *random, __u8 *at)
{
	/* Not its length: reserved, and whoever receives it is to ignore it. */
	at[1] = random_once(random, 4) ? random_word(random) : 0;
	put16(at + 2, spec->fragment ? spec->offset << 3 | spec->more : 0);
	put32(at + 4, spec->id);
}

/* Options that fill it, or a route that has been gone to its end. */
static void extension_fill(struct random *random, __u8 *at, __u8 kind, unsigned size)
{
	static const __u8 routes[] = { 0, 2, 3, 4, 253 };
	static const __u8 alert[] = { 5, 2, 0, 0 };

	noise_write(random, at, size);
	at[1] = size / 8 - 1;
	if (kind == PROTOCOL_ROUTING) {
		at[2] = routes[random_below(random, sizeof(routes))];
		at[3] = random_once(random, 8) ? 1 + random_below(random, 3) : 0;
	} else if (size == 8 && random_once(random, 2)) {
		memcpy(at + 2, alert, sizeof(alert));
		put16(at + 6, 1 << 8);
	} else if (!random_once(random, 4) && size <= 256) {
		/* Padding, as long as there is room for. */
		memset(at + 2, 0, size - 2);
		at[2] = 1;
		at[3] = size - 4;
	}
}

/* One that may stand anywhere; its bytes. */
static unsigned extension_write(const struct spec *spec, struct random *random, __u8 *at,
				__u8 kind, bool large)
{
	unsigned size = 8 * (1 + random_below(random, random_once(random, 4) ? 4 : 1));

	if (kind == PROTOCOL_FRAGMENT) {
		fragment_write(spec, random, at);
		return 8;
	}
	if (large)
		size = EXTENSION_LARGEST - 8 * random_below(random, 8);
	extension_fill(random, at, kind, size);
	return size;
}

/* One that xlb does not see through: what stands behind it is there for whoever does. */
static unsigned foreign_write(const struct spec *spec, struct random *random, __u8 *at)
{
	const unsigned size = 24;

	noise_write(random, at, size);
	at[0] = spec->flow.protocol;
	/* This one counts words of 4 bytes, and not the first two. */
	at[1] = spec->foreign == PROTOCOL_AUTHENTICATION ? size / 4 - 2 : size / 8 - 1;
	return size;
}

/* Headers that each say what comes after, that at `next` first; the bytes they take. */
static unsigned extensions_write(const struct spec *spec, struct random *random, __u8 *at,
				 __u8 *next)
{
	static const __u8 kinds[] = { PROTOCOL_HOP_BY_HOP, PROTOCOL_ROUTING, PROTOCOL_OPTIONS };
	const bool divided = spec->fragment || random_once(random, spec->extensions ? 8 : 64);
	/* That of a fragment behind the others, as it should be, or anywhere. */
	const unsigned where = random_once(random, 2) ? spec->extensions
						      : random_below(random, spec->extensions + 1);
	const unsigned large = random_once(random, 16) ? random_below(random, 8) : -1U;
	unsigned length = 0;

	for (unsigned i = 0; i < spec->extensions + divided; i++) {
		const __u8 kind = divided && i == where ? PROTOCOL_FRAGMENT
							: kinds[random_below(random, 3)];

		*next = kind;
		next = at + length;
		length += extension_write(spec, random, next, kind, i == large);
	}
	*next = spec->foreign ?: spec->flow.protocol;
	return length;
}

static unsigned ipv6_begin(const struct spec *spec, struct random *random, __u8 *at)
{
	put32(at, 6U << 28 | (__u32)spec->traffic << 20 | random_below(random, 1 << 20));
	at[7] = spec->hops;
	memcpy(at + 8, spec->flow.source.bytes, 16);
	memcpy(at + 24, spec->flow.destination.bytes, 16);
	return 40 + extensions_write(spec, random, at + 40, at + 6);
}

unsigned ip_begin(const struct spec *spec, struct random *random, __u8 *at)
{
	const unsigned length = spec->flow.source.v6 ? ipv6_begin(spec, random, at)
						     : ipv4_begin(spec, random, at);

	return length + (spec->foreign ? foreign_write(spec, random, at + length) : 0);
}

void ip_end(__u8 *at, unsigned length)
{
	if (at[0] >> 4 == 6) {
		put16(at + 4, length - 40);
		return;
	}
	put16(at + 2, length);
	put16(at + 10, sum_checksum(sum_words(at, (at[0] & 15) * 4)));
}
