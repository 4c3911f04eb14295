// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sends packets of very many clients, as fast as they arrive or as told.
 *
 *	flood NETNS DEV MAC { syn | ack | flows } ADDRESS PORT COUNT [RATE]
 *
 * They leave by DEV to MAC, and are to arrive where flood.o's sink is on an interface.  syn
 * and ack are each of a random client, others with each call; flows is a SYN and an ACK of
 * one client after the other.  COUNT is how many packets, RATE how many a second.  The
 * kernel makes them (BPF_PROG_TEST_RUN with live frames), on one CPU, which that has busy.
 * Prints how many were sent, have arrived, and were sent in a second.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/if_ether.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <netinet/ip.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "flood.h"

#define PINS "/sys/fs/bpf/tc/globals" /* where ip(8) pins the sink's map */
#define TURN 200000		      /* attempts to send, between looks at what came of it */
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))
#define SECOND 1000000000ULL /* nanoseconds */

static const char *const kinds[] = {
	[FLOOD_SYN] = "syn",
	[FLOOD_ACK] = "ack",
	[FLOOD_FLOWS] = "flows",
};

static void enter(const char *netns)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", netns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		error(1, errno, "%s", path);
	close(fd);
}

static void mac_of(const char *dev, __u8 *mac)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", dev);
	if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &request))
		error(1, errno, "%s", dev);
	memcpy(mac, request.ifr_hwaddr.sa_data, ETH_ALEN);
	close(fd);
}

static __u64 now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * SECOND + time.tv_nsec;
}

/* From the words after the name of the network namespace. */
static void flood_describe(struct flood *flood, char **words)
{
	const struct ether_addr *to = ether_aton(words[1]);

	while (flood->kind < KINDS && strcmp(kinds[flood->kind], words[2]))
		flood->kind++;
	flood->ifindex = if_nametoindex(words[0]);
	if (!flood->ifindex || !to || flood->kind == KINDS ||
	    inet_pton(AF_INET, words[3], flood->address) != 1)
		error(1, 0, "%s %s %s %s: what?", words[0], words[1], words[2], words[3]);
	memcpy(flood->to, to, ETH_ALEN);
	mac_of(words[0], flood->from);
	flood->port = atoi(words[4]);
	flood->total = strtoull(words[5], NULL, 10);
	flood->interval = words[6] ? SECOND / strtoull(words[6], NULL, 10) : 0;
	if (getrandom(&flood->seed, sizeof(flood->seed), 0) != sizeof(flood->seed))
		error(1, errno, "getrandom");
	flood->due = flood->heard_at = now();
}

static struct bpf_object *object_load(const char *self)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .pin_root_path = PINS);
	char path[PATH_MAX], folder[PATH_MAX];
	struct bpf_object *object;

	snprintf(folder, sizeof(folder), "%s", self);
	if (snprintf(path, sizeof(path), "%s/flood.o", dirname(folder)) >= (int)sizeof(path))
		error(1, ENAMETOOLONG, "%s", self);
	object = bpf_object__open_file(path, &options);
	if (!object || bpf_object__load(object))
		error(1, errno, "%s", path);
	return object;
}

static void map_read(int map, struct flood *flood)
{
	__u32 zero = 0;

	if (bpf_map_lookup_elem(map, &zero, flood))
		error(1, errno, "reading the map");
}

/* In turns, which a signal can end. */
static void send_all(int program, int map, struct flood *flood)
{
	char frame[sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct tcphdr)] = {};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = sizeof(frame),
		    .repeat = TURN, .flags = BPF_F_TEST_XDP_LIVE_FRAMES);

	do {
		if (bpf_prog_test_run_opts(program, &options))
			error(1, errno, "sending");
		map_read(map, flood);
	} while (flood->next < flood->total);
}

/* What still comes. */
static void wait_for_last(int map, struct flood *flood)
{
	const struct timespec pause = {.tv_nsec = 2 * FLOOD_SILENCE};
	__u64 arrived;

	do {
		arrived = flood->arrived;
		nanosleep(&pause, NULL);
		map_read(map, flood);
	} while (flood->arrived != arrived);
}

int main(int argc, char **argv)
{
	struct flood flood = {};
	struct bpf_object *object;
	struct bpf_program *program;
	__u32 zero = 0;
	__u64 began;
	int map;

	if (argc < 8 || argc > 9)
		error(1, 0,
		      "usage: flood NETNS DEV MAC { syn | ack | flows } ADDRESS PORT COUNT "
		      "[RATE]");
	enter(argv[1]);
	object = object_load(argv[0]);
	program = bpf_object__find_program_by_name(object, "flood_source");
	map = bpf_object__find_map_fd_by_name(object, "flood");
	flood_describe(&flood, argv + 2);
	began = flood.due;
	if (bpf_map_update_elem(map, &zero, &flood, BPF_ANY))
		error(1, errno, "writing the map");
	send_all(bpf_program__fd(program), map, &flood);
	wait_for_last(map, &flood);
	printf("sent %llu\narrived %llu\nrate %.0f\n", flood.next, flood.arrived,
	       flood.next * (double)SECOND / (flood.heard_at - began));
	return 0;
}
