/* SPDX-License-Identifier: GPL-2.0-only */
/* The whole configuration as lines of a batch. */
#ifndef XLB_SAVE_H
#define XLB_SAVE_H

#include "output.h"
#include "state.h"

/* One command for all settings, then each service and its backends, sorted; 0 or -ENOMEM. */
int save_print(struct output *output, struct state *state);

#endif
