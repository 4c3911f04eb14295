// SPDX-License-Identifier: GPL-2.0-only
/* xlb monitor: services and backends, by what the maps say of them. */
#include <stdlib.h>
#include <string.h>

#include "monitor.h"
#include "service.h"

/* What `show` says, as an object of JSON. */
static json_t *service_json(const struct service *service)
{
	struct output fields = { .json = true };

	output_object(&fields, NULL);
	service_fields(&fields, service);
	output_close(&fields);
	return fields.document;
}

static json_t *backend_json(const struct backend *backend)
{
	struct output fields = { .json = true };

	output_object(&fields, NULL);
	backend_fields(&fields, backend);
	output_close(&fields);
	return fields.document;
}

/* Leaves of the first object what the second has otherwise; false: nothing. */
static bool difference(json_t *old, json_t *now)
{
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe(old, next, key, value)
		if (json_equal(value, json_object_get(now, key)))
			json_object_del(old, key);
	json_decref(now);
	return json_object_size(old);
}

static void was_text(struct output *line, const char *key, const json_t *value)
{
	if (json_is_string(value))
		output_text(line, "%s %s", key, json_string_value(value));
	else if (json_is_boolean(value))
		output_text(line, "%s %s", key, json_is_true(value) ? "on" : "off");
	else if (json_is_null(value))
		output_text(line, "%s none", key);
	else
		output_text(line, "%s %lld", key, (long long)json_integer_value(value));
}

/* The fields that were others; takes them. */
static void was_tell(struct monitor *monitor, json_t *was)
{
	const char *key;
	json_t *value;

	output_text(&monitor->line, "was");
	json_object_foreach(was, key, value)
		was_text(&monitor->line, key, value);
	output_detail(&monitor->line, "was", was);
}

static void service_tell(struct monitor *monitor, const struct service *service,
			 const char *action, json_t *was)
{
	if (!monitor_wants(monitor, &service->endpoint, NULL)) {
		json_decref(was);
		return;
	}
	monitor_begin(monitor, "service", action, 0);
	service_fields(&monitor->line, service);
	if (was)
		was_tell(monitor, was);
	monitor_end(monitor);
}

static void backend_tell(struct monitor *monitor, const struct backend *backend,
			 const char *action, json_t *was)
{
	if (!monitor_wants(monitor, &backend->service->endpoint, &backend->end)) {
		json_decref(was);
		return;
	}
	monitor_begin(monitor, "backend", action, 0);
	backend_fields(&monitor->line, backend);
	if (was)
		was_tell(monitor, was);
	monitor_end(monitor);
}

static void service_compare(struct monitor *monitor, const struct service *old,
			    const struct service *now)
{
	json_t *was;

	if (!memcmp(&old->value, &now->value, sizeof(now->value)))
		return;
	was = service_json(old);
	if (difference(was, service_json(now)))
		service_tell(monitor, now, "changed", was);
	else
		json_decref(was);
}

static void backend_compare(struct monitor *monitor, const struct backend *old,
			    const struct backend *now)
{
	json_t *was;

	if (!memcmp(&old->value, &now->value, sizeof(now->value)))
		return;
	/* Whoever was deleted and added again is another. */
	if (old->value.id != now->value.id) {
		backend_tell(monitor, old, "deleted", NULL);
		backend_tell(monitor, now, "added", NULL);
		return;
	}
	was = backend_json(old);
	if (difference(was, backend_json(now)))
		backend_tell(monitor, now, "changed", was);
	else
		json_decref(was);
}

static void backends_gone(struct monitor *monitor, const struct service *service,
			  const struct state *now)
{
	struct backend **backends = backends_sorted(service);

	for (unsigned i = 0; backends && backends[i]; i++)
		if (!state_backend_by_key(now, &backends[i]->key))
			backend_tell(monitor, backends[i], "deleted", NULL);
	free(backends);
}

static void backends_follow(struct monitor *monitor, const struct state *old,
			    const struct service *service)
{
	struct backend **backends = backends_sorted(service);

	for (unsigned i = 0; backends && backends[i]; i++) {
		const struct backend *before = state_backend_by_key(old, &backends[i]->key);

		if (before)
			backend_compare(monitor, before, backends[i]);
		else
			backend_tell(monitor, backends[i], "added", NULL);
	}
	free(backends);
}

void changes_tell(struct monitor *monitor, const struct state *old, const struct state *now)
{
	for (unsigned i = 0; i < old->count; i++) {
		backends_gone(monitor, old->list[i], now);
		if (!state_service(now, &old->list[i]->endpoint))
			service_tell(monitor, old->list[i], "deleted", NULL);
	}
	for (unsigned i = 0; i < now->count; i++) {
		const struct service *service = now->list[i];
		const struct service *before = state_service(old, &service->endpoint);

		if (before)
			service_compare(monitor, before, service);
		else
			service_tell(monitor, service, "added", NULL);
		backends_follow(monitor, old, service);
	}
}
