/* SPDX-License-Identifier: GPL-2.0-only */
/* What turns one configuration into another, both as `xlb save` prints them. */
#ifndef XLB_CHANGES_H
#define XLB_CHANGES_H

/*
 * The fewest lines of a batch after which what is configured as `from` is configured
 * as `to`, in an order in which each is allowed and all are written in one step.
 * Cuts both texts into words; *lines is for the caller to free.  0 or -ENOMEM.
 */
int changes_make(char *from, char *to, char **lines);

#endif
