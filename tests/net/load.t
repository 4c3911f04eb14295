#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Every way to load the object: attached as asked, one set of maps, real traffic.

# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"

ip_plain() {
	on balancer ip link set dev "$1" xdp obj "$OBJECT"
}

ip_section() {
	on balancer ip link set dev "$1" xdp obj "$OBJECT" sec xdp
}

ip_generic() {
	on balancer ip link set dev "$1" xdpgeneric obj "$OBJECT"
}

ip_driver() {
	on balancer ip link set dev "$1" xdpdrv obj "$OBJECT"
}

bpftool_pinned() {
	bpftool prog load "$OBJECT" "/sys/fs/bpf/program-$1" type xdp
	on balancer bpftool net attach xdp pinned "/sys/fs/bpf/program-$1" dev "$1"
}

xlb_plain() {
	on balancer xlb load dev "$1"
}

xlb_generic() {
	on balancer xlb load dev "$1" mode generic
}

map_names() {
	for id in $(program_maps balancer "$1"); do
		bpftool -j map show id "$id" | jq -r .name
	done | sort
}

# From `SEC(".maps")` of the object itself.
all_map_names() {
	bpftool -j btf dump file "$OBJECT" | jq -r '.types as $types | $types[] |
		select(.kind == "DATASEC" and .name == ".maps").vars[].type_id as $id |
		$types[] | select(.id == $id).name' | sort
}

# Twenty requests, each by a connection of its own: who answered?
answers() { # ADDRESS:PORT
	for try in $(seq 20); do
		http client "$1" 2>&1 || echo "at request $try"
		echo
	done | sort | uniq
}

udp_answers() { # ADDRESS PORT
	udp client "$1" "$2" hello 20 2>&1 | sort | uniq
}

configure() {
	for vip in "$VIP4" "[$VIP6]"; do
		echo "service add $vip:80/tcp"
		echo "service add $vip:53/udp"
	done
	for each in "$VIP4 $(backend4 1)" "$VIP4 $(backend4 2)" \
		"[$VIP6] [$(backend6 1)]" "[$VIP6] [$(backend6 2)]"; do
		echo "backend add ${each#* }:8080 service ${each% *}:80/tcp"
		echo "backend add ${each#* }:5353 service ${each% *}:53/udp"
	done
}

check() { # MEANS MODE
	case $2 in
	native) off=xdpdrv ;;
	generic) off=xdpgeneric ;;
	esac
	ok "$1: loads where clients come in" "$1" client
	ok "$1: nothing else is disturbed" http client "$(backend4 1):8080"
	for dev in b1 b2; do
		ok "$1: loads on $dev too" "$1" "$dev"
	done
	is "$1: $2 mode" "$(program_mode balancer client)" "$2"
	is "$1: the program refers to every map" "$(map_names client)" "$maps"
	is "$1: both interfaces share them" "$(program_maps balancer b1)" \
		"$(program_maps balancer client)"
	configure >"$WORK/batch"
	ok "$1: services and backends" on balancer xlb -batch "$WORK/batch"
	is "$1: HTTP over IPv4" "$(answers "$VIP4:80")" "$both"
	is "$1: HTTP over IPv6" "$(answers "[$VIP6]:80")" "$both"
	is "$1: a megabyte" "$(http client "$VIP4:80/bytes/1000000" | wc -c)" 1000000
	is "$1: UDP over IPv4" "$(udp_answers "$VIP4" 53)" "$both_udp"
	is "$1: UDP over IPv6" "$(udp_answers "$VIP6" 53)" "$both_udp"
	for dev in client b1 b2; do
		on balancer ip link set dev "$dev" "$off" off
	done
	fresh_pins
}

topology_routed 2
for n in 1 2; do
	serve_http "b$n" 8080
	serve_udp "b$n" 5353
done
maps=$(all_map_names)
both=$(printf 'b1\nb2')
both_udp=$(printf 'b1 hello\nb2 hello')

check ip_plain native
check ip_section native
check ip_generic generic
check ip_driver native
check bpftool_pinned native
check xlb_plain native
check xlb_generic generic
finish
