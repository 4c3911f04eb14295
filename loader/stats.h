/* SPDX-License-Identifier: GPL-2.0-only */
/* Counters, summed over CPUs. */
#ifndef XLB_STATS_H
#define XLB_STATS_H

#include "output.h"
#include "state.h"

/* As fields of the object, or words of the line, that is open. */
void stats_show_backend(struct output *output, const struct state *state,
			const struct backend *backend);
void stats_show_service(struct output *output, const struct state *state,
			const struct service *service);

#endif
