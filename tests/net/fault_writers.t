#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# xlb is killed at every write, and ten of it write at once for ten seconds, under connections
# that exchange data: none breaks but those of a backend that is deleted.  What the maps hold
# then is the matter of tests/cli/kill.t and writers.t.

. "$(dirname "$0")/lib.sh"
. "$NET/faults.sh"

OLD=200
SECONDS_OF_WRITING=10
WRITERS='1 2 3 4 5'

command -v strace >/dev/null || skip_all "needs strace"

# Backends of writers' own: those of b2 are changed, those of b3 come and go.
own() { # BACKEND_NUMBER WRITER
	echo "10.2.$1.10$2"
}

setup() {
	topology_routed 3
	for n in $WRITERS; do
		address b2 eth0 "$(own 2 "$n")/24"
		address b3 eth0 "$(own 3 "$n")/24"
	done
	for number in 1 2 3; do
		serve_echo b$number 8080 "$(backend4 $number)"
	done
	# shellcheck disable=SC2046 # words
	start echo-stays b2 /usr/bin/python3 "$NET/echod.py" stays 8080 \
		$(for n in $WRITERS; do own 2 "$n"; done)
	wait_for grep -qx ready "$log"
	# shellcheck disable=SC2046 # words
	start echo-goes b3 /usr/bin/python3 "$NET/echod.py" goes 8080 \
		$(for n in $WRITERS; do own 3 "$n"; done)
	wait_for grep -qx ready "$log"
}

configure() {
	echo "service add $WEB"
	for number in 1 2 3; do
		echo "backend add $(backend4 $number):8080"
	done
}

# --- killed ---

# The number of each call of bpf() or membarrier() in a trace that changes something, with
# its name.
writes() {
	awk -F'(' '
		$1 == "bpf" || $1 == "membarrier" { number[$1]++ }
		/BPF_MAP_UPDATE_ELEM|BPF_MAP_DELETE_ELEM|^membarrier/ { print $1, number[$1] }' "$1"
}

traced() { # OPTION... -- COMMAND...: on the balancer
	options=
	while [ "$1" != -- ]; do
		options="$options $1"
		shift
	done
	shift
	# shellcheck disable=SC2086 # words
	on balancer strace -o "$WORK/trace" -e trace=bpf,membarrier $options xlb "$@"
}

# killed_at CALL NUMBER COMMAND...: returns whether it was.
killed_at() {
	call=$1
	number=$2
	shift 2
	status=0
	traced -e "inject=$call:signal=KILL:when=$number" -- "$@" 2>/dev/null || status=$?
	[ $status = 137 ]
}

# killed WHAT UNDO COMMAND...: the command is killed at each of its writes, connections begin
# then, and another repairs and undoes what there is of it.
killed() {
	what=$1
	undo=$2
	shift 2
	traced -- "$@"
	writes "$WORK/trace" >"$WORK/writes"
	$undo
	missed=0
	while read -r call number; do
		killed_at "$call" "$number" "$@" || missed=$((missed + 1))
		flows open "meanwhile" tcp "$VIP4" 80 2 >/dev/null
		$undo
	done <"$WORK/writes"
	is "$what: killed at each of $(wc -l <"$WORK/writes") writes" "$missed" 0
	alive "$what" old:$OLD
}

weigh_back() {
	xlb backend change "$(backend4 3):8080" weight 1
}

fill_back() {
	xlb backend change "$(backend4 2):8080" state up
}

take_back() {
	xlb -force -batch - <<-END 2>/dev/null || :
		backend del $(own 3 1):8080
	END
}

put_back() {
	xlb -force -batch - <<-END 2>/dev/null || :
		backend add $(own 3 1):8080
	END
}

restore_back() {
	xlb restore "$WORK/before"
}

# --- writers ---

# Each calls xlb again and again, a change each time, until it is told to end.
writer() { # NAME COMMANDS
	start "writer-$1" balancer sh -c "
		trap 'over=1' TERM
		over= calls=0
		until [ \"\$over\" ]; do
			$2
		done
		echo \"calls \$calls\""
	writers="$writers $started"
}

call() { # WORDS
	echo "xlb backend $* && calls=\$((calls + 1)) || exit;"
}

changer() { # NUMBER
	end=$(own 2 "$1"):8080
	writer "stays-$1" "$(call change "$end" weight 9) $(call change "$end" state drain)
		$(call change "$end" state up) $(call change "$end" weight 1)"
}

comer() { # NUMBER
	end=$(own 3 "$1"):8080
	writer "goes-$1" "$(call add "$end" weight "$1") $(call change "$end" state drain)
		$(call del "$end")"
}

write_at_once() {
	writers=
	for n in $WRITERS; do
		changer "$n"
		comer "$n"
	done
	deadline=$(($(date +%s) + SECONDS_OF_WRITING))
	while [ "$(date +%s)" -lt "$deadline" ]; do
		flows open new tcp "$VIP4" 80 10 >/dev/null
		sleep 0.5
	done
	for pid in $writers; do
		kill "$pid"
	done
	for pid in $writers; do
		wait "$pid"
	done
}

setup
ok "xlb is loaded" load client b1 b2 b3
configure >"$WORK/batch"
ok "a service" xlb -batch "$WORK/batch"
hold_flows client 0.3 10
open_group old "$VIP4" 80 $OLD
killed "a change of weight" weigh_back backend change "$(backend4 3):8080" weight 9
killed "a drain" fill_back backend change "$(backend4 2):8080" state drain
begun=$(flows check meanwhile | sed -n 's/^flows //p')
alive "begun meanwhile" meanwhile:"$begun"
flows close meanwhile >/dev/null
killed "a backend more" take_back backend add "$(own 3 1):8080"
put_back
killed "a backend less" put_back backend del "$(own 3 1):8080"
take_back
xlb save >"$WORK/before"
{
	sed "/^backend add $(backend4 3):8080 /s/weight 1/weight 9/
		/^service add /s/settle [0-9]*/settle 7/" "$WORK/before"
	echo "backend add $(own 3 1):8080 service $WEB"
} >"$WORK/after"
killed "a restore" restore_back restore "$WORK/after"
is "after which all is as before" "$(xlb save)" "$(cat "$WORK/before")"

for n in $WRITERS; do
	xlb backend add "$(own 2 "$n"):8080"
done
ok "ten write at once for $SECONDS_OF_WRITING seconds" write_at_once
is "each was content with each call" "$(cat "$WORK"/writer-* | grep -vc '^calls [1-9]')" 0
diag "$(cat "$WORK"/writer-* | awk '{ sum += $2 } END { print sum }') calls"
alive "ten writers" old:$OLD
report=$(flows check new)
diag "$(printf '%s\n' "$report" | paste -sd' ')"
is "of those begun meanwhile none breaks but at backends that went" \
	"$(printf '%s\n' "$report" | awk '
		$1 == "broken" && $2 != "goes" && $2 != "-" { sum += $4 }
		END { print sum + 0 }')" 0
is "none moves" "$(reported "$report" moved)" 0
xlb flow gc
is "the backends that stay are there" "$(xlb -j backend show | jq length)" 8
is "nothing is dropped" "$(dropped)" ""
finish
