#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Some of the frames that `make fuzz` tries, always the same.

set -eu
cd "$(dirname "$0")/../.."
[ "$(id -u)" = 0 ] || {
	echo "1..0 # SKIP needs root"
	exit 0
}
count=0
report=$(mktemp)
trap 'rm -f "$report"' EXIT

ok() { # DESCRIPTION COMMAND...
	description=$1
	shift
	count=$((count + 1))
	if "$@"; then
		echo "ok $count - $description"
	else
		echo "not ok $count - $description"
	fi
}

# How often the report has a row.
rows() {
	sed -n "s/^ *\\([0-9][0-9]*\\)  $1\$/\\1/p" "$report"
}

reached() {
	[ "$(rows "$1")" ] && [ "$(rows "$1")" -gt 0 ]
}

fuzz() {
	tests/fuzz/fuzz -s 1 -n 100000 >"$report" 2>&1 || {
		sed 's/^/# /' "$report"
		return 1
	}
}

ok "100,000 frames are treated as they should be" fuzz
for outcome in untouched dropped dnat nat dr ipip gue reply "nat reply" echo relay resolve \
	"too big"; do
	ok "among them: $outcome" reached "$outcome"
done
# The rest wants a kernel's fault, a full buffer, or all ports in use: tests/packet has them.
for reason in no_backend fragment bad_header bad_length bad_source bad_destination land ttl \
	too_big no_route no_neighbour off_link forwarding_disabled record_conflict denied limited \
	no_source; do
	ok "and dropped: $reason" reached "$reason"
done
echo "1..$count"
