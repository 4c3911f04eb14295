// SPDX-License-Identifier: GPL-2.0-only
/* Probes that connect and no more. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "probe.h"

static void tcp_init(struct check *check)
{
	check->tcp.file = -1;
}

static void tcp_stop(struct check *check)
{
	if (check->tcp.file < 0)
		return;
	loop_forget(&check->prober->loop, check->tcp.file);
	close(check->tcp.file);
	check->tcp.file = -1;
}

static void tcp_free(struct check *check)
{
	(void)check;
}

static void tcp_judge(struct check *check, int error)
{
	/* All ports of this machine are in use. */
	if (error == EADDRNOTAVAIL)
		check_finish(check, RESULT_UNKNOWN, "connect: %s", strerror(error));
	else if (error)
		check_finish(check, RESULT_DOWN, "connect: %s", strerror(error));
	else
		check_finish(check, RESULT_UP, "connected");
}

static void tcp_ready(void *context, int file, __u32 events)
{
	struct check *check = context;
	socklen_t size = sizeof(int);
	int error = 0;

	if (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
		return;
	getsockopt(file, SOL_SOCKET, SO_ERROR, &error, &size);
	tcp_judge(check, error);
}

static int tcp_connect(int file, const struct check *check)
{
	const __u8 *address = check->end.address;
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6,
				    .sin6_port = htons(check_port(check)) };
	struct sockaddr_in to4 = { .sin_family = AF_INET, .sin_port = to6.sin6_port };
	int error;

	if (address_is4(address)) {
		memcpy(&to4.sin_addr, address_bytes(address), sizeof(to4.sin_addr));
		error = connect(file, (struct sockaddr *)&to4, sizeof(to4));
	} else {
		memcpy(&to6.sin6_addr, address, sizeof(to6.sin6_addr));
		error = connect(file, (struct sockaddr *)&to6, sizeof(to6));
	}
	return error ? errno : 0;
}

static int tcp_begin(struct check *check)
{
	int family = address_is4(check->end.address) ? AF_INET : AF_INET6, error;

	check->tcp.file = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (check->tcp.file < 0)
		return -errno;
	error = tcp_connect(check->tcp.file, check);
	if (error == EINPROGRESS)
		return loop_watch(&check->prober->loop, check->tcp.file, EPOLLOUT, tcp_ready,
				  check);
	tcp_judge(check, error);
	return 0;
}

const struct prober_kind tcp_kind = {
	.init = tcp_init,
	.begin = tcp_begin,
	.stop = tcp_stop,
	.free = tcp_free,
};
