#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Two ways to clients and two to backends, by routers: traffic follows when a route
# changes, a link goes down or loses its carrier, within two seconds; and what was lost
# meanwhile is counted.
#
#	client --- outside ==out1,out2== balancer ==in1,in2== inside --- b1
#
# The routers send to the balancer by out2 and in2; what it sends itself is the matter.

. "$(dirname "$0")/lib.sh"
. "$NET/traffic.sh"
. "$NET/follow.sh"

BACKEND4=10.9.0.2 BACKEND6=fd00:9::2

# beside ROUTER NAME NETWORK: two links between it and the balancer.
beside() {
	router "$1"
	sysctl_set "$1" net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
	for n in 1 2; do
		wire balancer "$2$n" "$1" "$2$n"
		address balancer "$2$n" "10.$3.$n.1/24" "fd00:$3:$n::1/64"
		address "$1" "$2$n" "10.$3.$n.2/24" "fd00:$3:$n::2/64"
	done
}

# routes_by NETNS NUMBER NETWORK HOST DESTINATION4 DESTINATION6: the first counts if both
# are there.
routes_by() {
	ip -n "$1" route add "$5" via "10.$3.$2.$4" metric "${2}0"
	ip -n "$1" -6 route add "$6" via "fd00:$3:$2::$4" metric "${2}0"
}

# Of the balancer's.
routes_out() { # NUMBER
	routes_by balancer "$1" 5 2 default default
}

routes_in() { # NUMBER
	routes_by balancer "$1" 6 2 10.9.0.0/24 fd00:9::/64
}

setup() {
	router balancer
	beside outside out 5
	beside inside in 6
	sysctl_set balancer net.ipv6.conf.all.keep_addr_on_down=1
	sysctl_set inside net.ipv6.conf.all.keep_addr_on_down=1
	host client
	wire client eth0 outside client
	address client eth0 10.1.0.2/24 fd00:1::2/64
	address outside client 10.1.0.1/24 fd00:1::1/64
	default_route client 10.1.0.1 fd00:1::1
	host b1
	wire b1 eth0 inside b1
	address b1 eth0 $BACKEND4/24 $BACKEND6/64
	address inside b1 10.9.0.1/24 fd00:9::1/64
	default_route b1 10.9.0.1 fd00:9::1
	# By links that nothing happens to: the routers would be late to notice.
	routes_by outside 2 5 1 192.0.2.0/24 2001:db8::/32
	routes_by inside 2 6 1 default default
	for n in 1 2; do
		routes_out $n
		routes_in $n
	done
	serve_echo b1 5300
}

# Frames that a router's kernel has got by an interface.
received() { # ROUTER DEV
	ip -n "$1" -s -j link show dev "$2" | jq '.[0].stats64.rx.packets'
}

# A good part of what is being sent does.
comes_by() { # ROUTER:DEV
	first=$(received "${1%:*}" "${1#*:}")
	sleep 0.2
	[ $(($(received "${1%:*}" "${1#*:}") - first)) -ge 5 ]
}

# What the balancer's interfaces threw away as XDP sent them where nothing can be sent.
thrown() {
	for dev in out1 out2 in1 in2; do
		ip netns exec balancer ethtool -S $dev
	done | awk '$1 ~ /rx_queue_[0-9]*_drops/ { sum += $2 } END { print sum + 0 }'
}

counter() { # FIELD
	xlb -j stats | jq "[.services[].$1] | add"
}

count_begin() {
	in=$(counter in_packets)
	out=$(counter out_packets)
	thrown=$(thrown)
	begin=$(now)
	watch_both
	followed "before $1" b1 "$begin"
}

# What had no answer is in $lost.
count_end() {
	watch_end
	lost=$(($(unanswered IPv4) + $(unanswered IPv6)))
	in=$(($(counter in_packets) - in))
	out=$(($(counter out_packets) - out))
	thrown=$(($(thrown) - thrown))
	diag "$lost lost, of requests $((in - out)), $thrown thrown away"
}

# event NAME LOSS "ROUTER DEV"... -- COMMAND...: from then on what goes to the router goes
# by DEV.  LOSS: nothing, or what was lost: requests or replies.
event() {
	name=$1
	loss=$2
	shift 2
	ways=
	while [ "$1" != -- ]; do
		ways="$ways $1"
		shift
	done
	shift
	count_begin "$name"
	since=$(now)
	"$@"
	for each in $ways; do
		ok "$name: traffic comes by $each" wait_for comes_by "$each"
	done
	bridged "$name" "$since" "$(now)"
	count_end
	case $loss in
	nothing) is "$name: nothing is lost" "$lost" 0 ;;
	requests) is "$name: what was lost is counted as without an answer" \
		$((in - out)) "$lost" ;;
	esac
	is "$name: what was lost is counted as thrown away" "$thrown" "$lost"
}

silent() {
	! answers_after "$(later "$(now)" -1.2)" # longer than a next hop is remembered
}

# outage NAME GONE BACK: nobody answers until it is over, and two seconds later again.
# Of what the kernel gets while it asks for a neighbour it keeps some until that answers.
outage() {
	count_begin "$1"
	$2
	ok "$1: nobody answers" wait_for silent
	since=$(now)
	$3
	bridged "$1, and back" "$since" "$since"
	count_end
	is "$1: what was lost is counted as without an answer" $((in - out)) "$lost"
}

# --- what happens ---

routes_del() { # ROUTE...
	for each in "$@"; do
		ip -n balancer route del "$each" metric 10
	done
}

routes_back() {
	routes_out 1
	routes_in 1
}

links_up() {
	for dev in in1 out1; do
		ip -n balancer link set "$dev" up
		on balancer ethtool -K "$dev" gro on >/dev/null
	done
	routes_back
}

carrier() { # { up | down }
	ip -n inside link set in1 "$1"
}

carrier_back() {
	carrier up
	on inside ethtool -K in1 gro on >/dev/null
}

neighbour() { # { add | del }
	ip -n inside address "$1" 10.6.1.2/24 dev in1
	ip -n inside address "$1" fd00:6:1::2/64 dev in1
}

neighbour_gone() {
	neighbour del
	ip -n balancer neigh flush dev in1
}

setup
ok "xlb is loaded" load out1 out2 in1 in2
for each in "$VIP4 $BACKEND4" "[$VIP6] [$BACKEND6]"; do
	xlb service add "${each% *}:53/udp"
	ok "a backend is added" xlb backend add "${each#* }:5300" service "${each% *}:53/udp"
done

event "the default route changes" nothing outside:out2 -- routes_del default ::/0
event "the route to backends changes" nothing inside:in2 -- routes_del 10.9.0.0/24 fd00:9::/64
event "both are as before" nothing inside:in1 outside:out1 -- routes_back
event "the link to backends goes down" requests inside:in2 -- ip -n balancer link set in1 down
event "the link to clients goes down" replies outside:out2 -- ip -n balancer link set out1 down
event "both come up" nothing inside:in1 outside:out1 -- links_up
outage "the neighbour is gone" neighbour_gone "neighbour add"
outage "the carrier is gone" "carrier down" carrier_back
is "nothing is dropped" "$(dropped)" ""
finish
