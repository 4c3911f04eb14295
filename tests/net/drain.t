#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# xlb-backend drain ... wait: what a backend serves goes on and ends, new flows go
# elsewhere; it returns once nothing is heard of the backend any more, or says what is left.

. "$(dirname "$0")/lib.sh"
. "$NET/traffic.sh"

EACH=40 # connections of each family

SERVICE4=$VIP4:80/tcp SERVICE6=[$VIP6]:80/tcp SINGLE=$VIP4:81/tcp
B2=$(backend4 2) B2_6=[$(backend6 2)]

drain() { # BACKEND... KEYWORDS...
	on balancer xlb-backend drain "$@"
}

# What xlb-backend said, in one line.
said() {
	paste -sd' ' "$WORK/$1"
}

topology_routed 2
for number in 1 2; do
	serve_echo "b$number" 8080
done
serve_http b2 8081
ok "xlb is loaded" load client b1 b2
for service in "$SERVICE4" "$SERVICE6" "$SINGLE"; do
	xlb service add "$service" table 251
done
backend_both add 1 8080
backend_both add 2 8080
xlb backend add "$B2:8081" service "$SINGLE"
hold_flows client

# --- connections that go on ---

flows open four tcp "$VIP4" 80 $EACH >/dev/null
flows open six tcp "$VIP6" 80 $EACH >/dev/null
mine=$(reported "$(flows check four)" "on b2")
fails 2 "the time is over before the flows are" drain "$B2" service "$SERVICE4" wait 3 quiet 3
is "how many they are is told, and whose" "$(said output)" \
	"$B2:8080 service $SERVICE4 silent 0 flows $mine xlb-backend: drain: not silent after 3 \
seconds: $B2:8080 service $SERVICE4"
unharmed "no connection breaks or moves" "$(flows check four)" $EACH

# --- connections that end ---

start drained balancer xlb-backend drain "$B2:8080" "$B2_6" wait 60 quiet 2
waiting=$started
drains() {
	[ "$(xlb -j backend show | jq '[.[] | select(.state == "drain")] | length')" = 2 ]
}
ok "another drain, of both families" wait_for drains
open_both new tcp 80 20
is "new connections go elsewhere" "$(homes "$report")" "b1 40"
flows close new >/dev/null
unharmed "no connection breaks or moves" "$(flows check four)" $EACH
unharmed "of IPv6 neither" "$(flows check six)" $EACH
ok "it waits" kill -0 "$waiting"
flows close four >/dev/null
unharmed "IPv6 goes on" "$(flows check six)" $EACH
ok "it waits for that, too" kill -0 "$waiting"
flows close six >/dev/null
status=0
wait "$waiting" || status=$?
is "it returns when all are closed" "$status" 0
like "nothing is left" "$(said drained)" "^$B2:8080 service $SERVICE4 silent [2-9] flows 0 \
.$(backend6 2).:8080 service .$VIP6.:80/tcp silent [2-9] flows 0$"

# --- a transfer ---

began() {
	[ "$(counted "$SINGLE" "$B2:8081")" -gt 0 ]
}

start transfer client curl -sS --limit-rate 1M --max-time 60 --noproxy '*' \
	-o "$WORK/transferred" "http://$VIP4:81/bytes/3000000"
transfer=$started
ok "a transfer begins" wait_for began
ok "its backend is drained" drain "$B2" service "$SINGLE" wait 60 quiet 3
fails 1 "when that returns the transfer is over" kill -0 "$transfer"
is "and whole" "$(wc -c <"$WORK/transferred")" 3000000
is "its client has no complaint" "$(said transfer)" ""
is "nothing is dropped" "$(dropped)" ""
finish
