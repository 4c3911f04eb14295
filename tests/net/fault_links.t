#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What goes down and comes up again under connections that exchange data: programs and
# links, which no connection notices but for the wait; backends, of which none but their own
# do; and all backends.

. "$(dirname "$0")/lib.sh"
. "$NET/faults.sh"

EACH=60 # connections of each family
ALL=$((2 * EACH))
NEW=30 # of each family, begun after something has happened

SERVICE4=$VIP4:80/tcp SERVICE6=[$VIP6]:80/tcp

serve_b() { # NUMBER
	serve_echo "b$1" 8080
	case $1 in
	1) echo_b1=$started ;;
	2) echo_b2=$started ;;
	3) echo_b3=$started ;;
	esac
}

setup() {
	topology_routed 3
	sysctl_set balancer net.ipv6.conf.all.keep_addr_on_down=1
	sysctl_set b1 net.ipv6.conf.all.keep_addr_on_down=1
	for number in 1 2 3; do
		serve_b $number
	done
	serve_http b1 8081
}

# --- data ---

# transfer begins a download that takes its time; transfer_whole waits for its end.
transfer() {
	: >"$WORK/transferred"
	start transfer client curl -sS --limit-rate 1M --max-time 60 --noproxy '*' \
		-o "$WORK/transferred" "http://$VIP4:81/bytes/2500000"
	transferring=$started
	wait_for test -s "$WORK/transferred"
}

transfer_whole() { # WHAT_HAPPENED
	status=0
	wait "$transferring" || status=$?
	is "$1: a download goes on to its end" "$status" 0
	ok "$1: and is what it should be" cmp "$WORK/body" "$WORK/transferred"
}

# --- links ---

retransmitted() {
	on client nstat -asz TcpRetransSegs | awk '$1 == "TcpRetransSegs" { print $2 }'
}

noticed() {
	[ "$(retransmitted)" -gt "$before" ]
}

# outage NETNS DEV: down until some connection has noticed.
outage() {
	before=$(retransmitted)
	ip -n "$1" link set "$2" down
	wait_for noticed
	ip -n "$1" link set "$2" up
	on "$1" ethtool -K "$2" gro on >/dev/null
}

backend_outage() { # NUMBER
	outage "b$1" eth0
	default_route "b$1" "10.2.$1.1" "fd00:2:$1::1"
}

replacements() {
	for _ in 1 2 3 4 5; do
		load client b1 b2 b3
	done
}

# unnoticed WHAT COMMAND...
unnoticed() {
	what=$1
	shift
	transfer
	ok "$what" "$@"
	alive "$what" old:$ALL
	transfer_whole "$what"
}

# --- backends ---

health() { # { up | down } NUMBER...
	word=$1
	shift
	for number in "$@"; do
		echo "backend change $(backend4 "$number"):8080 service $SERVICE4 health $word"
		echo "backend change [$(backend6 "$number")]:8080 service $SERVICE6 health $word"
	done | xlb -batch -
}

# begin GROUP WHEN: connections begin and work; who has how many is in $report.
begin() {
	open_both "$1" tcp 80 $NEW
	unharmed "$2: new connections work" "$report" $((2 * NEW))
}

# How many have broken that were not at NAME.
broken_elsewhere() { # REPORT NAME
	printf '%s\n' "$1" | awk -v name="$2" '
		$1 == "broken" && $2 != name { sum += $4 }
		END { print sum + 0 }'
}

# only NAME WHAT: of the old connections its own break, and no others.
only() {
	before=$old
	old=$(flows check old)
	own=$(reported "$before" "on $1")
	is "$2: its own $own connections break" "$(broken "$old" "$1")" "$own"
	is "$2: and no others" "$(broken_elsewhere "$old" "$1")" "$(broken_elsewhere "$before" "$1")"
	is "$2: none moves" "$(reported "$old" moved)" 0
}

# Backend NUMBER is healthy again.
back() { # NUMBER
	ok "b$1 is back" health up "$1"
	begin "with-$1" "b$1 is back"
	ok "b$1 is back: some are its own" test "$(reported "$report" "on b$1")" -gt 0
}

check_process() {
	stop "$echo_b2"
	only b2 "a backend's process is killed"
	ok "a checker says so" health down 2
	begin without-2 "without it"
	serve_b 2
	back 2
}

check_link() {
	ip -n balancer link del b3
	only b3 "a backend's link is gone, and so its host"
	ok "a checker says so" health down 3
	begin without-3 "without it"
	is "the interface is none of xlb's any more" \
		"$(xlb -j link show | jq -r '[.[].dev] | sort | join(" ")')" "b1 b2 client"
	stop "$echo_b3"
	ip netns del b3
	topology_backend 3
	serve_b 3
	load b3
	back 3
}

check_all_gone() {
	for pid in $echo_b1 $echo_b2 $echo_b3; do
		stop "$pid"
	done
	ok "all backends are killed, and a checker says so" health down 1 2 3
	fails 28 "nobody serves" on client curl -sS --max-time 1 --noproxy '*' "http://$VIP4/"
	like "which is counted" "$(dropped)" '^no_backend [1-9][0-9]*$'
	for number in 1 2 3; do
		serve_b $number
	done
	ok "all are back" health up 1 2 3
	begin all "all are back"
	is "each has some" "$(homes "$report" | wc -l)" 3
}

configure() {
	for service in "$SERVICE4" "$SERVICE6"; do
		echo "service add $service"
	done
	for number in 1 2 3; do
		echo "backend add $(backend4 $number):8080 service $SERVICE4"
		echo "backend add [$(backend6 $number)]:8080 service $SERVICE6"
	done
	echo "service add $VIP4:81/tcp"
	echo "backend add $(backend4 1):8081 service $VIP4:81/tcp"
}

setup
ok "xlb is loaded" load client b1 b2 b3
configure >"$WORK/batch"
ok "services of both families" xlb -batch "$WORK/batch"
body 2500000 >"$WORK/body"
hold_flows client 0.3 8
open_both old tcp 80 $EACH
unharmed "connections begin" "$report" $ALL
unnoticed "the program is replaced on each interface, five times" replacements
unnoticed "the link to clients was down" outage balancer client
unnoticed "the link to a backend was down" outage balancer b1
unnoticed "the backend's link was down" backend_outage 1
is "no slot is in transition, and no flow has a record" "$(records)" 0
old=$(flows check old)
check_process
check_link
check_all_gone
finish
