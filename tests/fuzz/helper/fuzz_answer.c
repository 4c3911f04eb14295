// SPDX-License-Identifier: GPL-2.0-only
/*
 * Answers of web servers to xlb-probe: the input is a line, of what a configuration says
 * after `probe SERVICE`, and the answer.  Whatever it is, the backend is up or down then.
 */
#define _GNU_SOURCE	/* unshare */
#include <errno.h>
#include <linux/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "helper.h"
#include "probe.h"

#define SERVICE "127.0.0.1:80/tcp"

/* Those that are not asked for here. */
const struct prober_kind tcp_kind, exec_kind;

int way_socket(int file, __u32 mark, const __u8 *source, const struct endpoint *to,
	       const struct endpoint *backend)
{
	(void)file;
	(void)mark;
	(void)source;
	(void)to;
	(void)backend;
	return -EPERM;
}

bool way_stands(const struct way *way)
{
	(void)way;
	return false;
}

/* Who answers. */
static struct server {
	int listener;
	__u16 port;
	int client;		/* -1: none */
	const uint8_t *answer;
	size_t size;
} server = { .client = -1 };

static void check_that(bool so, const char *what)
{
	if (so)
		return;
	perror(what);
	abort();
}

/* A network of this process's own. */
static void network_begin(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int any;

	check_that(!unshare(CLONE_NEWNET) || !unshare(CLONE_NEWUSER | CLONE_NEWNET), "unshare");
	any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	check_that(any >= 0 && !ioctl(any, SIOCSIFFLAGS, &lo), "lo");
	close(any);
}

static void server_begin(void)
{
	struct sockaddr_in name = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(name);

	server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	check_that(!bind(server.listener, (struct sockaddr *)&name, length) &&
		   !listen(server.listener, 1) &&
		   !getsockname(server.listener, (struct sockaddr *)&name, &length), "listen");
	server.port = ntohs(name.sin_port);
}

/* Somebody has connected: whatever is asked, this is the answer. */
static void server_ready(void *context, int file, __u32 events)
{
	(void)context;
	(void)events;
	server.client = accept4(file, NULL, NULL, SOCK_CLOEXEC);
	check_that(server.client >= 0, "accept");
	send(server.client, server.answer, server.size, MSG_NOSIGNAL);
	shutdown(server.client, SHUT_WR);
}

int LLVMFuzzerInitialize(int *count, char ***words)
{
	(void)count;
	(void)words;
	args_program = "xlb";
	network_begin();
	server_begin();
	return 0;
}

/* Probes the server once. */
static bool probe_once(const struct probe *probe)
{
	struct prober prober = { .once = true };
	struct check *check;
	bool up;

	check_that(!loop_open(&prober.loop), "epoll");
	check_that(!loop_watch(&prober.loop, server.listener, EPOLLIN, server_ready, NULL),
		   "the listener");
	check = check_new(&prober, probe);
	check_that(check, "a check");
	check->service = check->end = probe->service;
	check->end.port = server.port;
	check->health.up = true;
	check_start(check, 0);
	check_that(!loop_run(&prober.loop), "the loop");
	holds(check->health.known, "the result is known", NULL);
	up = check->health.up;
	check_free(check);
	http_end(&prober);
	loop_forget(&prober.loop, server.listener);
	loop_close(&prober.loop);
	if (server.client >= 0)
		close(server.client);
	server.client = -1;
	return up;
}

/* One command, and nothing else. */
static bool is_down(const struct said *said)
{
	char line[128];

	snprintf(line, sizeof(line), "backend change 127.0.0.1:%u service " SERVICE " health down\n",
		 server.port);
	return said->out_size == strlen(line) && !memcmp(said->out, line, said->out_size);
}

/* With what is said kept. */
static void probe_listen(const struct probe *probe)
{
	FILE *out = stdout, *error = stderr;
	struct said said = {};
	bool up;

	stdout = open_memstream(&said.out, &said.out_size);
	stderr = open_memstream(&said.error, &said.error_size);
	up = probe_once(probe);
	fclose(stdout);
	fclose(stderr);
	stdout = out;
	stderr = error;
	said_judge(&said, STATUS_DONE);
	holds(up ? !said.out_size && !said.error_size : is_down(&said) && said.error_size,
	      "a change is told", &said);
	said_free(&said);
}

/* `probe SERVICE` and the line's own words, where they ask for HTTP. */
static bool line_parse(char *line, struct probe *probe)
{
	static char first[] = "probe", service[] = SERVICE;
	struct args args = { .words = probe->words };
	FILE *stream = stderr;
	enum status status;

	if (words_cut(line, probe->words + 2, &args.count) || args.count > WORDS_MAX - 2)
		return false;
	probe->words[0] = first;
	probe->words[1] = service;
	args.count += 2;
	stderr = fopen("/dev/null", "we");
	status = probe_parse(&args, probe);
	fclose(stderr);
	stderr = stream;
	return !status && probe->type == PROBE_HTTP && !probe->vip && !probe->port;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = memchr(data, '\n', size);
	struct probe probe = {};
	char *line;

	if (!end)
		return 0;
	line = strndup((const char *)data, end - data);
	server.answer = end + 1;
	server.size = data + size - server.answer;
	if (line_parse(line, &probe))
		probe_listen(&probe);
	free(line);
	return 0;
}
