/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The packet's way through xlb, a header a step:
 *
 *	parse.h		frame -> struct packet
 *	service.h	destination -> service
 *	pick.h		service + flow -> backend (record.h: flows that remember)
 *	forward.h	backend -> next hop
 *	rewrite.h	addresses, ports, checksums
 *	count.h		counters and drops
 *
 * balance.h strings them together from client to backend, reply.h back.
 */
#include "balance.h"
#include "reply.h"

/* NULL: nothing is configured, or by tools of another version. */
static __always_inline struct xlb_config *config_current(void)
{
	__u32 zero = 0;
	struct xlb_config *config = bpf_map_lookup_elem(&xlb_config, &zero);

	return config && config->abi == XLB_ABI ? config : NULL;
}

static __always_inline int direct(struct packet *p, const struct xlb_config *config, const bool v6)
{
	bool any_address;
	struct xlb_service *service = service_find(p, &config->needs, v6, &any_address);

	return service ? balance(p, config, service, v6, any_address)
		       : reply(p, config, v6);
}

static __always_inline int xlb(struct xdp_md *ctx)
{
	struct xlb_config *config = config_current();
	struct packet p = {};

	if (unlikely(!config)) {
		/* Tools find the maps through the program, so it names this
		 * one too, which no packet reads. */
		asm volatile("" : : "r"(&xlb_backends), "r"(&xlb_vips), "r"(&xlb_fragments));
		return XDP_PASS;
	}
	switch (parse(&p, ctx)) {
	case ETH_P_IP:
		return direct(&p, config, false);
	case ETH_P_IPV6:
		return direct(&p, config, true);
	default:
		return XDP_PASS;
	}
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
	bool any_address;

	if (!config)
		return;
	service = service_find(p, &config->needs, v6, &any_address);
	if (!service)
		return;
	pick(p, config, service, &choice, v6, true, bpf_jiffies64());
	answer->backend = choice.backend;
	answer->slot = choice.slot;
	answer->owner = choice.owner;
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
	switch (parse(&p, ctx)) {
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
