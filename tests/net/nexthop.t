#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# xlb follows the kernel's neighbours and routes within two seconds, while traffic flows.

. "$(dirname "$0")/lib.sh"
. "$NET/traffic.sh"
. "$NET/follow.sh"

SERVICE4=$VIP4:53/udp SERVICE6=[$VIP6]:53/udp
# The backend is an address that goes from host to host.
BACKEND4=10.9.0.2 BACKEND6=fd00:9::2

kept() { # DESCRIPTION
	for address in $BACKEND4 $BACKEND6; do
		like "$1 ($address)" "$(ip -d -n balancer neigh show "$address")" managed
	done
}

told_backends() {
	xlb -j -s backend |
		jq -r '.[] | "\(.backend) \(.nexthop | "\(.dev) \(.lladdr) \(.age <= 1)")"'
}

told_link() { # DEV
	xlb -j -s link show dev "$1" |
		jq -r '.[].nexthops[] | "\(.backend) \(.lladdr) \(.age <= 1)"'
}

mac() { # NETNS
	ip -n "$1" -o link show eth0 | sed 's/.*link.ether \([^ ]*\).*/\1/'
}

neighbours() { # VERB KEYWORDS...
	verb=$1
	shift
	for address in $BACKEND4 $BACKEND6; do
		ip -n balancer neigh "$verb" "$address" dev eth0 "$@"
	done
}

reachable() { # ADDRESS
	ip -n balancer neigh show "$1" | grep -q lladdr
}

# On the segment stand `old` and `new`; `far` is behind an interface of its own.
setup() {
	topology_one_arm 0
	for name in old new; do
		host $name
		sysctl_set $name net.ipv4.conf.all.arp_notify=1 net.ipv6.conf.all.ndisc_notify=1
		wire $name eth0 segment $name
		ip -n segment link set $name master bridge
	done
	address balancer eth0 10.9.0.1/24 fd00:9::1/64
	address old eth0 $BACKEND4/24 $BACKEND6/64
	default_route old 10.9.0.1 fd00:9::1
	host far
	wire balancer far far eth0
	address balancer far 10.8.0.1/24 fd00:8::1/64
	address far eth0 10.8.0.2/24 fd00:8::2/64
	address far lo $BACKEND4/32 $BACKEND6/128
	default_route far 10.8.0.1 fd00:8::1
	serve_echo old 5300
	serve_echo new 5300
	serve_echo far 5300 $BACKEND4 $BACKEND6
}

# `new` has the addresses in place of `old`, and its kernel announces them (gratuitous
# ARP, unsolicited NA) as its MAC changes.
take_over() {
	for address in $BACKEND4/24 $BACKEND6/64; do
		ip -n old address del "$address" dev eth0
		address new eth0 "$address"
	done
	default_route new 10.9.0.1 fd00:9::1
	since=$(now)
	ip -n new link set eth0 address 02:00:00:00:00:99
}

setup
ok "xlb is loaded" load eth0 far
for service in "$SERVICE4" "$SERVICE6"; do
	xlb service add "$service"
done
ok "a backend is added" xlb backend add $BACKEND4:5300 service "$SERVICE4"
ok "and one of IPv6" xlb backend add [$BACKEND6]:5300 service "$SERVICE6"
kept "the kernel keeps the backend's neighbour entry alive"
since=$(now)
watch_both
followed "traffic begins" old "$since"

take_over
followed "another host announces the addresses" new "$since"
is "xlb tells the new next hop, by backend, and that it is fresh" "$(told_backends)" \
	"$(printf '%s eth0 02:00:00:00:00:99 true\n' $BACKEND4:5300 "[$BACKEND6]:5300")"
is "and by link" "$(told_link eth0)" \
	"$(printf '%s 02:00:00:00:00:99 true\n' $BACKEND4:5300 "[$BACKEND6]:5300")"

since=$(now)
neighbours del
for address in $BACKEND4 $BACKEND6; do
	ok "the neighbour was deleted, and frames passed up have it resolved ($address)" \
		wait_for reachable "$address"
done
followed "the neighbour was deleted" new "$since"
bridged "the neighbour was deleted" "$since" "$(later "$since" 2)"
xlb flow gc
kept "the next xlb command has it kept alive again"

# From here on both hosts hold the addresses, and only the entry tells them apart.
sysctl_set old net.ipv4.conf.all.arp_notify=0 net.ipv6.conf.all.ndisc_notify=0
address old eth0 $BACKEND4/24 $BACKEND6/64
ip -n old route replace default via 10.9.0.1
since=$(now)
neighbours replace lladdr "$(mac old)" nud permanent
followed "the administrator sets another MAC" old "$since"
since=$(now)
neighbours replace lladdr "$(mac new)" nud permanent
followed "and the first again" new "$since"

since=$(now)
ip -n balancer route add $BACKEND4/32 via 10.8.0.2
ip -n balancer route add $BACKEND6/128 via fd00:8::2
followed "a route by another interface appears" far "$since"
since=$(now)
ip -n balancer route del $BACKEND4/32
ip -n balancer route del $BACKEND6/128
followed "and goes again" new "$since"
is "nothing is dropped" "$(dropped)" ""

ip -n balancer route add blackhole $BACKEND4/32
ok "a blackhole drops by reason" wait_for dropped_for no_route
finish
