// SPDX-License-Identifier: GPL-2.0-only
/* xlb monitor: what happens, a line for each event, until it is told to end. */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>
#include <linux/rtnetlink.h>

#include "clock.h"
#include "command.h"
#include "monitor.h"
#include "service.h"

/* [YYYY-MM-DDTHH:MM:SS.microseconds], as ip -ts has it. */
static void time_text(struct output *line, __u64 time)
{
	time_t seconds = time / 1000000000;
	char text[32] = "";
	struct tm local;

	if (localtime_r(&seconds, &local))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &local);
	output_text(line, "[%s.%06llu]", text, time / 1000 % 1000000);
}

void monitor_begin(struct monitor *monitor, const char *event, const char *action, __u64 time)
{
	struct output *line = &monitor->line;
	__u64 microseconds;

	if (!time)
		time = clock_nanoseconds(CLOCK_REALTIME);
	/* As long as a number for people should be. */
	microseconds = time / 1000;
	output_line(line, 0);
	output_object(line, NULL);
	if (monitor->times)
		time_text(line, time);
	output_detail(line, "time", json_real(microseconds / 1e6));
	output_subject(line, "event", event);
	output_subject(line, "action", action);
}

void monitor_end(struct monitor *monitor)
{
	int error;

	output_close(&monitor->line);
	error = output_finish(&monitor->line);
	if (!monitor->failed)
		monitor->failed = error;
}

const char *monitor_dev(unsigned ifindex, char *text)
{
	if (!if_indextoname(ifindex, text))
		snprintf(text, IF_NAMESIZE, "if%u", ifindex);
	return text;
}

bool monitor_wants(const struct monitor *monitor, const struct endpoint *service,
		   const struct endpoint *backend)
{
	const struct endpoint *only = monitor->backend;

	if (monitor->service && (!service || endpoint_compare(service, monitor->service)))
		return false;
	return !only || (backend && !memcmp(backend->address, only->address, 16) &&
			 (!only->port || only->port == backend->port));
}

/* Writers open and close the folder for their lock. */
static int folder_watch(const char *folder)
{
	int notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	if (notify >= 0)
		inotify_add_watch(notify, folder, IN_CLOSE | IN_MOVED_TO | IN_DELETE);
	return notify;
}

static enum status network_open(struct monitor *monitor)
{
	static const unsigned groups[] = { RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_ROUTE,
					   RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE,
					   RTNLGRP_IPV6_RULE, 0 };

	if (!monitor->wanted[MONITOR_LINK] && !monitor->wanted[MONITOR_NEXTHOP])
		return STATUS_DONE;
	monitor->asker = netlink_open(NETLINK_ROUTE);
	if (monitor->asker)
		monitor->listener = netlink_listen(groups);
	return monitor->listener ? STATUS_DONE : monitor_netlink_fail(monitor, -errno);
}

static enum status monitor_open(struct monitor *monitor)
{
	struct maps maps;
	enum status status;
	int error = maps_open(&maps, monitor->pin, MAPS_LOOK);

	status = error ? maps_fail(monitor->args, &maps, error) : network_open(monitor);
	if (!status)
		status = events_open(monitor, &maps);
	if (!status)
		monitor->folder = folder_watch(maps.folder);
	maps_close(&maps);
	return status;
}

static void monitor_close(struct monitor *monitor)
{
	events_close(monitor);
	if (monitor->folder >= 0)
		close(monitor->folder);
	hosts_free(monitor);
	links_free(monitor);
	if (monitor->listener)
		mnl_socket_close(monitor->listener);
	if (monitor->asker)
		mnl_socket_close(monitor->asker);
	free(monitor->ends);
	state_free(monitor->state);
}

enum { SERVICE = MONITOR_KINDS, BACKEND, KEYWORDS };

static enum status wishes_take(struct args *args, struct monitor *monitor,
			       struct endpoint *service, struct endpoint *backend)
{
	struct keyword given[KEYWORDS + 1] = {
		[MONITOR_CHANGE] = { .name = "change", .type = KEYWORD_FLAG },
		[MONITOR_DROP] = { .name = "drop", .type = KEYWORD_FLAG },
		[MONITOR_FLOW] = { .name = "flow", .type = KEYWORD_FLAG },
		[MONITOR_LINK] = { .name = "link", .type = KEYWORD_FLAG },
		[MONITOR_NEXTHOP] = { .name = "nexthop", .type = KEYWORD_FLAG },
		[SERVICE] = SERVICE_KEYWORD,
		[BACKEND] = { .name = "backend", .type = KEYWORD_WORD },
	};
	bool some = false;
	const char *why;

	if (args_keywords(args, given) || service_argument(args, &given[SERVICE], service))
		return STATUS_USAGE;
	why = given[BACKEND].given ? backend_parse(given[BACKEND].word, backend) : NULL;
	if (why)
		return args_fail(args, STATUS_USAGE, "backend %s: %s", given[BACKEND].word, why);
	monitor->service = given[SERVICE].given ? service : NULL;
	monitor->backend = given[BACKEND].given ? backend : NULL;
	for (int kind = 0; kind < MONITOR_KINDS; kind++)
		some |= given[kind].given;
	for (int kind = 0; kind < MONITOR_KINDS; kind++)
		monitor->wanted[kind] = some ? given[kind].given : true;
	/* An interface is no one service's. */
	if (!some && (monitor->service || monitor->backend))
		monitor->wanted[MONITOR_LINK] = false;
	return STATUS_DONE;
}

static enum status cmd_monitor(struct context *context, struct args *args)
{
	struct monitor monitor = {
		.args = args,
		.pin = context->pin,
		.times = context->times,
		.line = { .json = context->output.json, .pretty = context->output.pretty },
		.folder = -1, .events = -1, .clock = -1, .lock = -1, .watch = -1, .samples = -1,
	};
	struct endpoint service, backend;
	enum status status;

	if (wishes_take(args, &monitor, &service, &backend))
		return STATUS_USAGE;
	/* The next line would wait for ever, and what others show as JSON be lost. */
	if (context->output.batch)
		return args_fail(args, STATUS_USAGE, "no line of a batch: it does not end");
	/* Each line is a document of its own. */
	context->output.json = false;
	status = monitor_open(&monitor);
	if (!status)
		status = monitor_watch(&monitor);
	monitor_close(&monitor);
	return status;
}

const struct object monitor_object = {
	.name = "monitor",
	.usage = "xlb monitor [ change ] [ drop ] [ flow ] [ link ] [ nexthop ]\n"
		 "                   [ service SERVICE ] [ backend BACKEND ]\n"
		 "SERVICE := ADDRESS:PORT/PROTOCOL\n"
		 "BACKEND := { a.b.c.d | [IPv6] }[:PORT]\n"
		 "All kinds of events if none is named, until it is interrupted.\n",
	.run = cmd_monitor,
};
