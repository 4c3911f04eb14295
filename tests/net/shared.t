#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck disable=SC2154 # lib.sh sets $started and $log, eval the pids
# Two services with one and the same backend: downloads and long-lived connections by
# both stay whole while they come to share it and part again.

. "$(dirname "$0")/lib.sh"
. "$NET/traffic.sh"
. "$NET/nginx.sh"

EACH=20 # downloads of each family and service at once, and connections that are held
ALL=$((2 * EACH))
BODY=1048576

PORTS='80 7 9' # downloads, echo, and where only the backend speaks; there 8000 more
OTHER4=192.0.2.11 OTHER6=2001:db8::11
END4=$(backend4 1) END6=$(backend6 1)
NAT4=10.9.0.1 NAT6=fd00:9::1

first() { # VERB: about the first service's backend
	backend_of "$VIP4" "$VIP6" "$1"
}

second() {
	backend_of "$OTHER4" "$OTHER6" "$1"
}

backend_of() { # VIP4 VIP6 VERB
	for port in $PORTS; do
		echo "backend $3 $END4:$((8000 + port)) service $1:$port/tcp"
		echo "backend $3 [$END6]:$((8000 + port)) service [$2]:$port/tcp"
	done | xlb -batch -
}

services() { # VIP4 VIP6 MODE
	for port in $PORTS; do
		echo "service add $1:$port/tcp mode $3"
		echo "service add [$2]:$port/tcp mode $3"
	done | xlb -batch -
}

# No port of the client talks to both services: it could not, and the kernel that chooses
# one does not know.
source_ports=20000

take_ports() {
	first_port=$source_ports
	source_ports=$((source_ports + ALL))
}

# download NAME VIP4 VIP6: under way until arrived().
download() {
	take_ports
	: >"$WORK/$1.flag"
	rm -f "$WORK/$1"
	start "$1" client /usr/bin/python3 "$NET/trickle.py" "$WORK/$1.flag" "$WORK/files/body" \
		$first_port $EACH /files/body "$2" "$3"
	eval "pid_$1=$started"
	ok "$ALL downloads ($1) begin" wait_for grep -qx ready "$log"
}

under_way() { # NAME
	eval "kill -0 \$pid_$1"
}

arrived() { # NAME
	rm "$WORK/$1.flag"
	eval "wait \$pid_$1" || {
		cat "$WORK/$1"
		return 1
	}
}

hold() { # GROUP VIP4 VIP6
	flows open "$1" tcp "$2" 7 $EACH >/dev/null
	flows open "$1" tcp "$3" 7 $EACH >/dev/null
	unharmed "$ALL connections ($1) begin" "$(flows check "$1")" $ALL
}

# listen NAME VIP4 VIP6: to what only the backend says.
listen() {
	take_ports
	rm -f "$WORK/$1"
	start "$1" client /usr/bin/python3 "$NET/speak.py" listen 9 $first_port $EACH "$2" "$3"
	eval "pid_$1=$started"
	ok "$ALL connections ($1) listen" wait_for grep -qx ready "$log"
}

# The backend says something to all, without being asked.
speak() {
	said=$((said + 1))
	kill -USR1 "$speaker"
}

heard() { # NAME
	wait_for grep -qx "heard $said from $ALL" "$WORK/$1" || {
		cat "$WORK/$1"
		return 1
	}
}

hang_up() { # NAME
	eval "stop \$pid_$1"
}

# Whose replies cannot be told by the backend's address.
told_by_flow() {
	for map in xlb_replies4 xlb_replies6; do
		bpftool -j map dump pinned "/sys/fs/bpf/xlb/$map"
	done | jq -s 'add | map(.formatted.value.by_flow) | add'
}

