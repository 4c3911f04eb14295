// SPDX-License-Identifier: GPL-2.0-only
/* xlb-probe: finds out which backends answer, and prints what changes as commands of xlb. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>
#include <bpf/libbpf.h>

#include "namespace.h"
#include "probe.h"

/* The maps are read again after half the shortest interval, and no later. */
#define FOLLOW_MAX 1000		/* milliseconds */

static const char usage[] =
	"Usage: xlb-probe [ -once ] [ -n NETNS ] [ -pin DIR ] FILE\n"
	"FILE := lines of: probe SERVICE TYPE [ interval SECONDS ] [ timeout SECONDS ]\n"
	"                         [ rise N ] [ fall N ] [ jitter PERCENT ]\n"
	"SERVICE := ADDRESS:PORT/PROTOCOL\n"
	"TYPE := { tcp TCP | http TCP HTTP | https TCP HTTP HTTPS | exec EXEC }\n"
	"TCP := [ port N ] [ via { address | vip } ] [ source ADDRESS ]\n"
	"HTTP := [ host NAME ] [ path PATH ] [ status N[-N] ] [ match TEXT ]\n"
	"HTTPS := [ verify { on | off } ] [ ca FILE ]\n"
	"EXEC := command PROGRAM [ ARGUMENT ]..., after all else\n"
	"OPTIONS := { -V | -h }\n";

enum option { OPTION_ONCE, OPTION_VERSION, OPTION_HELP, OPTION_NETNS, OPTION_PIN };

static const struct choice options[] = {
	{ "-once", OPTION_ONCE },
	{ "-V", OPTION_VERSION },
	{ "-h", OPTION_HELP },
	{ "--help", OPTION_HELP },
	{ "-n", OPTION_NETNS },
	{ "-pin", OPTION_PIN },
	{},
};

/* The configuration as it is now; a bad one changes nothing. */
static void configuration_reload(struct prober *prober)
{
	struct probe_config config, old = prober->config;

	if (probe_config_read(&config, prober->file)) {
		args_warn(NULL, "what was read before stays");
		probe_config_free(&config);
		return;
	}
	prober->config = config;
	prober->way.again_at = 0;
	checks_change(prober);
	probe_config_free(&old);
	timer_set(&prober->loop, &prober->follow, loop_now());
}

static void signal_ready(void *context, int file, __u32 events)
{
	struct prober *prober = context;
	struct signalfd_siginfo info;

	(void)events;
	while (read(file, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			configuration_reload(prober);
		else
			prober->loop.stop = true;
	}
}

/* Whoever read what is printed is gone. */
static void output_ready(void *context, int file, __u32 events)
{
	struct prober *prober = context;

	(void)file;
	if (!(events & (EPOLLERR | EPOLLHUP)))
		return;
	prober_end(prober,
		   args_fail(NULL, STATUS_REFUSED, "standard output: %s", strerror(EPIPE)));
}

static void follow_timer(void *context)
{
	struct prober *prober = context;
	__u32 half = prober->config.shortest / 2;

	checks_follow(prober);
	timer_set(&prober->loop, &prober->follow,
		  loop_now() + (half < FOLLOW_MAX ? half : FOLLOW_MAX));
}

/* The loop takes them, even if they come before it runs. */
static void signals_block(sigset_t *set)
{
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(set);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	sigprocmask(SIG_BLOCK, set, NULL);
}

static int signals_watch(struct prober *prober, int *file)
{
	*file = signalfd(-1, &prober->signals, SFD_NONBLOCK | SFD_CLOEXEC);
	if (*file < 0)
		return -errno;
	return loop_watch(&prober->loop, *file, EPOLLIN, signal_ready, prober);
}

/* A descriptor or two for each probe that is under way. */
static void descriptors_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int prober_open(struct prober *prober, int *signals)
{
	int error = loop_open(&prober->loop);

	error = error ?: timer_reserve(&prober->loop, 2);
	error = error ?: signals_watch(prober, signals);
	if (error)
		return error;
	prober->follow.run = follow_timer;
	prober->follow.context = prober;
	/* Files are always ready, and no part of epoll. */
	loop_watch(&prober->loop, STDOUT_FILENO, 0, output_ready, prober);
	return 0;
}

static enum status prober_run(struct prober *prober)
{
	enum status status = checks_follow(prober);
	int error = 0;

	if (status)
		return status;
	if (!prober->once)
		follow_timer(prober);
	if (!prober->once || prober->count)
		error = loop_run(&prober->loop);
	return error ? args_fail(NULL, STATUS_REFUSED, "%s", strerror(-error)) : prober->status;
}

static enum status probe_file(struct prober *prober)
{
	enum status status = probe_config_read(&prober->config, prober->file);
	int signals = -1, error;

	if (!status) {
		error = prober_open(prober, &signals);
		status = error ? args_fail(NULL, STATUS_REFUSED, "%s", strerror(-error))
			       : prober_run(prober);
		checks_free(prober);
		http_end(prober);
		way_close(&prober->way);
		loop_close(&prober->loop);
		if (signals >= 0)
			close(signals);
	}
	probe_config_free(&prober->config);
	return status;
}

/* What an option asks for: true if that is all there is to do. */
static bool option_take(struct prober *prober, enum option option, const char *value)
{
	switch (option) {
	case OPTION_ONCE:
		prober->once = true;
		break;
	case OPTION_NETNS:
		prober->netns = value;
		break;
	case OPTION_PIN:
		prober->pin = value;
		break;
	case OPTION_VERSION:
		puts("xlb-probe " XLB_VERSION);
		return true;
	case OPTION_HELP:
		fputs(usage, stdout);
		return true;
	}
	return false;
}

static enum status options_take(struct prober *prober, struct args *args, bool *done)
{
	const struct choice *option;
	const char *word, *value;

	while (!*done && (word = args_peek(args)) && word[0] == '-') {
		args_take(args);
		for (option = options; option->name && strcmp(option->name, word);)
			option++;
		if (!option->name)
			return args_fail(args, STATUS_USAGE, "%s: unknown option, see "
					 "`xlb-probe -h`", word);
		value = option->value >= OPTION_NETNS ? args_take(args) : NULL;
		if (option->value >= OPTION_NETNS && (!value || !*value))
			return args_fail(args, STATUS_USAGE, "%s: needs a value", word);
		*done = option_take(prober, option->value, value);
	}
	return STATUS_DONE;
}

int main(int argc, char **argv)
{
	struct args args = { .words = argv + 1, .count = argc > 0 ? argc - 1 : 0 };
	struct prober prober = {};
	bool done = false;

	args_program = "xlb-probe";
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	libbpf_set_print(NULL);
	if (options_take(&prober, &args, &done))
		return STATUS_USAGE;
	if (done)
		return STATUS_DONE;
	prober.file = args_take(&args);
	if (!prober.file) {
		fputs(usage, stderr);
		return STATUS_USAGE;
	}
	if (args_end(&args))
		return STATUS_USAGE;
	signals_block(&prober.signals);
	if (prober.netns && namespace_enter(prober.netns))
		return STATUS_REFUSED;
	srandom(time(NULL) ^ getpid());
	descriptors_raise();
	return probe_file(&prober);
}
