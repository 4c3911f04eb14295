// SPDX-License-Identifier: GPL-2.0-only
/* Packets of clients that there are not, and where those end that have got through. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "flood.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct flood);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} flood SEC(".maps");

struct client {
	__u32 address; /* host order */
	__u16 port;
	__u8 opens; /* a SYN */
};

/* As different as can be for each number: the finalizer of splitmix64. */
static __always_inline __u64 scatter(__u64 number)
{
	number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9ULL;
	number = (number ^ number >> 27) * 0x94d049bb133111ebULL;
	return number ^ number >> 31;
}

static __always_inline struct client client_next(struct flood *flood)
{
	__u64 number = flood->next++;
	struct client client = {.opens = flood->kind == FLOOD_SYN};

	if (flood->kind == FLOOD_FLOWS) {
		client.opens = !(number & 1);
		number >>= 1;
	} else {
		number = scatter(number + flood->seed);
	}
	client.address = FLOOD_NETWORK | (number & ((1 << FLOOD_HOSTS) - 1));
	client.port = FLOOD_PORTS + (number >> FLOOD_HOSTS) % (65536 - FLOOD_PORTS);
	return client;
}

static __always_inline __u16 checksum(const void *header, __u32 size, __u32 sum)
{
	const __u16 *word = header;
	__u32 i;

	for (i = 0; i < size / 2; i++)
		sum += word[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return ~((sum & 0xffff) + (sum >> 16));
}

static __always_inline void write_ip(struct iphdr *ip, const struct flood *flood,
				     const struct client *client)
{
	__builtin_memset(ip, 0, sizeof(*ip));
	ip->version = 4;
	ip->ihl = sizeof(*ip) / 4;
	ip->tot_len = bpf_htons(sizeof(*ip) + sizeof(struct tcphdr));
	ip->ttl = 64;
	ip->protocol = IPPROTO_TCP;
	ip->saddr = bpf_htonl(client->address);
	__builtin_memcpy(&ip->daddr, flood->address, sizeof(ip->daddr));
	ip->check = checksum(ip, sizeof(*ip), 0);
}

static __always_inline void write_tcp(struct tcphdr *tcp, const struct iphdr *ip,
				      const struct flood *flood, const struct client *client)
{
	__u32 pseudo = (ip->saddr & 0xffff) + (ip->saddr >> 16) + (ip->daddr & 0xffff) +
		       (ip->daddr >> 16) + bpf_htons(IPPROTO_TCP) + bpf_htons(sizeof(*tcp));

	__builtin_memset(tcp, 0, sizeof(*tcp));
	tcp->source = bpf_htons(client->port);
	tcp->dest = bpf_htons(flood->port);
	tcp->seq = bpf_htonl(flood->next);
	tcp->ack_seq = client->opens ? 0 : bpf_htonl(1);
	tcp->doff = sizeof(*tcp) / 4;
	tcp->syn = client->opens;
	tcp->ack = !client->opens;
	tcp->window = bpf_htons(65535);
	tcp->check = checksum(tcp, sizeof(*tcp), pseudo);
}

/* Not faster than they arrive, so that queues have room for others' packets. */
static __always_inline bool flood_may_send(struct flood *flood)
{
	__u64 now = bpf_ktime_get_ns();

	if (flood->next >= flood->total || now < flood->due)
		return false;
	if (flood->heard != flood->arrived) {
		flood->heard = flood->arrived;
		flood->heard_at = now;
	} else if (now - flood->heard_at > FLOOD_SILENCE) {
		flood->given_up = flood->next - flood->arrived;
		flood->heard_at = now;
	}
	if (flood->next - flood->arrived - flood->given_up >= FLOOD_WINDOW)
		return false;
	flood->due += flood->interval;
	return true;
}

/* For BPF_PROG_TEST_RUN with live frames, which may be ones that were used before. */
SEC("xdp")
int flood_source(struct xdp_md *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);
	struct tcphdr *tcp = (void *)(ip + 1);
	__u32 zero = 0;
	struct flood *of = bpf_map_lookup_elem(&flood, &zero);
	struct client client;

	if (!of || (void *)(tcp + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	if (!flood_may_send(of))
		return XDP_DROP;
	client = client_next(of);
	__builtin_memcpy(eth->h_dest, of->to, ETH_ALEN);
	__builtin_memcpy(eth->h_source, of->from, ETH_ALEN);
	eth->h_proto = bpf_htons(ETH_P_IP);
	write_ip(ip, of, &client);
	write_tcp(tcp, ip, of, &client);
	return bpf_redirect(of->ifindex, 0);
}

/* For backends: a flood ends here, before it costs a stack anything. */
SEC("xdp")
int flood_sink(struct xdp_md *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);
	__u32 zero = 0;
	struct flood *of;

	if ((void *)(ip + 1) > (void *)(long)ctx->data_end || eth->h_proto != bpf_htons(ETH_P_IP) ||
	    bpf_ntohl(ip->saddr) >> FLOOD_HOSTS != FLOOD_NETWORK >> FLOOD_HOSTS)
		return XDP_PASS;
	of = bpf_map_lookup_elem(&flood, &zero);
	if (of)
		__sync_fetch_and_add(&of->arrived, 1);
	return XDP_DROP;
}

char _license[] SEC("license") = "GPL";
