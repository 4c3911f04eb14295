# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# shellcheck disable=SC2154 # modes.sh gives some
# What icmp_MODE.t check: ICMP that kernels send.  Path MTU discovery both ways across
# links that only a router knows to be narrow, ports where nobody listens, ping.

for program in nginx ping tcpdump; do
	command -v "$program" >/dev/null || skip_all "needs $program"
done

. "$NET/modes.sh"
. "$NET/nginx.sh"

BODY=2000000
MTU=1400

# narrow ROUTER DEV NETWORK...: what goes there by this device must not be larger; the
# networks are parts of what is on the link.
narrow() {
	netns=$1
	dev=$2
	shift 2
	for each in "$@"; do
		ip -n "$netns" route add "$each" dev "$dev" mtu lock $MTU
	done
}

# The path MTU that a kernel has learnt, or nothing.
learnt() { # NETNS DESTINATION [SOURCE]
	ip -n "$1" route get "$2" ${3:+from "$3"} | sed -n 's/.* mtu \([0-9]*\).*/\1/p'
}

# Bytes that a tunnel takes of what fits a link.
overhead() { # WAY
	case $MODE:${1#*in} in
	ipip:4) echo 20 ;;
	ipip:6) echo 40 ;;
	gue:4) echo 32 ;;
	gue:6) echo 52 ;;
	*) echo 0 ;;
	esac
}

# Whom a backend has before it, and from which address of its own.
peer() { # WAY
	case $MODE:$(family "$1") in
	nat:4) echo $NAT4 ;;
	nat:6) echo $NAT6 ;;
	*:4) echo $CLIENT4 ;;
	*:6) echo $CLIENT6 ;;
	esac
}

own_end() { # WAY NAME
	if direct; then
		vip "$1"
	else
		backend_address "$1" "$2"
	fi
}

# One backend a service: the nearest on port 80, the one behind a router on 81; nobody
# listens behind 9.
configure() {
	for way in $WAYS; do
		BACKENDS=b1
		service_lines "$way" 80/tcp
		service_lines "$way" 9/udp
		[ "$MODE" != dr ] || continue
		BACKENDS=far
		service_lines "$way" 81/tcp
	done >"$WORK/batch"
	ok "services and backends are added" xlb -batch "$WORK/batch"
}

check_down() { # WAY
	ok "$1: a body comes down a narrow way" body_down "$(vip_url "$1"):80"
	is "$1: the backend has learnt how narrow" \
		"$(learnt b1 "$(peer "$1")" "$(own_end "$1" b1)")" $MTU
}

check_up() { # WAY
	ok "$1: a body goes up a narrow way" body_up "$(vip_url "$1"):81"
	is "$1: the client has learnt how narrow" "$(learnt client "$(vip "$1")")" \
		$((MTU - $(overhead "$1")))
}

# A connected socket is told of an error, within two seconds.
check_refused() { # WAY
	is "$1: a port where nobody listens refuses" "$(on client /usr/bin/python3 -c '
import socket, sys
vip = sys.argv[1]
asking = socket.socket(socket.AF_INET6 if ":" in vip else socket.AF_INET, socket.SOCK_DGRAM)
asking.settimeout(2)
asking.connect((vip, 9))
asking.send(b"anybody?")
try:
    asking.recv(1)
except OSError as error:
    print(type(error).__name__)
' "$(vip "$1")")" ConnectionRefusedError
}

pinged() { # WAY
	on client ping -n -c 3 -i 0.05 -W 2 "$(vip "$1")"
}

check_ping() { # WAY
	ok "$1: the VIP answers ping" pinged "$1"
	for port in 80/tcp 81/tcp 9/udp; do
		[ "$MODE$port" = dr81/tcp ] || xlb service change "$(service "$1" $port)" echo off
	done
	# The kernels on the way send it on, or back, as with any address that is not there.
	fails 1 "$1: unless no service wants it" on client ping -n -c 1 -W 1 "$(vip "$1")"
}

check_frames() {
	captures_end
	for at in client b1; do
		sound "tcpdump at $at finds every checksum right" "$at" tcp
	done
	[ "$MODE" = dr ] || sound "and at the far backend" far
}

check_icmp() { # MODE
	mode "$1"
	topology_modes b1
	start_xlb
	at_all=$BACKENDS
	for name in $at_all; do
		serve_nginx "$name" "$(backend_port 80)" "$(backend_port 81)"
		wait_for listening "$name" "$(backend_port 80)"
	done
	configure
	make_body $BODY
	narrow router client 10.1.0.2/32 fd00:1::2/128
	[ "$MODE" = dr ] || narrow inner far 10.4.0.2/31 fd00:4::2/127
	for at in client $at_all; do
		capture "$at" "$at" eth0
	done
	for way in $WAYS; do
		check_down "$way"
		[ "$MODE" = dr ] || check_up "$way"
		check_refused "$way"
		check_ping "$way"
	done
	check_frames
	is "nothing is dropped but what is too big for a tunnel" \
		"$(dropped | grep -v ^too_big)" ""
}
