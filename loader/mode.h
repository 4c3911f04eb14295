/* SPDX-License-Identifier: GPL-2.0-only */
/* What a mode asks of a service, of its backends and of the configuration. */
#ifndef XLB_MODE_H
#define XLB_MODE_H

#include "args.h"
#include "state.h"

extern const struct choice mode_choices[];

/* Do replies pass through xlb, and do packets to the backend keep their port? */
bool mode_replies(enum xlb_mode mode);
bool mode_tunnels(enum xlb_mode mode);

/* The keyword of `xlb config set` that a backend of this family needs set, or NULL. */
const char *mode_source_missing(const struct xlb_config *config, enum xlb_mode mode, bool v4);

/* Room for the longest of what mode_misfit() says. */
#define MODE_TEXT 128

/* NULL if a service of this mode may have this backend, else why not and what to do. */
const char *mode_misfit(const struct state *state, const struct service *service,
			enum xlb_mode mode, const struct endpoint *end, char *text);

#endif
