// SPDX-License-Identifier: GPL-2.0-only
/* xlb monitor: drops and recorded flows, which packets leave in the ring xlb_events. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <net/if.h>

#include "clock.h"
#include "monitor.h"
#include "packet.h"

/* A monitor that is killed leaves packets telling for so long. */
#define WATCH_SECONDS 3

static const char *const event_names[XLB_EVENT_KINDS] = {
	[XLB_EVENT_DROP] = "drop",
	[XLB_EVENT_FLOW] = "flow",
};

/* What is known of an event's packet. */
struct sight {
	const struct xlb_event *event;
	struct packet packet, quoted;
	bool parsed;
	const struct service *service;	/* that it is for or, of a reply, from; or NULL */
	const struct backend *backend;	/* or NULL */
};

/*
 * An answer to the packet was made of it, that quotes it, or in mode dr one for the backend
 * itself, which makes the kernel look for that.
 */
static void sight_restore(struct sight *sight, struct monitor *monitor)
{
	if (sight->packet.error) {
		sight->packet = sight->quoted;
		sight->quoted = (struct packet){};
		return;
	}
	sight->backend = monitor_backend(monitor, &sight->packet.to, XLB_DR);
	if (!sight->backend)
		return;
	memcpy(sight->packet.to.address, sight->backend->service->endpoint.address,
	       sizeof(sight->packet.to.address));
}

static void sight_place(struct sight *sight, struct monitor *monitor)
{
	const struct state *state = monitor->state;
	const struct packet *packet = sight->quoted.protocol ? &sight->quoted : &sight->packet;
	__u16 id = sight->event->backend;

	if (id && id < state->maps.entries[MAP_TARGETS])
		sight->backend = state->by_id[id];
	if (sight->backend) {
		sight->service = sight->backend->service;
		return;
	}
	/* What is quoted ran the other way. */
	sight->service = state_service_match(state, packet == &sight->quoted ? &packet->from
									     : &packet->to);
	if (sight->service)
		return;
	sight->backend = monitor_backend(monitor, packet == &sight->quoted ? &packet->to
									   : &packet->from, 0);
	sight->service = sight->backend ? sight->backend->service : NULL;
}

static const char *end_text(const struct packet *packet, const struct endpoint *end, char *text)
{
	char protocol[ENDPOINT_TEXT], host[ENDPOINT_TEXT];

	snprintf(text, 2 * ENDPOINT_TEXT, "%s/%s", backend_text(end, host),
		 packet_protocol(packet, protocol));
	return text;
}

static void ends_tell(struct output *line, const struct packet *packet)
{
	char text[2 * ENDPOINT_TEXT];

	output_subject(line, "from", backend_text(&packet->from, text));
	output_string(line, "to", end_text(packet, &packet->to, text));
}

static void sight_tell(struct monitor *monitor, const struct sight *sight, __u64 time)
{
	const struct xlb_event *event = sight->event;
	bool drop = event->kind == XLB_EVENT_DROP;
	struct output *line = &monitor->line;
	char text[ENDPOINT_TEXT];

	monitor_begin(monitor, event_names[event->kind],
		      drop ? counter_name(&monitor->drops, event->reason) : "recorded", time);
	if (sight->parsed)
		ends_tell(line, &sight->packet);
	if (sight->quoted.protocol) {
		output_object(line, "about");
		output_text(line, "about");
		ends_tell(line, &sight->quoted);
		output_close(line);
	}
	output_detail(line, "service", sight->service ?
		      json_string(service_text(&sight->service->endpoint, text)) : json_null());
	output_string(line, "backend",
		      sight->backend ? backend_text(&sight->backend->end, text) : NULL);
	output_string(line, "dev", monitor_dev(event->ifindex, text));
	monitor_end(monitor);
}

static int on_event(void *context, void *data, size_t size)
{
	const struct xlb_event *event = data;
	struct sight sight = { .event = event };
	struct monitor *monitor = context;

	/* While those of a dead reader are thrown away there is no state yet. */
	if (!monitor->state || size < sizeof(*event) || event->kind >= XLB_EVENT_KINDS ||
	    event->length > sizeof(event->frame))
		return 0;
	sight.parsed = packet_parse(event->frame, event->length, &sight.packet, &sight.quoted);
	if (sight.parsed) {
		if (event->kind == XLB_EVENT_DROP && event->action != XDP_DROP)
			sight_restore(&sight, monitor);
		sight_place(&sight, monitor);
	}
	if (monitor_wants(monitor, sight.service ? &sight.service->endpoint : NULL,
			  sight.backend ? &sight.backend->end : NULL))
		sight_tell(monitor, &sight,
			   clock_nanoseconds(CLOCK_REALTIME) - clock_nanoseconds(CLOCK_MONOTONIC) +
			   event->time);
	return monitor->failed;
}

/* A ring has one reader.  Its map itself cannot be locked; xlb_watch, which goes with it,
 * can, unless it was loaded without BTF. */
