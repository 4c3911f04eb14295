// SPDX-License-Identifier: GPL-2.0-only
/* Which backends there are to be probed: those of the maps. */
#define _GNU_SOURCE	/* tdestroy */
#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>

#include "maps.h"
#include "probe.h"

/* Milliseconds until what was told is told again. */
#define TELL_AGAIN 60000

static int key_order(const void *a, const void *b)
{
	const struct check *left = a, *right = b;

	return memcmp(&left->key, &right->key, sizeof(left->key));
}

static struct check *check_find(const struct prober *prober, const struct xlb_backend_key *key)
{
	struct check sought = { .key = *key };
	struct check **found = tfind(&sought, &prober->tree, key_order);

	return found ? *found : NULL;
}

/*
 * When a check begins.  Several are spread over half an interval; together with the
 * time until it was seen in the map that is at most one.
 */
static __u64 spread(const struct prober *prober, const struct probe *probe)
{
	/* Once is as soon as may be, short of all in the same moment. */
	if (prober->once)
		return loop_now() + prober->count;
	return loop_now() + random() % (probe->interval / 2);
}

static struct check *check_add(struct prober *prober, const struct probe *probe,
			       const struct xlb_backend_key *key,
			       const struct xlb_backend *value, int *error)
{
	struct check *check = check_new(prober, probe);

	*error = check ? 0 : -ENOMEM;
	if (!check)
		return NULL;
	check->key = *key;
	check->service = probe->service;
	memcpy(check->end.address, key->address, sizeof(key->address));
	check->end.port = key->port;
	check->end.protocol = key->protocol;
	check->mapped = value->health;
	check->id = value->id;
	check->health.up = value->health != XLB_DOWN;
	check->seen = true;
	if (!tsearch(check, &prober->tree, key_order)) {
		check_free(check);
		*error = -ENOMEM;
		return NULL;
	}
	check->next = prober->checks;
	prober->checks = check;
	check_start(check, spread(prober, probe));
	return check;
}

/*
 * What the map has otherwise is told again: at once where somebody else has changed it, or
 * nobody could, and now and then where what was told did not get there.
 * A backend that was deleted and added again counts as a change, and has another id: what
 * the map had in between may not have been seen.
 */
static void check_compare(struct check *check, const struct xlb_backend *value)
{
	bool changed = check->mapped != value->health || check->id != value->id;
	bool up = value->health != XLB_DOWN;

	check->mapped = value->health;
	check->id = value->id;
	check->seen = true;
	if (!check->health.known)
		check->health.up = up;
	else if (check->health.up != up && (changed || check->prober->lost ||
					    loop_now() - check->told_at >= TELL_AGAIN))
		check_tell(check);
}

static struct check *backend_follow(struct prober *prober, const struct xlb_backend_key *key,
				    const struct xlb_backend *value, int *error)
{
	struct check *check = check_find(prober, key);
	struct endpoint service = { .port = key->service_port, .protocol = key->protocol };
	const struct probe *probe;

	if (check) {
		check_compare(check, value);
		return check;
	}
	memcpy(service.address, key->service_address, sizeof(service.address));
	probe = probe_find(&prober->config, &service);
	return probe ? check_add(prober, probe, key, value, error) : NULL;
}

/* Who the backend is to those who take packets to it, and how they do. */
static __u32 mark_find(const struct maps *maps, const struct check *check,
		       const struct xlb_backend *value)
{
	bool v4 = address_is4(check->service.address);
	struct xlb_service service;
	union endpoint_key key;

	endpoint_to_key(&check->service, &key);
	if (bpf_map_lookup_elem(maps->fd[v4 ? MAP_SERVICES4 : MAP_SERVICES6], &key, &service))
		return 0;
	return way_mark(service.mode, value->id);
}

/* Whoever is not seen is no more. */
static void checks_sweep(struct prober *prober)
{
	struct check **place = &prober->checks, *check;

	while ((check = *place)) {
		if (check->seen) {
			check->seen = false;
			place = &check->next;
			continue;
		}
		*place = check->next;
		tdelete(check, &prober->tree, key_order);
		check_free(check);
	}
}

enum status checks_follow(struct prober *prober)
{
	struct xlb_backend_key *keys = NULL;
	struct xlb_backend *values = NULL;
	enum status status = STATUS_DONE;
	struct check *check;
	struct maps maps;
	unsigned count;
	int error = maps_open(&maps, prober->pin, MAPS_LOOK);

	if (!error)
		error = map_read(&maps, MAP_BACKENDS, (void **)&keys, (void **)&values, &count);
	for (unsigned i = 0; !error && i < count; i++) {
		check = backend_follow(prober, &keys[i], &values[i], &error);
		if (check && check->probe->vip)
			check->mark = mark_find(&maps, check, &values[i]);
	}
	if (!error)
		checks_sweep(prober);
	else if (!prober->lost || error == -EPROTO)
		status = maps_fail(NULL, &maps, error);
	/* Of another version now, whose prober is to follow. */
	if (error == -EPROTO)
		prober_end(prober, status);
	if (!error && prober->config.vip)
		status = way_open(&prober->way, &maps);
	prober->lost = error;
	free(keys);
	free(values);
	maps_close(&maps);
	return status;
}

void checks_change(struct prober *prober)
{
	for (struct check *check = prober->checks; check; check = check->next) {
		const struct probe *probe = probe_find(&prober->config, &check->service);

		check->seen = probe;
		if (probe)
			check_change(check, probe, spread(prober, probe));
	}
	checks_sweep(prober);
}

static void keep(void *node)
{
	(void)node;
}

void checks_free(struct prober *prober)
{
	tdestroy(prober->tree, keep);
	while (prober->checks) {
		struct check *check = prober->checks;

		prober->checks = check->next;
		check_free(check);
	}
}
