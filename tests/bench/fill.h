/* SPDX-License-Identifier: GPL-2.0-only */
/* Configures an xlb that has just been loaded. */
#ifndef FILL_H
#define FILL_H

#include "world.h"

struct bpf_object;

__u16 backend_id(enum family family, enum pool pool, unsigned number);

/* Rules of the service, and what it says of them and of its limit; 0 or -errno. */
int guard_fill(struct bpf_object *xlb, enum family family, enum service service,
	       struct xlb_service *settings);

/* Settings of the node, with this many records of older flows per second. */
struct xlb_config config_make(__u32 records);

/* Services, backends and interfaces, by the ABI alone; 0 or -errno, and says what failed. */
int xlb_fill(struct bpf_object *xlb, const struct world *world);

#endif
