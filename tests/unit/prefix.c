// SPDX-License-Identifier: GPL-2.0-only
/* Tests of loader/prefix.c: what is read, what is printed, and the maps' keys. */
#include <stdlib.h>

#include "prefix.h"
#include "unit.h"

/* What is typed and what is printed, in the order that prefixes have. */
static const struct {
	const char *word, *expected;
	unsigned bits; /* of the key */
} prefixes[] = {
	{ "0.0.0.0/0", "0.0.0.0/0", 32 },
	{ "10.0.0.0/8", "10.0.0.0/8", 40 },
	{ "10.0.0.0/0x9", "10.0.0.0/9", 41 },
	{ "10.0.0.0/31", "10.0.0.0/31", 63 },
	{ "10.0.0.0", "10.0.0.0/32", 64 },
	{ "255.255.255.255/32", "255.255.255.255/32", 64 },
	{ "0:0::/0", "::/0", 32 },
	{ "::1", "::1/128", 160 },
	{ "2001:DB8::/32", "2001:db8::/32", 64 },
	{ "2001:db8::8/125", "2001:db8::8/125", 157 },
	{ "ff00::/8", "ff00::/8", 40 },
};

static void prefixes_are_printed_with_their_length(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(prefixes); i++) {
		struct prefix prefix;
		char text[PREFIX_TEXT];

		assert_null(prefix_parse(prefixes[i].word, &prefix));
		assert_string_equal(prefix_text(&prefix, text), prefixes[i].expected);
	}
}

static void prefixes_are_keys(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(prefixes); i++) {
		struct prefix prefix, again;
		union prefix_key key;
		__u32 service;

		assert_null(prefix_parse(prefixes[i].word, &prefix));
		prefix_to_key(&prefix, 77, &key);
		assert_int_equal(key.v4.bits, prefixes[i].bits);
		prefix_from_key(&again, &service, &key, !prefix_is4(&prefix));
		assert_int_equal(service, 77);
		assert_int_equal(prefix_compare(&prefix, &again), 0);
	}
}

static void order_is_family_address_length(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(prefixes); i++)
		for (unsigned j = 0; j < COUNT(prefixes); j++) {
			struct prefix left, right;
			int order;

			assert_null(prefix_parse(prefixes[i].word, &left));
			assert_null(prefix_parse(prefixes[j].word, &right));
			order = prefix_compare(&left, &right);
			if ((order > 0) != (i > j) || (order < 0) != (i < j))
				fail_msg("%s and %s: %d", prefixes[i].word, prefixes[j].word, order);
		}
}

/* Any bit behind any length. */
static void bits_behind_a_prefix_are_refused(void **state)
{
	(void)state;
	for (unsigned length = 0; length < 32; length++)
		for (unsigned bit = 0; bit < 32; bit++) {
			__u32 address = 1U << (31 - bit);
			struct prefix prefix;
			char word[PREFIX_TEXT];

			snprintf(word, sizeof(word), "%u.%u.%u.%u/%u", address >> 24,
				 address >> 16 & 255, address >> 8 & 255, address & 255, length);
			assert_int_equal(!prefix_parse(word, &prefix), bit < length);
		}
}

static void prefixes_are_shortened(void **state)
{
	static const struct {
		const char *long_one, *expected;
	} cases[] = {
		{ "255.255.255.255/32", "255.255.224.0/19" },
		{ "255.255.255.255/32", "0.0.0.0/0" },
		{ "10.1.2.3/32", "10.1.2.3/32" },
		{ "2001:db8:ffff::1/128", "2001:db8:f000::/36" },
		{ "ffff::1/128", "::/0" },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct prefix prefix;
		char text[PREFIX_TEXT];

		assert_null(prefix_parse(cases[i].long_one, &prefix));
		prefix_shorten(&prefix, atoi(strchr(cases[i].expected, '/') + 1));
		assert_string_equal(prefix_text(&prefix, text), cases[i].expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prefixes_are_printed_with_their_length),
		cmocka_unit_test(prefixes_are_keys),
		cmocka_unit_test(order_is_family_address_length),
		cmocka_unit_test(bits_behind_a_prefix_are_refused),
		cmocka_unit_test(prefixes_are_shortened),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("prefix", tests, NULL, NULL);
}
