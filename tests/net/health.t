#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What a health checker says: a failed backend's share moves, and its connections alone
# break; health and the operator's state overrule each other never; a service all of
# whose backends have failed drops, or goes on.

. "$(dirname "$0")/lib.sh"
. "$NET/traffic.sh"

EACH=60 # connections of each family
ALL=$((2 * EACH))

SERVICE4=$VIP4:80/tcp SERVICE6=[$VIP6]:80/tcp

configure() {
	for service in "$SERVICE4" "$SERVICE6"; do
		echo "service add $service table 251"
	done >"$WORK/batch"
	for number in 1 2 3; do
		echo "backend add $(backend4 "$number"):8080 service $SERVICE4"
		echo "backend add [$(backend6 "$number")]:8080 service $SERVICE6"
	done >>"$WORK/batch"
	xlb -batch "$WORK/batch"
}

# What a checker prints, in one step.
health() { # { up | down } NUMBER...
	for number in $2; do
		echo "backend change $(backend4 "$number"):8080 service $SERVICE4 health $1"
		echo "backend change [$(backend6 "$number")]:8080 service $SERVICE6 health $1"
	done | xlb -batch -
}

fail() { # { open | closed }
	for service in "$SERVICE4" "$SERVICE6"; do
		echo "service change $service fail $1"
	done | xlb -batch -
}

opened=0
open_new() {
	opened=$((opened + 1))
	open_both "new$opened" tcp 80 30
	flows close "new$opened" >/dev/null
}

# The backends that have some of a report's connections.
serving() { # REPORT
	homes "$1" | cut -d' ' -f1 | sort | paste -sd' '
}

topology_routed 3
for number in 1 2 3; do
	serve_echo "b$number" 8080
done
serve_http b1 8081
ok "xlb is loaded" load client b1 b2 b3
ok "three backends are added" configure
hold_flows client

# --- one fails ---

open_both old tcp 80 $EACH
unharmed "$ALL connections begin" "$report" $ALL
before=$report
ok "a backend fails" health down 2
after=$(flows check old)
is "exactly its connections break" "$(broken "$after" b2)" "$(reported "$before" "on b2")"
is "no other does" "$(reported "$after" alive)" $((ALL - $(reported "$before" "on b2")))
is "and none moves" "$(reported "$after" moved)" 0
open_new
is "new ones go to the others" "$(serving "$report")" "b1 b3"

ok "the operator's up says that it is still failed" \
	on balancer xlb-backend up "$(backend4 2)" service "$SERVICE4"
like "by its name" "$(cat "$WORK/output")" "^xlb-backend: up $(backend4 2):8080: .* health is still down"
open_new
is "and raises nothing" "$(serving "$report")" "b1 b3"
ok "the operator takes it down" on balancer xlb-backend down "$(backend4 2)" "[$(backend6 2)]"
ok "it is healthy again" health up 2
open_new
is "health does not raise what the operator took down" "$(serving "$report")" "b1 b3"
ok "the operator's up does, then" on balancer xlb-backend up "$(backend4 2)" "[$(backend6 2)]"
is "and says nothing" "$(cat "$WORK/output")" ""
open_new
is "it serves" "$(serving "$report")" "b1 b2 b3"
flows close old >/dev/null

# --- all fail ---

drops_more() { # THAN
	[ "$(dropped_for no_backend)" -gt "$1" ]
}

open_both old tcp 80 $EACH
before=$report
ok "with fail open" fail open
ok "all fail at once" health down "1 2 3"
unharmed "no connection breaks or moves" "$(flows check old)" $ALL
open_new
is "and all serve as before" "$(serving "$report")" "b1 b2 b3"
is "nothing is dropped" "$(dropped)" ""

ok "the operator drains one" on balancer xlb-backend drain "$(backend4 2)" "[$(backend6 2)]"
unharmed "no connection breaks or moves" "$(flows check old)" $ALL
open_new
is "new ones go to the others" "$(serving "$report")" "b1 b3"

ok "one is healthy again" health up 3
after=$(flows check old)
is "those of the failed ones break now" "$(reported "$after" alive)" \
	"$(reported "$before" "on b3")"
open_new
is "and it serves alone" "$(serving "$report")" b3
ok "it fails" health down 3
is "its connections stay" "$(reported "$(flows check old)" "on b3")" \
	"$(reported "$before" "on b3")"
open_new
is "and the others serve again" "$(serving "$report")" "b1 b3"
is "nothing has been dropped" "$(dropped)" ""

ok "a service that fails closed" xlb service add "$VIP4:81/tcp" table 251
ok "has a backend that has failed" \
	xlb backend add "$(backend4 1):8081" service "$VIP4:81/tcp" health down
start request client curl -sS --max-time 60 --noproxy '*' "http://$VIP4:81/"
ok "a request is dropped" wait_for drops_more 0
ok "the service fails open" xlb service change "$VIP4:81/tcp" fail open
wait "$started" || :
is "and the request, sent again by TCP, is served" "$(cat "$WORK/request")" b1
finish
