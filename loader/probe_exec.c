// SPDX-License-Identifier: GPL-2.0-only
/* Probes that are commands, with the exit codes of monitoring plugins. */
#define _GNU_SOURCE	/* pipe2, environ */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

/* Monitoring plugins: https://www.monitoring-plugins.org/doc/guidelines.html */
enum { PLUGIN_OK, PLUGIN_WARNING, PLUGIN_CRITICAL };

static void exec_init(struct check *check)
{
	check->exec = (struct attempt_exec){ .process_file = -1, .output_file = -1 };
}

/* Called for what was killed, when it is dead. */
static void exec_reap(void *context, int file, __u32 events)
{
	struct prober *prober = context;
	siginfo_t info;

	(void)events;
	waitid((idtype_t)P_PIDFD, file, &info, WEXITED | WNOHANG);
	loop_forget(&prober->loop, file);
	close(file);
}

static void exec_stop(struct check *check)
{
	struct attempt_exec *exec = &check->exec;
	struct loop *loop = &check->prober->loop;

	if (exec->output_file >= 0) {
		loop_forget(loop, exec->output_file);
		close(exec->output_file);
	}
	/* With whatever it has started. */
	if (exec->process)
		kill(-exec->process, SIGKILL);
	if (exec->process_file < 0) {
		if (exec->process)
			waitpid(exec->process, NULL, 0);
	} else if (!exec->process ||
		   loop_watch(loop, exec->process_file, EPOLLIN, exec_reap, check->prober)) {
		loop_forget(loop, exec->process_file);
		close(exec->process_file);
	}
	exec_init(check);
}

static void exec_free(struct check *check)
{
	(void)check;
}

/* Takes what there is of the command's output, and keeps its beginning. */
static void output_take(struct attempt_exec *exec)
{
	char buffer[4096];
	ssize_t got;

	while ((got = read(exec->output_file, buffer, sizeof(buffer))) > 0) {
		size_t room = sizeof(exec->said) - 1 - exec->length;
		size_t kept = (size_t)got < room ? (size_t)got : room;

		memcpy(exec->said + exec->length, buffer, kept);
		exec->length += kept;
	}
}

static void output_ready(void *context, int file, __u32 events)
{
	struct check *check = context;

	output_take(&check->exec);
	if (events & EPOLLHUP)
		loop_forget(&check->prober->loop, file);
}

/* The first line of the output, without what a terminal would not show. */
static const char *said(struct attempt_exec *exec)
{
	exec->said[exec->length] = '\0';
	exec->said[strcspn(exec->said, "\r\n")] = '\0';
	for (char *at = exec->said; *at; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			*at = '?';
	return *exec->said ? exec->said : "no word";
}

static void exec_judge(struct check *check, int status)
{
	char line[SAID_SIZE];

	snprintf(line, sizeof(line), "%s", said(&check->exec));
	if (WIFSIGNALED(status))
		check_finish(check, RESULT_UNKNOWN, "%s: killed by signal %d",
			     check->probe->command[0], WTERMSIG(status));
	else if (WEXITSTATUS(status) == PLUGIN_OK)
		check_finish(check, RESULT_UP, "%s", line);
	else if (WEXITSTATUS(status) == PLUGIN_WARNING)
		check_finish(check, RESULT_WARNING, "%s", line);
	else if (WEXITSTATUS(status) == PLUGIN_CRITICAL)
		check_finish(check, RESULT_DOWN, "%s", line);
	else
		check_finish(check, RESULT_UNKNOWN, "%s: exit status %d: %s",
			     check->probe->command[0], WEXITSTATUS(status), line);
}

static void process_ready(void *context, int file, __u32 events)
{
	struct check *check = context;
	siginfo_t info = {};
	int status;

	(void)events;
	if (waitid((idtype_t)P_PIDFD, file, &info, WEXITED | WNOHANG | WNOWAIT) || !info.si_pid)
		return;
	output_take(&check->exec);
	/* What it may have left running is to go, too, while its number is nobody else's. */
	kill(-check->exec.process, SIGKILL);
	waitpid(check->exec.process, &status, 0);
	check->exec.process = 0;
	exec_judge(check, status);
}

/* A word of the command, with what stands in braces filled in; the caller frees. */
static char *word_fill(const char *word, const struct check *check)
{
	char address[ENDPOINT_TEXT], port[8], service[ENDPOINT_TEXT];
	const struct {
		const char *name, *value;
	} fillings[] = {
		{ "{address}", address_text(check->end.address, address) },
		{ "{port}", port },
		{ "{service}", service_text(&check->service, service) },
	};
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	if (!stream)
		return NULL;
	snprintf(port, sizeof(port), "%u", check->end.port);
	while (*word) {
		size_t length = 1;
		const char *value = NULL;

		for (unsigned i = 0; i < sizeof(fillings) / sizeof(*fillings); i++) {
			size_t name = strlen(fillings[i].name);

			if (strncmp(word, fillings[i].name, name))
				continue;
			value = fillings[i].value;
			length = name;
		}
		if (value)
			fputs(value, stream);
		else
			fputc(*word, stream);
		word += length;
	}
	fclose(stream);
	return text;
}

static int process_spawn(struct check *check, char **words, int output)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, ignored;
	int error;

	sigemptyset(&none);
	sigemptyset(&ignored);
	sigaddset(&ignored, SIGPIPE);
	/* Maybe by who began this one. */
	sigaddset(&ignored, SIGHUP);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setpgroup(&attributes, 0);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &ignored);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
				 POSIX_SPAWN_SETSIGDEF);
	error = posix_spawnp(&check->exec.process, words[0], &actions, &attributes, words,
			     environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	if (error)
		check->exec.process = 0;
	return -error;
}

static int command_spawn(struct check *check, int output)
{
	char *words[WORDS_MAX + 1] = {};
	int error = 0, count = 0;

	/* A command has a first word. */
	do {
		words[count] = word_fill(check->probe->command[count], check);
		if (!words[count])
			error = -ENOMEM;
	} while (check->probe->command[++count] && !error);
	error = error ?: process_spawn(check, words, output);
	while (count)
		free(words[--count]);
	return error;
}

static int exec_watch(struct check *check)
{
	struct loop *loop = &check->prober->loop;
	int error;

	check->exec.process_file = syscall(SYS_pidfd_open, check->exec.process, 0);
	if (check->exec.process_file < 0)
		return -errno;
	error = loop_watch(loop, check->exec.process_file, EPOLLIN, process_ready, check);
	return error ?: loop_watch(loop, check->exec.output_file, EPOLLIN, output_ready, check);
}

static int exec_begin(struct check *check)
{
	int files[2], error;

	if (pipe2(files, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	check->exec.output_file = files[0];
	/* It is for somebody who does not expect it not to wait. */
	fcntl(files[1], F_SETFL, 0);
	error = command_spawn(check, files[1]);
	close(files[1]);
	if (!error)
		return exec_watch(check);
	check_finish(check, RESULT_UNKNOWN, "%s: %s", check->probe->command[0], strerror(-error));
	return 0;
}

const struct prober_kind exec_kind = {
	.init = exec_init,
	.begin = exec_begin,
	.stop = exec_stop,
	.free = exec_free,
};
