#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# cppcheck, all at once, since it looks at what files have to do with each other.

# shellcheck source=tests/lint/lib.sh
. "$(dirname "$0")/lib.sh"

# variableScope: variables stand at the head of a function, as the kernel has them.
# constParameter: many are a signature that is not ours.
# unreadVariable: it knows neither a ?: without its middle nor values that are returned.
# unusedStructMember: headers of packets.  The bench's results come from its judge, by
# pointer (uninitvar).  A fuzzer without memory ends.  It stumbles over compound literals
# in ?: (internalAstError), and that error(3) ends a program it does not know.  What it has
# to say of bpf/, in which it was asked once, is of GNU C's void pointers, of local names that
# are a function's, too, and of the order in which that is written which others read.
# shellcheck disable=SC2086 # flags and a list
found=$(cppcheck -q -j$JOBS --std=c11 --language=c --error-exitcode=1 \
	--enable=warning,style,performance,portability \
	--suppress=variableScope --suppress=constParameter --suppress=unreadVariable \
	--suppress=unusedStructMember --suppress=uninitvar:tests/bench/rows.c --suppress='*:bpf/*' \
	--suppress=nullPointerRedundantCheck:tests/net/flood.c \
	--suppress=internalAstError --suppress=memleak:tests/fuzz/memory.c \
	-D'bpf_object__for_each_map(map, object)=while (map)' \
	-D'json_object_foreach(object, key, value)=while ((key = of(object)) && (value = of(key)))' \
	-D'LIBBPF_OPTS(type, name, ...)=struct type name = { __VA_ARGS__ }' \
	-D'DECLARE_LIBBPF_OPTS(type, name, ...)=struct type name = { __VA_ARGS__ }' \
	$INCLUDES $SOURCES 2>&1) && verdict=ok || verdict="not ok"
echo "$verdict 1 - cppcheck finds no fault with $(echo "$SOURCES" | wc -l) files"
[ "$verdict" = ok ] || echo "$found" | sed 's/^/# /'
echo "1..1"
[ "$verdict" = ok ]
