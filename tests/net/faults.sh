# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # lib.sh gives some, tests use others
# What tests of faults under load share, on top of traffic.sh: connections that exchange data
# meanwhile, and floods.
#
# $FAULTS is `whole` in make check-faults.

. "$NET/traffic.sh"

WEB=$VIP4:80/tcp

whole() {
	[ "${FAULTS-}" = whole ]
}

# --- connections ---

# Those of a group that are the clients' of a test all along.
open_group() { # GROUP ADDRESS PORT COUNT
	flows open "$1" tcp "$2" "$3" "$4" >/dev/null
	unharmed "$4 connections begin ($1)" "$(flows check "$1")" "$4"
}

# alive WHAT_HAPPENED GROUP:COUNT...: none has broken or moved, and all are answered.
alive() {
	happened=$1
	shift
	for each in "$@"; do
		unharmed "$happened: of ${each#*:} connections (${each%:*}) none breaks or moves" \
			"$(flows check "${each%:*}")" "${each#*:}"
	done
}

answers() { # GROUP...: that they have had, of all
	for each in "$@"; do
		flows count "$each"
	done | awk '{ sum += $2 } END { print sum }'
}

# --- floods (flood.c) ---

# Live frames of BPF_PROG_TEST_RUN came with this version.
floods_possible() {
	[ "$(printf '5.18\n%s\n' "$(uname -r)" | sort -V | head -n 1)" = 5.18 ] ||
		skip_all "needs Linux 5.18"
}

# What has come to a backend from a flood is counted and ends there, so that the backend's
# own stack is none of the matter.
sink() { # NETNS...
	for each in "$@"; do
		on "$each" ip link set dev eth0 xdp obj "$NET/flood.o" program flood_sink
	done
}

# The client's flood; what became of it is in $report.
flood() { # { syn | ack | flows } ADDRESS PORT COUNT [RATE]
	mac=$(ip -n balancer -j link show dev client | jq -r '.[0].address')
	report=$("$NET/flood" client eth0 "$mac" "$@") || return
}

told() { # WHAT: of the last flood
	printf '%s\n' "$report" | sed -n "s/^$1 //p"
}

# check_arrived WHAT: of the last flood; a queue that others fill as well may lose some.
check_arrived() {
	sent=$(told sent)
	ok "$1: $sent packets have come to backends, all but a few" \
		test "$(told arrived)" -ge $((sent * 99 / 100))
	diag "$(told arrived) have, $(told rate) a second"
}
