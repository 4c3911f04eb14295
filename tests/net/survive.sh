# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# shellcheck disable=SC2154 # modes.sh gives some
# What survive_MODE.t check: long-lived TCP connections, and UDP flows, stay whole and
# where they are whatever happens to the set of backends, but for those whose own backend
# is taken down; in every family of the mode.

. "$NET/modes.sh"

NEW=100 # connections begun after each change, of all families together
SPARE=b4

# --- backends ---

serve() {
	for name in $BACKENDS; do
		serve_echo_at "$name" 80
		serve_echo_at "$name" 53
	done
}

# Of each service; UDP flows have all of the test to be recorded.
configure() {
	everyone=$BACKENDS
	BACKENDS=$FIRST
	for way in $WAYS; do
		service_lines "$way" 80/tcp
		service_lines "$way" 53/udp settle 600
	done >"$WORK/batch"
	BACKENDS=$everyone
	ok "the first backends are added" xlb -batch "$WORK/batch"
}

# The same of a backend of each service.
backend_all() { # VERB NAME KEYWORDS...
	verb=$1
	name=$2
	shift 2
	for way in $WAYS; do
		for end in 80/tcp 53/udp; do
			echo "backend $verb $(backend_url "$way" "$name"):$(backend_port "${end%/*}")" \
				"service $(service "$way" "$end") $*"
		done
	done | xlb -batch -
}

# --- flows ---

open_all() { # GROUP PROTOCOL PORT COUNT; what becomes of them is in $report
	for way in $WAYS; do
		flows open "$1" "$2" "$(vip "$way")" "$3" $(($4 / $(echo "$WAYS" | wc -w))) >/dev/null
	done
	report=$(flows check "$1")
}

check_kept() { # WHAT_HAPPENED
	unharmed "$1: no connection breaks or moves" "$(flows check old)" "$ALL"
	unharmed "$1: no UDP flow moves or is lost" "$(flows check datagrams)" "$ALL_UDP"
	say_records "$1"
}

check_new() { # GROUP: new connections work; what becomes of them is in $report
	open_all "$1" tcp 80 $NEW
	unharmed "new connections ($1) work" "$report" $NEW
}

say_records() { # AFTER
	diag "$1: $(records) records for $((ALL + ALL_UDP)) flows and those begun since"
}

# --- what happens ---

check_add() {
	ok "a backend more is added" backend_all add $SPARE
	check_kept "one backend more"
	check_new added
	ok "the added backend has some of the new" test "$(reported "$report" "on $SPARE")" -gt 0
}

check_weight() {
	ok "a weight is tripled" backend_all change b1 weight 3
	check_kept "a weight changed"
	check_new weighted
	is "the weighted backend has most of the new" \
		"$(homes "$report" | sort -k2 -nr | sed -n '1s/ .*//p')" b1
}

check_drain() {
	ok "a backend is drained" backend_all change b2 state drain
	check_kept "a backend drained"
	check_new drained
	is "the drained backend has none of the new" "$(reported "$report" "on b2")" 0
	flows close drained >/dev/null
}

check_down() {
	before=$(flows check old)
	before_udp=$(flows check datagrams)
	lost=$(reported "$before" "on b3")
	ok "a backend is taken down" backend_all change b3 state down
	after=$(flows check old)
	is "of its connections, all $lost break" "$(reported "$after" "broken b3 reset")" "$lost"
	is "of the others, none" "$(printf '%s\n' "$after" | grep -c ^broken)" 1
	is "and none moves" "$(reported "$after" moved)" 0
	for name in $FIRST; do
		[ "$name" = b3 ] || is "$name has as many as before" \
			"$(reported "$after" "on $name")" "$(reported "$before" "on $name")"
	done
	after=$(flows check datagrams)
	is "all UDP flows are still answered" "$(reported "$after" alive)" "$ALL_UDP"
	is "and only its own have moved" "$(reported "$after" moved)" \
		"$(reported "$before_udp" "on b3")"
	say_records "a backend down"
	check_new down
	is "the backend that is down has none of the new" "$(reported "$report" "on b3")" 0
	flows close down >/dev/null
}

check_delete() {
	drained=$(reported "$before" "on b2")
	ok "it comes back up" backend_all change b3 state up
	ok "the drained one is deleted" backend_all del b2
	after=$(flows check old)
	is "the deleted backend's connections break" "$(broken "$after" b2)" "$drained"
	is "and none else" "$(reported "$after" alive)" "$((ALL - lost - drained))"
	for group in added weighted; do
		report=$(flows check $group)
		is "of the connections that began meanwhile ($group) none has moved" \
			"$(reported "$report" moved)" 0
		is "and none has broken but those of b2 and b3" \
			"$(printf '%s\n' "$report" | grep ^broken | grep -vc ' b[23] ' || :)" 0
	done
}

check_survival() { # MODE CONNECTIONS FLOWS PAUSE
	mode "$1"
	ALL=$2
	ALL_UDP=$3
	topology_modes b1 b2 b3 $SPARE
	FIRST=$(echo "$BACKENDS" | sed "s/ $SPARE//")
	serve
	start_xlb
	configure
	hold_flows client "$4"
	open_all old tcp 80 "$ALL"
	unharmed "$ALL connections begin" "$report" "$ALL"
	open_all datagrams udp 53 "$ALL_UDP"
	unharmed "$ALL_UDP UDP flows begin" "$report" "$ALL_UDP"
	[ "$MODE" = nat ] || is "none of them has a record" "$(records)" 0
	check_add
	check_weight
	check_drain
	check_down
	check_delete
	is "nothing is dropped" "$(dropped)" ""
}
