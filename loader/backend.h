/* SPDX-License-Identifier: GPL-2.0-only */
/* What the commands of `xlb backend` share. */
#ifndef XLB_BACKEND_H
#define XLB_BACKEND_H

#include "command.h"
#include "endpoint.h"

extern const struct choice backend_states[];
extern const struct choice backend_healths[];

/* The backend that a command is about; its port may be missing.  STATUS_USAGE. */
enum status backend_subject(struct args *args, struct endpoint *end);

enum status backend_cmd_show(struct context *context, struct args *args);

#endif
