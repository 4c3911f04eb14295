#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What happens to the machine below the tools: the file system with the pins is unmounted, or
# read-only, memory is lacking, and clocks jump.  Connections notice none of it; the tools say
# what is wrong, and how to mend it, and count no time by a clock that can be set.

. "$(dirname "$0")/lib.sh"
. "$NET/faults.sh"

EACH=50 # connections of each family
ALL=$((2 * EACH))
SERVICE4=$VIP4:80/tcp SERVICE6=[$VIP6]:80/tcp

# --- no pins ---

# Each fails, in one line that ends in the same way.
check_tools() { # WHEN
	while read -r line; do
		status=0
		# shellcheck disable=SC2086 # words
		on balancer $line >"$WORK/output" 2>"$WORK/errors" </dev/null || status=$?
		is "$1: $line" "$status $(cat "$WORK/output" "$WORK/errors" |
			sed 's/^xlb[a-z-]*:\(.*:\)* no maps/xlb: no maps/')" \
			"2 xlb: no maps of xlb: load it first (xlb load dev IF)"
	done <<-END
		xlb service show
		xlb backend add 10.2.1.9
		xlb stats
		xlb flow gc
		xlb lookup 198.51.100.7:40000 to $WEB
		xlb-save
		xlb-backend drain $(backend4 1)
		xlb-stat
		xlb-metrics
	END
}

pins_gone() {
	umount /sys/fs/bpf
	check_tools "bpffs is unmounted"
	alive "bpffs is unmounted" old:$ALL
	open_both unmounted tcp 80 5
	unharmed "new connections begin" "$report" 10
	flows close unmounted >/dev/null
	mount -t bpf bpf /sys/fs/bpf
	check_tools "an empty one is mounted"
	is "the program runs" "$(program_id balancer client)" "$program"
}

pins_back() {
	ok "xlb load, as they say, for one of the interfaces" xlb load dev client
	is "has pinned the maps again" "$(cat "$WORK/output")" \
		"xlb: load dev client: pinned its maps in /sys/fs/bpf/xlb again"
	is "with all that they hold" "$(xlb save)" "$saved"
	is "which are the same" "$(program_maps balancer client)" "$maps"
	ok "another interface's program joins them" xlb load dev b1
	is "without a word" "$(cat "$WORK/output")" ""
	is "so that all have the same" "$(program_maps balancer b1)" "$maps"
	alive "the pins are back" old:$ALL
}

# Of a set that misses some, whoever runs with it has the others, for who joins it as well.
pins_some_gone() {
	ok "another program, that of a prober, has some of the maps" bpftool prog load \
		"$ROOT/bpf/probe.o" /sys/fs/bpf/prober \
		map name xlb_config pinned /sys/fs/bpf/xlb/xlb_config \
		map name xlb_targets pinned /sys/fs/bpf/xlb/xlb_targets
	rm /sys/fs/bpf/xlb_config /sys/fs/bpf/xlb_targets # where libbpf has pinned them, too
	for dev in client b1 b2 b3; do
		ok "$dev has one that was loaded since" xlb load dev $dev
	done
	before=$(program_id balancer client)
	rm /sys/fs/bpf/xlb/xlb_slots
	fails 2 "a pin is gone: what wants it" xlb save
	like "is refused, and told what pins it again" "$(cat "$WORK/output")" \
		'^xlb: save: xlb_slots is missing in /sys/fs/bpf/xlb: xlb load dev IF pins it again'
	fails 2 "and load without CAP_SYS_ADMIN" on balancer setpriv --inh-caps=-all \
		--bounding-set=-all,+bpf,+net_admin,+perfmon xlb load dev client
	is "makes no other map" "$(cat "$WORK/output")" \
		"xlb: load dev client: pinning its maps in /sys/fs/bpf/xlb: CAP_SYS_ADMIN is missing: run as root, or see PRIVILEGES in xlb(8)"
	fails 2 "nor may it make one for no interface" on balancer setpriv --inh-caps=-all \
		--bounding-set=-all,+bpf,+net_admin,+perfmon xlb load maps
	ok "who has it pins that again, for no interface" xlb load maps
	is "and says so" "$(cat "$WORK/output")" \
		"xlb: load maps: pinned its maps in /sys/fs/bpf/xlb again"
	is "with all that they hold" "$(xlb save)" "$saved"
	find /sys/fs/bpf/xlb -name 'xlb_*' ! -name xlb_config ! -name 'xlb_program_*' -delete
	is "all pins but one are gone" "$(find /sys/fs/bpf/xlb -name 'xlb_*' ! -name 'xlb_program_*')" \
		/sys/fs/bpf/xlb/xlb_config
	ok "load, for an interface" xlb load dev client
	ok "has another program" test "$(program_id balancer client)" != "$before"
	is "with the same maps" "$(program_maps balancer client)" "$maps"
	is "and all that they hold" "$(xlb save)" "$saved"
	alive "the other pins are back" old:$ALL
	rm /sys/fs/bpf/prober
}

