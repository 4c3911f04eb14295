#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Long-lived TCP connections stay whole and where they are whatever happens to the set
# of backends, but for those whose own backend is taken down.

. "$(dirname "$0")/lib.sh"
. "$NET/traffic.sh"

EACH=250 # connections of each family
ALL=$((2 * EACH))
NEW=50

SERVICE4=$VIP4:80/tcp SERVICE6=[$VIP6]:80/tcp

configure() {
	echo "service add $SERVICE4" >"$WORK/batch"
	echo "service add $SERVICE6" >>"$WORK/batch"
	for number in 1 2 3 4; do
		echo "backend add $(backend4 $number):8080 service $SERVICE4"
		echo "backend add [$(backend6 $number)]:8080 service $SERVICE6"
	done >>"$WORK/batch"
	ok "four backends are added" xlb -batch "$WORK/batch"
}

check_new() { # GROUP: new connections work; what becomes of them is in $report
	open_both "$1" tcp 80 $NEW
	unharmed "new connections ($1) work" "$report" $((2 * NEW))
}

say_records() { # AFTER
	diag "$1: $(records) records for $ALL connections and those begun since"
}

topology_routed 5
for number in 1 2 3 4 5; do
	serve_echo "b$number" 8080
done
ok "xlb is loaded" load client b1 b2 b3 b4 b5
configure
hold_flows client

open_both old tcp 80 $EACH
unharmed "$ALL connections begin" "$report" $ALL
is "none of them has a record" "$(records)" 0

ok "a fifth backend is added" backend_both add 5 8080
unharmed "no connection breaks or moves" "$(flows check old)" $ALL
say_records "one backend more"
check_new added
ok "the added backend has some of the new" test "$(reported "$report" "on b5")" -gt 0

ok "a weight is tripled" backend_both change 1 8080 weight 3
unharmed "no connection breaks or moves" "$(flows check old)" $ALL
say_records "a weight changed"
check_new weighted
is "the weighted backend has most of the new" \
	"$(homes "$report" | sort -k2 -nr | sed -n '1s/ .*//p')" b1

ok "a backend is drained" backend_both change 2 8080 state drain
unharmed "no connection breaks or moves" "$(flows check old)" $ALL
say_records "a backend drained"
check_new drained
is "the drained backend has none of the new" "$(reported "$report" "on b2")" 0
flows close drained >/dev/null

before=$(flows check old)
lost=$(reported "$before" "on b3")
ok "a backend is taken down" backend_both change 3 8080 state down
after=$(flows check old)
is "of its connections, all $lost break" "$(reported "$after" "broken b3 reset")" "$lost"
is "of the others, none" "$(printf '%s\n' "$after" | grep -c ^broken)" 1
is "and none moves" "$(reported "$after" moved)" 0
for number in 1 2 4; do
	is "b$number has as many as before" "$(reported "$after" "on b$number")" \
		"$(reported "$before" "on b$number")"
done
say_records "a backend down"
check_new down
is "the backend that is down has none of the new" "$(reported "$report" "on b3")" 0
flows close down >/dev/null

ok "it comes back up" backend_both change 3 8080 state up
ok "the drained one is deleted" backend_both del 2 8080
after=$(flows check old)
is "the deleted backend's connections break" \
	"$(broken "$after" b2)" "$(reported "$before" "on b2")"
is "and none else" "$(reported "$after" alive)" \
	"$((ALL - lost - $(reported "$before" "on b2")))"
for group in added weighted; do
	report=$(flows check $group)
	is "of the connections that began meanwhile ($group) none has moved" \
		"$(reported "$report" moved)" 0
	is "and none has broken but those of b2 and b3" \
		"$(printf '%s\n' "$report" | grep ^broken | grep -vc ' b[23] ' || :)" 0
done
is "nothing is dropped" "$(dropped)" ""
finish
