#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# clang-tidy, with the checks of .clang-tidy, and clang's analyzer.

# shellcheck source=tests/lint/lib.sh
. "$(dirname "$0")/lib.sh"

# At the usual depth, 225000, it takes six times as long, and has found no more here.
DEPTH=40000

# shellcheck disable=SC2086 # flags
if [ $# = 1 ]; then
	clang-tidy --quiet "$1" -- -std=gnu11 $INCLUDES 2>/dev/null || exit
	# The bench and the frames' fuzzer end at their first failure, and free nothing then.
	case $1 in
	tests/fuzz/helper/*) ;;
	tests/bench/* | tests/fuzz/*) exit ;;
	esac
	exec clang --analyze --analyzer-output text -o /dev/null -std=gnu11 $INCLUDES \
		-Xclang -analyzer-werror -Xclang -analyzer-config -Xclang max-nodes=$DEPTH "$1"
fi
# shellcheck disable=SC2086 # a list
each clang $SOURCES
