#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Slow start: a backend that is back gets its share in steps, which are taken when
# somebody comes by; no connection breaks or moves meanwhile.

. "$(dirname "$0")/lib.sh"
. "$NET/traffic.sh"

EACH=40 # connections of each family
ALL=$((2 * EACH))
NEW=100 # each time, of each family

SERVICE4=$VIP4:80/tcp SERVICE6=[$VIP6]:80/tcp

services_both() { # KEYWORDS...
	xlb service change "$SERVICE4" "$@"
	xlb service change "$SERVICE6" "$@"
}

# The state of the second backend, of both families.
told() { # FIELD
	xlb -j -s backend show | jq -r --arg four "$(backend4 2):8080" --arg field "$1" \
		--arg six "[$(backend6 2)]:8080" \
		'[.[] | select(.backend == ($four, $six))[$field]] | unique | join(" ")'
}

slots() {
	xlb -j -s backend show "$(backend4 2)" | jq '.[].slots'
}

# How many of $NEW new connections of each family are the second backend's.
got_new() { # GROUP
	open_both "$1" tcp 80 $NEW
	reported "$report" "on b2"
}

topology_routed 2
for number in 1 2; do
	serve_echo "b$number" 8080
done
ok "xlb is loaded" load client b1 b2
xlb service add "$SERVICE4" warmup 3600
xlb service add "$SERVICE6" warmup 3600
backend_both add 1 8080
backend_both add 2 8080
hold_flows client
whole=$(slots)
is "backends that are new are warm" "$(told warm)" 100

ok "one fails" backend_both change 2 8080 health down
open_both old tcp 80 $EACH
unharmed "the other has all connections" "$report" $ALL
ok "it is healthy again" backend_both change 2 8080 health up
is "a tenth of its weight counts" "$(told warm)" 10
cold=$(got_new cold)
# 18 are expected of 200, a share of 1/11; 40 is five standard deviations more.
ok "it has few of the new connections: $cold of $((2 * NEW))" test "$cold" -gt 0 -a "$cold" -lt 40
unharmed "no connection breaks or moves" "$(flows check old)" $ALL

ok "the warmup is to last seconds" services_both warmup 5
seen=$(slots)
warm() {
	xlb service warm
	seen="$seen $(slots)"
	[ "$(told warm)" = 100 ]
}
ok "steps are taken until it is warm" wait_for warm
growing() {
	printf '%s\n' "$seen" | tr ' ' '\n' | uniq |
		awk -v last="$whole" '
			$1 < before { shrank = 1 }
			{ before = $1 }
			END { exit shrank || before != last || NR < 3 }'
}
diag "slots: $seen, of which all are $whole"
ok "its share has grown in steps to what it was" growing
warm=$(got_new warm)
# 100 are expected of 200; 60 is over five standard deviations less.
ok "it has its share of the new connections: $warm of $((2 * NEW))" test "$warm" -gt 60
for group in old cold warm; do
	is "no connection has broken or moved ($group)" \
		"$(flows check "$group" | grep -E '^(moved|lost|broken)' | paste -sd' ')" "moved 0 lost 0"
done

ok "the operator takes it out" backend_both change 2 8080 state drain
ok "and has it back by xlb-backend up" on balancer xlb-backend up "$(backend4 2)" "[$(backend6 2)]"
is "which returns when it is warm" "$(told warm)" 100
is "and has all its slots" "$(slots)" "$whole"
is "nothing is dropped" "$(dropped)" ""
finish
