// SPDX-License-Identifier: GPL-2.0-only
/* Ends of connections as the kernel's socket calls have them. */
#include <netinet/in.h>
#include <string.h>

#include "probe_socket.h"

socklen_t endpoint_to_socket(const struct endpoint *endpoint, struct sockaddr_storage *to)
{
	struct sockaddr_in6 *to6 = (struct sockaddr_in6 *)to;
	struct sockaddr_in *to4 = (struct sockaddr_in *)to;
	const __u8 *bytes = address_bytes(endpoint->address);

	memset(to, 0, sizeof(*to));
	if (address_is4(endpoint->address)) {
		to4->sin_family = AF_INET;
		to4->sin_port = htons(endpoint->port);
		memcpy(&to4->sin_addr, bytes, sizeof(to4->sin_addr));
		return sizeof(*to4);
	}
	to6->sin6_family = AF_INET6;
	to6->sin6_port = htons(endpoint->port);
	memcpy(&to6->sin6_addr, bytes, sizeof(to6->sin6_addr));
	return sizeof(*to6);
}

void endpoint_from_socket(struct endpoint *endpoint, const struct sockaddr_storage *from)
{
	const struct sockaddr_in6 *from6 = (const struct sockaddr_in6 *)from;
	const struct sockaddr_in *from4 = (const struct sockaddr_in *)from;

	memset(endpoint, 0, sizeof(*endpoint));
	if (from->ss_family == AF_INET) {
		address_from4(endpoint->address, (const __u8 *)&from4->sin_addr);
		endpoint->port = ntohs(from4->sin_port);
	} else {
		memcpy(endpoint->address, &from6->sin6_addr, sizeof(endpoint->address));
		endpoint->port = ntohs(from6->sin6_port);
	}
}
