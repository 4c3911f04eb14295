/* SPDX-License-Identifier: GPL-2.0-only */
/* Links, addresses and neighbours, and the maps as a reader sees them. */
#ifndef FUZZ_NETWORK_H
#define FUZZ_NETWORK_H

#include "world.h"

struct address place_address(bool v6, enum place place, unsigned host);

/* What xlb has numbered, and what it found out of the links. */
int world_learn(struct world *world);

/* Takes the sources of tunnels and nat away, or gives them back. */
void world_sources(struct world *world, bool stand);

/* Flows, fragments, next hops and counters: as if nothing had ever come. */
int world_forget(struct world *world);

/* Namespaces of this process's own, with everything in them. */
int network_make(struct world *world);

#endif
