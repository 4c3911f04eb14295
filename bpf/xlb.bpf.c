/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The packet's way through xlb, a header a step:
 *
 *	parse.h		frame -> struct packet (survey.h: frames that are not plain)
 *	service.h	destination -> service
 *	admit.h		source -> may it come in?
 *	pick.h		service + flow -> backend (record.h: flows that remember)
 *	forward.h	backend -> next hop
 *	rewrite.h	addresses, ports, checksums
 *	tunnel.h	encapsulation
 *	count.h		counters, verdicts and drops
 *	event.h		what xlb monitor shows
 *
 * balance.h strings them together from client to backend, nat.h where that gets
 * another source too (nat_port.h: which), reply.h back.
 *
 * quote.h finds the flow that an ICMP error is about, so that it goes the same way;
 * relay.h turns one about a tunnel into one for the client.  icmp.h and echo.h speak for
 * a VIP.
 *
 * What most packets need is in one piece, plain(); the rest is called, and
 * verified by itself.
 */
#include "direct.h"
#include "survey.h"

/* Calls stand side by side here, because nested ones share a bounded stack. */
static __always_inline __u64 not_plain(struct xdp_md *ctx)
{
	union shape shape = { .word = survey(ctx) };

	if (shape.protocol == IPPROTO_ICMP || shape.protocol == IPPROTO_ICMPV6)
		shape.word = icmp(ctx, shape.word);
	if (shape.protocol == IPPROTO_IPIP || shape.protocol == IPPROTO_IPV6)
		return relay(ctx, shape.word);
	if (!protocol_known(shape.protocol))
		return shape.word;
	return shape.flags & SHAPE_ERROR ? error(ctx, shape.word) : odd(ctx, shape.word);
}

/* The verdict, with the reason for a drop. */
static __always_inline int verdict_find(struct xdp_md *ctx)
{
	union shape shape = { .word = plain(ctx) };

	if (likely(shape.word < VERDICT_END))
		return shape.word;
	/* Tools find the maps through the program, so it names this one too, which
	 * no packet reads. */
	asm volatile("" : : "r"(&xlb_backends));
	if (shape.word == NOT_PLAIN)
		shape.word = not_plain(ctx);
	if (!shape.protocol)
		return shape.word;
	if (shape.flags & SHAPE_ERROR)
		return shape.flags & SHAPE_REPLY ? reply_recorded_error(ctx, shape.word)
						 : nat_forward_error(ctx, shape.word);
	return shape.flags & SHAPE_REPLY ? reply_recorded(ctx, shape.word)
					 : nat(ctx, shape.word);
}

static __always_inline int xlb(struct xdp_md *ctx)
{
	__u32 verdict = verdict_find(ctx);

	if (unlikely(verdict > XDP_REDIRECT))
		event_drop(ctx, verdict);
	return verdict_end(verdict);
}

/* What `ip link set dev IF xdp obj xlb.o` loads. */
SEC("prog")
int xlb_prog(struct xdp_md *ctx)
{
	return xlb(ctx);
}

/* What everything else loads.  libbpf refuses calls from one program into
 * another, so both have the code. */
SEC("xdp")
int xlb_xdp(struct xdp_md *ctx)
{
	return xlb(ctx);
}

static __always_inline void answer_fill(struct xlb_lookup *answer, struct packet *p, const bool v6)
{
	struct xlb_config *config = config_current();
	struct xlb_service *service;
	struct choice choice = {};
	union tuple tuple;
	bool any_address;

	if (!config)
		return;
	tuple_of(&tuple, p, v6);
	service = service_find(&tuple, &config->needs, v6, &any_address);
	if (!service || (any_address && answers(&tuple, &config->needs, v6)))
		return;
	if (guarded(config, service, v6) && denied_dry(&tuple, config, service, v6)) {
		answer->choice = XLB_CHOICE_DENIED;
		return;
	}
	pick_dry(&tuple, &choice, config, service, packet_opens(p), v6);
	answer->backend = choice.backend;
	answer->slot = choice.slot;
	answer->owner = choice.owner.slot;
	answer->record = choice.record;
	answer->record_usable = choice.record_usable;
	answer->choice = choice.how;
}

/* A dry run of the choice, for BPF_PROG_TEST_RUN: struct xlb_lookup takes the
 * place of the packet's first bytes.  XDP_DROP: the packet has room for none. */
SEC("lookup")
int xlb_lookup(struct xdp_md *ctx)
{
	struct xlb_lookup answer = {}, *to = (void *)(long)ctx->data;
	struct packet p = {};

	if ((void *)(to + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	switch (parse_plain(&p, ctx)) {
	case ETH_P_IP:
		answer_fill(&answer, &p, false);
		break;
	case ETH_P_IPV6:
		answer_fill(&answer, &p, true);
		break;
	}
	*to = answer;
	return XDP_PASS;
}

const char xlb_license[] SEC("license") = "GPL";
