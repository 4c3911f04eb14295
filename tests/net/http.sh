# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# What http_routed.t and http_one_arm.t check of their topology: HTTP and UDP over IPv4
# and IPv6, shares, bodies, checksums, counters.

. "$NET/traffic.sh"

BACKENDS='b1 b2 b3 b4'
REQUESTS=400
FLOWS=200
BODY=10485760

serve() {
	for number in 1 2 3 4; do
		serve_http "b$number" 8080
		serve_echo "b$number" 5300
	done
}

# In one batch, so that each table is built once and no slot changes hands.
configure() {
	for service in "$VIP4:80/tcp" "$VIP4:53/udp" "[$VIP6]:80/tcp" "[$VIP6]:53/udp"; do
		echo "service add $service"
	done >"$WORK/batch"
	for number in 1 2 3 4; do
		v4=$(backend4 $number)
		v6=$(backend6 $number)
		echo "backend add $v4:8080 service $VIP4:80/tcp"
		echo "backend add $v4:5300 service $VIP4:53/udp"
		echo "backend add [$v6]:8080 service [$VIP6]:80/tcp"
		echo "backend add [$v6]:5300 service [$VIP6]:53/udp"
	done >>"$WORK/batch"
	ok "services and backends are added" xlb -batch "$WORK/batch"
}

# What xlb counted, as a tally of backends' names.
connections() { # FAMILY
	for number in 1 2 3 4; do
		case $1 in
		IPv4) echo "b$number $(counted "$VIP4:80/tcp" "$(backend4 $number):8080")" ;;
		IPv6) echo "b$number $(counted "[$VIP6]:80/tcp" "[$(backend6 $number)]:8080")" ;;
		esac
	done
}

check_http() { # FAMILY ADDRESS
	shares=$(http_many client "$2:80" $REQUESTS | tally)
	even "$1: each of four has its share of $REQUESTS requests" \
		"$shares" "$BACKENDS" $REQUESTS
	is "$1: as many connections are counted as were made" "$(connections "$1")" "$shares"
}

check_udp() { # FAMILY ADDRESS
	flows open "$1" udp "$2" 53 $FLOWS >/dev/null
	report=$(flows check "$1")
	unharmed "$1: $FLOWS UDP flows are answered" "$report" $FLOWS
	even "$1: each of four has its share of them" \
		"$(homes "$report")" \
		"$BACKENDS" $FLOWS
	flows close "$1" >/dev/null
}

check_frames() {
	captures_end
	for at in client $BACKENDS; do
		sound "tcpdump at $at finds every checksum right" "$at" tcp udp
	done
}

check_body() { # FAMILY ADDRESS
	http client "$2:80/bytes/$BODY" >"$WORK/body"
	ok "$1: 10 MiB arrive as they were sent" cmp "$WORK/expected" "$WORK/body"
}

# What is not a client's traffic to a service.
check_others() {
	is "IPv4: the balancer's own HTTP to a backend" \
		"$(http balancer "$(backend4 2):8080/")" b2
	is "IPv6: the balancer's own HTTP to a backend" \
		"$(http balancer "[$(backend6 3)]:8080/")" b3
	is "IPv4: the balancer's own UDP to a backend" \
		"$(udp balancer "$(backend4 2)" 5300 own)" "b2 own"
	is "IPv6: the balancer's own UDP to a backend" \
		"$(udp balancer "$(backend6 3)" 5300 own)" "b3 own"
	serve_http b1 8081
	is "the kernel forwards to a port that is no service's" \
		"$(http client "$(backend4 1):8081/")" b1
	is "IPv4: backends see the client's address" \
		"$(http client "$VIP4:80/client")" 10.1.0.2
	is "IPv6: backends see the client's address" \
		"$(http client "[$VIP6]:80/client")" fd00:1::2
}

check_traffic() {
	body $BODY >"$WORK/expected"
	hold_flows client
	for at in client $BACKENDS; do
		capture "$at" "$at" eth0
	done
	check_http IPv4 "$VIP4"
	check_http IPv6 "[$VIP6]"
	check_udp IPv4 "$VIP4"
	check_udp IPv6 "$VIP6"
	check_frames
	check_body IPv4 "$VIP4"
	check_body IPv6 "[$VIP6]"
	check_others
	is "nothing is dropped" "$(dropped)" ""
	is "no flow has needed a record" "$(records)" 0
}
