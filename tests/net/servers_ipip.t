#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Real servers behind xlb in mode ipip.

. "$(dirname "$0")/lib.sh"
. "$NET/servers.sh"

check_servers ipip
finish
