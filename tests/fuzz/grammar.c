// SPDX-License-Identifier: GPL-2.0-only
/* What comes: clients' packets, backends' answers, routers' errors, and everybody else's. */
#include <string.h>

#include "network.h"
#include "grammar.h"

static struct address client(struct grammar *grammar, bool v6)
{
	struct random *random = &grammar->random;
	const unsigned number = random_below(random, 24);
	struct address address = { .v6 = v6 };

	switch (random_below(random, 12)) {
	case 0:		/* on the link, some without neighbour, and the balancer */
		address = v6 ? (struct address){ { 0x20, 1, 0x0d, 0xb8, 0, 0x10,
						   [15] = number < 22 ? number : 254 }, true }
			     : (struct address){ { 10, 16, 0, number < 22 ? number : 254 }, false };
		break;
	case 1:		/* where backends are */
		address = place_address(v6, random_below(random, PLACES), number + 180);
		break;
	default:	/* behind the router */
		address = v6 ? (struct address){ { 0x20, 1, 0x0d, 0xb8, 0xcc, [15] = number }, true }
			     : (struct address){ { 203, 0, 113, number }, false };
	}
	return address;
}

static __u8 tcp_flags(struct random *random)
{
	static const __u8 flags[] = { 0x02, 0x02, 0x10, 0x10, 0x18, 0x12, 0x11, 0x04, 0x14, 0x00 };

	return flags[random_below(random, sizeof(flags))];
}

/* Somewhere that an address or port stands for: a service's own where it has one. */
static void service_ends(struct grammar *grammar, const struct service *service,
			 struct flow *flow)
{
	static const __u8 any[16];
	struct random *random = &grammar->random;

	flow->destination = service->address;
	flow->destination_port = service->port ?: 1000 + random_below(random, 4);
	flow->protocol = service->protocol;
	if (memcmp(service->address.bytes, any, sizeof(any)))
		return;
	flow->destination = client(grammar, service->address.v6);
	if (random_once(random, 16))
		flow->destination.bytes[0] = random_once(random, 2) ? 0xff : 0;
}

/* Some are those of services on any address. */
static __u16 client_port(struct grammar *grammar)
{
	struct random *random = &grammar->random;

	return random_once(random, 16) ? 443 + random_below(random, 3)
				       : 2000 + random_below(random, 32);
}

static struct flow asked(struct grammar *grammar)
{
	struct random *random = &grammar->random;
	struct world *world = grammar->world;
	struct flow flow = {};

	service_ends(grammar, &world->services[random_below(random, world->count)], &flow);
	flow.source = client(grammar, flow.destination.v6);
	flow.source_port = client_port(grammar);
	if (random_once(random, 64))
		flow.source = flow.destination;
	if (random_once(random, 64))
		flow.source.bytes[0] = random_once(random, 2) ? 127 : 0xff;
	return flow;
}

static void write_flow(struct grammar *grammar, struct frame *frame, const struct flow *flow,
		       __u16 wanted)
{
	struct spec spec = {
		.flow = *flow,
		.tcp_flags = tcp_flags(&grammar->random),
		.wanted = wanted,
	};

	spec_decorate(&spec, &grammar->random);
	spec_write(&spec, &grammar->random, frame);
}

static const struct recent *recent_any(struct grammar *grammar)
{
	unsigned count = grammar->recent_count < RECENT ? grammar->recent_count : RECENT;

	return count ? &grammar->recent[random_below(&grammar->random, count)] : NULL;
}

/* A checksum that, changed as the flow's was, comes out as zero. */
static __u16 zero_wanted(const struct recent *recent, const struct view *in)
{
	const unsigned field = in->flow.protocol == PROTOCOL_UDP ? 6 : 16;
	struct view out;
	unsigned was, is;

	view_read(&out, recent->out.bytes, recent->out.size);
	if (out.kind != KIND_PACKET || out.transport != in->transport)
		return 0;
	was = get16(recent->in.bytes + in->transport + field);
	is = get16(recent->out.bytes + out.transport + field);
	return (was + 0xffff - is) % 0xffff;
}

