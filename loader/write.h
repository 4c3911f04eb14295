/* SPDX-License-Identifier: GPL-2.0-only */
/* One thing at a time from the state to the maps; all return 0 or -errno. */
#ifndef XLB_WRITE_H
#define XLB_WRITE_H

#include "state.h"

int write_config(struct state *state);

int write_service(const struct state *state, const struct service *service,
		  const struct xlb_service *value);
int erase_service(const struct state *state, const struct service *service);

/* What is to stand: how replies of a backend are told, and its entry in xlb_replies*
 * if its service's mode has such. */
bool backend_by_flow(const struct backend *backend);
void reply_make(const struct backend *backend, struct xlb_reply *reply);

/* Makes a backend that stands fit for its service's old mode and the new one. */
int write_backend_both(struct state *state, struct backend *backend);

/* A backend that is new or was edited, as far as it may go before its slots. */
int write_backend(struct state *state, struct backend *backend);

/* Not what another backend has taken the place of meanwhile. */
int erase_backend(const struct state *state, const struct backend *backend);
int erase_reply(const struct state *state, const struct endpoint *end);

/* The addresses of all services are put in; those of no service go. */
int write_vips(const struct state *state);
int erase_vips(const struct state *state);

int write_live(struct state *state, __u16 id, bool live);

#endif
