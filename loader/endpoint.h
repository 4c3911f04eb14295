/* SPDX-License-Identifier: GPL-2.0-only */
/* Addresses with port and protocol: as typed, as printed, as keys of the maps. */
#ifndef XLB_ENDPOINT_H
#define XLB_ENDPOINT_H

#include <stdbool.h>
#include <linux/types.h>

#include "args.h"
#include "xlb_abi.h"

/* Room for the longest text of one. */
#define ENDPOINT_TEXT 64

/* A service, or one end of a flow. */
struct endpoint {
	__u8 address[16];	/* IPv4 as ::ffff:a.b.c.d; 0.0.0.0 and :: are any */
	__u16 port;		/* host order; 0 is any */
	enum xlb_protocol protocol;
};

/* A key of xlb_services4 and xlb_replies4, or of xlb_services6 and xlb_replies6. */
union endpoint_key {
	struct xlb_endpoint4 v4;
	struct xlb_endpoint6 v6;
};

extern const struct choice protocol_choices[];

bool address_is4(const __u8 *address);
bool address_is_any(const __u8 *address);

/* The 4 or 16 bytes that the packet path knows an address by; 4 then at its end. */
const __u8 *address_bytes(const __u8 *address);
void address_from4(__u8 *address, const __u8 *bytes);

/* Text without brackets, in at least ENDPOINT_TEXT bytes. */
const char *address_text(const __u8 *address, char *text);

/*
 * SERVICE := ADDRESS:PORT/PROTOCOL, where ADDRESS is a.b.c.d, [IPv6], * or [*],
 * and PORT may be *.  Returns NULL, or what is wrong with the word.
 */
const char *service_parse(const char *word, struct endpoint *endpoint);
const char *service_text(const struct endpoint *endpoint, char *text);

/* ADDRESS of a host, alone. */
const char *address_parse(const char *word, __u8 *address);

/*
 * BACKEND := ADDRESS[:PORT].  A port that is not given is left 0; the protocol
 * is not touched.  Returns NULL, or what is wrong.
 */
const char *backend_parse(const char *word, struct endpoint *endpoint);
const char *backend_text(const struct endpoint *endpoint, char *text);

/* CLIENT := ADDRESS:PORT, the same with both given. */
const char *client_parse(const char *word, struct endpoint *endpoint);

/* IPv4 first, then by address, protocol, port. */
int endpoint_compare(const struct endpoint *a, const struct endpoint *b);

void endpoint_to_key(const struct endpoint *endpoint, union endpoint_key *key);
void endpoint_from_key(struct endpoint *endpoint, const union endpoint_key *key, bool v6);

#endif
