/* SPDX-License-Identifier: GPL-2.0-only */
/* One thing at a time from the state to the maps; all return 0 or -errno. */
#ifndef XLB_WRITE_H
#define XLB_WRITE_H

#include "state.h"

/* Unless it stands there already. */
int write_config(struct state *state, const struct xlb_config *config);

int write_service(const struct state *state, const struct service *service,
		  const struct xlb_service *value);
/* What stands is marked XLB_REPLACING. */
int mark_service(const struct state *state, const struct service *service);
int erase_service(const struct state *state, const struct service *service);

/* What packets need of a backend that is new, not live yet. */
int write_target(struct state *state, const struct backend *backend);
int write_by_flow(struct state *state, __u16 id, bool by_flow);
int write_live(struct state *state, __u16 id, bool live);

/* The entry as it is wanted, or none. */
int write_reply(const struct state *state, struct reply *reply);

/* A backend that is new or was edited, as far as it may go before its slots. */
int write_backend(struct state *state, struct backend *backend);

/* Not one that has been added again meanwhile. */
int erase_backend(const struct state *state, const struct backend *backend);

/* The addresses of all services are put in; those of no service go. */
int write_vips(const struct state *state);
int erase_vips(const struct state *state);

#endif
