#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Connections of services that a restored file leaves as they are do not notice; those
# of services that it changes go on where their backend stays.

. "$(dirname "$0")/lib.sh"
. "$NET/traffic.sh"

EACH=100 # connections of each family
ALL=$((2 * EACH))

SERVICE4=$VIP4:80/tcp SERVICE6=[$VIP6]:80/tcp

restore() { # FILE
	on balancer xlb-restore "$1"
}

# The web service, with these keywords for its first backend and these backends more.
web() { # "KEYWORDS" [NUMBER]...
	first=$1
	shift
	echo "service add $SERVICE4"
	echo "service add $SERVICE6"
	echo "backend add $(backend4 1):8080 service $SERVICE4 $first"
	echo "backend add [$(backend6 1)]:8080 service $SERVICE6 $first"
	for number in 2 "$@"; do
		echo "backend add $(backend4 "$number"):8080 service $SERVICE4"
		echo "backend add [$(backend6 "$number")]:8080 service $SERVICE6"
	done
}

others_before() {
	cat <<-END
		service add $VIP4:81/tcp
		backend add $(backend4 1):81 service $VIP4:81/tcp
		backend add $(backend4 2):81 service $VIP4:81/tcp
		service add $VIP4:82/udp
		backend add $(backend4 1):82 service $VIP4:82/udp
	END
}

# Another mode, another table, gone and come, and many more.
others_after() {
	cat <<-END
		config set nat4 10.9.9.9 settle 20
		service add $VIP4:81/tcp mode nat
		backend add $(backend4 2):81 service $VIP4:81/tcp
		backend add $(backend4 3):81 service $VIP4:81/tcp
		service add $VIP4:83/tcp hash source table 251
		backend add $(backend4 1):82 service $VIP4:83/tcp
	END
	for port in $(seq 1000 1100); do
		echo "service add $VIP4:$port/tcp table 251"
		echo "backend add $(backend4 3):$port service $VIP4:$port/tcp"
	done
}

topology_routed 3
for number in 1 2 3; do
	serve_echo "b$number" 8080
done
ok "xlb is loaded" load client b1 b2 b3
{ web "" && others_before; } >"$WORK/before"
{ others_after && web "" | sed 's/^service.*/& settle 30/'; } >"$WORK/others"
{ web "weight 5 state drain" 3 && others_before; } >"$WORK/web"

ok "a configuration is restored where there was none" restore "$WORK/before"
hold_flows client
open_both old tcp 80 $EACH
unharmed "$ALL connections begin" "$report" $ALL

ok "all other services are changed" restore "$WORK/others"
is "which is many of them" "$(xlb -j service show | jq length)" 105
unharmed "no connection breaks or moves" "$(flows check old)" $ALL
is "nor has a record" "$(records)" 0

ok "the others are as before, and another backend has all new connections of b1" \
	restore "$WORK/web"
unharmed "no connection breaks or moves" "$(flows check old)" $ALL
open_both new tcp 80 25
unharmed "new connections work" "$report" 50
is "none of them at b1, which drains" "$(reported "$report" "on b1")" 0
ok "some at b3, which is new" test "$(reported "$report" "on b3")" -gt 0
flows close new >/dev/null

ok "all is as before" restore "$WORK/before"
unharmed "no connection breaks or moves" "$(flows check old)" $ALL
is "then there is nothing to restore" "$(on balancer xlb-restore -n "$WORK/before")" ""
is "nothing is dropped" "$(dropped)" ""
finish
