#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Many times more flows than their table holds, while all slots are in transition: those that
# came last stay; connections that are older than the change, and those of a service where
# nothing has changed, notice nothing.

. "$(dirname "$0")/lib.sh"
. "$NET/faults.sh"

OLDER=200 NEWER=100 SETTLED=100 # connections that exchange data

if whole; then
	COUNT=1000000 FLOWS=65536
else
	COUNT=200000 FLOWS=16384
fi
NEWEST=$((FLOWS / 2))

configure() {
	echo "service add $WEB"
	echo "backend add $(backend4 1):8080 service $WEB"
	echo "service add $VIP4:81/tcp"
	echo "backend add $(backend4 3):8080 service $VIP4:81/tcp"
}

# Each slot has a previous owner from here on.
change() {
	echo "backend change $(backend4 1):8080 service $WEB state drain"
	echo "backend add $(backend4 2):8080 service $WEB"
}

# The numbers of those of the flood's flows that have a record, in flood.bpf.c's order.
recorded() {
	xlb -j flow show service "$WEB" | jq -r '.[] | select(.embryonic | not).client |
		select(startswith("198.1")) | split("[.:]"; null) | map(tonumber) |
		(.[1] - 18) * 65536 + .[2] * 256 + .[3] + (.[4] - 1024) * 131072'
}

floods_possible
topology_routed 3
for name in b1 b2 b3; do
	serve_echo "$name" 8080
done
sink b1 b2 b3
ok "xlb is loaded, with room for $FLOWS records" xlb load dev client flows $FLOWS
ok "on the others as well" load b1 b2 b3
configure >"$WORK/batch"
ok "two services" xlb -batch "$WORK/batch"
hold_flows client 0.3
open_group older "$VIP4" 80 $OLDER
open_group settled "$VIP4" 81 $SETTLED
change >"$WORK/batch"
ok "one has another backend" xlb -batch "$WORK/batch"
open_group newer "$VIP4" 80 $NEWER

ok "$COUNT connections begin" flood flows "$VIP4" 80 $((2 * COUNT))
check_arrived "a SYN and an ACK of each"
recorded | sort -n >"$WORK/recorded"
newest=$(awk -v first=$((COUNT - NEWEST)) '$1 >= first' "$WORK/recorded" | wc -l)
diag "$(wc -l <"$WORK/recorded") have a record, the oldest is number" \
	"$(head -n 1 "$WORK/recorded"); of the newest $NEWEST, $newest have"
ok "the newest do, all but a few" test "$newest" -ge $((NEWEST * 95 / 100))
alive "older than the change" older:$OLDER
alive "where nothing has changed" settled:$SETTLED
# The table's order of age is no exact one, so this is nobody's promise.
diag "of $NEWER that are newer, and speak: $(flows check newer | paste -sd' ')"
open_group later "$VIP4" 80 50
is "nothing is dropped" "$(dropped)" ""
finish
