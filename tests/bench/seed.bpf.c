// SPDX-License-Identifier: GPL-2.0-only
/*
 * The balancer that a first afternoon with XDP gives, to compare with: TCP over
 * IPv4, one ring of backends, one way, no services, nothing remembered.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bench.h"

struct seed_count {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SEED_RING_SIZE);
	__type(key, __u32);
	__type(value, struct seed_backend);
} seed_ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SEED_RING_SIZE);
	__type(key, __u32);
	__type(value, struct seed_count);
} seed_counts SEC(".maps");

static __always_inline __u32 rotate(__u32 word, int bits)
{
	return word << bits | word >> (32 - bits);
}

/* The last round of Bob Jenkins's lookup3, for two words: <linux/jhash.h>, jhash_2words(). */
static __always_inline __u32 hash_words(__u32 a, __u32 b)
{
	__u32 c = 0xdeadbeef + (2 << 2);

	a += c;
	b += c;
	c ^= b;
	c -= rotate(b, 14);
	a ^= c;
	a -= rotate(c, 11);
	b ^= a;
	b -= rotate(a, 25);
	c ^= b;
	c -= rotate(b, 16);
	a ^= c;
	a -= rotate(c, 4);
	b ^= a;
	b -= rotate(a, 14);
	c ^= b;
	c -= rotate(b, 24);
	return c;
}

/* RFC 1624, equation 3: HC' = ~(~HC + ~m + m'). */
static __always_inline void checksum_replace(__sum16 *check, const __u16 *from, const __u16 *to,
					     int words)
{
	__u32 sum = (__u16)~*check;
	int i;

	for (i = 0; i < words; i++)
		sum += (__u16)~from[i] + to[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	*check = ~sum;
}

static __always_inline void destination_rewrite(struct iphdr *ip, struct tcphdr *tcp,
						const struct seed_backend *backend)
{
	__be32 address;

	__builtin_memcpy(&address, backend->address, sizeof(address));
	checksum_replace(&ip->check, (void *)&ip->daddr, (void *)&address, 2);
	checksum_replace(&tcp->check, (void *)&ip->daddr, (void *)&address, 2);
	checksum_replace(&tcp->check, &tcp->dest, &backend->port, 1);
	ip->daddr = address;
	tcp->dest = backend->port;
}

SEC("xdp")
int seed_balancer(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);
	struct tcphdr *tcp = (void *)(ip + 1);
	struct seed_backend *backend;
	struct seed_count *count;
	__u32 slot;

	if ((void *)(tcp + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	if (ip->ihl != 5 || ip->protocol != IPPROTO_TCP || ip->frag_off & bpf_htons(0x3fff))
		return XDP_PASS;

	slot = hash_words(ip->saddr, tcp->source) % SEED_RING_SIZE;
	backend = bpf_map_lookup_elem(&seed_ring, &slot);
	if (!backend || !backend->port)
		return XDP_PASS;
	count = bpf_map_lookup_elem(&seed_counts, &slot);
	if (count) {
		count->packets++;
		count->bytes += end - (void *)eth;
	}

	destination_rewrite(ip, tcp, backend);
	__builtin_memcpy(eth->h_source, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, backend->mac, ETH_ALEN);
	return XDP_TX;
}

char _license[] SEC("license") = "GPL";
