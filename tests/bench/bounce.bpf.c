// SPDX-License-Identifier: GPL-2.0-only
/* The least that XDP can do with a packet: pass it, make room in front of it, and send it
 * back where it came from. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int bench_pass(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

/* Room for an IPv4 header. */
SEC("xdp")
int bench_push(struct xdp_md *ctx)
{
	return bpf_xdp_adjust_head(ctx, -(int)sizeof(struct iphdr)) ? XDP_ABORTED : XDP_PASS;
}

SEC("xdp")
int bench_bounce(struct xdp_md *ctx)
{
	__u16 *destination = (void *)(long)ctx->data;
	__u16 *source = destination + ETH_ALEN / 2;
	int i;

	if ((void *)(source + ETH_ALEN / 2) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	for (i = 0; i < ETH_ALEN / 2; i++) {
		__u16 word = destination[i];

		destination[i] = source[i];
		source[i] = word;
	}
	return XDP_TX;
}

char _license[] SEC("license") = "GPL";
