#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# HTTP and UDP through a balancer that is the router between the client and each backend.

. "$(dirname "$0")/lib.sh"
. "$NET/http.sh"

topology_routed 4
serve
ok "xlb is loaded" load client b1 b2 b3 b4
configure
check_traffic
finish
