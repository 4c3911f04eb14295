#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Connections survive changes of the set of backends in mode dnat.

. "$(dirname "$0")/lib.sh"
. "$NET/survive.sh"

check_survival dnat 500 40 0.3
finish
