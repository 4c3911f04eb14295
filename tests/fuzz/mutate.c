// SPDX-License-Identifier: GPL-2.0-only
/* What a hostile or broken sender makes of a frame. */
#include <string.h>

#include "grammar.h"

#define SHORTEST 14		/* that BPF_PROG_TEST_RUN takes */

static void bit_flip(struct frame *frame, struct random *random)
{
	/* Headers more often than payload. */
	unsigned within = random_once(random, 2) && frame->size > 80 ? 80 : frame->size;

	frame->bytes[random_below(random, within)] ^= 1 << random_below(random, 8);
}

static void byte_set(struct frame *frame, struct random *random)
{
	static const __u8 values[] = { 0, 1, 4, 6, 17, 44, 58, 0x45, 0x4f, 0x60, 0x7f, 0x80,
				       0xe0, 0xff };
	unsigned within = frame->size > 80 ? 80 : frame->size;

	frame->bytes[random_below(random, within)] = values[random_below(random, sizeof(values))];
}

/* Any of the words that say how long something is. */
static void length_lie(struct frame *frame, struct random *random)
{
	static const unsigned values[] = { 0, 1, 7, 8, 19, 20, 27, 28, 40, 60, 0xffff };
	struct view view;
	unsigned at;

	view_read(&view, frame->bytes, frame->size);
	at = view.network + (view.v6 ? 4 : 2);
	if (view.kind == KIND_PACKET && view.flow.protocol == PROTOCOL_UDP && random_once(random, 2))
		at = view.transport + 4;
	if (view.kind == KIND_ICMP && random_once(random, 3))
		at = view.transport + 8 + (view.v6 ? 4 : 2);
	if (at + 2 > frame->size)
		return;
	if (random_once(random, 2))
		put16(frame->bytes + at, get16(frame->bytes + at) + random_below(random, 9) - 4);
	else
		put16(frame->bytes + at, values[random_below(random, 11)]);
}

static void cut(struct frame *frame, struct random *random)
{
	unsigned size = random_once(random, 2) ? SHORTEST + random_below(random, 100)
					       : frame->size - random_below(random, 30);

	if (size >= SHORTEST && size < frame->size)
		frame->size = size;
}

static void lengthen(struct frame *frame, struct random *random)
{
	unsigned more = random_below(random, 60);

	for (; more && frame->size < LARGEST; more--)
		frame->bytes[frame->size++] = random_word(random) >> 32;
}

/* The beginning of one and the end of another. */
static void splice(struct frame *frame, struct random *random, const struct frame *other)
{
	unsigned at = random_below(random, 90), from = random_once(random, 2)
							? at : random_below(random, 90);

	if (at >= frame->size || from >= other->size ||
	    at + other->size - from < SHORTEST || at + other->size - from > LARGEST)
		return;
	memmove(frame->bytes + at, other->bytes + from, other->size - from);
	frame->size = at + other->size - from;
}

static void move(struct frame *frame, struct random *random)
{
	unsigned length = 1 + random_below(random, 20), from, to;

	if (frame->size <= length)
		return;
	from = random_below(random, frame->size - length);
	to = random_below(random, frame->size - length);
	memmove(frame->bytes + to, frame->bytes + from, length);
}

void frame_mutate(struct frame *frame, struct random *random, const struct frame *other)
{
	unsigned times = 1 + random_below(random, 3);

	for (; times; times--) {
		switch (random_below(random, 8)) {
		case 0:
		case 1:
			bit_flip(frame, random);
			break;
		case 2:
			byte_set(frame, random);
			break;
		case 3:
			length_lie(frame, random);
			break;
		case 4:
			cut(frame, random);
			break;
		case 5:
			lengthen(frame, random);
			break;
		case 6:
			splice(frame, random, other);
			break;
		default:
			move(frame, random);
			break;
		}
	}
}
