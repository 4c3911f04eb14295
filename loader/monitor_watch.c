// SPDX-License-Identifier: GPL-2.0-only
/* xlb monitor: waiting for what tells of itself, and looking at what does not. */
#define _GNU_SOURCE	/* ppoll */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "monitor.h"

/* Milliseconds from one look at what does not tell of its changes to the next. */
#define LOOK_INTERVAL 1000
/* After a look nothing is looked at again for so many times what it took.  Of the maps, few:
 * who writes them takes about as long, and between two writers is the time to look. */
#define LOOK_REST 20
#define LOOK_REST_MAPS 2

enum source { SOURCE_RING, SOURCE_FOLDER, SOURCE_LISTENER, SOURCE_OUTPUT, SOURCES };

static volatile sig_atomic_t ended;

static void on_signal(int signal)
{
	(void)signal;
	ended = 1;
}

/* When something is to be looked at, in clock_milliseconds(). */
struct look {
	__s64 next, rested;
};

/* Has its time come? */
static bool look_due(const struct look *look)
{
	return clock_milliseconds() >= look->next;
}

/* Something has happened there. */
static void look_soon(struct look *look)
{
	if (look->next > look->rested)
		look->next = look->rested;
}

/* It was looked at, since `begun`. */
static void look_done(struct look *look, __s64 begun, __s64 interval, int rest)
{
	__s64 now = clock_milliseconds();

	look->rested = now + (now - begun) * rest;
	look->next = now + interval > look->rested ? now + interval : look->rested;
}

struct looks {
	struct look state, links, hosts, events;
};

static enum status state_look(struct monitor *monitor, struct look *look)
{
	static const struct maps none;
	__s64 begun = clock_milliseconds();
	int error = monitor_read(monitor);

	look_done(look, begun, LOOK_INTERVAL, LOOK_REST_MAPS);
	switch (error) {
	case 0:
		return STATUS_DONE;
	case -EUCLEAN:
		/* Some other tool is at work; what it writes next may make sense again. */
		return monitor->state ? STATUS_DONE : maps_fail(monitor->args, &none, error);
	case -ENOENT:
	case -ENODATA:
	case -ESTALE:
		if (monitor->state)
			return args_fail(monitor->args, STATUS_REFUSED, "the maps in %s are gone, or "
					 "others have taken their place: begin again",
					 monitor->state->maps.folder);
		/* fall through */
	default:
		return maps_fail(monitor->args, monitor->state ? &monitor->state->maps : &none,
				 error);
	}
}

enum status monitor_netlink_fail(const struct monitor *monitor, int error)
{
	return args_fail(monitor->args, STATUS_REFUSED, "interfaces and neighbours: %s",
			 strerror(-error));
}

/* Of the kernel; the same host may be told of at most once each time. */
static enum status network_look(struct monitor *monitor, struct looks *looks)
{
	__s64 begun = clock_milliseconds();
	int error = 0;

	if (look_due(&looks->links)) {
		error = links_follow(monitor);
		look_done(&looks->links, begun, LOOK_INTERVAL, LOOK_REST);
	}
	if (!error && look_due(&looks->hosts)) {
		begun = clock_milliseconds();
		error = hosts_follow(monitor);
		/* Whatever changes there is heard of. */
		look_done(&looks->hosts, begun, INT_MAX, LOOK_REST);
	}
	return error ? monitor_netlink_fail(monitor, error) : STATUS_DONE;
}

static enum status looks_take(struct monitor *monitor, struct looks *looks)
{
	enum status status = STATUS_DONE;
	__s64 begun;
	int error = 0;

	if (look_due(&looks->state)) {
		const struct state *old = monitor->state;

		status = state_look(monitor, &looks->state);
		if (monitor->state != old)
			look_soon(&looks->hosts);
	}
	if (!status && monitor->listener)
		status = network_look(monitor, looks);
	if (!status && look_due(&looks->events)) {
		begun = clock_milliseconds();
		error = events_refresh(monitor);
		look_done(&looks->events, begun, LOOK_INTERVAL, 0);
	}
	return error ? args_fail(monitor->args, STATUS_REFUSED, "drops and flows: %s",
				 strerror(-error)) : status;
}