static enum status watch_lock(struct monitor *monitor, const struct maps *maps)
{
	char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/%s", maps->folder, map_name(MAP_WATCH));
	monitor->lock = open(path, O_RDONLY | O_CLOEXEC);
	if (monitor->lock < 0 || !flock(monitor->lock, LOCK_EX | LOCK_NB))
		return STATUS_DONE;
	if (errno != EWOULDBLOCK)
		return STATUS_DONE;
	return args_fail(monitor->args, STATUS_REFUSED, "another one reads the drops and flows of "
			 "%s, which have one reader: end it, or ask for what needs none: "
			 "xlb monitor change link nexthop", maps->folder);
}

static int missed_read(const struct monitor *monitor, __u32 kind, __u64 *missed)
{
	int cpus = libbpf_num_possible_cpus(), error;
	struct xlb_sample *samples;

	if (cpus < 0)
		return cpus;
	samples = calloc(cpus, sizeof(*samples));
	error = samples ? bpf_map_lookup_elem(monitor->samples, &kind, samples) : -ENOMEM;
	*missed = 0;
	for (int i = 0; !error && i < cpus; i++)
		*missed += samples[i].missed;
	free(samples);
	return error;
}

/* For as long from now, or for no longer. */
static int watch_write(const struct monitor *monitor, bool on)
{
	const __u32 zero = 0, hz = clock_hz();
	struct xlb_watch watch = { .interval = hz };
	int error = 0;

	if (on) {
		error = clock_read(monitor->clock, &watch.until);
		watch.until += WATCH_SECONDS * hz;
		watch.kinds = monitor->wanted[MONITOR_DROP] << XLB_EVENT_DROP |
			      monitor->wanted[MONITOR_FLOW] << XLB_EVENT_FLOW;
	}
	return error ?: bpf_map_update_elem(monitor->watch, &zero, &watch, BPF_ANY);
}

/* Once more, to be written to: by all else in this command the maps are only read. */
static int writable_open(const struct maps *maps, enum map map)
{
	char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/%s", maps->folder, map_name(map));
	return map_pin_open(path, false);
}

static int ring_open(struct monitor *monitor, const struct maps *maps)
{
	int error;

	/* Closed, it would no longer be waited for. */
	monitor->events = writable_open(maps, MAP_EVENTS);
	if (monitor->events < 0)
		return monitor->events;
	monitor->ring = ring_buffer__new(monitor->events, on_event, monitor, NULL);
	if (!monitor->ring)
		return -errno;
	monitor->clock = clock_open();
	if (monitor->clock < 0)
		return monitor->clock;
	monitor->watch = writable_open(maps, MAP_WATCH);
	if (monitor->watch < 0)
		return monitor->watch;
	monitor->samples = fcntl(maps->fd[MAP_SAMPLES], F_DUPFD_CLOEXEC, 0);
	if (monitor->samples < 0)
		return -errno;
	error = counters_open(&monitor->drops, maps->fd[MAP_DROPS], "xlb.o", "xlb_drops");
	if (error)
		return error;
	for (__u32 kind = 0; !error && kind < XLB_EVENT_KINDS; kind++)
		error = missed_read(monitor, kind, &monitor->missed[kind]);
	if (!error)
		error = ring_buffer__consume(monitor->ring);
	return error < 0 ? error : 0;
}

enum status events_open(struct monitor *monitor, const struct maps *maps)
{
	struct maps failed;
	int error;

	if (!monitor->wanted[MONITOR_DROP] && !monitor->wanted[MONITOR_FLOW])
		return STATUS_DONE;
	if (watch_lock(monitor, maps))
		return STATUS_REFUSED;
	error = ring_open(monitor, maps);
	if (!error)
		return STATUS_DONE;
	/* Who asks to be told of packets writes that down. */
	failed = *maps;
	failed.use = MAPS_CHANGE;
	return maps_fail(monitor->args, &failed, error);
}

int events_descriptor(const struct monitor *monitor)
{
	return monitor->ring ? ring_buffer__epoll_fd(monitor->ring) : -1;
}

int events_tell(struct monitor *monitor)
{
	int error = monitor->ring ? ring_buffer__consume(monitor->ring) : 0;

	return error < 0 ? error : 0;
}

static int missed_tell(struct monitor *monitor, __u32 kind)
{
	__u64 missed;
	int error = missed_read(monitor, kind, &missed);

	if (error || missed == monitor->missed[kind])
		return error;
	monitor_begin(monitor, event_names[kind], "missed", 0);
	output_number(&monitor->line, "packets", missed - monitor->missed[kind]);
	monitor_end(monitor);
	monitor->missed[kind] = missed;
	return monitor->failed;
}

int events_refresh(struct monitor *monitor)
{
	int error = 0;

	if (!monitor->ring)
		return 0;
	for (__u32 kind = 0; !error && kind < XLB_EVENT_KINDS; kind++)
		error = missed_tell(monitor, kind);
	return error ?: watch_write(monitor, true);
}

void events_close(struct monitor *monitor)
{
	const int descriptors[] = { monitor->events, monitor->clock, monitor->watch, monitor->samples,
				    monitor->lock };

	/* Whoever was refused because of the lock has no say. */
	if (monitor->watch >= 0)
		watch_write(monitor, false);
	ring_buffer__free(monitor->ring);
	counters_close(&monitor->drops);
	for (unsigned i = 0; i < sizeof(descriptors) / sizeof(descriptors[0]); i++)
		if (descriptors[i] >= 0)
			close(descriptors[i]);
}
