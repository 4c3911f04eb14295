#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Connections survive changes of the set of backends in mode nat.

. "$(dirname "$0")/lib.sh"
. "$NET/survive.sh"

check_survival nat 160 40 0.1
finish
