// SPDX-License-Identifier: GPL-2.0-only
/* xlb decap: on a backend, the addresses that decap.o undoes tunnels for, and its counters. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "command.h"
#include "counters.h"
#include "decap_abi.h"
#include "endpoint.h"
#include "maps.h"
#include "privilege.h"

#define LOCALS "decap_locals"
#define STATS "decap_stats"

/* A map of decap.o, and where it was looked for. */
struct pinned {
	char folder[PATH_MAX];
	char second[PATH_MAX];	/* the other one of -ENOTUNIQ */
	int fd;			/* -1 unless open */
	bool change;		/* or only to be read */
	__u32 entries;		/* max_entries */
};

/* An entry of decap_locals. */
struct local {
	__u8 address[16];	/* IPv4 as ::ffff:a.b.c.d */
	struct decap_local value;
};

static enum status pinned_fail(const struct args *args, const struct pinned *map, const char *name,
			       int error)
{
	switch (error) {
	case -ENOENT:
		return args_fail(args, STATUS_REFUSED, "no maps of decap.o%s%s: load it first (ip "
				 "link set dev IF xdp obj decap.o)", map->folder[0] ? " in " : "",
				 map->folder);
	case -ENOTUNIQ:
		return args_fail(args, STATUS_REFUSED, "maps of decap.o in both %s and %s: choose "
				 "with -pin DIR or $XLB_PIN", map->folder, map->second);
	case -EPROTO:
		return args_fail(args, STATUS_REFUSED, "%s in %s is of another version: unload, "
				 "remove the pins and load again", name, map->folder);
	case -EACCES:
		return args_fail(args, STATUS_REFUSED, "the maps in %s are not for this user to %s: "
				 "run as root, or see PRIVILEGES in xlb(8)",
				 map->folder[0] ? map->folder : BPFFS,
				 map->change ? "change" : "read");
	case -EPERM:
		return args_fail(args, STATUS_REFUSED, "%s", privilege_explain(error, PRIVILEGE_LOOK));
	default:
		return args_fail(args, STATUS_REFUSED, "%s in %s: %s", name, map->folder,
				 strerror(-error));
	}
}

static int pinned_try(struct pinned *map, const char *pin, const char *name, __u32 value_size)
{
	struct bpf_map_info info = {};
	__u32 size = sizeof(info);
	char path[PATH_MAX + 32];
	int error = pins_find(name, pin, map->folder, map->second);

	if (error)
		return error;
	snprintf(path, sizeof(path), "%s/%s", map->folder, name);
	map->fd = map_pin_open(path, !map->change);
	if (map->fd < 0)
		return map->fd;
	error = bpf_obj_get_info_by_fd(map->fd, &info, &size);
	if (error)
		return error;
	map->entries = info.max_entries;
	return info.value_size == value_size ? 0 : -EPROTO;
}

/* Opens a map or says why not.  Always to be followed by pinned_close(). */
static enum status pinned_open(const struct context *context, const struct args *args,
			       struct pinned *map, const char *name, __u32 value_size, bool change)
{
	int error;

	*map = (struct pinned){ .fd = -1, .change = change };
	error = pinned_try(map, context->pin, name, value_size);
	return error ? pinned_fail(args, map, name, error) : STATUS_DONE;
}

static void pinned_close(const struct pinned *map)
{
	if (map->fd >= 0)
		close(map->fd);
}

static enum status locals_open(const struct context *context, const struct args *args,
			       struct pinned *map, bool change)
{
	return pinned_open(context, args, map, LOCALS, sizeof(struct decap_local), change);
}

static enum status address_take(struct args *args, __u8 *address)
{
	const char *word = args_subject(args), *why;

	if (!word)
		return args_fail(args, STATUS_USAGE, "which address? a.b.c.d or [IPv6]");
	why = address_parse(word, address);
	return why ? args_fail(args, STATUS_USAGE, "%s", why) : STATUS_DONE;
}

/* What the kernel says of an entry to add, change or delete. */
static enum status local_done(const struct args *args, int error)
{
	switch (error) {
	case 0:
		return STATUS_DONE;
	case -EEXIST:
		return args_fail(args, STATUS_REFUSED, "exists already");
	case -ENOENT:
		return args_fail(args, STATUS_REFUSED, "no such address");
	case -E2BIG:
		return args_fail(args, STATUS_REFUSED, "no more than %u addresses",
				 DECAP_LOCALS_MAX);
	default:
		return args_fail(args, STATUS_REFUSED, "%s", strerror(-error));
	}
}

static enum status local_write(struct context *context, struct args *args, __u64 flags)
{
	struct keyword given[] = {
		{ .name = "gue", .type = KEYWORD_NUMBER, .minimum = 1, .maximum = 65535,
		  .number = DECAP_GUE_PORT_DEFAULT },
		{},
	};
	struct pinned map;
	struct local local = {};
	enum status status;

