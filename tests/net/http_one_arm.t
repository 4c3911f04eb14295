#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# HTTP and UDP through a balancer with one interface, on one segment with the client and
# the backends.

. "$(dirname "$0")/lib.sh"
. "$NET/http.sh"

topology_one_arm 4
# The client asks for the VIPs by ARP and ND, as they are of its own subnet.
VIP4=10.1.0.10 VIP6=fd00:1::10
address balancer eth0 $VIP4/24 $VIP6/64
serve
ok "xlb is loaded" load eth0
configure
check_traffic
finish
