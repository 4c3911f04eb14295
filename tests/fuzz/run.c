// SPDX-License-Identifier: GPL-2.0-only
/* Runs the program for a frame, and compares what it counts. */
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rules.h"
#include "run.h"

#define CPUS_MAX 1024

double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/* Budgets and caches are a CPU's own; any one will do. */
static int cpu_stay(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	return sched_setaffinity(0, sizeof(set), &set);
}

int run_open(struct fuzz *fuzz, const char *object)
{
	if (cpu_stay() || memory_open(&fuzz->memory) || world_open(&fuzz->world, object))
		return -1;
	fuzz->grammar.world = fuzz->court.world = &fuzz->world;
	fuzz->court.memory = &fuzz->memory;
	fuzz->report.begun = seconds();
	return 0;
}

/* What all CPUs have counted under the reasons. */
static int drops_read(struct fuzz *fuzz, __u64 *drops)
{
	static __u64 values[CPUS_MAX * 64];
	const unsigned count = fuzz->world.drop_count;
	const int cpus = libbpf_num_possible_cpus();
	__u32 zero = 0;

	if (bpf_map_lookup_elem(fuzz->world.maps[MAP_DROPS], &zero, values))
		return -errno;
	memset(drops, 0, count * sizeof(*drops));
	for (int cpu = 0; cpu < cpus; cpu++)
		for (unsigned i = 0; i < count; i++)
			drops[i] += values[cpu * count + i];
	return 0;
}

static struct xlb_stats stats_read(const struct fuzz *fuzz, const struct backend *backend)
{
	static struct xlb_stats values[CPUS_MAX];
	const int cpus = libbpf_num_possible_cpus();
	struct xlb_stats sum = {};
	__u32 id = backend->id;

	if (bpf_map_lookup_elem(fuzz->world.maps[MAP_STATS], &id, values))
		return sum;
	for (int cpu = 0; cpu < cpus; cpu++) {
		sum.connections += values[cpu].connections;
		sum.in_packets += values[cpu].in_packets;
		sum.in_bytes += values[cpu].in_bytes;
		sum.out_packets += values[cpu].out_packets;
		sum.out_bytes += values[cpu].out_bytes;
	}
	return sum;
}

int run_begin(struct fuzz *fuzz)
{
	struct world *world = &fuzz->world;

	for (unsigned i = 0; i < world->count; i++)
		for (unsigned j = 0; j < world->services[i].count; j++) {
			struct backend *backend = &world->services[i].backends[j];

			if (backend->state)
				backend->counted = stats_read(fuzz, backend);
			backend->connections_most = backend->counted.connections;
		}
	return drops_read(fuzz, fuzz->drops);
}

static bool backend_counted(struct fuzz *fuzz, const struct service *service,
			    struct backend *backend)
{
	struct xlb_stats stats = stats_read(fuzz, backend), *wanted = &backend->counted;
	const bool connections = stats.connections >= wanted->connections &&
				 stats.connections <= backend->connections_most;
	const unsigned number = service - fuzz->world.services;

	if (connections) {
		wanted->connections = backend->connections_most = stats.connections;
		if (!memcmp(&stats, wanted, sizeof(stats)))
			return true;
	}
	complain(&fuzz->court, "backend %u of service %u (mode %u): %llu connections (%llu to %llu), "
		 "%llu packets in (%llu), %llu bytes (%llu), %llu packets out (%llu), "
		 "%llu bytes (%llu)", (unsigned)(backend - service->backends), number, service->mode,
		 stats.connections, wanted->connections, backend->connections_most,
		 stats.in_packets, wanted->in_packets, stats.in_bytes, wanted->in_bytes,
		 stats.out_packets, wanted->out_packets, stats.out_bytes, wanted->out_bytes);
	*wanted = stats;
	backend->connections_most = stats.connections;
	return false;
}

bool run_counters(struct fuzz *fuzz)
{
	struct world *world = &fuzz->world;
	bool right = true;

	for (unsigned i = 0; i < world->count; i++)
		for (unsigned j = 0; j < world->services[i].count; j++)
			if (world->services[i].backends[j].state)
				right &= backend_counted(fuzz, &world->services[i],
							 &world->services[i].backends[j]);
	return right;
}

void run_refill(struct fuzz *fuzz)
{
	static struct xlb_budget full[CPUS_MAX];
	__u32 zero = 0;

	bpf_map_update_elem(fuzz->world.maps[MAP_BUDGET], &zero, full, BPF_ANY);
}

/* What should be counted from now on. */
static void court_count(const struct court *court, unsigned bytes)
{
	if (court->in) {
		court->in->counted.in_packets++;
		court->in->counted.in_bytes += bytes;
	}
	if (court->connection) {
		court->connection->connections_most++;
		court->connection->counted.connections += !court->connection_maybe;
	}
}

/* One of these has it, nobody can tell which. */
static bool either_counted(struct fuzz *fuzz, unsigned bytes)
{
	struct court *court = &fuzz->court;
	unsigned more = 0;

	for (unsigned i = 0; i < court->either_count; i++) {
		struct backend *backend = court->either[i];
		struct xlb_stats *counted = &backend->counted;
		const struct xlb_stats stats = stats_read(fuzz, backend);

		if (court->either_out && stats.out_packets != counted->out_packets) {
			counted->out_packets++;
			counted->out_bytes += bytes;
			more++;
		} else if (!court->either_out && stats.in_packets != counted->in_packets) {
			counted->in_packets++;
			counted->in_bytes += bytes;
			backend->connections_most++;
			more++;
		}
	}
	return more == 1 || !court->either_count ||
	       complain(court, "counted for %u backends", more);
}

/* The kernel is asked once a second for each backend, whoever asks, and says another
 * thing where it does not forward. */
static void caches_clear(struct fuzz *fuzz, enum link link)
{
	if (link == LINK_CLOSED)
		world_forget_hops(&fuzz->world);
}

bool run_frame(struct fuzz *fuzz, const struct frame *frame)
{
	struct xdp_md context = {
		.data_end = frame->size,
		.ingress_ifindex = fuzz->world.ifindex[frame->link],
	};
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame->bytes,
			    .data_size_in = frame->size, .data_out = fuzz->out,
			    .data_size_out = sizeof(fuzz->out), .repeat = 1);
	__u64 drops[64];

	/* Without a context it comes in by lo. */
	if (frame->link != LINK_LO) {
		options.ctx_in = &context;
		options.ctx_size_in = sizeof(context);
	}
	caches_clear(fuzz, frame->link);
	if (limits_exhaust(&fuzz->world))
		return complain(&fuzz->court, "the limits: %s", strerror(errno));
	if (bpf_prog_test_run_opts(fuzz->world.program, &options))
		return complain(&fuzz->court, "BPF_PROG_TEST_RUN: %s", strerror(errno));
	fuzz->trial = (struct trial){
		.in = frame->bytes,
		.in_size = frame->size,
		.out = fuzz->out,
		.out_size = options.data_size_out,
		.link = frame->link,
		.verdict = options.retval,
	};
	if (drops_read(fuzz, drops))
		return complain(&fuzz->court, "the drop counters: %s", strerror(errno));
	for (unsigned i = 0; i < fuzz->world.drop_count; i++)
		fuzz->trial.drops[i] = drops[i] - fuzz->drops[i];
	memcpy(fuzz->drops, drops, sizeof(drops));
	if (!judge(&fuzz->court, &fuzz->trial))
		return false;
	court_count(&fuzz->court, frame->size);
	return either_counted(fuzz, frame->size);
}
