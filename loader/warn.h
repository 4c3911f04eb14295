/* SPDX-License-Identifier: GPL-2.0-only */
/* What keeps traffic from flowing, told on stderr with the line to type. */
#ifndef XLB_WARN_H
#define XLB_WARN_H

#include "maps.h"

/* Of the links that run xlb with these maps. */
void warn_links(const struct maps *maps);

#endif