	if (address_take(args, local.address) || args_keywords(args, given))
		return STATUS_USAGE;
	if (flags == BPF_EXIST && !given[0].given)
		return args_fail(args, STATUS_USAGE, "nothing to change: gue PORT");
	local.value.gue_port = given[0].number;
	status = locals_open(context, args, &map, true);
	if (!status)
		status = local_done(args, bpf_map_update_elem(map.fd, local.address, &local.value,
							      flags));
	pinned_close(&map);
	return status;
}

static enum status cmd_add(struct context *context, struct args *args)
{
	return local_write(context, args, BPF_NOEXIST);
}

static enum status cmd_change(struct context *context, struct args *args)
{
	return local_write(context, args, BPF_EXIST);
}

static enum status cmd_del(struct context *context, struct args *args)
{
	struct pinned map;
	__u8 address[16];
	enum status status;

	if (address_take(args, address) || args_end(args))
		return STATUS_USAGE;
	status = locals_open(context, args, &map, true);
	if (!status)
		status = local_done(args, bpf_map_delete_elem(map.fd, address));
	pinned_close(&map);
	return status;
}

/* IPv4 first, then by address. */
static int local_order(const void *a, const void *b)
{
	const struct local *left = a, *right = b;
	int order = address_is4(right->address) - address_is4(left->address);

	return order ? order : memcmp(left->address, right->address, sizeof(left->address));
}

static void local_show(struct output *output, const struct local *local)
{
	struct endpoint end = {};
	char text[ENDPOINT_TEXT];

	memcpy(end.address, local->address, sizeof(end.address));
	output_line(output, 0);
	output_object(output, NULL);
	output_text(output, "%s", backend_text(&end, text));
	output_detail(output, "address", json_string(address_text(local->address, text)));
	output_number(output, "gue", local->value.gue_port);
	output_close(output);
}

/* All of them, each once, which the caller frees. */
static int locals_read(const struct pinned *map, struct local **locals, unsigned *count)
{
	struct decap_local *values = calloc(map->entries, sizeof(*values));
	__u8 (*addresses)[16] = calloc(map->entries, sizeof(*addresses));
	__u32 place, read = map->entries;
	int error = -ENOMEM;

	*locals = calloc(map->entries, sizeof(**locals));
	if (values && addresses && *locals)
		error = bpf_map_lookup_batch(map->fd, NULL, &place, addresses, values, &read, NULL);
	/* -ENOENT: there are no more than these. */
	if (error == -ENOENT)
		error = 0;
	*count = error ? 0 : read;
	for (unsigned i = 0; i < *count; i++) {
		memcpy((*locals)[i].address, addresses[i], sizeof(addresses[i]));
		(*locals)[i].value = values[i];
	}
	free(addresses);
	free(values);
	return error;
}

static int locals_show(struct output *output, const struct pinned *map)
{
	struct local *locals;
	unsigned count;
	int error = locals_read(map, &locals, &count);

	if (!error) {
		qsort(locals, count, sizeof(*locals), local_order);
		output_list(output, NULL);
		for (unsigned i = 0; i < count; i++)
			local_show(output, &locals[i]);
		output_close(output);
	}
	free(locals);
	return error;
}

static enum status cmd_show(struct context *context, struct args *args)
{
	struct pinned map;
	enum status status;
	int error;

	if (args_end(args))
		return STATUS_USAGE;
	status = locals_open(context, args, &map, false);
	if (!status) {
		error = locals_show(&context->output, &map);
		if (error)
			status = pinned_fail(args, &map, LOCALS, error);
	}
	pinned_close(&map);
	return status;
}

static enum status cmd_stats(struct context *context, struct args *args)
{
	struct pinned map;
	enum status status;
	int error;

	if (args_end(args))
		return STATUS_USAGE;
	status = pinned_open(context, args, &map, STATS, sizeof(struct decap_stats), false);
	if (!status) {
		output_object(&context->output, NULL);
		error = counters_show(&context->output, map.fd, "decap.o", STATS);
		output_close(&context->output);
		if (error)
			status = pinned_fail(args, &map, STATS, error);
	}
	pinned_close(&map);
	return status;
}

static const struct command commands[] = {
	{ "add", cmd_add, false },
	{ "change", cmd_change, false },
	{ "del", cmd_del, false },
	{ "show", cmd_show, false },
	{ "stats", cmd_stats, false },
	{},
};

const struct object decap_object = {
	.name = "decap",
	.usage = "xlb decap { add | change } ADDRESS [ gue PORT ]\n"
		 "       xlb decap del ADDRESS\n"
		 "       xlb decap [ show | stats ]\n"
		 "ADDRESS := { a.b.c.d | [IPv6] }\n"
		 "PORT := 1..65535, 6080 if left out\n",
	.commands = commands,
};
