#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# mandoc's lint on the pages.

# shellcheck source=tests/lint/lib.sh
. "$(dirname "$0")/lib.sh"

[ $# = 0 ] || exec mandoc -T lint -W all "$1"
each mandoc man/*.[78]
