#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# ICMP to, from and about VIPs of mode ipip.

. "$(dirname "$0")/lib.sh"
. "$NET/icmp.sh"

check_icmp ipip
finish
