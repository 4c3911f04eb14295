// SPDX-License-Identifier: GPL-2.0-only
/* One check: when it is probed, and what its results come to. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "probe.h"

#define REASON_SIZE 320
/* Milliseconds.  Timers are not so late but where this process has stood still. */
#define LATE 100

static const struct prober_kind *const kinds[] = {
	[PROBE_TCP] = &tcp_kind,
	[PROBE_HTTP] = &http_kind,
	[PROBE_HTTPS] = &http_kind,
	[PROBE_EXEC] = &exec_kind,
};

static const struct prober_kind *kind(const struct check *check)
{
	return kinds[check->probe->type];
}

void check_end(const struct check *check, struct endpoint *end)
{
	*end = check->probe->vip ? check->service : check->end;
	if (check->probe->port)
		end->port = check->probe->port;
}

int check_socket(const struct check *check)
{
	const struct probe *probe = check->probe;
	struct endpoint end;
	int file, error;

	check_end(check, &end);
	file = socket(address_is4(end.address) ? AF_INET : AF_INET6,
		      SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (file < 0)
		return -errno;
	if (!probe->vip)
		return file;
	if (!check->mark)
		error = -EOPNOTSUPP;
	else if (!check->prober->way.open)
		error = -ENODEV;
	else
		error = way_socket(file, check->mark, probe->source, &end, &check->end);
	if (!error)
		return file;
	close(file);
	return error;
}

static void say(const struct check *check, const char *what, const char *reason)
{
	char end[ENDPOINT_TEXT], service[ENDPOINT_TEXT];

	args_warn(NULL, "%s service %s: %s: %s", backend_text(&check->end, end),
		  service_text(&check->service, service), what, reason);
}

void prober_end(struct prober *prober, enum status status)
{
	prober->status = status;
	prober->loop.stop = true;
}

void check_tell(struct check *check)
{
	char end[ENDPOINT_TEXT], service[ENDPOINT_TEXT];
	struct prober *prober = check->prober;

	check->told_at = loop_now();
	printf("backend change %s service %s health %s\n", backend_text(&check->end, end),
	       service_text(&check->service, service), check->health.up ? "up" : "down");
	if (!fflush(stdout) || prober->loop.stop)
		return;
	prober_end(prober,
		   args_fail(NULL, STATUS_REFUSED, "standard output: %s", strerror(errno)));
}

/* What comes and goes without a change of health is said when it comes. */
static void remark(struct check *check, enum result result, const char *reason)
{
	if (result == RESULT_WARNING && !check->warned)
		say(check, "warning", reason);
	if (result == RESULT_UNKNOWN && !check->unsure)
		say(check, "could not be probed", reason);
}

static void judge(struct check *check, enum result result, const char *reason)
{
	if (health_judge(&check->health, result, check->probe->rise, check->probe->fall)) {
		say(check, check->health.up ? "up" : "down", reason);
		check_tell(check);
	} else {
		remark(check, result, reason);
	}
	check->warned = result == RESULT_WARNING;
	check->unsure = result == RESULT_UNKNOWN;
}

static void check_wait(struct check *check)
{
	struct prober *prober = check->prober;
	__u64 now = loop_now();

	if (!check->probed) {
		check->probed = true;
		prober->unprobed--;
	}
	if (!prober->once)
		timer_set(&prober->loop, &check->timer,
			  check->next_at > now ? check->next_at : now);
	else
		timer_unset(&prober->loop, &check->timer);
	if (prober->once && !prober->unprobed)
		prober->loop.stop = true;
}

void check_finish(struct check *check, enum result result, const char *format, ...)
{
	char reason[REASON_SIZE];
	va_list list;

	va_start(list, format);
	vsnprintf(reason, sizeof(reason), format, list);
	va_end(list);
	kind(check)->stop(check);
	check->running = false;
	/* Who answered, or did not, was somebody else. */
	if (result == RESULT_DOWN && check->probe->vip && !way_stands(&check->prober->way))
		judge(check, RESULT_UNKNOWN, check_trouble(ENODEV));
	else
		judge(check, result, reason);
	check_wait(check);
}

const char *check_trouble(int error)
{
	switch (error) {
	case EAFNOSUPPORT:
		return "via vip: the backend is of another family: which source? source ADDRESS";
	case EOPNOTSUPP:
		return "via vip: backends of this mode do not have the VIP";
	case ENODEV:
		return "via vip: there is no way to the VIP now";
	default:
		return strerror(error);
	}
}

static void check_begin(struct check *check)
{
	const struct probe *probe = check->probe;
	__u64 now = loop_now();
	int error;

	check->running = true;
	check->excused = false;
	check->next_at = now + interval_jittered(probe->interval, probe->jitter,
						 (__u32)random() << 1);
	timer_set(&check->prober->loop, &check->timer, now + probe->timeout);
	error = kind(check)->begin(check);
	if (error)
		check_finish(check, RESULT_UNKNOWN, "%s", check_trouble(-error));
}

/*
 * What has come in time was taken, but where it wants something of us to go on, as TLS
 * does, that was missing: it gets as much time again.  Once, so that a prober which is
 * always late finds out who is down all the same.
 */
static bool check_excuse(struct check *check)
{
	__u64 now = loop_now(), late = now - check->timer.at;
	__u32 timeout = check->probe->timeout;

	if (check->excused || late < LATE)
		return false;
	check->excused = true;
	timer_set(&check->prober->loop, &check->timer, now + (late < timeout ? late : timeout));
	return true;
}

static void check_timer(void *context)
{
	struct check *check = context;

	if (check->running && check_excuse(check))
		return;
	if (check->running)
		check_finish(check, RESULT_DOWN, "no answer within %g seconds",
			     check->probe->timeout / 1000.0);
	else
		check_begin(check);
}

struct check *check_new(struct prober *prober, const struct probe *probe)
{
	struct check *check = calloc(1, sizeof(*check));

	/* Besides each check the prober itself has two. */
	if (!check || timer_reserve(&prober->loop, prober->count + 3)) {
		free(check);
		return NULL;
	}
	check->prober = prober;
	check->probe = probe;
	check->timer.run = check_timer;
	check->timer.context = check;
	prober->count++;
	prober->unprobed++;
	kind(check)->init(check);
	return check;
}

static void check_halt(struct check *check)
{
	timer_unset(&check->prober->loop, &check->timer);
	if (check->running)
		kind(check)->stop(check);
	check->running = false;
	kind(check)->free(check);
}

void check_free(struct check *check)
{
	check_halt(check);
	check->prober->count--;
	check->prober->unprobed -= !check->probed;
	free(check);
}

void check_start(struct check *check, __u64 at)
{
	timer_set(&check->prober->loop, &check->timer, at);
}

void check_change(struct check *check, const struct probe *probe, __u64 at)
{
	check_halt(check);
	check->probe = probe;
	check->health.contrary = 0;
	kind(check)->init(check);
	check_start(check, at);
}
