/* SPDX-License-Identifier: GPL-2.0-only */
/* What is configured, as tables and as lines of a batch. */
#ifndef FUZZ_SERVICES_H
#define FUZZ_SERVICES_H

#include "world.h"

/* Adds those of a family to the table. */
void services_fill(struct world *world, bool v6);

void config_tell(FILE *batch);

/* The service with its backends. */
void service_tell(FILE *batch, const struct service *service);
void backend_tell(FILE *batch, const struct service *service, const struct backend *backend,
		  const char *verb);

#endif
