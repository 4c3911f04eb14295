# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# shellcheck disable=SC2154 # modes.sh gives some
# What fragments_MODE.t check: datagrams of 8 kB, which a client's kernel fragments, reach
# a backend and come back as they were.

. "$NET/modes.sh"

SIZE=8000
COUNT=20

# What a kernel has put together of fragments, of either family.
reassembled() { # NETNS
	echo $(($(kernel_counted "$1" IpReasmOKs) + $(kernel_counted "$1" Ip6ReasmOKs)))
}

# Whom each of COUNT datagrams of their own flows has been answered by, and with what.
answered() { # WAY
	udp client "$(vip "$1")" 53 "$text" $COUNT | sed "s/ $text\$/ whole/" | sort -u
}

# Outer headers leave less of a link to a packet in it, and IPv4 fragments are not told
# so: a client has to know.
make_room() {
	! tunnels || ip -n client route change default via 10.1.0.1 mtu 1400
}

check_way() { # WAY
	before=$(reassembled b1)
	# IPv6 learns of the tunnel by its first datagram.
	! tunnels || udp client "$(vip "$1")" 53 "$text" 1 1 >"$WORK/first" 2>&1 || :
	is "$1: $COUNT datagrams of $SIZE bytes come back whole" "$(answered "$1")" "b1 whole"
	ok "$1: put together from fragments" \
		test $(($(reassembled b1) - before)) -ge $COUNT
}

check_fragments() { # MODE
	mode "$1"
	topology_modes b1
	BACKENDS=b1
	start_xlb
	serve_echo_at b1 53
	for way in $WAYS; do
		service_lines "$way" 53/udp
	done >"$WORK/batch"
	ok "services and backends are added" xlb -batch "$WORK/batch"
	make_room
	text=$(head -c $SIZE /dev/zero | tr '\0' x)
	for way in $WAYS; do
		check_way "$way"
	done
	is "nothing is dropped but what is too big for a tunnel" \
		"$(dropped | grep -v ^too_big)" ""
	# A later fragment whose first was never seen has no ports.
	on client /usr/bin/python3 -c '
import sys
from scapy.all import IP, Raw, conf, send
conf.verb = 0
for frag in (185, 370):
    send(IP(dst=sys.argv[1], proto=17, id=4711, frag=frag, flags="MF") / Raw(bytes(1480)))
' "$(vip 4)" 2>/dev/null
	wait_for dropped_twice
	is "a later fragment that comes first is dropped, and counted" "$(dropped_for fragment)" 2
}

dropped_twice() {
	[ "$(dropped_for fragment)" -ge 2 ]
}
