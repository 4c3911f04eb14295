/* SPDX-License-Identifier: GPL-2.0-only */
/* The state as commands see it: opened, edited by several, written once. */
#ifndef XLB_SESSION_H
#define XLB_SESSION_H

#include "command.h"
#include "state.h"

/*
 * The locked state that edits go to, read when the call or batch first asks.
 * NULL after saying why there is none.
 */
struct state *session_edit(struct context *context, const struct args *args);

/*
 * The state as it is, not locked.  The caller ends with state_free().  NULL after
 * saying why there is none.
 */
struct state *session_view(struct context *context, const struct args *args);

/*
 * The same after [ service SERVICE ], whose service goes to *only: NULL if none is named.
 * Other than STATUS_DONE is said, and there is nothing to free.
 */
enum status session_view_service(struct context *context, struct args *args,
				 struct state **state, struct service **only);

/* The state at a moment when nobody writes. */
struct state *session_view_locked(struct context *context, const struct args *args);

/*
 * A state of the same sizes that cannot be written, and in which nothing is
 * configured.  The caller ends with state_free().  NULL after saying why there is none.
 */
struct state *session_blank(struct context *context, const struct args *args);

/* Writes what is pending, if anything, and releases the lock. */
enum status session_commit(struct context *context, const struct args *args);

/* Forgets what is pending. */
void session_drop(struct context *context);

#endif
