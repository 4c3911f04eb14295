// SPDX-License-Identifier: GPL-2.0-only
/* xlb-probe's configuration: the input is the file. */
#define _GNU_SOURCE	/* open_memstream, twalk_r */
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helper.h"
#include "kernel.h"
#include "probe_config.h"

int LLVMFuzzerInitialize(int *count, char ***words)
{
	(void)count;
	(void)words;
	args_program = "xlb";
	kernel_begin();
	return 0;
}

static void duration_judge(__u32 milliseconds)
{
	holds(milliseconds >= 100 && milliseconds <= 3600000, "times are in their range", NULL);
}

static void probe_judge(const void *node, VISIT visit, void *context)
{
	const struct probe *probe = *(const struct probe *const *)node;
	const struct probe_config *config = context;

	if (visit != postorder && visit != leaf)
		return;
	duration_judge(probe->interval);
	duration_judge(probe->timeout);
	holds(config->shortest <= probe->interval, "the shortest is", NULL);
	holds(probe->rise >= 1 && probe->rise <= 100 && probe->fall >= 1 && probe->fall <= 100,
	      "results are counted in their range", NULL);
	holds(probe->jitter <= 50, "the jitter is in its range", NULL);
	holds(probe->type == PROBE_EXEC || probe->port || probe->service.port, "there is a port",
	      NULL);
	holds(!probe->vip || (config->vip && !address_is_any(probe->service.address)),
	      "a VIP is known", NULL);
	holds(!probe->source || probe->vip, "a source is for VIPs", NULL);
	holds((probe->type == PROBE_EXEC) == !!probe->command, "there is a command", NULL);
	for (char **word = probe->command; word && *word; word++)
		holds(word < probe->words + WORDS_MAX, "the command ends", NULL);
	if (probe->type != PROBE_HTTP && probe->type != PROBE_HTTPS)
		return;
	holds(probe->path && *probe->path == '/' && !strpbrk(probe->path, " \r\n\t#"),
	      "the path is one", NULL);
	holds(!probe->host || !strpbrk(probe->host, "/@:?# \r\n"), "the host is a name", NULL);
	holds(probe->status_first >= 100 && probe->status_first <= probe->status_last &&
	      probe->status_last <= 599, "the status is one", NULL);
	holds(probe_find(config, &probe->service) == probe, "it is found", NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct probe_config config;
	FILE *stream = stderr;
	struct said said = {};
	int status;

	kernel_file(data, size);
	stderr = open_memstream(&said.error, &said.error_size);
	status = probe_config_read(&config, KERNEL_FILE);
	fclose(stderr);
	stderr = stream;
	said_judge(&said, status);
	if (!status)
		twalk_r(config.probes, probe_judge, &config);
	probe_config_free(&config);
	said_free(&said);
	return 0;
}