/* Milliseconds until something is due. */
static int looks_wait(const struct monitor *monitor, const struct looks *looks)
{
	__s64 next = looks->state.next, now = clock_milliseconds();

	if (looks->events.next < next)
		next = looks->events.next;
	if (monitor->listener && looks->links.next < next)
		next = looks->links.next;
	if (monitor->listener && looks->hosts.next < next)
		next = looks->hosts.next;
	return next > now ? next - now : 0;
}

static void folder_read(int folder, struct looks *looks)
{
	char events[4096] __attribute__((aligned(8)));

	while (read(folder, events, sizeof(events)) > 0)
		;
	look_soon(&looks->state);
}

static enum status sources_read(struct monitor *monitor, const struct pollfd *sources,
				struct looks *looks)
{
	bool more = false;
	int error = 0;

	if (sources[SOURCE_FOLDER].revents)
		folder_read(sources[SOURCE_FOLDER].fd, looks);
	if (sources[SOURCE_LISTENER].revents)
		error = links_hear(monitor, &more);
	if (error)
		return monitor_netlink_fail(monitor, error);
	if (more)
		look_soon(&looks->hosts);
	if (sources[SOURCE_RING].revents)
		error = events_tell(monitor);
	return error && !monitor->failed ?
		       args_fail(monitor->args, STATUS_REFUSED, "drops and flows: %s",
				 strerror(-error)) : STATUS_DONE;
}

/* Nobody reads any more, as after `| head`: nothing is left to do. */
static bool output_over(const struct monitor *monitor, const struct pollfd *sources)
{
	return monitor->failed == -EPIPE || sources[SOURCE_OUTPUT].revents & POLLERR;
}

/* Until a signal, an error, or nobody reads any more. */
static enum status watch(struct monitor *monitor, struct pollfd *sources, const sigset_t *signals)
{
	enum status status = STATUS_DONE;
	struct looks looks = {};
	struct timespec wait;
	sigset_t usual;
	int timeout;

	/* Signals count while output may block, and in ppoll(), but not on the way there. */
	while (!status && !ended && !monitor->failed) {
		status = looks_take(monitor, &looks);
		if (status || monitor->failed)
			break;
		timeout = looks_wait(monitor, &looks);
		wait = (struct timespec){ timeout / 1000, timeout % 1000 * 1000000L };
		sigprocmask(SIG_BLOCK, signals, &usual);
		if (!ended && ppoll(sources, SOURCES, &wait, &usual) < 0)
			for (int i = 0; i < SOURCES; i++)
				sources[i].revents = 0;
		sigprocmask(SIG_SETMASK, &usual, NULL);
		if (output_over(monitor, sources))
			return STATUS_DONE;
		if (!ended)
			status = sources_read(monitor, sources, &looks);
	}
	/* What had happened by then. */
	if (!status && !monitor->failed && !events_tell(monitor))
		events_refresh(monitor);
	if (!status && monitor->failed && !ended && monitor->failed != -EPIPE)
		status = args_fail(NULL, STATUS_REFUSED, "standard output: %s",
				   strerror(-monitor->failed));
	return status;
}

enum status monitor_watch(struct monitor *monitor)
{
	struct sigaction action = { .sa_handler = on_signal }, ignore = { .sa_handler = SIG_IGN };
	struct pollfd sources[SOURCES] = {
		[SOURCE_RING] = { events_descriptor(monitor), POLLIN, 0 },
		[SOURCE_FOLDER] = { monitor->folder, POLLIN, 0 },
		[SOURCE_LISTENER] = { monitor->listener ? mnl_socket_get_fd(monitor->listener) : -1,
				      POLLIN, 0 },
		[SOURCE_OUTPUT] = { STDOUT_FILENO, 0, 0 },
	};
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
	return watch(monitor, sources, &signals);
}
