// SPDX-License-Identifier: GPL-2.0-only
/* Tests of loader/endpoint.c: what is read, what is printed, and the maps' keys. */
#include "endpoint.h"
#include "unit.h"

#define ROUNDS 100000

typedef const char *parser(const char *word, struct endpoint *endpoint);

struct word {
	const char *word, *expected;
};

static void services_are_printed_as_one_would_type_them(void **state)
{
	static const struct word words[] = {
		{ "10.0.0.1:80/tcp", "10.0.0.1:80/tcp" },
		{ "10.0.0.1:0x50/udp", "10.0.0.1:80/udp" },
		{ "223.255.255.255:65535/tcp", "223.255.255.255:65535/tcp" },
		{ "10.0.0.1:*/tcp", "10.0.0.1:*/tcp" },
		{ "*:80/tcp", "*:80/tcp" },
		{ "0.0.0.0:80/tcp", "*:80/tcp" },
		{ "[2001:DB8:0:0::1]:443/tcp", "[2001:db8::1]:443/tcp" },
		{ "[::1.2.3.4]:1/udp", "[::1.2.3.4]:1/udp" },
		{ "[fe80::1]:*/udp", "[fe80::1]:*/udp" },
		{ "[*]:53/udp", "[*]:53/udp" },
		{ "[::]:53/udp", "[*]:53/udp" },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(words); i++) {
		struct endpoint endpoint;
		char text[ENDPOINT_TEXT];

		assert_null(service_parse(words[i].word, &endpoint));
		assert_string_equal(service_text(&endpoint, text), words[i].expected);
	}
}

static void backends_leave_the_protocol_alone(void **state)
{
	static const char *const words[] = {
		"10.0.0.1", "10.0.0.1:8080", "[2001:db8::1]", "[2001:db8::1]:1",
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(words); i++) {
		struct endpoint endpoint = { .port = 7, .protocol = XLB_UDP };
		char text[ENDPOINT_TEXT];

		assert_null(backend_parse(words[i], &endpoint));
		assert_string_equal(backend_text(&endpoint, text), words[i]);
		assert_int_equal(endpoint.protocol, XLB_UDP);
	}
}

static void assert_refused(parser *parse, const struct word *words)
{
	for (; words->word; words++) {
		struct endpoint endpoint;
		const char *why = parse(words->word, &endpoint);

		if (!why || !strstr(why, words->expected))
			fail_msg("\"%s\": %s, not: %s", words->word, why ?: "taken",
				 words->expected);
	}
}

static void malformed_services_are_refused(void **state)
{
	static const struct word words[] = {
		{ "", "not a.b.c.d or [IPv6]" },
		{ ":80/tcp", "not a.b.c.d or [IPv6]" },
		{ " 10.0.0.1:80/tcp", "not a.b.c.d or [IPv6]" },
		{ "10.0.0:80/tcp", "not a.b.c.d or [IPv6]" },
		{ "10.0.0.256:80/tcp", "not a.b.c.d or [IPv6]" },
		{ "10.0.0.01:80/tcp", "not a.b.c.d or [IPv6]" },
		{ "localhost:80/tcp", "not a.b.c.d or [IPv6]" },
		{ "**:80/tcp", "not a.b.c.d or [IPv6]" },
		{ "224.0.0.1:80/tcp", "not a unicast address" },
		{ "255.255.255.255:80/tcp", "not a unicast address" },
		{ "[ff02::1]:80/tcp", "not a unicast address" },
		{ "2001:db8::1:80/tcp", "stands in [ ]" },
		{ "::/tcp", "stands in [ ]" },
		{ "[::1:80/tcp", "[ without ]" },
		{ "[", "[ without ]" },
		{ "[]:80/tcp", "not an IPv6 address" },
		{ "[[::1]]:80/tcp", "not an IPv6 address" },
		{ "[10.0.0.1]:80/tcp", "not an IPv6 address" },
		{ "[fe80::1%eth0]:80/tcp", "not an IPv6 address" },
		{ "[::ffff:10.0.0.1]:80/tcp", "stands without [::ffff:]" },
		{ "[::ffff:0:0]:80/tcp", "stands without [::ffff:]" },
		{ "1234567890123456789012345678901234567890123456789012345678901234:80/tcp",
		  "too long" },
		{ "[1234567890123456789012345678901234567890123456789012345678901234]:80/tcp",
		  "too long" },
		{ "10.0.0.1", "no port" },
		{ "10.0.0.1/tcp", "no port" },
		{ "[::1]80/tcp", "no port" },
		{ "10.0.0.1:/tcp", "1 to 65535, nor *" },
		{ "10.0.0.1:0/tcp", "1 to 65535, nor *" },
		{ "10.0.0.1:65536/tcp", "1 to 65535, nor *" },
		{ "10.0.0.1:-1/tcp", "1 to 65535, nor *" },
		{ "10.0.0.1:http/tcp", "1 to 65535, nor *" },
		{ "10.0.0.1:00000080/tcp", "1 to 65535, nor *" },
		{ "10.0.0.1:**/tcp", "1 to 65535, nor *" },
		{ "10.0.0.1:80", "neither /tcp nor /udp" },
		{ "10.0.0.1:80/", "neither tcp nor udp" },
		{ "10.0.0.1:80/TCP", "neither tcp nor udp" },
		{ "10.0.0.1:80/tcp ", "neither tcp nor udp" },
		{ "10.0.0.1:80/tcp/udp", "neither tcp nor udp" },
		{ "*:*/tcp", "at once" },
		{ "[::]:*/udp", "at once" },
		{},
	};

	(void)state;
	assert_refused(service_parse, words);
}

