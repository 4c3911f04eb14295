// SPDX-License-Identifier: GPL-2.0-only
/* Probes that connect and no more. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "probe.h"
#include "probe_socket.h"

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
	struct sockaddr_storage to;
	struct endpoint end;

	check_end(check, &end);
	return connect(file, (struct sockaddr *)&to, endpoint_to_socket(&end, &to)) ? errno : 0;
}

static int tcp_begin(struct check *check)
{
	int error;

	check->tcp.file = check_socket(check);
	if (check->tcp.file < 0)
		return check->tcp.file;
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
