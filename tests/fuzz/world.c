// SPDX-License-Identifier: GPL-2.0-only
/* What is configured, made so by xlb(8), and changed as time goes on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "world.h"
#include "network.h"
#include "rules.h"
#include "services.h"

const struct address nat_sources[2][NAT_SOURCES] = {
	{ { { 10, 1, 0, 254 }, false }, { { 192, 0, 2, 200 }, false } },
	{ { { 0x20, 0x01, 0x0d, 0xb8, 0, 1, [15] = 254 }, true },
	  { { 0x20, 0x01, 0x0d, 0xb8, 0xaa, 0xaa, [15] = 200 }, true } },
};

const struct address tunnel_sources[2] = {
	{ { 10, 1, 0, 254 }, false },
	{ { 0x20, 0x01, 0x0d, 0xb8, 0, 1, [15] = 254 }, true },
};

/* What xlb says is told only if it fails: it warns of much that is meant here. */
static FILE *batch_open(struct world *world)
{
	char command[128];
	FILE *batch;

	world_sources(world, true);
	if (!world->said)
		world->said = tmpfile();
	if (!world->said || ftruncate(fileno(world->said), 0)) {
		perror("fuzz: a temporary file");
		return NULL;
	}
	/* A shell takes no number over 9 for a descriptor. */
	snprintf(command, sizeof(command), "exec loader/xlb -batch - 2>>/proc/%d/fd/%d", getpid(),
		 fileno(world->said));
	batch = popen(command, "w");
	if (!batch)
		perror("fuzz: xlb");
	return batch;
}

static void said_tell(FILE *said)
{
	char line[512];

	rewind(said);
	while (fgets(line, sizeof(line), said))
		fprintf(stderr, "fuzz: %s", line);
}

static int batch_close(struct world *world, FILE *batch)
{
	int status = pclose(batch);

	if (status) {
		said_tell(world->said);
		fprintf(stderr, "fuzz: xlb -batch -: status %d\n", WEXITSTATUS(status));
		return -1;
	}
	return world_learn(world);
}

/* In a batch of its own: whose the replies of a backend are that several services have
 * depends on who had it first, and a service that comes back in the same batch has not
 * been away. */
static int world_empty(struct world *world)
{
	FILE *batch = batch_open(world);
	char name[128];

	if (!batch)
		return -1;
	rules_forget(world, batch);
	for (unsigned i = 0; i < world->count; i++) {
		service_name(&world->services[i], name);
		fprintf(batch, "service del %s\n", name);
	}
	world->count = 0;
	return batch_close(world, batch);
}

int world_reset(struct world *world, unsigned number)
{
	const bool guarded = number % 2;
	FILE *batch;

	if (world_empty(world))
		return -1;
	batch = batch_open(world);
	if (!batch)
		return -1;
	services_fill(world, false);
	services_fill(world, true);
	config_tell(batch);
	for (unsigned i = 0; i < world->count; i++) {
		world->services[i].limited = guarded && i % 5 == 3;
		service_tell(batch, &world->services[i]);
	}
	rules_tell(world, batch, guarded);
	world->veth = number / 2 % 2;
	world->sources = number % 8 != 3;
	if (batch_close(world, batch))
		return -1;
	return world_forget(world);
}

/* What becomes of a backend; its flows begin anew where it is lost to them. */
static void backend_change(FILE *batch, struct service *service, struct backend *backend,
			   struct random *random)
{
	const enum xlb_state old = backend->state;

	if (!old) {
		backend->state = XLB_UP;
		backend->weight = 1 + random_below(random, 3);
		backend->life++;
		backend_tell(batch, service, backend, "add");
		return;
	}
	if (random_once(random, 4)) {
		backend->state = 0;
		backend_tell(batch, service, backend, "del");
		return;
	}
	backend->state = XLB_UP + random_below(random, 3);
	backend->weight = random_once(random, 8) ? 0 : 1 + random_below(random, 3);
	if (backend->state == XLB_DOWN)
		backend->life++;
	backend_tell(batch, service, backend, "change");
}

int world_change(struct world *world, struct random *random)
{
	FILE *batch = batch_open(world);

	if (!batch)
		return -1;
	for (unsigned i = 0; i < world->count; i++) {
		struct service *service = &world->services[i];

		for (unsigned j = 0; j < service->count; j++)
			if (random_once(random, 6))
				backend_change(batch, service, &service->backends[j], random);
	}
	return batch_close(world, batch);
}

bool world_is_vip(const struct world *world, const struct address *address)
{
	static const __u8 any[16];

	for (unsigned i = 0; i < world->count; i++)
		if (address_same(&world->services[i].address, address))
			return memcmp(address->bytes, any, sizeof(any));
	return false;
}

static bool service_takes_new(const struct service *service)
{
	for (unsigned i = 0; i < service->count; i++)
		if (service->backends[i].state == XLB_UP && service->backends[i].weight)
			return true;
	return false;
}

bool world_echoes(const struct world *world, const struct address *address)
{
	for (unsigned i = 0; i < world->count; i++)
		if (world->services[i].echo && service_takes_new(&world->services[i]) &&
		    address_same(&world->services[i].address, address))
			return true;
	return false;
}

/* Exactly there; `any`: whatever the address. */
static struct service *service_at(struct world *world, const struct flow *flow, __u16 port,
				  bool any)
{
	struct address address = any ? (struct address){ .v6 = flow->destination.v6 }
				     : flow->destination;

	for (unsigned i = 0; i < world->count; i++) {
		struct service *service = &world->services[i];

		if (service->protocol == flow->protocol && service->port == port &&
		    address_same(&service->address, &address))
			return service;
	}
	return NULL;
}

struct service *world_service(struct world *world, const struct flow *flow)
{
	struct service *service = service_at(world, flow, flow->destination_port, false);

	if (!service)
		service = service_at(world, flow, 0, false);
	return service ?: service_at(world, flow, flow->destination_port, true);
}
