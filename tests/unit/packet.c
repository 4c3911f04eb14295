// SPDX-License-Identifier: GPL-2.0-only
/* Tests of loader/packet.c: who a packet is from and for, however it is wrapped or cut. */
#include <stdio.h>
#include <stdlib.h>

#include "packet.h"
#include "unit.h"

#define FRAME_MAX 256
#define ROUNDS 50000

/* A frame that is put together piece by piece. */
struct frame {
	__u8 bytes[FRAME_MAX];
	size_t length;
};

static void put(struct frame *frame, const char *hex)
{
	unsigned byte;

	for (; *hex; hex += 2) {
		hex += strspn(hex, " ");
		assert_int_equal(sscanf(hex, "%2x", &byte), 1);
		assert_in_range(frame->length, 0, FRAME_MAX - 1);
		frame->bytes[frame->length++] = byte;
	}
}

#define MACS "020000000001 020000000002"
#define TAG "8100 0007"
#define TAG_AD "88a8 0064"
#define IP4 "45000028 00010000 40060000 0a000001 c0000201"
#define IP4_OPTIONS "46000028 00010000 40060000 0a000001 c0000201 01010101"
#define IP4_LATER "45000028 00010010 40110000 0a000001 c0000201"
#define IP4_ICMP "45000028 00010000 40010000 0a000009 c0000201"
#define IP4_QUOTED "45000028 00010000 40060000 c0000201 0a000001"
#define IP6_FROM "20010db8000000000000000000000001"
#define IP6_TO "20010db8000000000000000000000002"
#define IP6(next) "60000000 0040" next "40" IP6_FROM IP6_TO
#define PORTS "9c40 0050"
#define PORTS_BACK "0050 9c40"
#define REST "00000000 00000000 50100000 00000000"

/* What is to be read of a frame; ends as backend_text() has them. */
struct sight {
	const char *frame;
	const char *from, *to, *protocol;
	const char *about_from, *about_to;	/* NULL: it is about none */
};

static const struct sight sights[] = {
	{ MACS "0800" IP4 PORTS REST, "10.0.0.1:40000", "192.0.2.1:80", "tcp", NULL, NULL },
	{ MACS TAG "0800" IP4 PORTS REST, "10.0.0.1:40000", "192.0.2.1:80", "tcp", NULL, NULL },
	{ MACS TAG_AD TAG "0800" IP4 PORTS, "10.0.0.1:40000", "192.0.2.1:80", "tcp", NULL, NULL },
	{ MACS "0800" IP4_OPTIONS PORTS, "10.0.0.1:40000", "192.0.2.1:80", "tcp", NULL, NULL },
	{ MACS "0800" IP4, "10.0.0.1", "192.0.2.1", "tcp", NULL, NULL },
	{ MACS "0800" IP4_LATER PORTS REST, "10.0.0.1", "192.0.2.1", "udp", NULL, NULL },
	{ MACS "0800" IP4_ICMP "08000000 00000000" IP4_QUOTED PORTS, "10.0.0.9", "192.0.2.1",
	  "icmp", NULL, NULL },
	{ MACS "0800" IP4_ICMP "03010000 00000000" IP4_QUOTED PORTS_BACK, "10.0.0.9", "192.0.2.1",
	  "icmp", "192.0.2.1:80", "10.0.0.1:40000" },
	{ MACS "0800" IP4_ICMP "0b000000 00000000" IP4_QUOTED, "10.0.0.9", "192.0.2.1", "icmp",
	  "192.0.2.1", "10.0.0.1" },
	{ MACS "0800" IP4_ICMP "03010000 00000000 4500", "10.0.0.9", "192.0.2.1", "icmp", NULL,
	  NULL },
	{ MACS "86dd" IP6("11") PORTS, "[2001:db8::1]:40000", "[2001:db8::2]:80", "udp", NULL,
	  NULL },
	{ MACS "86dd" IP6("00") "3c00000000000000 1101000000000000 0000000000000000" PORTS,
	  "[2001:db8::1]:40000", "[2001:db8::2]:80", "udp", NULL, NULL },
	{ MACS "86dd" IP6("2c") "1100000100000007" PORTS, "[2001:db8::1]:40000",
	  "[2001:db8::2]:80", "udp", NULL, NULL },
	{ MACS "86dd" IP6("2c") "1100000900000007" PORTS, "[2001:db8::1]", "[2001:db8::2]", "udp",
	  NULL, NULL },
	{ MACS "86dd" IP6("3a") "80000000 00000000" PORTS, "[2001:db8::1]", "[2001:db8::2]",
	  "icmp6", NULL, NULL },
	{ MACS "86dd" IP6("3a") "02000000 00000578" IP6("06") PORTS, "[2001:db8::1]",
	  "[2001:db8::2]", "icmp6", "[2001:db8::1]:40000", "[2001:db8::2]:80" },
	{ MACS "86dd" IP6("59") "0000", "[2001:db8::1]", "[2001:db8::2]", "89", NULL, NULL },
};

