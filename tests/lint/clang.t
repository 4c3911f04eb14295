#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# clang-tidy, with the checks of .clang-tidy, and clang's analyzer.

# shellcheck source=tests/lint/lib.sh
. "$(dirname "$0")/lib.sh"

# At the usual depth, 225000, it takes six times as long, and has found no more here.
DEPTH=40000

if [ $# = 1 ]; then
	tidy="clang-tidy --quiet"
	flags="-std=gnu11 $INCLUDES"
	case $1 in
	*.bpf.c)
		# With headers, since nearly all of it is there.  Packets have their places in
		# the kernel's structure as numbers.
		tidy="$tidy --header-filter=.* --checks=-performance-no-int-to-ptr"
		flags="-O2 -target bpf -std=gnu11 -Ibpf -idirafter /usr/include/$(cc -print-multiarch)"
		;;
	esac
	# shellcheck disable=SC2086 # flags
	$tidy "$1" -- $flags 2>/dev/null || exit
	# The bench and the frames' fuzzer end at their first failure, and free nothing then.
	case $1 in
	tests/fuzz/helper/* | *.bpf.c) ;;
	tests/bench/* | tests/fuzz/*) exit ;;
	esac
	# shellcheck disable=SC2086 # flags
	exec clang --analyze --analyzer-output text -o /dev/null $flags \
		-Xclang -analyzer-werror -Xclang -analyzer-config -Xclang max-nodes=$DEPTH "$1"
fi
# shellcheck disable=SC2086 # lists
each clang $OBJECTS $SOURCES
