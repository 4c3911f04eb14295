// SPDX-License-Identifier: GPL-2.0-only
/* Tests of bpf/rewrite.h: what it makes of a packet against a sum from scratch. */
#include "unit.h"

/* gcc unrolls by another name, and needs not here. */
#pragma GCC diagnostic ignored "-Wunknown-pragmas"
#include "rewrite.h"

#define ROUNDS 100000

/* IP header with up to 8 bytes of options, TCP header, up to 64 bytes. */
struct wire {
	__u8 bytes[40 + 20 + 64] __attribute__((aligned(4)));
	unsigned transport;	/* where its header is */
	unsigned length;
	bool v6, udp;
};

static __u64 zeros, all_ones;	/* checksums of that value that a rewrite had to make */

static __u16 word_get(const __u8 *bytes)
{
	return bytes[0] << 8 | bytes[1];
}

static void word_set(__u8 *bytes, __u16 word)
{
	bytes[0] = word >> 8;
	bytes[1] = word;
}

/* RFC 1071, 4.1, byte by byte; a last odd byte has a zero beside it. */
static __u32 sum_add(__u32 sum, const __u8 *bytes, unsigned length)
{
	for (unsigned i = 0; i < length; i++)
		sum += i % 2 ? bytes[i] : bytes[i] << 8;
	return sum;
}

