// SPDX-License-Identifier: GPL-2.0-only
/* The prober's configuration: a line says how the backends of a service are probed. */
#define _GNU_SOURCE	/* tdestroy */
#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe_config.h"

static int service_order(const void *a, const void *b)
{
	const struct probe *left = a, *right = b;

	return endpoint_compare(&left->service, &right->service);
}

static void probe_free(void *node)
{
	struct probe *probe = node;

	free(probe->text);
	free(probe);
}

const struct probe *probe_find(const struct probe_config *config, const struct endpoint *service)
{
	struct probe sought = { .service = *service };
	struct probe **found = tfind(&sought, &config->probes, service_order);

	return found ? *found : NULL;
}

void probe_config_free(struct probe_config *config)
{
	tdestroy(config->probes, probe_free);
	config->probes = NULL;
}

static enum status probe_add(struct probe_config *config, struct args *args, struct probe *probe)
{
	enum status status = probe_parse(args, probe);
	struct probe **found;

	if (status)
		return status;
	found = tsearch(probe, &config->probes, service_order);
	if (!found)
		return args_fail(args, STATUS_REFUSED, "%s", strerror(ENOMEM));
	if (*found != probe)
		return args_fail(args, STATUS_USAGE, "the service is probed already by another "
				 "line");
	if (!config->shortest || probe->interval < config->shortest)
		config->shortest = probe->interval;
	config->vip |= probe->vip;
	return STATUS_DONE;
}

static enum status line_read(struct probe_config *config, const char *line, struct args *args)
{
	struct probe *probe = calloc(1, sizeof(*probe));
	const char *why;
	enum status status;

	if (probe)
		probe->text = strdup(line);
	if (!probe || !probe->text) {
		free(probe);
		return args_fail(args, STATUS_REFUSED, "%s", strerror(ENOMEM));
	}
	why = words_cut(probe->text, probe->words, &args->count);
	args->words = probe->words;
	if (why)
		status = args_fail(args, STATUS_USAGE, "%s", why);
	else if (!args->count)
		status = STATUS_DONE;
	else
		status = probe_add(config, args, probe);
	if (status || !args->count)
		probe_free(probe);
	return status;
}

/* Memory is no fault of the file. */
static enum status file_fail(const char *file)
{
	return args_fail(NULL, errno == ENOMEM ? STATUS_REFUSED : STATUS_USAGE, "%s: %s", file,
			 strerror(errno));
}

enum status probe_config_read(struct probe_config *config, const char *file)
{
	FILE *stream = fopen(file, "re");
	enum status status = STATUS_DONE;
	unsigned number = 0;
	char *line = NULL;
	size_t size = 0;
	ssize_t length;

	memset(config, 0, sizeof(*config));
	if (!stream)
		return file_fail(file);
	while (!status && (length = getline(&line, &size, stream)) >= 0) {
		struct args args = { .file = file, .line = ++number };

		if (strlen(line) < (size_t)length)
			status = args_fail(&args, STATUS_USAGE, "a NUL byte: not a line of text");
		else
			status = line_read(config, line, &args);
	}
	/* Out of memory is not the end, either. */
	if (!status && !feof(stream))
		status = file_fail(file);
	else if (!status && !config->probes)
		status = args_fail(NULL, STATUS_USAGE, "%s: no line says what to probe", file);
	free(line);
	fclose(stream);
	return status;
}
