// SPDX-License-Identifier: GPL-2.0-only
/* The tables of services and backends, and how xlb(8) is told of them. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "network.h"
#include "rules.h"
#include "services.h"

#define TABLE 251
#define VIP_FIRST 10

static struct address vip(bool v6, unsigned number)
{
	if (v6)
		return (struct address){ { 0x20, 0x01, 0x0d, 0xb8, 0xaa, 0xaa, [15] = number },
					 true };
	return (struct address){ { 192, 0, 2, number }, false };
}

static struct service *service_new(struct world *world, bool v6, unsigned number, __u16 port,
				   __u8 protocol, enum xlb_mode mode)
{
	struct service *service = &world->services[world->count++];

	*service = (struct service){
		.port = port,
		.protocol = protocol,
		.mode = mode,
		.by_source = world->count % 3 == 0,
		.echo = number && mode != XLB_NAT,
	};
	service->address = number ? vip(v6, number) : (struct address){ .v6 = v6 };
	return service;
}

static void backend_new(struct service *service, bool v6, enum place place, unsigned host,
			__u16 port)
{
	service->backends[service->count++] = (struct backend){
		.address = place_address(v6, place, host),
		.port = port,
		.state = XLB_UP,
		.weight = 1,
	};
}

/* With backends at every place, of their own; tunnels have some of the other family. */
static void service_furnish(struct world *world, struct service *service, __u16 port)
{
	unsigned host = 1 + (service - world->services);
	const bool v6 = service->address.v6;

	if (service->mode >= XLB_DR)
		port = service->port;
	for (enum place place = 0; place < PLACES; place++)
		backend_new(service, v6, place, host, port);
	if (service->mode < XLB_IPIP)
		return;
	backend_new(service, !v6, PLACE_RIGHT, host, port);
	backend_new(service, !v6, PLACE_NARROW, host, port);
}

/* Services of dnat and nat that have the same two backends. */
static void services_share(struct world *world, bool v6, __u8 protocol)
{
	static const enum xlb_mode modes[] = { XLB_DNAT, XLB_DNAT, XLB_NAT };

	for (unsigned i = 0; i < 3; i++) {
		struct service *service = service_new(world, v6, 40 + i, 80, protocol, modes[i]);

		for (unsigned host = 200; host < 202; host++)
			backend_new(service, v6, PLACE_RIGHT, host, 9000);
	}
}

void services_fill(struct world *world, bool v6)
{
	static const enum xlb_mode modes[] = { XLB_DNAT, XLB_NAT, XLB_DR, XLB_IPIP, XLB_GUE };
	unsigned i;

	for (i = 0; i < 10; i++)
		service_furnish(world,
				service_new(world, v6, VIP_FIRST + i / 2, i % 2 ? 53 : 80,
					    i % 2 ? PROTOCOL_UDP : PROTOCOL_TCP, modes[i / 2]),
				8000 + i);
	for (i = 0; i < 5; i++)
		service_furnish(world, service_new(world, v6, 30 + i, 0,
						   i % 2 ? PROTOCOL_UDP : PROTOCOL_TCP, modes[i]),
				0);
	service_furnish(world, service_new(world, v6, 0, 443, PROTOCOL_TCP, XLB_DNAT), 8443);
	service_furnish(world, service_new(world, v6, 0, 443, PROTOCOL_UDP, XLB_DNAT), 8443);
	service_furnish(world, service_new(world, v6, 0, 444, PROTOCOL_UDP, XLB_NAT), 8444);
	service_furnish(world, service_new(world, v6, 0, 445, PROTOCOL_TCP, XLB_GUE), 8445);
	services_share(world, v6, v6 ? PROTOCOL_UDP : PROTOCOL_TCP);
	service_new(world, v6, 50, 81, PROTOCOL_TCP, XLB_DNAT);
}

static const char *text(const struct address *address, char *to)
{
	return inet_ntop(address->v6 ? AF_INET6 : AF_INET, address->bytes, to, INET6_ADDRSTRLEN);
}

/* With the brackets that a port wants before it. */
static const char *text_end(const struct address *address, char *to)
{
	char plain[INET6_ADDRSTRLEN];

	sprintf(to, address->v6 ? "[%s]" : "%s", text(address, plain));
	return to;
}

void service_name(const struct service *service, char *to)
{
	static const struct address any[2] = { { .v6 = false }, { .v6 = true } };
	char address[64], port[8] = "*";

	text_end(&service->address, address);
	if (address_same(&service->address, &any[service->address.v6]))
		strcpy(address, service->address.v6 ? "[*]" : "*");
	if (service->port)
		sprintf(port, "%u", service->port);
	sprintf(to, "%s:%s/%s", address, port,
		service->protocol == PROTOCOL_TCP ? "tcp" : "udp");
}

void backend_tell(FILE *batch, const struct service *service, const struct backend *backend,
		  const char *verb)
{
	static const char *const states[] = { [XLB_UP] = "up", [XLB_DRAIN] = "drain",
					      [XLB_DOWN] = "down" };
	char name[128], address[64], port[8] = "";

	service_name(service, name);
	if (backend->port)
		sprintf(port, ":%u", backend->port);
	fprintf(batch, "backend %s %s%s service %s", verb, text_end(&backend->address, address), port,
		name);
	if (strcmp(verb, "del"))
		fprintf(batch, " weight %u state %s", backend->weight, states[backend->state]);
	fputc('\n', batch);
}

void service_tell(FILE *batch, const struct service *service)
{
	static const char *const modes[] = { [XLB_DNAT] = "dnat", [XLB_NAT] = "nat",
					     [XLB_DR] = "dr", [XLB_IPIP] = "ipip",
					     [XLB_GUE] = "gue" };
	char name[128], limit[32] = "";

	service_name(service, name);
	if (service->limited)
		snprintf(limit, sizeof(limit), " limit 1 burst %d", LIMIT_BURST);
	fprintf(batch, "service add %s mode %s hash %s table %d%s%s\n", name,
		modes[service->mode], service->by_source ? "source" : "flow", TABLE,
		service->echo ? "" : " echo off", limit);
	for (unsigned i = 0; i < service->count; i++)
		backend_tell(batch, service, &service->backends[i], "add");
}

void config_tell(FILE *batch)
{
	char address[64], other[64];

	fputs("config set records 1000000", batch);
	for (int v6 = 0; v6 < 2; v6++) {
		const int family = v6 ? 6 : 4;

		fprintf(batch, " tunnel%d %s", family, text(&tunnel_sources[v6], address));
		fprintf(batch, " nat%d %s,%s", family, text(&nat_sources[v6][0], address),
			text(&nat_sources[v6][1], other));
	}
	fputc('\n', batch);
}
