/* SPDX-License-Identifier: GPL-2.0-only */
/* The prober's configuration: a line says how the backends of a service are probed. */
#ifndef XLB_PROBE_CONFIG_H
#define XLB_PROBE_CONFIG_H

#include <stdbool.h>

#include "endpoint.h"
#include "words.h"

enum probe_type {
	PROBE_TCP = 1,
	PROBE_HTTP,
	PROBE_HTTPS,
	PROBE_EXEC,
};

/* One line.  Words are in `text`; those that are not given are NULL. */
struct probe {
	struct endpoint service;
	enum probe_type type;
	__u32 interval, timeout;	/* milliseconds */
	unsigned rise, fall;		/* results in a row */
	unsigned jitter;		/* percent of the interval */
	__u16 port;			/* 0: the backend's */
	bool vip;			/* to go to the VIP at the backend */
	__u8 address[16];		/* the source then, if it is given */
	const __u8 *source;		/* the same, or NULL */
	const char *host, *path, *match, *ca;
	unsigned status_first, status_last;
	bool verify;
	char *text;
	char *words[WORDS_MAX + 1];
	char **command;			/* NULL at the end */
};

/* probe SERVICE TYPE ..., into one that is all zero but for its words; STATUS_USAGE. */
enum status probe_parse(struct args *args, struct probe *probe);

struct probe_config {
	void *probes;			/* tree by service */
	__u32 shortest;			/* of all intervals */
	bool vip;			/* some probe goes to the VIP */
};

/* STATUS_DONE, or after saying what is wrong STATUS_USAGE; to be freed in any case. */
enum status probe_config_read(struct probe_config *config, const char *file);
void probe_config_free(struct probe_config *config);

/* NULL: it is not probed. */
const struct probe *probe_find(const struct probe_config *config, const struct endpoint *service);

#endif
