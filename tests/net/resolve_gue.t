#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Frames passed up resolve neighbours in mode gue.

. "$(dirname "$0")/lib.sh"
. "$NET/resolve.sh"

check_resolution gue
finish
