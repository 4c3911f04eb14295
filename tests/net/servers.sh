# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# shellcheck disable=SC2154 # modes.sh gives some
# What servers_MODE.t check: nginx, a DNS server and iperf3 behind xlb, in every family of
# the mode; bodies, shares, many connections at once, checksums, retransmissions.

for program in nginx dnsmasq dig dnsperf iperf3 wrk nstat tcpdump; do
	command -v "$program" >/dev/null || skip_all "needs $program"
done

. "$NET/modes.sh"
. "$NET/nginx.sh"

REQUESTS=240
BODY=10485760
QUERIES=1000
CONCURRENT=1000
BYTES=20M # each way by iperf3

# --- servers ---

serve_dns() { # NAME
	start "dns-$1" "$1" dnsmasq -k -C /dev/null -u root -p "$(backend_port 53)" --pid-file= \
		--log-facility=- --no-resolv --no-hosts --txt-record="who.test,$1" \
		--host-record=www.test,192.0.2.80,2001:db8::80
}

serve() {
	for name in $BACKENDS; do
		serve_nginx "$name" "$(backend_port 80)"
		serve_dns "$name"
		start "iperf3-$name" "$name" iperf3 -s -p "$(backend_port 5201)"
	done
	for name in $BACKENDS; do
		wait_for listening "$name" "$(backend_port 80)" "$(backend_port 53)" \
			"$(backend_port 5201)"
	done
}

configure() {
	for way in $WAYS; do
		service_lines "$way" 80/tcp
		service_lines "$way" 53/udp
		service_lines "$way" 5201/tcp hash source
	done >"$WORK/batch"
	ok "services and backends are added" xlb -batch "$WORK/batch"
}

# --- what is asked of them ---

# Names of who answered; nobody is asked again after one that has not answered.
ask_dns() { # WAY COUNT
	on client dig +short +tries=1 +time=2 @"$(vip "$1")" who.test TXT >"$WORK/dig" &&
		yes 'who.test TXT' | head -n "$2" | on client xargs -n 200 \
			dig +short +tries=1 +time=2 @"$(vip "$1")" | tr -d '"'
}

check_shares() { # WAY
	shares=$(http_many client "$(vip_url "$1"):80" $REQUESTS | tally)
	even "$1: every backend has its share of $REQUESTS requests" "$shares" \
		"$BACKENDS" $REQUESTS
	shares=$(ask_dns "$1" $REQUESTS | tally)
	even "$1: every backend has its share of $REQUESTS DNS queries" "$shares" \
		"$BACKENDS" $REQUESTS
}

check_dnsperf() { # WAY
	on client dnsperf -s "$(vip "$1")" -d "$WORK/queries" -n 1 -c 20 >"$WORK/dnsperf" 2>&1 || :
	is "$1: dnsperf has an answer to each of $QUERIES queries" \
		"$(sed -n 's/.*Queries completed: *\([0-9]*\).*/\1/p' "$WORK/dnsperf")" $QUERIES
}

check_iperf3() { # WAY
	ok "$1: iperf3 sends $BYTES both ways at once" on client iperf3 -c "$(vip "$1")" \
		-p 5201 -n $BYTES --bidir --connect-timeout 5000
}

# Connections that backends have accepted.
accepted() {
	sum=0
	for name in $BACKENDS; do
		sum=$((sum + $(kernel_counted "$name" TcpPassiveOpens)))
	done
	echo $sum
}

check_wrk() { # WAY
	before=$(accepted)
	on client wrk -t 1 -c $CONCURRENT -d 1s --timeout 10s \
		"http://$(vip_url "$1"):80/" >"$WORK/wrk" 2>&1 || :
	is "$1: $CONCURRENT connections at once: no request fails" \
		"$(grep -E 'errors|Non-2xx|unable' "$WORK/wrk")" ""
	ok "$1: there were as many" test $(($(accepted) - before)) -ge $CONCURRENT
	diag "$(grep 'requests in' "$WORK/wrk")"
}

# --- on a stick ---

# Frames that the balancer has had to do with at `front`.
at_front() {
	ip -n balancer -s -j link show dev front |
		jq '.[0].stats64 | .rx.packets + .tx.packets'
}

past_front() { # WAY
	before=$(at_front)
	http client "$(vip_url "$1"):80" >/dev/null && [ "$(at_front)" = "$before" ]
}

# Clients come in by the interface that backends are at.
check_stick() {
	clients_by lan
	for way in $WAYS; do
		ok "$way: packets come and go by one interface" wait_for past_front "$way"
		ok "$way: 10 MiB come down as they are, on a stick" \
			body_down "$(vip_url "$way"):80"
		ok "$way: and go up" body_up "$(vip_url "$way"):80"
	done
}

# --- what the kernels counted meanwhile ---

check_frames() {
	captures_end
	for at in client $BACKENDS; do
		sound "tcpdump at $at finds every checksum right" "$at" tcp udp
	done
	case $MODE in
	ipip) sound "and where they enter the segment, of packets in packets" segment \
		ip4 ip6 tcp udp ;;
	gue) sound "and where they enter the segment, of outer headers" segment gue ;;
	esac
}

check_kernels() {
	for name in client router balancer $BACKENDS; do
		is "the kernel of $name has found no checksum or header wrong" \
			"$(kernel_errors "$name")" ""
	done
	for name in client $BACKENDS; do
		sent=$(kernel_counted "$name" TcpOutSegs)
		again=$(kernel_counted "$name" TcpRetransSegs)
		ok "$name has sent few of its $sent segments again: $again" \
			test "$((again * 100))" -le "$sent"
	done
}

check_servers() { # MODE
	mode "$1"
	topology_modes b1 b2
	start_xlb
	serve
	configure
	make_body $BODY
	yes 'www.test A' | head -n $QUERIES >"$WORK/queries"
	for at in client $BACKENDS; do
		capture "$at" "$at" eth0
	done
	capture segment segment balancer
	for way in $WAYS; do
		check_shares "$way"
	done
	check_frames
	for way in $WAYS; do
		# Whoever answers nobody has failed above, and would be long in failing again.
		http client "$(vip_url "$way"):80" >/dev/null 2>&1 || continue
		ok "$way: 10 MiB come down as they are" body_down "$(vip_url "$way"):80"
		ok "$way: 10 MiB go up as they are" body_up "$(vip_url "$way"):80"
		check_dnsperf "$way"
		check_iperf3 "$way"
		check_wrk "$way"
	done
	check_stick
	check_kernels
	! tunnels || is "backends have unpacked all kinds of packets in packets, and no others" \
		"$(unpacked | sed 's/ .*//' | xargs)" \
		"${MODE}_4in4 ${MODE}_6in4 ${MODE}_4in6 ${MODE}_6in6"
	is "nothing is dropped but what is too big for a tunnel" \
		"$(dropped | grep -v ^too_big)" ""
}