static __u16 sum_finish(__u32 sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __u8 *checksum_of(struct wire *wire)
{
	return wire->bytes + wire->transport + (wire->udp ? 6 : 16);
}

static __u8 *address_of(struct wire *wire, enum end end)
{
	return wire->bytes + (wire->v6 ? 8 + 16 * end : 12 + 4 * end);
}

/* The TTL or hop limit. */
static __u8 *hops_of(struct wire *wire)
{
	return wire->bytes + (wire->v6 ? 7 : 8);
}

static __u16 transport_sum(struct wire *wire)
{
	unsigned length = wire->length - wire->transport;
	__u32 sum = length + (wire->udp ? 17 : 6);

	word_set(checksum_of(wire), 0);
	sum = sum_add(sum, address_of(wire, SOURCE), wire->v6 ? 32 : 8);
	return sum_finish(sum_add(sum, wire->bytes + wire->transport, length));
}

/* Puts in place the checksums that a sender would. */
static void checksums_make(struct wire *wire)
{
	__u16 sum = transport_sum(wire);

	word_set(checksum_of(wire), wire->udp && !sum ? 0xffff : sum);
	if (!wire->v6) {
		word_set(wire->bytes + 10, 0);
		word_set(wire->bytes + 10,
			 sum_finish(sum_add(0, wire->bytes, wire->transport)));
	}
}

/* Makes both sums 0, by the IPv4 identification and the payload's first word: what
 * would be the checksum, if it were not there. */
static void sums_clear(struct wire *wire)
{
	__u8 *payload = wire->bytes + wire->transport + (wire->udp ? 8 : 20);

	word_set(payload, 0);
	word_set(payload, transport_sum(wire));
	if (wire->v6)
		return;
	word_set(wire->bytes + 4, 0);
	checksums_make(wire);
	word_set(wire->bytes + 4, word_get(wire->bytes + 10));
}

static struct wire wire_random(bool v6, bool udp)
{
	unsigned header = v6 ? 40 : 20 + random32() % 3 * 4;
	struct wire wire = {
		.transport = header,
		.length = header + (udp ? 8 : 20) + 2 + random32() % 63,
		.v6 = v6,
		.udp = udp,
	};

	random_fill(wire.bytes, wire.length);
	if (!v6)
		wire.bytes[0] = 0x40 | header / 4;
	/* One with fewer hops left does not get as far as rewrite(). */
	*hops_of(&wire) = 2 + random32() % 254;
	return wire;
}

static void wire_translate(struct wire *wire, enum end end, const struct translation *to, bool hop)
{
	memcpy(address_of(wire, end), to->address, wire->v6 ? 16 : 4);
	*hops_of(wire) -= hop;
	if (to->port)
		word_set(wire->bytes + wire->transport + 2 * end, to->port);
}

static void wire_rewrite(struct wire *wire, enum end end, const struct translation *to, bool hop)
{
	struct packet packet = {
		.ip4 = (void *)wire->bytes,
		.ip6 = (void *)wire->bytes,
		.ports = (void *)(wire->bytes + wire->transport),
		.checksum = (void *)checksum_of(wire),
		.shape.protocol = wire->udp ? XLB_UDP : XLB_TCP,
	};

	if (wire->v6)
		rewrite(&packet, end, to, hop, true);
	else
		rewrite(&packet, end, to, hop, false);
}

/* What the packet has before or shall have after: the crafted ones are rare. */
enum craft {
	RANDOM,
	SUMS_0_BEFORE,
	SUMS_0_AFTER,
	NO_CHECKSUM,	/* UDP has none */
	ONES_BEFORE,	/* TCP's other 0, from a sender that is not strict */
	CRAFTS,
};

static void assert_rewritten(bool v6, bool udp, enum craft craft)
{
	struct wire wire = wire_random(v6, udp), expected;
	enum end end = random32() % 2;
	bool hop = random32() % 2;
	struct translation to;
	__u32 address[4], original[4];
	__u16 port;

	random_fill(address, sizeof(address));
	to.address = address;
	to.port = random32() % 4 ? random32() : 0;

	if (craft == SUMS_0_BEFORE || craft == ONES_BEFORE)
		sums_clear(&wire);
	expected = wire;
	wire_translate(&expected, end, &to, hop);
	if (craft == SUMS_0_AFTER) {
		sums_clear(&expected);
		/* The same packet before: it differs in what is translated alone. */
		memcpy(original, address_of(&wire, end), sizeof(original));
		port = word_get(wire.bytes + wire.transport + 2 * end);
		wire = expected;
		wire_translate(&wire, end, &(struct translation){ original, port },
			       false);
		*hops_of(&wire) += hop;
	}
	checksums_make(&wire);
	checksums_make(&expected);
	if (craft == ONES_BEFORE)
		word_set(checksum_of(&wire), 0xffff);
	if (craft == NO_CHECKSUM && udp) {
		word_set(checksum_of(&wire), 0);
		word_set(checksum_of(&expected), 0);
	}
	zeros += !word_get(checksum_of(&expected)) + (!v6 && !word_get(expected.bytes + 10));
	all_ones += word_get(checksum_of(&expected)) == 0xffff;

	wire_rewrite(&wire, end, &to, hop);
	assert_memory_equal(wire.bytes, expected.bytes, wire.length);
}

static void packets_are_as_if_sent_so(void **state)
{
	(void)state;
	for (int craft = 0; craft < CRAFTS; craft++) {
		for (int kind = 0; kind < 4; kind++) {
			zeros = all_ones = 0;
			for (int i = 0; i < ROUNDS; i++)
				assert_rewritten(kind & 1, kind & 2, craft);
			if (craft != SUMS_0_AFTER)
				continue;
			/* TCP's sum, and IPv4's; RFC 768: UDP's 0 is sent as 0xffff. */
			assert_int_equal(zeros, ROUNDS * (!(kind & 1) + !(kind & 2)));
			assert_int_equal(all_ones, kind & 2 ? ROUNDS : 0);
		}
	}
}

static void a_fold_keeps_the_sum(void **state)
{
	static const __u64 sums[] = { 0, 1, 0xffff, 0x10000, 0xffffffff, 0x100000000,
				      4 * 0x1fffffffeULL };

	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		/* Four words at most, each of a ~m and an m'. */
		__u64 sum = i < COUNT(sums) ? sums[i]
					    : ((__u64)random32() << 32 | random32()) >> 29;

		assert_int_equal(sum_fold(sum) % 0xffff, sum % 0xffff);
		assert_int_equal(!sum_fold(sum), !sum);
		assert_true(sum_fold(sum) < 1 << 20);
	}
}

static void an_update_is_eqn_3_of_rfc_1624(void **state)
{
	static const __u32 differences[] = { 0, 1, 0xfffe, 0xffff, 0x10000, 0x1fffe, 0x1ffff,
					     0xffff0, 0xfffff };

	(void)state;
	for (unsigned i = 0; i < COUNT(differences); i++)
		for (__u32 before = 0; before <= 0xffff; before++) {
			__u16 after = before;

			checksum_update(&after, differences[i]);
			assert_int_equal(after, sum_finish((__u16)~before + differences[i]));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_are_as_if_sent_so),
		cmocka_unit_test(a_fold_keeps_the_sum),
		cmocka_unit_test(an_update_is_eqn_3_of_rfc_1624),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("checksum", tests, NULL, NULL);
}
