#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Rules at the door: one client is denied and another is not, by a rule for all services,
# by the service's own, among a hundred thousand of them; and a limit, under a flood.

. "$(dirname "$0")/lib.sh"
. "$NET/traffic.sh"

RULES=100000 # of both families together
LIMIT=20 BURST=100
REQUESTS=60 # fewer than a burst

SERVICE4=$VIP4:80/tcp SERVICE6=[$VIP6]:80/tcp
ECHO4=$VIP4:7/tcp ECHO6=[$VIP6]:7/tcp
CLIENT4=10.1.0.2 CLIENT6=fd00:1::2

# A second client, on a link of its own.
topology() {
	topology_routed 2
	host guest
	wire balancer guest guest eth0
	address balancer guest 10.3.0.1/24 fd00:3::1/64
	address guest eth0 10.3.0.2/24 fd00:3::2/64
	default_route guest 10.3.0.1 fd00:3::1
}

configure() {
	for service in "$SERVICE4" "$SERVICE6" "$ECHO4" "$ECHO6"; do
		echo "service add $service table 251"
	done >"$WORK/batch"
	for number in 1 2; do
		echo "backend add $(backend4 "$number"):7000 service $ECHO4"
		echo "backend add [$(backend6 "$number")]:7000 service $ECHO6"
		echo "backend add $(backend4 "$number"):8080 service $SERVICE4"
		echo "backend add [$(backend6 "$number")]:8080 service $SERVICE6"
	done >>"$WORK/batch"
	xlb -batch "$WORK/batch"
}

# Both families, or neither: who is denied has waited in vain, and been counted.
gets_in() { # DESCRIPTION NETNS
	for address in "$VIP4" "[$VIP6]"; do
		like "$1: $2 gets an answer of $address" "$(http "$2" "$address:80" 2>&1)" '^b[12]'
	done
}

stays_out() { # DESCRIPTION NETNS
	for address in "$VIP4" "[$VIP6]"; do
		before=$(dropped_for denied)
		fails 28 "$1: $2 gets none of $address" on "$2" curl -sS -g --noproxy '*' \
			--connect-timeout 0.5 "http://$address:80"
		ok "$1: and is counted" has_denied "$before"
	done
}

rules() { # LINE...: each is a command of xlb acl
	printf 'acl %s\n' "$@" | xlb -batch -
}

has_denied() { # COUNT: more than that
	test "$(dropped_for denied)" -gt "$1"
}

topology
for name in b1 b2; do
	serve_http $name 8080
	serve_echo $name 7000
done
ok "xlb is loaded" load client guest b1 b2
ok "two backends are added" configure
gets_in "without rules" client
gets_in "without rules" guest

# --- who is denied ---

hold_flows client
open_both held tcp 7 2
unharmed "connections of a client begin" "$report" 4
ok "its prefix is denied" rules 'add 10.1.0.0/16 deny' 'add fd00:1::/32 deny'
ok "its connections are cut off" wait_for has_denied 0
ok "their service allows it" rules "add $CLIENT4 allow service $ECHO4" \
	"add $CLIENT6 allow service $ECHO6"
unharmed "they go on" "$(flows check held)" 4
flows close held >/dev/null
stays_out "denied" client
gets_in "another denied" guest
fails 1 "not even ping is answered" on client ping -c 1 -W 0.5 "$VIP4"
ok "another's is" on guest ping -c 1 -W 5 "$VIP4"
decided_by() { # CLIENT SERVICE
	xlb -j lookup "$1:1" to "$2" | jq -r '"\(.by) \(.rule)"'
}
is "xlb lookup says so, and by which rule" "$(decided_by $CLIENT4 "$SERVICE4")" "denied 10.1.0.0/16"
is "of IPv6, too" "$(decided_by "[$CLIENT6]" "$SERVICE6")" "denied fd00:1::/32"
is "of those that are allowed as well" "$(decided_by $CLIENT4 "$ECHO4")" "table $CLIENT4/32"
ok "the service allows the host" rules "add $CLIENT4 allow service $SERVICE4" \
	"add $CLIENT6 allow service $SERVICE6"
