#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# From the settings of a fresh system, whatever its reverse path filter: after xlb load
# the kernel forwards frames from addresses of its own and replies from VIPs, and after a
# bare ip link the lines to type are told.

# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"

# Frames as xlb passes them up in modes nat and with tunnels: to b1, from the balancer.
cat >"$WORK/own.py" <<'END'
import sys
from scapy.all import Ether, IP, IPv6, UDP, conf, sendp

conf.verb = 0
conf.route6.routes = []
for packet in (IP(src=sys.argv[2], dst="10.2.1.2"), IPv6(src=sys.argv[3], dst="fd00:2:1::2")):
    sendp(Ether(src="02:00:00:00:00:01", dst=sys.argv[1]) / packet / UDP(sport=1, dport=9) / b"own",
          iface="eth0")
END

mac() {
	on balancer ip -j link show dev "$1" | jq -r '.[0].address'
}

arrived() { # FAMILY
	case $1 in
	IPv4) on b1 cat /proc/net/snmp | awk '/^Udp: [0-9]/ { print $3 }' ;;
	IPv6) on b1 cat /proc/net/snmp6 | awk '/^Udp6NoPorts/ { print $2 }' ;;
	esac
}

# Whose they are: an address of the balancer's, unless told otherwise.
source4=10.2.1.1

both_arrived() {
	[ "$(arrived IPv4)" != "$before4" ] && [ "$(arrived IPv6)" != "$before6" ]
}

# { yes | no } for each family: do frames that come in by the interface get to b1, within
# two seconds?
forwards() { # NETNS DEV
	before4=$(arrived IPv4)
	before6=$(arrived IPv6)
	on "$1" /usr/bin/python3 "$WORK/own.py" "$(mac "$2")" $source4 fd00:2:1::1 2>/dev/null
	tries=40
	until both_arrived || [ $tries = 0 ]; do
		tries=$((tries - 1))
		sleep 0.05
	done
	[ "$(arrived IPv4)" != "$before4" ] && echo yes || echo no
	[ "$(arrived IPv6)" != "$before6" ] && echo yes || echo no
}

world() { # ALL DEFAULT [ADDRESS]
	for name in balancer client b1; do
		ip netns del $name 2>/dev/null || :
		host $name
	done
	sysctl_set balancer net.ipv4.conf.all.rp_filter="$1" net.ipv4.conf.default.rp_filter="$2"
	wire balancer client client eth0
	wire balancer b1 b1 eth0
	address balancer b1 10.2.1.1/24 fd00:2:1::1/64
	address b1 eth0 10.2.1.2/24 fd00:2:1::2/64
	[ $# = 2 ] || address balancer client "$3"
}

both=$(printf 'yes\nyes')
forced=$(cat /proc/sys/net/ipv6/conf/lo/force_forwarding 2>/dev/null || echo none)

# Without the setting for one interface IPv6 wants the one for all.
forward6() {
	[ "$forced" != none ] || sysctl_set balancer net.ipv6.conf.all.forwarding=1
}

check_load() { # ALL DEFAULT [ADDRESS]
	world "$@"
	forward6
	is "rp_filter all $1, own $2, ${3-no address}: not forwarded at first" \
		"$(forwards client client | head -1)" no
	for dev in client b1; do
		on balancer xlb load dev $dev 2>/dev/null
	done
	is "forwarded once xlb is loaded" "$(forwards client client)" "$both"
	is "also by the interface that they came in by" "$(forwards b1 b1)" "$both"
	on balancer xlb service add 192.0.2.1:80/tcp mode nat 2>"$WORK/said"
	is "and nothing is warned of" "$(cat "$WORK/said")" ""
	fresh_pins
}

check_load 0 0 10.1.0.1/24
check_load 0 0
for filter in 1 2; do
	check_load 0 $filter 10.1.0.1/24
	check_load $filter 0 10.1.0.1/24
	check_load 0 $filter
done

# What only the administrator may set is told, and helps.
check_told() { # HOW ALL DEFAULT MODE [ADDRESS]
	how=$1
	mode=$4
	if [ $# = 5 ]; then
		world "$2" "$3" "$5"
	else
		world "$2" "$3"
	fi
	forward6
	$how
	on balancer xlb config set tunnel4 10.2.1.1 tunnel6 fd00:2:1::1 nat4 10.2.1.1 2>/dev/null
	ok "$how, all $2, own $3, ${5-no address}: a service" \
		on balancer xlb service add 192.0.2.1:80/tcp mode "$mode"
	like "$mode: the way out is told" "$(cat "$WORK/output")" \
		'^xlb: warning: client: the kernel drops frames from addresses of its own: sysctl -w '
	grep -o 'sysctl -w .*' "$WORK/output" >"$WORK/lines"
	ok "it can be typed" on balancer sh "$WORK/lines"
	is "and helps" "$(forwards client client | head -1)" yes
	ok "another service" on balancer xlb service add 192.0.2.2:80/tcp mode "$mode"
	is "nothing is warned of" "$(cat "$WORK/output")" ""
	fresh_pins
}

by_ip() {
	on balancer ip link set dev client xdp obj "$OBJECT"
}

by_xlb() {
	on balancer xlb load dev client 2>/dev/null
}

check_told by_ip 0 0 nat 10.1.0.1/24
check_told by_ip 0 1 gue 10.1.0.1/24
check_told by_ip 1 0 ipip
check_told by_xlb 2 0 nat

# Of mode dnat, replies from a VIP: of the balancer's own, or routed another way.
world 0 0 10.1.0.1/24
forward6
by_ip
source4=192.0.2.1
ip -n balancer route add 192.0.2.0/24 via 10.2.1.2
ok "mode dnat" on balancer xlb service add $source4:80/tcp
like "wants nothing but forwarding" "$(grep -v 'forwarding is off' "$WORK/output")" '^$'
grep -o 'sysctl -w .*' "$WORK/output" >"$WORK/lines"
ok "which can be typed" on balancer sh "$WORK/lines"
is "and helps" "$(forwards client client | head -1)" yes

# helped TOLD: what is told and typed has the kernel forward replies.
helped() {
	is "a reply is not forwarded" "$(forwards client client | head -1)" no
	ok "a command" on balancer xlb config set idle 900
	is "tells why" "$(cat "$WORK/output")" "xlb: warning: client: the kernel $1"
	grep -o 'sysctl -w .*' "$WORK/output" >"$WORK/lines"
	ok "it can be typed" on balancer sh "$WORK/lines"
	is "and helps" "$(forwards client client | head -1)" yes
	ok "another command" on balancer xlb config set idle 900
	is "has nothing to tell" "$(cat "$WORK/output")" ""
}

sysctl_set balancer net.ipv4.conf.client.rp_filter=1
helped "may drop replies from VIPs: sysctl -w net.ipv4.conf.client.rp_filter=2"
address balancer lo $source4/32
helped "drops frames from addresses of its own: sysctl -w net.ipv4.conf.client.accept_local=1"
fresh_pins
finish
