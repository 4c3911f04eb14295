// SPDX-License-Identifier: GPL-2.0-only
/*
 * A UDP client and its server in one process, as fast as packets come back.
 *
 *	pump CLIENT_NETNS SERVER_NETNS SERVER_PORT { VIP PORT }...
 *
 * The server sends everything back.  No more than WINDOW packets of a VIP are under
 * way at a time, which fit into every queue between the two, whatever else the machine
 * does meanwhile: so none is lost for want of room, and a slow machine makes for fewer
 * packets, not for lost ones.  Until SIGTERM; then it prints what has become of them,
 * once all are back or none has come for SILENCE.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WINDOW 48	/* a queue of veth holds 256 */
#define VIPS_MAX 4
#define SIZE 64		/* bytes in a packet */
#define SILENCE 2000	/* milliseconds; more than a change of route takes */

/* A client's socket and what it has counted. */
struct flow {
	int socket;
	unsigned long sent, returned;
	unsigned long given_up;	/* not waited for any more, so that others are sent */
};

/* Room for a window of packets at once. */
struct batch {
	struct mmsghdr message[WINDOW];
	struct iovec part[WINDOW];
	struct sockaddr_in6 peer[WINDOW];
	char bytes[WINDOW][SIZE];
};

static volatile sig_atomic_t enough;

static void on_signal(int number)
{
	(void)number;
	enough = 1;
}

/* Sockets are made where the process is at the time. */
static void enter(const char *netns)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", netns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		error(1, errno, "%s", path);
	close(fd);
}

/* IPv4 addresses, too, are ::ffff:a.b.c.d. */
static int socket_open(const char *address, const char *port, bool server)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), off = 0;
	struct sockaddr_in6 end = { .sin6_family = AF_INET6, .sin6_port = htons(atoi(port)) };
	char mapped[64];

	snprintf(mapped, sizeof(mapped), strchr(address, ':') ? "%s" : "::ffff:%s", address);
	if (fd < 0 || inet_pton(AF_INET6, mapped, &end.sin6_addr) != 1 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) ||
	    (server ? bind : connect)(fd, (struct sockaddr *)&end, sizeof(end)))
		error(1, errno, "%s port %s", address, port);
	return fd;
}

static void batch_prepare(struct batch *batch, bool peers)
{
	for (unsigned i = 0; i < WINDOW; i++) {
		batch->part[i] = (struct iovec){ batch->bytes[i], SIZE };
		batch->message[i].msg_hdr = (struct msghdr){
			.msg_name = peers ? &batch->peer[i] : NULL,
			.msg_namelen = peers ? sizeof(batch->peer[i]) : 0,
			.msg_iov = &batch->part[i],
			.msg_iovlen = 1,
		};
	}
}

/* All that is there already, at most a window; how many. */
static unsigned receive(int socket, struct batch *batch, bool peers)
{
	int got;

	batch_prepare(batch, peers);
	got = recvmmsg(socket, batch->message, WINDOW, MSG_DONTWAIT, NULL);
	/* A refused connection is an answer as well: the packet is missing. */
	return got < 0 ? 0 : got;
}

static unsigned send_all(int socket, struct batch *batch, unsigned count)
{
	unsigned done = 0;

	while (done < count) {
		int sent = sendmmsg(socket, batch->message + done, count - done, 0);

		if (sent < 0 && errno == ECONNREFUSED)
			continue;
		if (sent < 0)
			error(1, errno, "sendmmsg");
		done += sent;
	}
	return done;
}

static unsigned long under_way(const struct flow *flow)
{
	unsigned long over = flow->returned + flow->given_up;

	return flow->sent > over ? flow->sent - over : 0;
}

/* What can be sent and received without waiting; returns whether anything came. */
static bool turn(struct flow *flows, unsigned count, int server, unsigned long *arrived)
{
	static struct batch batch;
	unsigned i, got, came = 0;

	for (i = 0; i < count && !enough; i++) {
		batch_prepare(&batch, false);
		flows[i].sent += send_all(flows[i].socket, &batch, WINDOW - under_way(&flows[i]));
	}
	while ((got = receive(server, &batch, true))) {
		came += got;
		*arrived += send_all(server, &batch, got);
	}
	for (i = 0; i < count; i++) {
		got = receive(flows[i].socket, &batch, false);
		flows[i].returned += got;
		came += got;
	}
	return came;
}

static bool wait_for_any(const struct flow *flows, unsigned count, int server)
{
	struct pollfd sockets[VIPS_MAX + 1] = { { .fd = server, .events = POLLIN } };

	for (unsigned i = 0; i < count; i++)
		sockets[i + 1] = (struct pollfd){ .fd = flows[i].socket, .events = POLLIN };
	return poll(sockets, count + 1, SILENCE);
}

static unsigned long all_under_way(const struct flow *flows, unsigned count)
{
	unsigned long sum = 0;

	for (unsigned i = 0; i < count; i++)
		sum += under_way(&flows[i]);
	return sum;
}

static unsigned long pump(struct flow *flows, unsigned count, int server)
{
	unsigned long arrived = 0;

	while (!enough || all_under_way(flows, count)) {
		if (turn(flows, count, server, &arrived) || wait_for_any(flows, count, server))
			continue;
		for (unsigned i = 0; i < count; i++)
			flows[i].given_up += under_way(&flows[i]);
	}
	return arrived;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct flow flows[VIPS_MAX] = {};
	unsigned i, count = (argc - 4) / 2;
	unsigned long sent = 0, returned = 0, arrived;
	double began;
	int server;

	if (argc < 6 || argc % 2 || count > VIPS_MAX)
		error(1, 0, "usage: pump CLIENT_NETNS SERVER_NETNS SERVER_PORT { VIP PORT }...");
	sigaction(SIGTERM, &action, NULL);
	enter(argv[2]);
	server = socket_open("::", argv[3], true);
	enter(argv[1]);
	for (i = 0; i < count; i++)
		flows[i].socket = socket_open(argv[4 + 2 * i], argv[5 + 2 * i], false);
	puts("ready");
	fflush(stdout);
	began = now();
	arrived = pump(flows, count, server);
	for (i = 0; i < count; i++) {
		sent += flows[i].sent;
		returned += flows[i].returned;
	}
	printf("sent %lu\narrived %lu\nreturned %lu\nrate %.0f\n", sent, arrived, returned,
	       (sent + returned) / (now() - began));
	return 0;
}
