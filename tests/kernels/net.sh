#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Real traffic on this kernel, in every mode and family: HTTP, UDP, and echo; and traffic
# that rules and limits keep out.  Run by guest.sh.

# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/../net/lib.sh"
NET=$ROOT/tests/net
# shellcheck source=tests/net/traffic.sh
. "$NET/traffic.sh"
DECAP=$ROOT/bpf/decap.o
REQUESTS_MAX=50
BODY=300000
both=$(printf 'b1\nb2')

# Before Linux 5.13 a veth end takes frames that XDP sends it only if it has a program,
# whatever GRO is; one with no address to unpack for passes all.
receive() { # NETNS
	on "$1" ip link set dev eth0 xdpdrv obj "$DECAP"
}

configure() { # MODE VIP BACKEND...
	mode=$1
	vip=$2
	shift 2
	echo "service add $vip:80/tcp mode $mode"
	echo "service add $vip:53/udp mode $mode"
	for each in "$@"; do
		echo "backend add $each:80 service $vip:80/tcp"
		echo "backend add $each:53 service $vip:53/udp"
	done
}

forget() { # VIP
	on balancer xlb service del "$1:80/tcp"
	on balancer xlb service del "$1:53/udp"
}

# Who has answered, once two have: chance may take long to choose the second.
answers() { # COMMAND...
	: >"$WORK/answers"
	for request in $(seq $REQUESTS_MAX); do
		if ! answer=$("$@" 2>&1); then
			echo "$answer at request $request" >>"$WORK/answers"
			break
		fi
		echo "$answer" >>"$WORK/answers"
		[ "$(sort -u "$WORK/answers" | wc -l)" -lt 2 ] || break
	done
	sort -u "$WORK/answers"
}

traffic() { # NAME MODE VIP ADDRESS
	is "$1: HTTP from both backends" "$(answers http client "$3:80")" "$both"
	is "$1: a whole body" "$(http client "$3:80/bytes/$BODY" | wc -c)" $BODY
	# Where addresses stay, this server would answer with another than it was asked by.
	case $2 in
	dnat | nat)
		is "$1: UDP from both backends" \
			"$(answers udp client "$4" 53 hello)" "$(printf 'b1 hello\nb2 hello')"
		;;
	esac
}

check() { # NAME MODE VIP BACKEND...
	name=$1
	mode=$2
	vip=$3
	shift
	configure "$@" >"$WORK/batch"
	ok "$name: services and backends" on balancer xlb -batch "$WORK/batch"
	address=${vip#[}
	address=${address%]}
	traffic "$name" "$mode" "$vip" "$address"
	ok "$name: ping" on client ping -q -c 1 -W 5 "$address"
	forget "$vip"
}

# Buckets of all sources that have been seen, whenever their next packet comes: what is
# missing in the year 2262 is taken for all.
buckets_empty() {
	map=/sys/fs/bpf/xlb/xlb_limits
	for key in $(bpftool -j map dump pinned $map | jq -r '.[].key | join("/")'); do
		# shellcheck disable=SC2046 # bytes
		bpftool map update pinned $map key $(echo "$key" | tr / ' ') \
			value 0 0 0 0 0 0 0 0x7f
	done
}

# One SYN: to the next, which is sent after a second, a bucket has been filled.
stays_out() { # DESCRIPTION VIP REASON
	fails 28 "$1" on client curl -sS -g --noproxy '*' --connect-timeout 0.5 "http://$2"
	ok "$1, and is counted" test "$(dropped_for "$3")" -gt 0
}

check_door() { # NAME VIP PREFIX BACKEND...
	name=$1
	vip=$2
	prefix=$3
	shift 3
	configure dnat "$vip" "$@" >"$WORK/batch"
	ok "$name: a service with a limit" on balancer xlb -batch "$WORK/batch"
	on balancer xlb service change "$vip:80/tcp" limit 5 burst 10
	on balancer xlb acl add "$prefix" deny
	stays_out "$name: who is denied stays out" "$vip" denied
	on balancer xlb acl add "$prefix" allow service "$vip:80/tcp"
	like "$name: the service lets it in" "$(http client "$vip:80")" '^b[12]'
	buckets_empty
	stays_out "$name: who opens too much stays out" "$vip" limited
	is "$name: the rules" "$(on balancer xlb acl show)" \
		"$(printf '%s deny\n%s allow service %s:80/tcp' "$prefix" "$prefix" "$vip")"
	on balancer xlb acl del "$prefix"
	on balancer xlb service change "$vip:80/tcp" limit off
	like "$name: without a limit" "$(http client "$vip:80")" '^b[12]'
	forget "$vip"
	is "$name: with the service its rules are gone" "$(on balancer xlb -j acl show)" '[]'
}

topology_routed 2
for n in 1 2; do
	address b$n lo "$VIP4/32" "$VIP6/128"
	serve_http b$n 80
	serve_udp b$n 53
done
for netns in client b1 b2; do
	receive $netns
done
for n in 1 2; do
	on b$n xlb decap add "$(backend4 $n)"
	on b$n xlb decap add "[$(backend6 $n)]"
done
v4="$(backend4 1) $(backend4 2)"
v6="[$(backend6 1)] [$(backend6 2)]"

load() { # MODE
	for dev in client b1 b2; do
		on balancer xlb load dev "$dev" mode "$1"
	done
	on balancer xlb config set nat4 198.51.100.200 nat6 fd00:5::200 \
		tunnel4 10.2.1.1 tunnel6 fd00:2:1::1
}

ok "loaded for traffic" load native
# shellcheck disable=SC2086 # two addresses
for mode in dnat nat dr ipip gue; do
	check "traffic, $mode over IPv4" $mode "$VIP4" $v4
	check "traffic, $mode over IPv6" $mode "[$VIP6]" $v6
done
# shellcheck disable=SC2086
for mode in ipip gue; do
	check "traffic, $mode, IPv4 in IPv6" $mode "$VIP4" $v6
	check "traffic, $mode, IPv6 in IPv4" $mode "[$VIP6]" $v4
done
is "traffic: nothing is dropped" "$(dropped)" ""
# shellcheck disable=SC2086
check_door "traffic, rules over IPv4" "$VIP4" 10.1.0.0/24 $v4
# shellcheck disable=SC2086
check_door "traffic, rules over IPv6" "[$VIP6]" fd00:1::/64 $v6

for dev in client b1 b2; do
	on balancer ip link set dev $dev xdpdrv off
done
ok "loaded for traffic, generic mode" load generic
# shellcheck disable=SC2086
check "traffic, generic mode, dnat over IPv4" dnat "$VIP4" $v4
# shellcheck disable=SC2086
check "traffic, generic mode, dnat over IPv6" dnat "[$VIP6]" $v6
finish