# Somebody else may know the place, and lock it.
pins_elsewhere() {
	mkdir /sys/fs/bpf/elsewhere
	mv /sys/fs/bpf/xlb/* /sys/fs/bpf/elsewhere
	fails 2 "maps that are pinned elsewhere are not pinned twice" xlb load dev client
	like "but that is said" "$(cat "$WORK/output")" '^xlb: load dev client: runs xlb with maps of another place'
	mv /sys/fs/bpf/elsewhere/* /sys/fs/bpf/xlb
	alive "pins elsewhere" old:$ALL
}

# --- a file system that cannot be written, and no memory ---

# Changes a backend's share.
weigh() { # WEIGHT [WORDS-TO-RUN-IT...]
	weight=$1
	shift
	on balancer "$@" xlb backend change "$(backend4 2):8080" service "$SERVICE4" \
		weight "$weight"
}

pins_read_only() {
	mount -o remount,ro /sys/fs/bpf
	is "bpffs is read-only: what is there is shown" "$(xlb save)" "$saved"
	fails 2 "what changes something" weigh 9
	is "is refused" "$(sed 's/.*: the file/the file/' "$WORK/output")" \
		"the file system of /sys/fs/bpf/xlb is read-only: mount -o remount,rw /sys/fs/bpf"
	open_both read-only tcp 80 5
	unharmed "new connections begin" "$report" 10
	flows close read-only >/dev/null
	alive "bpffs is read-only" old:$ALL
	mount -o remount,rw /sys/fs/bpf
	ok "it can be written again" weigh 1
}

# The allocation of that number fails; how many there were is in $WORK/count.
weigh_lacking() { # NUMBER WEIGHT
	weigh "$2" env "LD_PRELOAD=$shim" "NOMEMORY=$1" "NOMEMORY_COUNT=$WORK/count"
}

# Each of some allocations of a change, which is undone then.
no_memory() {
	weigh_lacking 0 9
	weigh 1
	odd='' failed=0
	for turn in $(seq 1 3 "$(cat "$WORK/count")"); do
		status=0
		weigh_lacking "$turn" 9 2>"$WORK/errors" || status=$?
		case $status-$(grep -c '^xlb: ' "$WORK/errors") in
		0-*) ;;
		2-1) failed=$((failed + 1)) ;;
		*) odd="$odd $turn: $status $(cat "$WORK/errors")" ;;
		esac
		weigh 1
	done
	is "without memory a change is made, or is refused in a line" "$odd" ""
	ok "the latter $failed times" test "$failed" -gt 0
	is "in the end all is as before" "$(xlb save)" "$saved"
	alive "no memory" old:$ALL
}

# --- clocks ---

# The machine's clock stays as it is: a library between a command and the kernel has it be
# what $WORK/clock says, from one look to the next.  Clocks that cannot be set are not
# touched.
jumping() { # COMMAND...
	on balancer env "LD_PRELOAD=$faketime" "FAKETIME_TIMESTAMP_FILE=$WORK/clock" \
		FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 "$@"
}

clock() { # { +0 | +3650d | -3650d }
	echo "$1" >"$WORK/clock.new"
	mv "$WORK/clock.new" "$WORK/clock"
}

# Longer each time than who waits for something takes from one look to the next.
jump() {
	clock +3650d
	sleep 2
	clock -3650d
	sleep 2
}

check_clock() {
	clock +3650d
	ok "the clock is ten years ahead" test $(($(jumping date +%Y) - $(date +%Y))) -ge 9
	clock +0
	start_prober
	jumping xlb-backend drain "$(backend4 2):8080" wait 60 quiet 2 >"$WORK/drained" 2>&1 &
	drain=$!
	wait_for drains
	jump
	ok "the clock jumps to and fro: a drain does not give up" kill -0 $drain
	check_prober
	alive "the clock jumps" old:$ALL
	flows close old >/dev/null
	status=0
	wait $drain || status=$?
	is "but ends when all is silent" "$status $(sed 's/silent [0-9]*/silent N/' "$WORK/drained")" \
		"0 $(backend4 2):8080 service $SERVICE4 silent N flows 0"
}

