#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# A backend behind tunnels, which decap.o undoes: HTTP in every mode and family, path
# MTU, ways to load it, and the kernel's own devices in its place.

. "$(dirname "$0")/lib.sh"
. "$NET/traffic.sh"

DECAP=$ROOT/bpf/decap.o
BODY=2097152
B4=$(backend4 1)
B6=[$(backend6 1)]

undone() { # COUNTER
	on b1 xlb -j decap stats | jq --arg counter "$1" '.[$counter]'
}

refused() {
	on b1 xlb -j decap stats | jq -r 'to_entries[] |
		select((.key | test("dropped|passed")) and .value > 0) | "\(.key) \(.value)"'
}

# Of TCP; both families count there.
wrong_sums() {
	on b1 cat /proc/net/snmp | awk '/^Tcp:/ && $NF ~ /^[0-9]+$/ { print $NF }'
}

# The server's answers have another way than requests: only these go through tunnels.
service() { # VIP MODE BACKEND
	xlb service add "$1:80/tcp" mode "$2"
	xlb backend add "$3" service "$1:80/tcp"
}

upload() { # VIP
	on client curl -sS -g --max-time 30 --noproxy '*' -H Expect: -T "$WORK/expected" \
		-o "$WORK/returned" "http://$1/"
	cmp "$WORK/expected" "$WORK/returned"
}

check_transfers() { # NAME VIP
	is "$1: a request is answered" "$(http client "$2/")" b1
	case $2 in
	*:*) client=fd00:1::2 ;;
	*) client=10.1.0.2 ;;
	esac
	is "$1: the server sees the client's address" "$(http client "$2/client")" $client
	http client "$2/bytes/$BODY" >"$WORK/returned"
	ok "$1: 2 MiB arrive as they were sent" cmp "$WORK/expected" "$WORK/returned"
	ok "$1: 2 MiB go and come back" upload "$2"
}

check_mode() { # MODE VIP BACKEND COUNTER
	service "$2" "$1" "$3"
	big=$(dropped_for too_big)
	for family in -4 -6; do
		ip -n client $family route flush cache
	done
	check_transfers "$1 from $2 to $3" "$2"
	ok "they came as $4" test "$(undone "$4")" -gt 1000
	ok "the client was told what is too big" test "$(dropped_for too_big)" -gt "$big"
	xlb service del "$2:80/tcp"
}

check_modes() {
	for mode in ipip gue; do
		check_mode $mode "$VIP4" "$B4" ${mode}_4in4
		check_mode $mode "$VIP4" "$B6" ${mode}_4in6
		check_mode $mode "[$VIP6]" "$B4" ${mode}_6in4
		check_mode $mode "[$VIP6]" "$B6" ${mode}_6in6
	done
	is "decap.o has refused nothing" "$(refused)" ""
	is "the server has found no checksum wrong" "$(wrong_sums)" 0
}

# With smaller segments from the start nobody has to be told.
check_segments() {
	before=$(dropped_for too_big)
	ip -n b1 route change default via 10.2.1.1 advmss 1428
	ip -n b1 -6 route change default via fd00:2:1::1 advmss 1388
	service "$VIP4" gue "$B4"
	service "[$VIP6]" gue "$B6"
	ok "IPv4: segments that fit go up" upload "$VIP4"
	ok "IPv6: segments that fit go up" upload "[$VIP6]"
	is "nothing was too big" "$(dropped_for too_big)" "$before"
}

check_addresses() {
	xlb config set gue 7000
	# Its kernel says that nobody takes such packets, and xlb tells the client.
	fails 7 "the port of GUE is another" http client "$VIP4/"
	on b1 xlb decap change "$B4" gue 7000
	is "and here, too" "$(http client "$VIP4/")" b1
	xlb config set gue 6080
	on b1 xlb decap change "$B4" gue 6080
	on b1 xlb decap del "$B4"
	fails 7 "an address that is not decap's any more" http client "$VIP4/"
	is "while the other one is" "$(http client "[$VIP6]/")" b1
	on b1 xlb decap add "$B4"
	is "and again" "$(http client "$VIP4/")" b1
}

check_loaded() { # NAME
	is "$1: IPv4 in GUE" "$(http client "$VIP4/")" b1
	is "$1: IPv6 in GUE" "$(http client "[$VIP6]/")" b1
}

load_decap() { # WORDS of `ip link`
	on b1 ip link set dev eth0 "$@"
}

check_ways() {
	load_decap xdp off
	fails 7 "without decap.o nobody answers" http client "$VIP4/"
	load_decap xdp obj "$DECAP" sec xdp
	check_loaded "ip with a section"
	load_decap xdp off
	load_decap xdpgeneric obj "$DECAP"
	is "generic mode" "$(program_mode b1 eth0)" generic
	check_loaded "ip in generic mode"
	load_decap xdpgeneric off
	bpftool prog load "$DECAP" /sys/fs/bpf/decap type xdp
	on b1 bpftool net attach xdp pinned /sys/fs/bpf/decap dev eth0
	for address in "$B4" "$B6"; do
		on b1 xlb -pin /sys/fs/bpf decap add "$address"
	done
	check_loaded bpftool
	load_decap xdp off
}

# As xlb-decap(8) has it.
kernel_devices() {
	ip -n b1 link add xlb44 type ipip local "$(backend4 1)" || return
	ip -n b1 link add xlb64 type sit local "$(backend4 1)"
	ip -n b1 link add xlb6 type ip6tnl mode any local "$(backend6 1)"
	for dev in xlb44 xlb64 xlb6; do
		ip -n b1 link set $dev up
	done
	sysctl_set b1 net.ipv4.conf.xlb44.rp_filter=0 net.ipv4.conf.xlb6.rp_filter=0
	on b1 ip fou add port 6080 gue
	on b1 ip -6 fou add port 6080 gue
}

check_kernel() {
	xlb service del "$VIP4:80/tcp"
	xlb service del "[$VIP6]:80/tcp"
	if ! kernel_devices >"$WORK/output" 2>&1; then
		skip "the kernel's devices" "it has none: $(head -n 1 "$WORK/output")"
		return
	fi
	for mode in ipip gue; do
		for vip in "$VIP4" "[$VIP6]"; do
			for backend in "$B4" "$B6"; do
				service "$vip" $mode "$backend"
				check_transfers "the kernel, $mode from $vip to $backend" "$vip"
				xlb service del "$vip:80/tcp"
			done
		done
	done
}

topology_routed 1
address b1 lo "$VIP4/32" "$VIP6/128"
serve_http b1 80
body $BODY >"$WORK/expected"
ok "xlb is loaded" load client b1
ok "decap.o is loaded" load_decap xdp obj "$DECAP"
ok "tunnels have a source" xlb config set tunnel4 10.2.1.1 tunnel6 fd00:2:1::1
ok "an IPv4 address for tunnels" on b1 xlb decap add "$B4"
ok "an IPv6 address for tunnels" on b1 xlb decap add "$B6"
check_modes
check_segments
check_addresses
check_ways
check_kernel
finish
