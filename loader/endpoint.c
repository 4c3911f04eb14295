// SPDX-License-Identifier: GPL-2.0-only
/* Addresses with port and protocol: as typed, as printed, as keys of the maps. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "endpoint.h"

const struct choice protocol_choices[] = {
	{ "tcp", XLB_TCP },
	{ "udp", XLB_UDP },
	{},
};

/* ::ffff:0.0.0.0, any IPv4 address (RFC 4291, 2.5.5.2). */
static const __u8 any4[16] = { [10] = 0xff, [11] = 0xff };
static const __u8 any6[16];

bool address_is4(const __u8 *address)
{
	return !memcmp(address, any4, 12);
}

bool address_is_any(const __u8 *address)
{
	return !memcmp(address, any4, 16) || !memcmp(address, any6, 16);
}

const __u8 *address_bytes(const __u8 *address)
{
	return address_is4(address) ? address + 12 : address;
}

void address_from4(__u8 *address, const __u8 *bytes)
{
	memcpy(address, any4, 12);
	memcpy(address + 12, bytes, 4);
}

const char *address_text(const __u8 *address, char *text)
{
	return inet_ntop(address_is4(address) ? AF_INET : AF_INET6, address_bytes(address), text,
			 ENDPOINT_TEXT);
}

static const char *host_parse4(const char *host, __u8 *address)
{
	__u8 bytes[4] = {};

	if (strcmp(host, "*") && inet_pton(AF_INET, host, bytes) != 1)
		return strchr(host, ':') ? "an IPv6 address stands in [ ]"
					 : "the address is not a.b.c.d or [IPv6]";
	if (bytes[0] >= 224)
		return "not a unicast address";
	address_from4(address, bytes);
	return NULL;
}

static const char *host_parse6(const char *host, __u8 *address)
{
	if (!strcmp(host, "*"))
		host = "::";
	if (inet_pton(AF_INET6, host, address) != 1)
		return "what is in [ ] is not an IPv6 address";
	if (address_is4(address))
		return "an IPv4 address stands without [::ffff:]";
	if (address[0] == 0xff)
		return "not a unicast address";
	return NULL;
}

/* Reads an address and returns in *rest what follows it. */
static const char *host_parse(const char *word, __u8 *address, const char **rest)
{
	bool bracket = word[0] == '[';
	const char *start = word + bracket;
	size_t length = strcspn(start, bracket ? "]" : ":/");
	char host[ENDPOINT_TEXT];

	/* Bare IPv6 would lose what is after its first colon: keep it whole to
	 * say so. */
	if (!bracket && start[length] == ':' && strchr(start + length + 1, ':'))
		length = strlen(start);
	if (bracket && start[length] != ']')
		return "[ without ]";
	if (length >= sizeof(host))
		return "the address is too long";
	memcpy(host, start, length);
	host[length] = '\0';
	*rest = start + length + bracket;
	return bracket ? host_parse6(host, address) : host_parse4(host, address);
}

/* :PORT, up to the end or a slash. */
static const char *port_parse(const char **rest, __u16 *port, bool any)
{
	size_t length = strcspn(*rest + 1, "/");
	char word[8] = "";
	__u64 number = 0;

	if (length < sizeof(word))
		memcpy(word, *rest + 1, length);
	if ((!any || strcmp(word, "*")) && args_number(word, 1, 65535, &number))
		return any ? "the port is not a number from 1 to 65535, nor *"
			   : "the port is not a number from 1 to 65535";
	*port = number;
	*rest += 1 + length;
	return NULL;
}

