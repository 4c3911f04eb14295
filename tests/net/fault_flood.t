#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# A flood of SYNs and then of ACKs of random clients, while a service's slots are in
# transition: no connection breaks, whether it is older than the change or newer.
#
# Tables are small, so that a flood that got into them would wash them out.  What the
# connections' rate becomes is printed; it decides in make check-faults alone, since it is
# that of a machine which others use as well.  It is held against what they have in the same
# flood of something else: the client and the balancer share one machine here, so what any
# flood takes of the rate without one says little of xlb.

. "$(dirname "$0")/lib.sh"
. "$NET/faults.sh"

OLDER=200 NEWER=200 SETTLED=100 # connections that exchange data
SILENT=50                       # newer ones that have nothing to say meanwhile
FLOWS=16384                     # records that there is room for
RECORDS=20                      # of older flows, in a second, on a CPU
ELSEWHERE=192.0.2.77            # is no service's; the kernel forwards to it
KEEPS=80                        # percent of their rate

if whole; then
	COUNT=5000000 TURNS=3 PACE=100000
else
	COUNT=500000 TURNS=1 PACE=
fi

check_alive() { # WHAT_HAPPENED
	alive "$1" older:$OLDER newer:$NEWER settled:$SETTLED
	flows wake silent >/dev/null
	alive "$1, and silent" silent:$SILENT
	flows hush silent >/dev/null
}

configure() {
	echo "config set records $RECORDS"
	for service in "$WEB 8080" "$VIP4:81/tcp 8081"; do
		echo "service add ${service% *}"
		for number in 1 2; do
			echo "backend add $(backend4 $number):${service#* } service ${service% *}"
		done
	done
}

# Most slots have a previous owner from here on.
change() {
	xlb backend add "$(backend4 3):8080" service "$WEB" weight 8
	xlb backend change "$(backend4 2):8080" service "$WEB" state drain
}

now() {
	date +%s%N
}

# during NAME COMMAND...: prints and notes how many answers a second the connections get.
during() {
	name=$1
	shift
	began=$(now)
	before=$(answers older newer settled)
	"$@"
	rate=$((($(answers older newer settled) - before) * 1000000000 / ($(now) - began)))
	echo "$name $rate" >>"$WORK/rates"
	diag "$name: $rate answers a second"
}

# check_flood NAME KIND ADDRESS PORT: all of it arrives, so the connections have stood all
# of it.
check_flood() {
	name=$1
	shift
	# shellcheck disable=SC2086 # may be none
	during "$name" flood "$@" $COUNT $PACE
	check_arrived "$name"
	check_alive "$name"
}

# Where a packet would go of a connection whose SYN alone has come so far, and why.
begun() { # PORT
	xlb -j lookup "10.1.0.77:$1" to "$WEB" established | jq -r '"\(.by) \(.backend)"'
}

# Ports of connections in slots that are in transition, as many as there are CPUs.
ports_find() {
	ports='' port=40000
	for _ in $(seq "$(nproc)"); do
		until begun $port | grep -q '^previous '; do
			port=$((port + 1))
		done
		ports="$ports $port"
		port=$((port + 1))
	done
}

# A connection on each CPU: the kernel washes out those of the CPUs that make records, and
# the flood may have but one.
begin() {
	mac=$(ip -n balancer -j link show dev client | jq -r '.[0].address')
	# shellcheck disable=SC2086 # a list
	on client /usr/bin/python3 - "$mac" $ports <<-END
		import os, sys
		from scapy.all import Ether, IP, TCP, sendp
		for cpu, port in zip(os.sched_getaffinity(0), sys.argv[2:]):
		    os.sched_setaffinity(0, {cpu})
		    sendp(Ether(dst=sys.argv[1]) / IP(src="10.1.0.77", dst="$VIP4")
		          / TCP(sport=int(port), dport=80, flags="S"), iface="eth0", verbose=False)
	END
}

# The first that has no record any more.  Not to be asked before: the kernel keeps longer what
# has been looked at.
lost() {
	for port in $ports; do
		! begun "$port" | grep -q '^previous ' || echo "$port"
	done | head -n 1
}

check_floods() {
	during alone sleep 5
	if whole; then
		check_flood elsewhere syn $ELSEWHERE 80
		check_flood unmarked syn "$VIP4" 81
	fi
	check_flood syn syn "$VIP4" 80
	check_flood ack ack "$VIP4" 80
}

# rate_of NAME: the median, minimum and maximum of its turns.
rate_of() {
	awk -v name="$1" '$1 == name { print $2 }' "$WORK/rates" | sort -n |
		awk '{ rate[NR] = $1 } END { print rate[int((NR + 1) / 2)], rate[1], rate[NR] }'
}

share_of() { # FLOOD THAN: percent
	echo "$(rate_of "$1") $(rate_of "$2")" | awk '{ printf "%.0f", 100 * $1 / $4 }'
}

# Its rate keeps so much of what it is in the same flood at what is not in transition.
kept() { # FLOOD THAN
	share=$(share_of "$1" "$2")
	ok "$1: the rate keeps $KEEPS % of that in flood $2 ($share %)" test "$share" -ge $KEEPS
}

check_rates() {
	cut -d' ' -f1 "$WORK/rates" | sort -u >"$WORK/names"
	while read -r name; do
		diag "$name: answers a second, median, least, most: $(rate_of "$name")"
	done <"$WORK/names"
	for name in syn ack; do
		diag "$name: $(share_of $name alone) % of the rate without a flood"
		if whole; then
			kept $name elsewhere
			kept $name unmarked
		else
			skip "$name: the rate keeps $KEEPS % of that in other floods" \
				"make check-faults has them, on a machine of its own"
		fi
	done
}

floods_possible
topology_routed 3
for name in b1 b2 b3; do
	serve_echo "$name" 8080
	serve_echo "$name" 8081
done
sink b1 b2 b3
ip -n balancer route add $ELSEWHERE via "$(backend4 1)"
ok "xlb is loaded, with small tables" xlb load dev client flows $FLOWS
ok "on the others as well" load b1 b2 b3
configure >"$WORK/batch"
ok "two services" xlb -batch "$WORK/batch"
hold_flows client 0.2
open_group older "$VIP4" 80 $OLDER
open_group settled "$VIP4" 81 $SETTLED
is "none of them has a record" "$(records)" 0
ok "a backend is added, another drained" change
open_group newer "$VIP4" 80 $NEWER
open_group silent "$VIP4" 80 $SILENT
flows hush silent >/dev/null
ports_find
begin
until [ $TURNS = 0 ]; do
	check_floods
	TURNS=$((TURNS - 1))
done
# It would have had to answer before 16384 SYNs more came, as xlb(7) says.
lost=$(lost)
ok "one that had only begun has lost its record" test "$lost"
begin
is "and has another, of the new owner, once it begins again" "$(begun "$lost")" \
	"record $(backend4 3):8080"
check_rates
diag "$(xlb flow count)"
is "nothing is dropped" "$(dropped)" ""
finish
