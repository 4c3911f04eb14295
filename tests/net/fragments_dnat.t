#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Fragmented datagrams to VIPs of mode dnat.

. "$(dirname "$0")/lib.sh"
. "$NET/fragments.sh"

check_fragments dnat
finish