check_pair() { # MODE of the second
	download before "$VIP4" "$VIP6"
	hold first "$VIP4" "$VIP6"
	listen silent "$VIP4" "$VIP6"
	is "one service alone of mode dnat: no flow has a record" "$(records)" 0

	ok "another service, of mode $1, gets its backend" second add
	speak
	ok "connections whose client is silent hear of the backend" heard silent
	ok "downloads of the first are under way" under_way before
	unharmed "connections of the first go on" "$(flows check first)" $ALL
	is "replies of all its ends are told by records" "$(told_by_flow)" 6
	download second "$OTHER4" "$OTHER6"
	hold second "$OTHER4" "$OTHER6"
	listen quiet "$OTHER4" "$OTHER6"
	unharmed "connections of the first go on" "$(flows check first)" $ALL
	ok "downloads that began before arrive" arrived before
	flows close first >/dev/null
	hang_up silent

	ok "the first gives the backend up" first del
	speak
	ok "silent connections of the second hear" heard quiet
	ok "downloads of the second are under way" under_way second
	unharmed "connections of the second go on" "$(flows check second)" $ALL
	listen silent "$OTHER4" "$OTHER6"
	download alone "$OTHER4" "$OTHER6"
	ok "and takes it again" first add
	speak
	ok "silent connections hear that the second began alone" heard silent
	ok "or together" heard quiet
	download again "$VIP4" "$VIP6"
	hold again "$VIP4" "$VIP6"
	unharmed "connections of the second go on" "$(flows check second)" $ALL
	ok "downloads of the second arrive" arrived second
	ok "and those that it began alone" arrived alone
	flows close second >/dev/null
	hang_up silent
	hang_up quiet

	listen silent "$VIP4" "$VIP6"
	ok "the second service goes" drop_second
	speak
	ok "silent connections of the first hear" heard silent
	ok "downloads of the first are under way" under_way again
	unharmed "connections of the first go on" "$(flows check again)" $ALL
	ok "downloads of the first arrive" arrived again
	is "no record is left" "$(records)" 0
	is "and no reply is told by records" "$(told_by_flow)" 0
	flows close again >/dev/null
	hang_up silent
}

drop_second() {
	for port in $PORTS; do
		echo "service del $OTHER4:$port/tcp"
		echo "service del [$OTHER6]:$port/tcp"
	done | xlb -batch -
}

# What commands say of a backend that two services have.
check_shown() {
	is "it answers for the second" "$(http client "$OTHER4:80/")" b1
	is "each has its own connections counted" \
		"$(counted "$OTHER4:80/tcp" "$END4:8080") $(counted "$VIP4:80/tcp" "$END4:8080")" "1 0"
	is "xlb flow show has the record under its service" \
		"$(xlb -j flow show service "$OTHER4:80/tcp" | jq -r '.[].to') $(
			xlb -j flow show service "$VIP4:80/tcp" | jq length)" "$OTHER4:80/tcp 0"
	is "xlb lookup finds it by either" "$(for vip in "$VIP4" "$OTHER4"; do
		xlb -j lookup "10.1.0.2:5" to "$vip:80/tcp" | jq -r .backend
	done | xargs)" "$END4:8080 $END4:8080"
	is "xlb backend show has one of each" \
		"$(xlb -j backend show "$END4:8080" | jq -r '.[].service' | xargs)" \
		"$VIP4:80/tcp $OTHER4:80/tcp"
	is "xlb -s link show has it under the service that packets have come by" \
		"$(xlb -s -j link show dev b1 | jq -r '.[].nexthops[] | "\(.backend) \(.service)"')" \
		"$END4:8080 $OTHER4:80/tcp"
}

topology_routed 1
ip -n balancer address add $NAT4/32 dev lo
ip -n balancer address add $NAT6/128 dev lo
serve_nginx b1 8080
wait_for listening b1 8080
serve_echo b1 8007
start speaker b1 /usr/bin/python3 "$NET/speak.py" serve 8009
speaker=$started
said=0
wait_for grep -qx ready "$log"
make_body $BODY
hold_flows client
ok "xlb is loaded" load client b1
ok "nat has sources" xlb config set nat4 $NAT4 nat6 $NAT6
ok "a service" services "$VIP4" "$VIP6" dnat
ok "another" services "$OTHER4" "$OTHER6" dnat
ok "both have the same backend" eval 'first add && second add'
check_shown
ok "the second leaves" second del
for mode in dnat nat; do
	[ $mode = dnat ] || ok "another" services "$OTHER4" "$OTHER6" $mode
	check_pair $mode
done
is "nothing is dropped but what came late to a service without backends" \
	"$(dropped | grep -v ^no_backend)" ""
is "no checksum or header was wrong" "$(kernel_errors client)$(kernel_errors b1)" ""
finish
