/* SPDX-License-Identifier: GPL-2.0-only */
/* Ends of connections as the kernel's socket calls have them. */
#ifndef XLB_PROBE_SOCKET_H
#define XLB_PROBE_SOCKET_H

#include <sys/socket.h>

#include "endpoint.h"

/* Address and port; returns the size. */
socklen_t endpoint_to_socket(const struct endpoint *endpoint, struct sockaddr_storage *to);
void endpoint_from_socket(struct endpoint *endpoint, const struct sockaddr_storage *from);

#endif