# Of ports that only it knows.
start_prober() {
	for name in b2 b1; do
		serve_echo $name 8081
	done
	probed=$started
	echo "probe $SERVICE4 tcp port 8081 interval 0.2 timeout 1 fall 2" >"$WORK/probe.conf"
	start prober balancer env "LD_PRELOAD=$faketime" "FAKETIME_TIMESTAMP_FILE=$WORK/clock" \
		FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 xlb-probe "$WORK/probe.conf"
	prober=$started
}

# The clock is as it has never been: intervals go on, and so does what is found out.
check_prober() {
	is "xlb-probe has nothing to say of it" "$(cat "$WORK/prober")" ""
	stop "$probed"
	ok "and goes on probing" wait_for grep -qx \
		"backend change $(backend4 1):8080 service $SERVICE4 health down" "$WORK/prober"
	is "all that it was to find" "$(grep -c . "$WORK/prober")" 2
	stop "$prober"
}

drains() {
	xlb backend show "$(backend4 2):8080" | grep -q drain
}

# A time namespace's clocks that cannot be set are another ten days ahead.
elsewhen() { # COMMAND...
	on balancer unshare -T --monotonic 864000 --boottime 864000 "$@"
}

check_time_namespace() {
	if ! elsewhen true 2>/dev/null; then
		skip "a time namespace's clocks" "this kernel has none"
		return
	fi
	ok "records are there" test "$(records)" -gt 0
	is "a command whose clock is ten days ahead finds no record old" \
		"$(elsewhen xlb -j flow show | jq 'any(.[]; .silent > 3600)')" false
	ok "one collects garbage" elsewhen xlb flow gc
	alive "and takes no record that matters" new:$ALL
}

topology_routed 3
for name in b1 b2 b3; do
	serve_echo $name 8080
done
ok "xlb is loaded" load client b1 b2 b3
for service in "$SERVICE4" "$SERVICE6"; do
	xlb service add "$service"
done
backend_both add 1 8080
backend_both add 2 8080
hold_flows client 0.3 10
open_both old tcp 80 $EACH
unharmed "connections begin" "$report" $ALL
program=$(program_id balancer client)
maps=$(program_maps balancer client)
saved=$(xlb save)
pins_gone
pins_back
pins_some_gone
pins_elsewhere
pins_read_only
shim=$ROOT/tests/cli/nomemory.so
if [ -e "$shim" ]; then
	no_memory
else
	skip "no memory" "make check builds nomemory.so"
fi
set -- /usr/lib/*/faketime/libfaketime.so.1
faketime=$1
if [ -e "$faketime" ]; then
	check_clock
else
	skip "a clock that jumps" "needs faketime"
fi
backend_both add 3 8080
open_both new tcp 80 $EACH
unharmed "connections begin" "$report" $ALL
check_time_namespace
is "nothing is dropped" "$(dropped)" ""
finish
