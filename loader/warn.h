/* SPDX-License-Identifier: GPL-2.0-only */
/* What keeps traffic from flowing, told with the line to type. */
#ifndef XLB_WARN_H
#define XLB_WARN_H

#include "maps.h"

struct warning {
	const char *dev;
	const char *kind;	/* one word, for scripts */
	const char *what;
	const char *mend;	/* the line to type */
};

typedef void warning_handler(void *context, const struct warning *warning);

/* One call for each warning about links that run xlb with these maps.  0 or -errno. */
int warnings_each(const struct maps *maps, warning_handler *tell, void *context);

/* Tells them on stderr. */
void warn_links(const struct maps *maps);

#endif
