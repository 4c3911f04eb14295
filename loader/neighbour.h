/* SPDX-License-Identifier: GPL-2.0-only */
/* The neighbours that lead to backends. */
#ifndef XLB_NEIGHBOUR_H
#define XLB_NEIGHBOUR_H

#include "state.h"

/*
 * Has the kernel keep them resolved, as far as it will, and if so wanted warns of
 * backends in mode dr that are behind a router.
 */
void neighbours_keep(const struct state *state, bool warn);

#endif
