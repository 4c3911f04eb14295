# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# shellcheck disable=SC2154 # modes.sh gives some
# What resolve_MODE.t check: from a fresh system's settings, the neighbours gone, the
# frames that xlb passes up have the kernel resolve them and get where they should.

. "$NET/modes.sh"

# Each backend has a service for itself, so that one datagram goes to one of them.
port_of() { # NAME
	case $1 in
	b1) echo 53 ;;
	far) echo 54 ;;
	esac
}

serve() {
	for name in $BACKENDS; do
		serve_echo_at "$name" "$(port_of "$name")"
	done
}

# As a system comes up, but for its reverse path filter, which differs.
fresh_settings() { # RP_FILTER
	sysctl_set balancer net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0
	for scope in all default front lan; do
		sysctl_set balancer net.ipv4.conf.$scope.rp_filter="$1" \
			net.ipv4.conf.$scope.accept_local=0
		on balancer sysctl -q -e -w net.ipv6.conf.$scope.force_forwarding=0
	done
}

by_ip() {
	for dev in front lan; do
		on balancer ip link set dev $dev xdp obj "$OBJECT"
	done
}

by_xlb() {
	load front lan 2>/dev/null
}

configure() {
	echo "config set nat4 $NAT4 nat6 $NAT6 tunnel4 10.2.0.2 tunnel6 fd00:2::2"
	everyone=$BACKENDS
	for BACKENDS in $everyone; do
		for way in $WAYS; do
			service_lines "$way" "$(port_of "$BACKENDS")/udp"
		done
	done
	BACKENDS=$everyone
}

# Whatever the tools tell to type is typed.
obey() {
	sed -n 's/^xlb: warning: .*: \(sysctl -w .*\)/\1/p' "$WORK/output" >"$WORK/lines"
	diag "$(grep -c . "$WORK/lines" || :) lines to type"
	ok "what is told can be typed" on balancer sh "$WORK/lines"
	ok "a command more" xlb config set idle 900
	is "has nothing to tell" "$(cat "$WORK/output")" ""
}

neighbours() {
	ip -n balancer neigh show nud all | grep -v NOARP
}

neighbours_gone() {
	ip -n balancer neigh flush nud all
	[ -z "$(neighbours)" ]
}

# Nobody asks for the balancer on his own account, which would have it know him: its
# router knows it, and nobody doubts what he knows.
quiet() {
	for each in 10.2.0.2 fd00:2::2 10.3.0.2 fd00:3::2; do
		on router ping -q -c 1 -W 5 "$each" >/dev/null
	done
	for each in router.front router.lan inner.lan b1.eth0; do
		[ -e "/run/netns/${each%.*}" ] || continue
		for family in ipv4 ipv6; do
			sysctl_set "${each%.*}" \
				"net.$family.neigh.${each#*.}.delay_first_probe_time=600"
		done
	done
}

# Datagrams that the balancer's kernel has forwarded.
forwarded() {
	on balancer cat /proc/net/snmp /proc/net/snmp6 | awk '
		$1 == "Ip:" && $2 ~ /^[0-9]/ { sum += $7 }
		$1 == "Ip6OutForwDatagrams" { sum += $2 }
		END { print sum }'
}

# Both ways, where both are by the balancer.
passed_up() {
	case $MODE in
	dnat | nat) echo 2 ;;
	*) echo 1 ;;
	esac
}

# One datagram gets there and is answered, by the stack's forwarding; but in mode dr,
# where the first is spent.
check_datagram() { # DESCRIPTION WAY NAME
	ok "all neighbours are gone" wait_for neighbours_gone
	before=$(forwarded)
	spent=$(dropped_for no_neighbour)
	port=$(port_of "$3")
	if [ "$MODE" = dr ]; then
		fails 1 "$1: the first datagram is not answered" udp client \
			"$(vip "$2")" "$port" spent 1 0.2
		is "but counted" "$(($(dropped_for no_neighbour) - spent))" 1
	fi
	is "$1: a datagram is answered" "$(udp client "$(vip "$2")" "$port" hello 2>&1)" \
		"$3 hello"
	is "and the kernel has forwarded" $(($(forwarded) - before)) "$(passed_up)"
	before=$(forwarded)
	is "$1: so is the next" "$(udp client "$(vip "$2")" "$port" next 2>&1)" "$3 next"
	is "without the kernel" "$(($(forwarded) - before))" 0
}

check_all() { # DESCRIPTION
	for way in $WAYS; do
		for name in $BACKENDS; do
			check_datagram "$1, $way, $name" "$way" "$name"
		done
	done
}

# Next hops have been cached, and count no more.
aged() {
	xlb -j -s backend | jq -e 'map(.nexthop.age) | all(. != null and . >= 2)'
}

# loaded { by_ip | by_xlb } RP_FILTER: with the lines typed that it told.
loaded() {
	fresh_settings "$2"
	$1
	configure >"$WORK/batch"
	ok "$1, rp_filter=$2: services and backends" xlb -batch "$WORK/batch"
	obey
}

unloaded() {
	is "nothing is dropped but what is spent" "$(dropped | grep -v ^no_neighbour)" ""
	for dev in front lan; do
		on balancer ip link set dev $dev xdp off
	done
	fresh_pins
}

check_resolution() { # MODE
	mode "$1"
	topology_modes b1
	quiet
	serve
	loaded by_ip 0
	clients_by lan
	check_all "on a stick"
	unloaded
	loaded by_ip 1
	clients_by front
	check_all "two interfaces"
	unloaded
	loaded by_xlb 1
	check_all "two interfaces"
	ok "next hops grow old" wait_for aged
	clients_by lan
	check_all "on a stick, known before"
	unloaded
}