gets_in "allowed by the service" client
ok "the service denies all" rules "del $CLIENT4 service $SERVICE4" \
	"del $CLIENT6 service $SERVICE6" 'del 10.1.0.0/16' 'del fd00:1::/32' \
	"add 0.0.0.0/0 deny service $SERVICE4" "add ::/0 deny service $SERVICE6" \
	'add 10.3.0.0/24 allow' 'add fd00:3::/64 allow'
stays_out "all are denied" client
gets_in "but one network" guest
ok "all rules go" rules "del $CLIENT4 service $ECHO4" "del $CLIENT6 service $ECHO6" \
	"del 0.0.0.0/0 service $SERVICE4" "del ::/0 service $SERVICE6" 'del 10.3.0.0/24' 'del fd00:3::/64'
gets_in "without rules again" client
is "none is left" "$(xlb -j acl show)" '[]'

# --- many ---

# No client is in any of these, whatever its length.
awk -v rules=$RULES 'BEGIN {
	for (i = 0; i < rules / 2; i++) {
		printf "acl add 100.%d.%d.%d/%d deny\n", i / 4096, i / 16 % 256, i % 16 * 16, 28 + i % 5
		printf "acl add 2001:db8:%x:%x::/%d deny\n", i / 256, i % 256 * 256, 56 + i % 9
	}
}' >"$WORK/many"
echo "acl add $CLIENT4 deny
acl add $CLIENT6 deny" >>"$WORK/many"
begun=$(date +%s%N)
ok "$RULES rules are added" xlb -batch "$WORK/many"
diag "$RULES rules in $((($(date +%s%N) - begun) / 1000000)) ms"
is "and all are there" "$(xlb acl show | wc -l)" $((RULES + 2))
stays_out "among $RULES" client
gets_in "among $RULES" guest
xlb save >"$WORK/saved"
sed -i "/ $CLIENT4\| $CLIENT6/d" "$WORK/saved"
begun=$(date +%s%N)
ok "all but two are restored" xlb restore "$WORK/saved"
diag "restored in $((($(date +%s%N) - begun) / 1000000)) ms"
is "and saved the same" "$(xlb save | cksum)" "$(cksum <"$WORK/saved")"
gets_in "among $RULES others" client
sed 's/add/del/; s/ deny//; /^acl del \(10\.1\|fd00\)/d' "$WORK/many" >"$WORK/none"
ok "they are deleted" xlb -batch "$WORK/none"
is "all of them" "$(xlb -j acl show)" '[]'

# --- a limit, and who floods ---

mac() { # NETNS DEV
	ip -n "$1" -j link show dev "$2" | jq -r '.[0].address'
}

started_of() { # SERVICE: connections that have reached backends
	xlb -j stats show service "$1" | jq '.services[0].connections'
}

check_flood() { # SERVICE ADDRESS HOST CLIENT
	ok "$1 has a limit" xlb service change "$1" limit $LIMIT burst $BURST
	before=$(started_of "$1")
	begun=$(date +%s)
	rm -f "$WORK/flood"
	start flood client /usr/bin/python3 "$NET/synflood.py" eth0 "$(mac client eth0)" \
		"$(mac balancer client)" "$4" "$2" 80
	flood=$started
	wait_for grep -q flooding "$WORK/flood"
	is "another client gets all of $REQUESTS answers" \
		"$(http_many guest "$3:80" $REQUESTS | grep -c '^b[12]')" $REQUESTS
	kill -TERM "$flood"
	wait_for grep -q '^sent' "$WORK/flood"
	took=$(($(date +%s) + 1 - begun))
	through=$(($(started_of "$1") - before - REQUESTS))
	diag "of $(tail -n 1 "$WORK/flood") SYNs $through got through in $took s," \
		"$(dropped_for limited) were limited"
	ok "no more of the flood got through than is allowed" \
		test $through -le $((BURST + LIMIT * took))
	ok "what is allowed did" test $through -ge $BURST
	ok "the rest is counted" test "$(dropped_for limited)" -ge 500
}

check_flood "$SERVICE4" "$VIP4" "$VIP4" $CLIENT4
check_flood "$SERVICE6" "$VIP6" "[$VIP6]" $CLIENT6
ok "no limit any more" xlb service change "$SERVICE4" limit off
is "of which nothing is told" "$(xlb service show "$SERVICE4")" \
	"$SERVICE4 mode dnat hash flow table 251 settle 30"
gets_in "without a limit" guest
finish
