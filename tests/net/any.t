#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Services on any address answer from the address that was asked; services on any port
# leave the port alone.

. "$(dirname "$0")/lib.sh"
. "$NET/traffic.sh"

VIPS='192.0.2.10 192.0.2.11 198.51.100.1 2001:db8::10 2001:db8::11 2001:db8:1::1'
ANY_PORT4=203.0.113.1 ANY_PORT6=2001:db8:2::1
REQUESTS=100
FLOWS=50 # to each VIP

# The servers of b3 and b4 listen on three ports, each with an answer of its own.
serve() {
	for number in 1 2; do
		serve_echo "b$number" 8080
		serve_echo "b$number" 5353
	done
	for number in 3 4; do
		for port in 80 443 8443; do
			start "http-b$number-$port" "b$number" /usr/bin/python3 "$NET/httpd.py" \
				"b$number-$port" $port
			wait_for grep -qx ready "$log"
		done
	done
}

configure() {
	cat <<-END >"$WORK/batch"
		service add *:8080/tcp
		service add *:53/udp
		service add [*]:8080/tcp
		service add [*]:53/udp
		service add $ANY_PORT4:*/tcp
		service add [$ANY_PORT6]:*/tcp
	END
	for number in 1 2; do
		echo "backend add $(backend4 $number) service *:8080/tcp"
		echo "backend add $(backend4 $number):5353 service *:53/udp"
		echo "backend add [$(backend6 $number)] service [*]:8080/tcp"
		echo "backend add [$(backend6 $number)]:5353 service [*]:53/udp"
	done >>"$WORK/batch"
	for number in 3 4; do
		echo "backend add $(backend4 $number) service $ANY_PORT4:*/tcp"
		echo "backend add [$(backend6 $number)] service [$ANY_PORT6]:*/tcp"
	done >>"$WORK/batch"
	ok "services and backends are added" xlb -batch "$WORK/batch"
}

# All at once, so that answers of one VIP have every chance to be taken for another's.
# A client may use one source port towards several VIPs, which backends can't tell
# apart and xlb refuses; flows.py does not.
check_any_address() {
	for vip in $VIPS; do
		flows open tcp tcp "$vip" 8080 $FLOWS >/dev/null
		flows open udp udp "$vip" 53 $FLOWS >/dev/null
	done
	for protocol in tcp udp; do
		report=$(flows check $protocol)
		unharmed "any address: $protocol: $FLOWS flows to each of six VIPs are answered" \
			"$report" $((6 * FLOWS))
		even "any address: $protocol: by both backends" "$(homes "$report")" \
			"b1 b2" $((6 * FLOWS))
	done
}

check_any_port() {
	for vip in $ANY_PORT4 "[$ANY_PORT6]"; do
		for port in 80 443 8443; do
			even "any port: $vip:$port reaches port $port of both" \
				"$(http_many client "$vip:$port" $REQUESTS | tally)" \
				"b3-$port b4-$port" $REQUESTS
		done
		fails 7 "any port: where no server listens the connection is refused" \
			http client "$vip:81"
	done
}

topology_routed 4
serve
ok "xlb is loaded" load client b1 b2 b3 b4
configure
hold_flows client
check_any_address
check_any_port
is "the balancer's own UDP to a backend of any address" \
	"$(udp balancer "$(backend4 1)" 5353 own)" "b1 own"
is "the balancer's own HTTP to a backend of any port" \
	"$(http balancer "$(backend4 3):443/")" b3-443
is "nothing is dropped" "$(dropped)" ""
finish
