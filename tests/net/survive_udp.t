#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# UDP flows stay at their backend through changes; new ones go to the new owner of their
# slot once the settle time is over.

. "$(dirname "$0")/lib.sh"
. "$NET/traffic.sh"

EACH=100 # flows of each family
ALL=$((2 * EACH))
NEW=50
SETTLE=5 # seconds

SERVICE4=$VIP4:53/udp SERVICE6=[$VIP6]:53/udp

configure() {
	echo "service add $SERVICE4 settle $SETTLE" >"$WORK/batch"
	echo "service add $SERVICE6 settle $SETTLE" >>"$WORK/batch"
	for number in 1 2 3; do
		echo "backend add $(backend4 $number):5300 service $SERVICE4"
		echo "backend add [$(backend6 $number)]:5300 service $SERVICE6"
	done >>"$WORK/batch"
	ok "three backends are added" xlb -batch "$WORK/batch"
}

# Flows opened now: how many reach a backend.
new_on() { # BACKEND
	open_both new udp 53 $NEW
	flows close new >/dev/null
	reported "$report" "on $1"
}

reached() { # BACKEND
	[ "$(new_on "$1")" -gt 0 ]
}

topology_routed 4
for number in 1 2 3 4; do
	serve_echo "b$number" 5300
done
ok "xlb is loaded" load client b1 b2 b3 b4
configure
hold_flows client

open_both old udp 53 $EACH
unharmed "$ALL flows begin" "$report" $ALL
is "none of them has a record" "$(records)" 0

ok "a fourth backend is added" backend_both add 4 5300
began=$(date +%s)
got=$(new_on b4)
if [ $(($(date +%s) - began)) -lt $((SETTLE - 1)) ]; then
	is "in the settle time it gets no flow, as any might be older" "$got" 0
else
	skip "in the settle time it gets no flow" "this machine is too slow"
fi
unharmed "no flow moves or is lost" "$(flows check old)" $ALL
diag "one backend more: $(records) records for $ALL flows and $((2 * NEW)) begun since"
ok "after it the added backend gets new flows" within 20 reached b4
diag "first seen $(($(date +%s) - began)) s after the change"
unharmed "the old flows stay" "$(flows check old)" $ALL

ok "a weight is tripled" backend_both change 1 5300 weight 3
unharmed "no flow moves or is lost" "$(flows check old)" $ALL

ok "a backend is drained" backend_both change 2 5300 state drain
unharmed "no flow moves or is lost" "$(flows check old)" $ALL
emptied() {
	! reached b2
}
ok "after the settle time the drained backend gets no new flow" within 20 emptied
is "really none" "$(new_on b2)" 0
unharmed "the old flows stay" "$(flows check old)" $ALL

before=$(flows check old)
ok "a backend is taken down" backend_both change 3 5300 state down
after=$(flows check old)
is "all flows are still answered" "$(reported "$after" alive)" $ALL
is "only its own have moved" "$(reported "$after" moved)" "$(reported "$before" "on b3")"
is "it has none" "$(reported "$after" "on b3")" 0
is "nothing is dropped" "$(dropped)" ""
finish
