#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The program is replaced a hundred times under as many packets as the machine has time
# for: none is lost, either way.  And it is replaced only where it is what it was taken for.

# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"

REPLACEMENTS=100
PORT=5353

for program in clang strace; do
	command -v $program >/dev/null || skip_all "needs $program"
done

lb() {
	on balancer xlb "$@"
}

lb_batch() {
	lb -batch "$WORK/batch"
}

# --- packets ---

pump_start() {
	start pump client "$NET/pump" client b1 $PORT "$VIP4" 53 "$VIP6" 53
	pump=$started
	wait_for grep -qx ready "$log"
}

# Lines of $report say: sent, arrived, returned (packets), rate (each second, both ways).
pump_stop() {
	kill "$pump"
	wait "$pump" || :
	report=$(cat "$WORK/pump")
}

reported() { # WHAT
	printf '%s\n' "$report" | sed -n "s/^$1 //p"
}

received() { # NETNS DEV: packets
	ip -n "$1" -s -j link show dev "$2" | jq '.[0].stats64.rx.packets'
}

has_received() { # NETNS DEV PACKETS
	test "$(received "$1" "$2")" -ge "$3"
}

none_lost() { # WHEN
	sent=$(reported sent)
	is "$1: all packets reach the backend" "$(reported arrived)" "$sent"
	is "$1: and all answers the client" "$(reported returned)" "$sent"
	[ "$(reported returned)" = "$sent" ] || say_where
	diag "$1: $sent packets, with answers $(reported rate) a second"
}

# The queues' own losses, and ours.
say_where() {
	for dev in client b1; do
		diag "$dev: $(ip netns exec balancer ethtool -S "$dev" |
			awk '$2 && /drop|err/' | xargs)"
	done
	diag "$(lb stats | grep ^drops)"
}

# --- replacements ---

replace() {
	left=$((REPLACEMENTS / 2))
	while [ "$left" -gt 0 ]; do
		for dev in client b1; do
			lb load dev "$dev" || return
			program_id balancer "$dev" >>"$WORK/programs"
		done
		left=$((left - 1))
	done
}

map_sizes() {
	for map in services4 backends slots flows4; do
		bpftool -j map show pinned /sys/fs/bpf/xlb/xlb_$map | jq .max_entries
	done | xargs
}

topology_routed 1
ok "loads with sizes of its own" \
	lb load dev client services 20 backends 30 slots 65536 flows 2000
ok "on both interfaces" lb load dev b1
cat >"$WORK/batch" <<END
config set nat6 fd00:2:1::1
service add $VIP4:53/udp
backend add $(backend4 1):$PORT service $VIP4:53/udp
service add [$VIP6]:53/udp mode nat
backend add [$(backend6 1)]:$PORT service [$VIP6]:53/udp
END
ok "services of modes dnat and nat" lb_batch
maps=$(program_maps balancer client)

pump_start
wait_for has_received b1 eth0 50000
pump_stop
none_lost "left alone"

pump_start
began=$(date +%s)
ok "the program is replaced $REPLACEMENTS times" replace
diag "in $(($(date +%s) - began)) seconds"
pump_stop
none_lost "replaced $REPLACEMENTS times"
is "each time by another" "$(sort -u "$WORK/programs" | wc -l)" $REPLACEMENTS
is "over the same maps" "$(program_maps balancer client)" "$maps"
is "whose sizes stay" "$(map_sizes)" "20 30 4096 2000"
like "other sizes are refused" "$(lb load dev client flows 3000 2>&1 || :)" \
	"^xlb: load dev client: maps of other sizes are there already"

# --- whose place it takes ---

other_program "$WORK/other.o"

# Stopped once it has loaded the program that it is to attach, after as many calls of
# bpf() as it took to get there before.
is_stopped() {
	grep -q 'stopped by SIGSTOP' "$WORK/trace"
}

strace -e trace=bpf,sendto -o "$WORK/trace" nsenter --net=/run/netns/balancer xlb load dev client
calls=$(sed -n '1,/BPF_PROG_LOAD.*"xlb_xdp"/p' "$WORK/trace" | grep -c '^bpf(')
start load balancer strace -e trace=bpf -e "inject=bpf:signal=STOP:when=$calls" \
	-o "$WORK/trace" xlb load dev client
wait_for is_stopped
on balancer ip -force link set dev client xdpdrv obj "$WORK/other.o" sec xdp
other=$(program_id balancer client)
pkill -CONT -P "$started"
status=0
wait "$started" || status=$?
is "somebody else was faster: refused" "$status" 2
like "and said" "$(cat "$WORK/load")" "^xlb: load dev client: native mode: .*not match expected"
is "what is there stays" "$(program_id balancer client)" "$other"
on balancer ip link set dev client xdpdrv off

load_thrice() { # DEV
	lb load dev "$1" && lb load dev "$1" && lb load dev "$1"
}

ok "loads again" lb load dev client
load_thrice client >"$WORK/rival" 2>&1 &
rival=$!
ok "two at a time take turns" load_thrice client
status=0
wait $rival || status=$?
is "both of them" "$status $(cat "$WORK/rival")" "0 "

ok "unloads" lb unload dev client
ok "loads in generic mode" lb load dev client mode generic
pump_start
before=$(program_id balancer client)
ok "is replaced there, too" load_thrice client
pump_stop
none_lost "generic mode"
is "the mode stays" "$(program_mode balancer client)" generic
ok "it is another program" test "$(program_id balancer client)" != "$before"
finish
