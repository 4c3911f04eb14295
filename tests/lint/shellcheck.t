#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# All scripts, and what they read, under shellcheck, which .shellcheckrc tells how.

# shellcheck source=tests/lint/lib.sh
. "$(dirname "$0")/lib.sh"

[ $# = 0 ] || exec shellcheck "$1"

# One of those that are alike but for the mode that they test: each takes seconds.
unlike() {
	while read -r script; do
		echo "$(sed -E 's/\b(dnat|nat|dr|ipip|gue)\b/MODE/g' "$script" | cksum) $script"
	done | sort -u -k 1,2 | cut -d' ' -f3
}

scripts=$(find .ci scripts tests -type f | sort | while read -r file; do
	case $file in
	*.sh | scripts/completion/*) echo "$file" ;;
	*) head -c 9 "$file" | grep -qa '^#!/bin/sh' && echo "$file" ;;
	esac
done | unlike)
# shellcheck disable=SC2086 # a list
each shellcheck $scripts