const char *service_parse(const char *word, struct endpoint *endpoint)
{
	const char *rest, *why = host_parse(word, endpoint->address, &rest);
	const struct choice *protocol = protocol_choices;

	if (why)
		return why;
	if (rest[0] != ':')
		return "not ADDRESS:PORT/PROTOCOL: no port";
	why = port_parse(&rest, &endpoint->port, true);
	if (why)
		return why;
	if (rest[0] != '/')
		return "not ADDRESS:PORT/PROTOCOL: neither /tcp nor /udp";
	while (protocol->name && strcmp(protocol->name, rest + 1))
		protocol++;
	if (!protocol->name)
		return "the protocol is neither tcp nor udp";
	endpoint->protocol = protocol->value;
	if (!endpoint->port && address_is_any(endpoint->address))
		return "any address and any port at once";
	return NULL;
}

const char *address_parse(const char *word, __u8 *address)
{
	const char *rest, *why = host_parse(word, address, &rest);

	if (!why && address_is_any(address))
		why = "not the address of a host";
	return why || !*rest ? why : "an address alone is wanted, without port or prefix";
}

const char *backend_parse(const char *word, struct endpoint *endpoint)
{
	const char *rest, *why = host_parse(word, endpoint->address, &rest);

	if (why)
		return why;
	if (address_is_any(endpoint->address))
		return "not the address of a host";
	endpoint->port = 0;
	if (rest[0] == ':')
		why = port_parse(&rest, &endpoint->port, false);
	if (!why && rest[0] == '/')
		why = "a backend is ADDRESS[:PORT], its protocol is the service's";
	else if (!why && rest[0])
		why = "not ADDRESS[:PORT]";
	return why;
}

const char *client_parse(const char *word, struct endpoint *endpoint)
{
	const char *why = backend_parse(word, endpoint);

	return why || endpoint->port ? why : "not ADDRESS:PORT: no port";
}

static int host_text(const __u8 *address, char *text)
{
	char host[ENDPOINT_TEXT];
	const char *word = address_is_any(address) ? "*" : address_text(address, host);

	return snprintf(text, ENDPOINT_TEXT, address_is4(address) ? "%s" : "[%s]", word);
}

const char *service_text(const struct endpoint *endpoint, char *text)
{
	const char *protocol = choice_name(protocol_choices, endpoint->protocol);
	int used = host_text(endpoint->address, text);

	if (endpoint->port)
		snprintf(text + used, ENDPOINT_TEXT - used, ":%u/%s", endpoint->port, protocol);
	else
		snprintf(text + used, ENDPOINT_TEXT - used, ":*/%s", protocol);
	return text;
}

const char *backend_text(const struct endpoint *endpoint, char *text)
{
	int used = host_text(endpoint->address, text);

	if (endpoint->port)
		snprintf(text + used, ENDPOINT_TEXT - used, ":%u", endpoint->port);
	return text;
}

int endpoint_compare(const struct endpoint *a, const struct endpoint *b)
{
	int order = address_is4(b->address) - address_is4(a->address);

	if (!order)
		order = memcmp(a->address, b->address, sizeof(a->address));
	if (!order)
		order = (int)a->protocol - (int)b->protocol;
	return order ? order : (int)a->port - (int)b->port;
}

void endpoint_to_key(const struct endpoint *endpoint, union endpoint_key *key)
{
	memset(key, 0, sizeof(*key));
	if (address_is4(endpoint->address)) {
		memcpy(key->v4.address, address_bytes(endpoint->address), 4);
		key->v4.port = endpoint->port;
		key->v4.protocol = endpoint->protocol;
	} else {
		memcpy(key->v6.address, endpoint->address, 16);
		key->v6.port = endpoint->port;
		key->v6.protocol = endpoint->protocol;
	}
}

void endpoint_from_key(struct endpoint *endpoint, const union endpoint_key *key, bool v6)
{
	memset(endpoint, 0, sizeof(*endpoint));
	if (v6) {
		memcpy(endpoint->address, key->v6.address, 16);
		endpoint->port = key->v6.port;
		endpoint->protocol = key->v6.protocol;
	} else {
		address_from4(endpoint->address, key->v4.address);
		endpoint->port = key->v4.port;
		endpoint->protocol = key->v4.protocol;
	}
}