static void malformed_hosts_are_refused(void **state)
{
	static const struct word backends[] = {
		{ "*", "not the address of a host" },
		{ "0.0.0.0:80", "not the address of a host" },
		{ "[*]:80", "not the address of a host" },
		{ "10.0.0.1:*", "1 to 65535" },
		{ "10.0.0.1:0", "1 to 65535" },
		{ "10.0.0.1:", "1 to 65535" },
		{ "10.0.0.1:80/tcp", "its protocol is the service's" },
		{ "10.0.0.0/24", "its protocol is the service's" },
		{ "[::1]80", "not ADDRESS[:PORT]" },
		{ "2001:db8::1", "stands in [ ]" },
		{},
	};
	static const struct word clients[] = {
		{ "10.0.0.1", "no port" },
		{ "[::1]", "no port" },
		{ "*:80", "not the address of a host" },
		{},
	};
	struct endpoint client;

	(void)state;
	assert_refused(backend_parse, backends);
	assert_refused(client_parse, clients);
	assert_null(client_parse("[::1]:1024", &client));
	assert_int_equal(client.port, 1024);
}

/* Any that has a text; half of its bytes are 0, so that :: stands anywhere. */
static struct endpoint endpoint_random(void)
{
	struct endpoint endpoint = { .protocol = random32() % 2 ? XLB_TCP : XLB_UDP };
	bool v6 = random32() % 2;

	do {
		for (int i = 0; i < 16; i++)
			endpoint.address[i] = random32() % 2 ? random32() : 0;
		if (!v6)
			address_from4(endpoint.address, endpoint.address + 12);
	} while (address_is4(endpoint.address) == v6 ||
		 address_bytes(endpoint.address)[0] >= (v6 ? 255 : 224));
	if (random32() % 4 || address_is_any(endpoint.address))
		endpoint.port = 1 + random32() % 65535;
	return endpoint;
}

static void assert_same(const struct endpoint *a, const struct endpoint *b)
{
	assert_memory_equal(a->address, b->address, sizeof(a->address));
	assert_int_equal(a->port, b->port);
	assert_int_equal(a->protocol, b->protocol);
	assert_int_equal(endpoint_compare(a, b), 0);
}

static void what_is_printed_is_read_again(void **state)
{
	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct endpoint endpoint = endpoint_random();
		struct endpoint again = { .protocol = endpoint.protocol };
		char text[ENDPOINT_TEXT];

		if (!address_is_any(endpoint.address)) {
			assert_null(backend_parse(backend_text(&endpoint, text), &again));
			assert_same(&endpoint, &again);
		}
		memset(&again, 0xff, sizeof(again));
		assert_null(service_parse(service_text(&endpoint, text), &again));
		assert_same(&endpoint, &again);
	}
}

static void keys_are_endpoints(void **state)
{
	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct endpoint endpoint = endpoint_random(), again;
		union endpoint_key key;

		memset(&key, 0xff, sizeof(key));
		memset(&again, 0xff, sizeof(again));
		endpoint_to_key(&endpoint, &key);
		endpoint_from_key(&again, &key, !address_is4(endpoint.address));
		assert_same(&endpoint, &again);
	}
}

/* Padding and all: hash maps compare bytes. */
static void keys_have_no_stray_bytes(void **state)
{
	static const __u8 key4[8] = { 10, 0, 0, 1, 0x50, 0x1f, 6 };
	static const __u8 key6[20] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1, 0x50, 0x1f, 17 };
	struct endpoint endpoint;
	union endpoint_key key;

	(void)state;
	memset(&key, 0xff, sizeof(key));
	assert_null(service_parse("10.0.0.1:8016/tcp", &endpoint));
	endpoint_to_key(&endpoint, &key);
	assert_int_equal(sizeof(key.v4), sizeof(key4));
	assert_memory_equal(&key, key4, sizeof(key4));

	memset(&key, 0xff, sizeof(key));
	assert_null(service_parse("[2001:db8::1]:8016/udp", &endpoint));
	endpoint_to_key(&endpoint, &key);
	assert_int_equal(sizeof(key.v6), sizeof(key6));
	assert_memory_equal(&key, key6, sizeof(key6));
}

static void order_is_family_address_protocol_port(void **state)
{
	static const char *const sorted[] = {
		"*:80/tcp", "10.0.0.1:*/tcp", "10.0.0.1:80/tcp", "10.0.0.1:443/tcp",
		"10.0.0.1:80/udp", "10.0.0.2:1/tcp", "192.0.2.1:1/tcp", "[*]:1/tcp",
		"[::1]:1/tcp", "[2001:db8::1]:9/tcp", "[2001:db8::1]:256/tcp", "[fe80::]:1/tcp",
	};
	struct endpoint ends[COUNT(sorted)];

	(void)state;
	for (unsigned i = 0; i < COUNT(sorted); i++)
		assert_null(service_parse(sorted[i], &ends[i]));
	for (unsigned i = 0; i < COUNT(sorted); i++)
		for (unsigned j = 0; j < COUNT(sorted); j++) {
			int order = endpoint_compare(&ends[i], &ends[j]);

			if ((order > 0) != (i > j) || (order < 0) != (i < j))
				fail_msg("%s and %s: %d", sorted[i], sorted[j], order);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(services_are_printed_as_one_would_type_them),
		cmocka_unit_test(backends_leave_the_protocol_alone),
		cmocka_unit_test(malformed_services_are_refused),
		cmocka_unit_test(malformed_hosts_are_refused),
		cmocka_unit_test(what_is_printed_is_read_again),
		cmocka_unit_test(keys_are_endpoints),
		cmocka_unit_test(keys_have_no_stray_bytes),
		cmocka_unit_test(order_is_family_address_protocol_port),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("endpoint", tests, NULL, NULL);
}
