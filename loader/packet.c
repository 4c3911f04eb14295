// SPDX-License-Identifier: GPL-2.0-only
/* From the first bytes of a frame to whom its packet is from and for. */
#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <linux/if_ether.h>
#include <stdio.h>
#include <string.h>

#include "packet.h"

#define TAGS_MAX 2
#define EXTENSIONS_MAX 8

/* What is left of a frame. */
struct bytes {
	const __u8 *at;
	size_t left;
};

/* Copies the next header and steps over it; false: it is not all there. */
static bool take(struct bytes *bytes, void *header, size_t size)
{
	if (bytes->left < size)
		return false;
	memcpy(header, bytes->at, size);
	bytes->at += size;
	bytes->left -= size;
	return true;
}

static bool skip(struct bytes *bytes, size_t size)
{
	if (bytes->left < size)
		return false;
	bytes->at += size;
	bytes->left -= size;
	return true;
}

/* ETH_P_IP, ETH_P_IPV6 or whatever else follows Ethernet and its tags; 0: nothing. */
static unsigned ethernet_take(struct bytes *bytes)
{
	struct ethhdr ethernet;
	__be16 tag[2];
	unsigned type;

	if (!take(bytes, &ethernet, sizeof(ethernet)))
		return 0;
	type = ntohs(ethernet.h_proto);
	for (int i = 0; i < TAGS_MAX && (type == ETH_P_8021Q || type == ETH_P_8021AD); i++) {
		if (!take(bytes, tag, sizeof(tag)))
			return 0;
		type = ntohs(tag[1]);
	}
	return type;
}

/* True if the transport header is what comes next. */
static bool network4_take(struct bytes *bytes, struct packet *packet)
{
	struct iphdr ip;

	if (!take(bytes, &ip, sizeof(ip)))
		return false;
	packet->protocol = ip.protocol;
	address_from4(packet->from.address, (const __u8 *)&ip.saddr);
	address_from4(packet->to.address, (const __u8 *)&ip.daddr);
	return !(ntohs(ip.frag_off) & IP_OFFMASK) && ip.ihl >= 5 &&
	       skip(bytes, ip.ihl * 4 - sizeof(ip));
}

/* The same from here on, where one more extension header may stand. */
static bool extension_take(struct bytes *bytes, struct packet *packet, bool *more)
{
	struct ip6_ext extension;
	struct ip6_frag fragment;

	*more = true;
	switch (packet->protocol) {
	case IPPROTO_FRAGMENT:
		if (!take(bytes, &fragment, sizeof(fragment)))
			return false;
		packet->protocol = fragment.ip6f_nxt;
		return !(fragment.ip6f_offlg & IP6F_OFF_MASK);
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
		if (!take(bytes, &extension, sizeof(extension)))
			return false;
		packet->protocol = extension.ip6e_nxt;
		return skip(bytes, (extension.ip6e_len + 1) * 8 - sizeof(extension));
	default:
		*more = false;
		return true;
	}
}

static bool network6_take(struct bytes *bytes, struct packet *packet)
{
	struct ip6_hdr ip;
	bool more = true;

	if (!take(bytes, &ip, sizeof(ip)))
		return false;
	packet->protocol = ip.ip6_nxt;
	memcpy(packet->from.address, &ip.ip6_src, sizeof(packet->from.address));
	memcpy(packet->to.address, &ip.ip6_dst, sizeof(packet->to.address));
	for (int i = 0; more && i < EXTENSIONS_MAX; i++)
		if (!extension_take(bytes, packet, &more))
			return false;
	return true;
}

static bool network_take(struct bytes *bytes, struct packet *packet, bool v6)
{
	memset(packet, 0, sizeof(*packet));
	return v6 ? network6_take(bytes, packet) : network4_take(bytes, packet);
}

static void ports_take(struct bytes *bytes, struct packet *packet)
{
	__be16 ports[2];

	if (packet->protocol != XLB_TCP && packet->protocol != XLB_UDP)
		return;
	packet->from.protocol = packet->to.protocol = packet->protocol;
	if (!take(bytes, ports, sizeof(ports)))
		return;
	packet->from.port = ntohs(ports[0]);
	packet->to.port = ntohs(ports[1]);
}

/* RFC 792; RFC 4443, 2.1. */
static bool icmp_is_error(__u8 type, bool v6)
{
	if (v6)
		return type < ICMP6_INFOMSG_MASK;
	return type == ICMP_DEST_UNREACH || type == ICMP_TIME_EXCEEDED ||
	       type == ICMP_PARAMETERPROB;
}

static bool error_take(struct bytes *bytes, const struct packet *packet, bool v6)
{
	struct icmphdr icmp;	/* as long as that of ICMPv6 */

	return packet->protocol == (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP) &&
	       take(bytes, &icmp, sizeof(icmp)) && icmp_is_error(icmp.type, v6);
}

bool packet_parse(const __u8 *frame, size_t length, struct packet *packet, struct packet *quoted)
{
	struct bytes bytes = { .at = frame, .left = length };
	unsigned type = ethernet_take(&bytes);
	bool v6 = type == ETH_P_IPV6;
	struct bytes network = bytes;

	memset(quoted, 0, sizeof(*quoted));
	if (type != ETH_P_IP && !v6)
		return false;
	if (!network_take(&bytes, packet, v6))
		/* A later fragment has no ports, and of what is cut short nothing is known. */
		return network.left >= (v6 ? sizeof(struct ip6_hdr) : sizeof(struct iphdr));
	ports_take(&bytes, packet);
	packet->error = error_take(&bytes, packet, v6);
	if (packet->error && network_take(&bytes, quoted, v6))
		ports_take(&bytes, quoted);
	return true;
}

const char *packet_protocol(const struct packet *packet, char *text)
{
	switch (packet->protocol) {
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_ICMPV6:
		return "icmp6";
	case XLB_TCP:
	case XLB_UDP:
		return choice_name(protocol_choices, packet->protocol);
	}
	snprintf(text, ENDPOINT_TEXT, "%u", packet->protocol);
	return text;
}