static void make_packet(struct grammar *grammar, struct frame *frame)
{
	const struct recent *recent = random_once(&grammar->random, 2) ? recent_any(grammar) : NULL;
	struct flow flow = asked(grammar);
	__u16 wanted = 0;
	struct view view;

	frame->production = "packet for a service";
	if (recent) {
		view_read(&view, recent->in.bytes, recent->in.size);
		if (view.kind == KIND_PACKET) {
			flow = view.flow;
			frame->production = "packet of a flow seen";
			if (random_once(&grammar->random, 16))
				wanted = zero_wanted(recent, &view);
		}
	}
	write_flow(grammar, frame, &flow, wanted);
}

static void make_answer(struct grammar *grammar, struct frame *frame)
{
	const struct recent *recent = recent_any(grammar);
	struct view view;
	struct flow flow;

	frame->link = LINK_RIGHT;
	if (recent) {
		view_read(&view, recent->out.bytes, recent->out.size);
		if (view.kind == KIND_PACKET) {
			flow = flow_turned(&view.flow);
			frame->production = "answer to a packet sent";
			write_flow(grammar, frame, &flow, 0);
			return;
		}
	}
	make_packet(grammar, frame);
}

/* From any backend to any client. */
static void make_unasked(struct grammar *grammar, struct frame *frame)
{
	struct random *random = &grammar->random;
	const struct service *service =
		&grammar->world->services[random_below(random, grammar->world->count)];
	const struct backend *backend;
	struct flow flow = { .protocol = service->protocol };

	frame->link = LINK_RIGHT;
	frame->production = "answer to nothing";
	if (!service->count) {
		make_packet(grammar, frame);
		return;
	}
	backend = &service->backends[random_below(random, service->count)];
	flow.source = backend->address;
	flow.source_port = backend->port ?: 1000 + random_below(random, 4);
	flow.destination = random_once(random, 4) ? nat_sources[backend->address.v6][0]
						  : client(grammar, backend->address.v6);
	flow.destination_port = client_port(grammar);
	write_flow(grammar, frame, &flow, 0);
}

/* As much of a packet as somebody quotes. */
static unsigned quote_size(struct random *random, unsigned there)
{
	static const unsigned sizes[] = { 28, 48, 60, 128, 528, 1232 };
	unsigned size = random_once(random, 4) ? random_below(random, 120)
					       : sizes[random_below(random, 6)];

	return size < there ? size : there;
}

static void make_error_about(struct grammar *grammar, struct frame *frame,
			     const struct frame *about)
{
	struct random *random = &grammar->random;
	const __u8 *quote;
	struct view view;
	struct address from;

	view_read(&view, about->bytes, about->size);
	if (view.kind == KIND_STRANGER && about->size < view.network + 40) {
		make_packet(grammar, frame);
		return;
	}
	quote = about->bytes + view.network;
	from = random_once(random, 2) ? view.flow.destination : client(grammar, view.v6);
	error_write(grammar, frame, view.v6, &from, &view.flow.source, quote,
		    quote_size(random, about->size - view.network));
}

/* A router towards the backend, or the backend itself, about what it was sent. */
static void make_error_sent(struct grammar *grammar, struct frame *frame)
{
	const struct recent *recent = recent_any(grammar);

	frame->link = LINK_RIGHT;
	frame->production = "error about a packet sent";
	if (recent)
		make_error_about(grammar, frame, &recent->out);
	else
		make_packet(grammar, frame);
}

/* A router towards the client, or the client, about what a VIP has sent. */
static void make_error_answer(struct grammar *grammar, struct frame *frame)
{
	const struct recent *recent = random_once(&grammar->random, 4) ? NULL : recent_any(grammar);
	struct flow flow = asked(grammar);
	struct frame answer;
	struct view view;

	if (recent) {
		view_read(&view, recent->in.bytes, recent->in.size);
		if (view.kind == KIND_PACKET)
			flow = view.flow;
	}
	flow = flow_turned(&flow);
	write_flow(grammar, &answer, &flow, 0);
	frame->production = "error about an answer";
	make_error_about(grammar, frame, &answer);
}

