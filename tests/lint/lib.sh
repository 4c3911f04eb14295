# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# What the checks of this folder share: one tool's word on each file, as TAP.

cd "$(dirname "$0")/../.." || exit

# shellcheck disable=SC2034 # for those that read this
{
	# But for what includes a header of valgrind, which check does without.
	SOURCES=$(find loader tests -name '*.c' ! -name '*.bpf.c' ! -path tests/sanitize/bpf.c | sort)
	OBJECTS=$(find bpf tests -name '*.bpf.c' | sort)
	# Two strings, no matter which.
	INCLUDES='-Iloader -Ibpf -DXLB_VERSION=__FILE__ -DXLB_OBJECT_PATH=__FILE__'
	JOBS=2
}

# Runs `$0 FILE` for each file, two at a time: no fault is no word and status 0.
each() { # TOOL FILE...
	tool=$1
	shift
	said=$(mktemp -d)
	trap 'rm -r "$said"' EXIT
	# shellcheck disable=SC2016 # the other shell's
	printf '%s\n' "$@" | said=$said xargs -P$JOBS -n1 sh -c '
		"$0" "$1" >"$said/$$" 2>&1 && [ ! -s "$said/$$" ] && verdict=ok || verdict="not ok"
		mv "$said/$$" "$said/$(echo "$1" | tr / %)"
		echo "$verdict - $1"' "$0" >"$said/all"
	sort "$said/all" | awk -v tool="$tool" -v said="$said" '
		{
			file = $NF
			failed += $1 == "not"
			sub(/ - /, " " NR " - " tool " finds no fault with ")
			print
			gsub("/", "%", file)
			while ($1 == "not" && (getline line < (said "/" file)) > 0)
				print "# " line
		}
		END {
			print "1.." NR
			exit failed > 0
		}'
}