static void frames_say_who_their_packets_are_from_and_for(void **state)
{
	char text[ENDPOINT_TEXT];

	(void)state;
	for (unsigned i = 0; i < COUNT(sights); i++) {
		const struct sight *sight = &sights[i];
		struct packet packet, quoted;
		struct frame frame = {};

		put(&frame, sight->frame);
		assert_true(packet_parse(frame.bytes, frame.length, &packet, &quoted));
		assert_string_equal(backend_text(&packet.from, text), sight->from);
		assert_string_equal(backend_text(&packet.to, text), sight->to);
		assert_string_equal(packet_protocol(&packet, text), sight->protocol);
		if (!sight->about_from) {
			assert_int_equal(quoted.protocol, 0);
			continue;
		}
		assert_true(packet.error);
		assert_string_equal(backend_text(&quoted.from, text), sight->about_from);
		assert_string_equal(backend_text(&quoted.to, text), sight->about_to);
	}
}

static void frames_without_an_ip_header_say_nothing(void **state)
{
	static const char *const frames[] = {
		"", MACS, MACS "0806" IP4, MACS "8100", MACS TAG TAG TAG "0800" IP4 PORTS,
		MACS "0800 4500", MACS "86dd" IP4,
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(frames); i++) {
		struct packet packet, quoted;
		struct frame frame = {};

		put(&frame, frames[i]);
		assert_false(packet_parse(frame.bytes, frame.length, &packet, &quoted));
	}
}

/* Nothing behind the length is looked at, which ASan and valgrind see in a heap of its own. */
static void cut_frames_are_read_as_far_as_they_go(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(sights); i++) {
		struct frame frame = {};

		put(&frame, sights[i].frame);
		for (size_t length = 0; length <= frame.length; length++) {
			__u8 *bytes = malloc(length + 1);
			struct packet packet, quoted;

			assert_non_null(bytes);
			memcpy(bytes, frame.bytes, length);
			/* Whatever comes next would be read as another port. */
			bytes[length] = 0xff;
			if (packet_parse(bytes, length, &packet, &quoted))
				assert_true(packet.from.port == 0 || packet.from.port == 40000);
			free(bytes);
		}
	}
}

static void any_bytes_are_borne(void **state)
{
	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct packet packet, quoted;
		char text[ENDPOINT_TEXT];
		struct frame frame = {};

		put(&frame, sights[round % COUNT(sights)].frame);
		for (int i = 0; frame.length && i < 4; i++)
			frame.bytes[random32() % frame.length] = random32();
		if (packet_parse(frame.bytes, frame.length, &packet, &quoted))
			assert_non_null(packet_protocol(&packet, text));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_say_who_their_packets_are_from_and_for),
		cmocka_unit_test(frames_without_an_ip_header_say_nothing),
		cmocka_unit_test(cut_frames_are_read_as_far_as_they_go),
		cmocka_unit_test(any_bytes_are_borne),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("packet", tests, NULL, NULL);
}
