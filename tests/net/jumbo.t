#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Jumbo frames, which XDP sees in pieces: native mode, and real TCP both ways.

# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/net/traffic.sh
. "$NET/traffic.sh"

bpftool -j btf dump file "$OBJECT" | grep -q '"xlb_frags"' ||
	skip_all "needs an object that takes frames in pieces"

MTU=9000
BODY=10485760

mtu_set() { # DEV PEER MTU
	ip -n balancer link set dev "$1" mtu "$3"
	ip -n "$2" link set dev eth0 mtu "$3"
}

# As packets know it of each link.
mtus() {
	bpftool -j map dump pinned /sys/fs/bpf/xlb/xlb_links |
		jq -c 'map(.formatted.value | select(.redirect == 1).mtu) | sort'
}

# Bytes of the average frame, { in | out }, above which most of them were large.
average() { # SERVICE DIRECTION
	xlb -j stats show service "$1" |
		jq --arg way "$2" '.services[0] | .[$way + "_bytes"] / .[$way + "_packets"] | floor'
}

check_tcp() { # FAMILY ADDRESS
	http client "$2:80/bytes/$BODY" >"$WORK/body"
	ok "$1: 10 MiB to the client arrive as they were sent" cmp "$WORK/expected" "$WORK/body"
	ok "$1: in large frames" [ "$(average "$2:80/tcp" out)" -gt 5000 ]
	on client curl -sS -g --max-time 20 --noproxy '*' -T "$WORK/expected" \
		"http://$2:80/" >"$WORK/body"
	ok "$1: 10 MiB from the client, too" cmp "$WORK/expected" "$WORK/body"
	ok "$1: in large frames" [ "$(average "$2:80/tcp" in)" -gt 3000 ]
}

topology_routed 1
mtu_set client client $MTU
mtu_set b1 b1 $MTU
serve_http b1 8080
body $BODY >"$WORK/expected"
for dev in client b1; do
	ok "load with an MTU of $MTU" xlb load dev $dev mode native
	is "native mode" "$(program_mode balancer $dev)" native
done
is "the MTU of links is known" "$(mtus)" "[$MTU,$MTU]"
for each in "$VIP4 $(backend4 1)" "[$VIP6] [$(backend6 1)]"; do
	xlb service add "${each% *}:80/tcp"
	xlb backend add "${each#* }:8080" service "${each% *}:80/tcp"
done
check_tcp IPv4 "$VIP4"
check_tcp IPv6 "[$VIP6]"
is "nothing is dropped" "$(dropped)" ""

# A program for frames in one piece takes the place of the other.
mtu_set b1 b1 1500
ok "load with an MTU of 1500" xlb load dev b1
is "the MTU of links is brought up to date" "$(mtus)" "[1500,$MTU]"
is "the new program serves" "$(http client "$VIP4:80/")" b1
finish
