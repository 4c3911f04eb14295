#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Somebody on a backend's segment forges ARP and neighbour advertisements.  xlb follows the
# kernel's entry, as xlb(7) says, and so the backend's packets go astray; a permanent entry
# keeps them where they belong, and no connection notices.

. "$(dirname "$0")/lib.sh"
. "$NET/faults.sh"
. "$NET/follow.sh"

EACH=30 # connections of each family
B1=$(backend4 1) B1_6=$(backend6 1)

mac() { # NETNS
	ip -n "$1" -j link show dev eth0 | jq -r '.[0].address'
}

# A host that has the backend's addresses, and says so to nobody but by forgery; nor does
# it ask for anybody, which would say so as well.
thief() {
	host thief
	sysctl_set thief net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
	wire thief eth0 segment thief
	ip -n segment link set dev thief master bridge
	address thief lo "$B1/32" "$B1_6/128"
	for each in 10.2.1.1 fd00:2:1::1; do
		ip -n thief neigh add $each lladdr "$(mac balancer)" dev eth0 nud permanent
		ip -n thief route add $each dev eth0
		ip -n thief route add default via $each dev eth0
	done
	serve_echo thief 8080 "$B1" "$B1_6"
}

forge() { # NETNS
	start "forge-$1" "$1" /usr/bin/python3 "$NET/forge.py" eth0 "$B1" "$B1_6"
	wait_for grep -qx ready "$log"
}

# Where xlb sends what is for the backend.
told_mac() {
	xlb -j -s backend | jq -r '[.[].nexthop.lladdr] | unique | join(" ")'
}

# answers_come WHEN NAME SINCE: how soon is nexthop.t's matter.
answers_come() {
	for family in $FAMILIES; do
		ok "$1: $family: $2 answers" wait_for answered "$family" "$2" "$3"
	done
}

configure() {
	for service in "$VIP4:80/tcp $B1" "[$VIP6]:80/tcp [$B1_6]" "$VIP4:53/udp $B1" \
		"[$VIP6]:53/udp [$B1_6]"; do
		echo "service add ${service% *}"
		echo "backend add ${service#* }:8080 service ${service% *}"
	done
}

topology_one_arm 1
serve_echo b1 8080
thief
ok "xlb is loaded" load eth0
configure >"$WORK/batch"
ok "services of both families" xlb -batch "$WORK/batch"
hold_flows client
since=$(now)
watch_both
answers_come "left alone" b1 "$since"

# --- entries that the kernel learns ---

open_both open tcp 80 $EACH
unharmed "connections begin" "$report" $((2 * EACH))
forge thief
forging=$started
since=$(now)
answers_come "forged" thief "$since"
report=$(flows check open)
is "connections are at the mercy of whoever forges: this one resets them" \
	"$(reported "$report" "broken b1 reset")" $((2 * EACH))
is "xlb tells where it sends" "$(told_mac)" "$(mac thief)"
stop "$forging"
forge b1
since=$(now)
answers_come "the backend speaks for itself" b1 "$since"
stop "$started"

# --- permanent entries ---

for address in "$B1" "$B1_6"; do
	ok "the entry is made permanent ($address)" ip -n balancer neigh replace "$address" \
		lladdr "$(mac b1)" dev eth0 nud permanent
done
ok "a command of xlb comes after that" xlb config set idle 1000
for address in "$B1" "$B1_6"; do
	like "and leaves it permanent ($address)" "$(ip -n balancer neigh show "$address")" PERMANENT
done
open_both guarded tcp 80 $EACH
unharmed "connections begin" "$report" $((2 * EACH))
since=$(now)
forge thief
sleep 3 # longer than xlb takes to follow
unharmed "forged: no connection breaks or moves" "$(flows check guarded)" $((2 * EACH))
is "xlb sends to the backend" "$(told_mac)" "$(mac b1)"
for family in $FAMILIES; do
	fails 1 "$family: nobody but the backend has answered" answered "$family" thief "$since"
done
watch_end
is "nothing is dropped" "$(dropped)" ""
finish