static void make_echo(struct grammar *grammar, struct frame *frame)
{
	struct flow flow = asked(grammar);

	frame->production = "echo request";
	echo_write(&grammar->random, frame, &flow.source, &flow.destination);
}

/* ARP, neighbour discovery, LLDP, GRE, ports and addresses of nobody. */
static void make_stranger(struct grammar *grammar, struct frame *frame)
{
	static const unsigned types[] = { 0x0806, 0x88cc, 0x8035, 0x0600, 46 };
	static const __u8 protocols[] = { 1, 2, 4, 41, 47, 50, 51, 58, 59, 89, 132 };
	struct random *random = &grammar->random;
	struct flow flow = asked(grammar);

	frame->production = "packet of strangers";
	flow.destination_port = 7;
	if (random_once(random, 2))
		flow.destination = client(grammar, flow.source.v6);
	write_flow(grammar, frame, &flow, 0);
	switch (random_below(random, 3)) {
	case 0:
		put16(frame->bytes + 12, types[random_below(random, 5)]);
		break;
	case 1:
		frame->bytes[flow.source.v6 ? 20 : 23] =
			protocols[random_below(random, sizeof(protocols))];
		break;
	}
}

/* What a service would take, were it not behind a header that xlb does not see through:
 * IPsec's, mobility, HIP, shim6, or one of nobody's. */
static void make_foreign(struct grammar *grammar, struct frame *frame)
{
	static const __u8 headers[] = { PROTOCOL_AUTHENTICATION, PROTOCOL_AUTHENTICATION, 50, 135,
					139, 140, 253 };
	struct random *random = &grammar->random;
	struct spec spec = { .flow = asked(grammar), .tcp_flags = tcp_flags(random) };

	frame->production = "packet behind a foreign header";
	spec_decorate(&spec, random);
	spec.foreign = headers[random_below(random, sizeof(headers))];
	spec_write(&spec, random, frame);
}

static void make_again(struct grammar *grammar, struct frame *frame)
{
	const struct recent *recent = recent_any(grammar);

	if (!recent) {
		make_packet(grammar, frame);
		return;
	}
	*frame = random_once(&grammar->random, 3) ? recent->out : recent->in;
	frame->production = "frame seen";
}

/* How often, in a hundred. */
static const struct {
	unsigned often;
	void (*make)(struct grammar *grammar, struct frame *frame);
} productions[] = {
	{ 44, make_packet },	    { 16, make_answer }, { 4, make_unasked },
	{ 12, make_error_sent },    { 8, make_error_answer }, { 5, make_echo },
	{ 6, make_stranger },	    { 2, make_foreign }, { 3, make_again },
};

void grammar_next(struct grammar *grammar, struct frame *frame)
{
	struct random *random = &grammar->random;
	unsigned number = random_below(random, 100), i;
	const struct recent *other;

	frame->link = LINK_LEFT;
	for (i = 0; number >= productions[i].often; i++)
		number -= productions[i].often;
	productions[i].make(grammar, frame);
	if (random_once(random, 10))
		frame->link = random_below(random, LINKS);
	if (!random_once(random, 3))
		return;
	other = recent_any(grammar);
	frame_mutate(frame, random, other ? &other->in : frame);
}

void grammar_saw(struct grammar *grammar, const struct frame *in, const __u8 *out,
		 unsigned out_size, const char *outcome)
{
	struct recent *recent = &grammar->recent[grammar->recent_count++ % RECENT];

	recent->in.size = in->size;
	recent->in.link = in->link;
	memcpy(recent->in.bytes, in->bytes, in->size);
	recent->out.size = out_size < LARGEST ? out_size : LARGEST;
	recent->out.link = in->link;
	memcpy(recent->out.bytes, out, recent->out.size);
	recent->outcome = outcome;
}
