#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Maps of the ABI version before are moved on under connections: all go on, those that have
# records and those that need none.
#
# A program of that version is not at hand.  In its place stands one that lets all pass, and
# nobody is to speak while it does.

. "$(dirname "$0")/lib.sh"
. "$NET/traffic.sh"

EACH=30 # connections of each family

packets() {
	ip -n balancer -s -j link | jq 'map(.stats64.rx.packets) | add'
}

is_quiet() {
	before=$(packets)
	sleep 0.5
	test "$(packets)" = "$before"
}

topology_routed 3
for number in 1 2 3; do
	serve_echo "b$number" 80
done
ok "xlb is loaded" load client b1 b2 b3
cat >"$WORK/batch" <<END
config set nat6 fd00:2:1::1
service add $VIP4:80/tcp
service add [$VIP6]:80/tcp mode nat
$(for number in 1 2; do
	echo "backend add $(backend4 $number) service $VIP4:80/tcp"
	echo "backend add [$(backend6 $number)] service [$VIP6]:80/tcp"
done)
END
ok "services of modes dnat and nat" xlb -batch "$WORK/batch"
hold_flows client
holder=$started
open_both old tcp 80 $EACH
unharmed "connections begin" "$report" $((2 * EACH))
xlb backend add "$(backend4 3)" service "$VIP4:80/tcp" weight 9
unharmed "some of them in slots that have moved since" "$(flows check old)" $((2 * EACH))
saved=$(xlb save)

kill -STOP "$holder"
wait_for is_quiet
had=$(records)
like "there are records" "$had" '^[1-9]'
ok "the maps are of the version before" on balancer /usr/bin/python3 \
	"$ROOT/tests/cli/old.py" client b1 b2 b3
fails 2 "which this one does not speak" xlb service show
ok "they are moved on" xlb load dev client
is "with the whole configuration" "$(xlb save)" "$saved"
is "and all records" "$(records)" "$had"
kill -CONT "$holder"
unharmed "no connection breaks or moves" "$(flows check old)" $((2 * EACH))
open_both new tcp 80 $EACH
unharmed "new ones begin" "$report" $((2 * EACH))
finish
