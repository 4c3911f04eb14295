#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# xlb monitor beside real traffic: drops, recorded flows, next hops that are lost and found,
# interfaces and programs that come and go.

. "$(dirname "$0")/lib.sh"
. "$NET/traffic.sh"

SERVICE=$VIP4:80/tcp

# What the monitor has said since mark().
news() {
	tail -n "+$((marked + 1))" "$WORK/monitor"
}

mark() {
	marked=$(wc -l <"$WORK/monitor")
}

has_news() { # PATTERN
	news | grep -Eqx -e "$1"
}

# tells DESCRIPTION PATTERN...: each is a line of the news, sooner or later.
tells() {
	description=$1
	shift
	for pattern in "$@"; do
		wait_for has_news "$pattern" || :
	done
	for pattern in "$@"; do
		like "$description: $pattern" "$(news)" "^$pattern\$"
	done
}

mac() { # NETNS DEV
	ip -n "$1" -j link show dev "$2" | jq -r '.[0].address'
}

# Requests until the monitor has told what is wanted of one: which slot it has is chance.
ask_until() { # PATTERN
	for _ in $(seq 200); do
		http client "$VIP4:80" >/dev/null 2>&1 || :
		! has_news "$1" || return 0
	done
	return 1
}

# What packets are asked for: 1 for drops, 2 for flows.
wishes() {
	bpftool -j map dump pinned /sys/fs/bpf/xlb/xlb_watch | jq '.[0].formatted.value.kinds'
}

watched() {
	[ "$(wishes)" = 3 ]
}

topology_routed 2
serve_http b1 80
serve_http b2 80
ok "xlb is loaded" load client b1 b2
xlb service add "$SERVICE" table 251
xlb backend add "$(backend4 1)" service "$SERVICE"
ok "the way is known" http client "$VIP4:80"
start monitor balancer xlb monitor
monitor=$started
ok "xlb monitor watches" wait_for watched
marked=0

# --- packets ---

ok "a request is answered" http client "$VIP4:80"
is "of which there is nothing to tell" "$(news)" ""
xlb backend add "$(backend4 2)" service "$SERVICE"
ask_until "flow recorded 10\.1\.0\.2:[0-9]+ to $SERVICE backend 10\.2\.2\.2:80 dev client" || :
tells "while slots change hands" "backend added 10.2.2.2:80 service $SERVICE weight 1 state up" \
	"flow recorded 10\.1\.0\.2:[0-9]+ to $SERVICE backend 10\.2\.2\.2:80 dev client"
mark
for number in 1 2; do
	xlb backend change "$(backend4 $number)" service "$SERVICE" state down
done
on client curl -s --max-time 1 --noproxy '*' "http://$VIP4/" >/dev/null || :
tells "nobody to serve it" "drop no_backend 10\.1\.0\.2:[0-9]+ to $SERVICE dev client"
for number in 1 2; do
	xlb backend change "$(backend4 $number)" service "$SERVICE" state up
done
tells "and again" "backend changed 10.2.2.2:80 service $SERVICE weight 1 state up was state down"

# --- next hops ---

mark
ok "the kernel forgets a neighbour" ip -n balancer neigh del 10.2.1.2 dev b1
tells "forgotten" "nexthop lost 10.2.1.2 dev b1 reason no_neighbour"
ok "and finds it, when it is asked" on balancer ping -c 1 -W 5 10.2.1.2
tells "found" "nexthop found 10.2.1.2 dev b1 lladdr $(mac b1 eth0)"
mark
ok "a neighbour is another one" ip -n balancer neigh replace 10.2.1.2 dev b1 \
	lladdr 02:00:00:00:00:99 nud permanent
tells "another" "nexthop changed 10.2.1.2 dev b1 lladdr 02:00:00:00:00:99"
ok "a route is a blackhole" ip -n balancer route add blackhole 10.2.1.2/32
tells "no way" "nexthop lost 10.2.1.2 reason no_route"
mark
ok "no longer" ip -n balancer route del blackhole 10.2.1.2/32
tells "found" "nexthop found 10.2.1.2 dev b1 lladdr 02:00:00:00:00:99"
ok "a backend behind a router" ip -n balancer route add 10.9.0.0/24 via 10.2.2.2
xlb backend add 10.9.0.5:80 service "$SERVICE"
tells "found" "nexthop found 10.9.0.5 via 10.2.2.2 dev b2 lladdr $(mac b2 eth0)"
xlb backend del 10.9.0.5:80 service "$SERVICE"
ip -n balancer neigh del 10.2.1.2 dev b1
on balancer ping -c 1 -W 5 10.2.1.2 >/dev/null

# --- interfaces and programs ---

mark
ok "a cable is pulled" ip -n b1 link set eth0 down
tells "pulled" "link down dev b1"
ok "and plugged in" ip -n b1 link set eth0 up
tells "plugged in" "link up dev b1"
mark
ok "down and up at once" ip -n balancer -batch - <<END
link set b1 down
link set b1 up
END
tells "both are seen" "link down dev b1" "link up dev b1"
mark
id=$(program_id balancer b1)
ok "the program is loaded again" on balancer xlb load dev b1
new=$(program_id balancer b1)
tells "loaded again" "link replaced dev b1 mode native program xlb_xdp id $new"
is "it is another one" "$([ "$id" != "$new" ] && echo other)" other
mark
ok "it is taken off" ip -n balancer link set dev b1 xdp off
tells "taken off" "link detached dev b1"
ok "and loaded" on balancer xlb load dev b1
tells "loaded" "link attached dev b1 mode native program xlb_xdp id $(program_id balancer b1)"
if command -v clang >/dev/null; then
	other_program "$WORK/other.o"
	mark
	ok "somebody else's takes its place" ip -n balancer -force link set dev b1 xdp obj \
		"$WORK/other.o" sec xdp
	tells "somebody else's" \
		"link detached dev b1 mode native program other id $(program_id balancer b1)"
	ip -n balancer link set dev b1 xdp off
else
	skip "somebody else's takes its place" "needs clang"
fi
mark
start link balancer /usr/bin/python3 "$NET/bpflink.py" "$(program_id balancer b2)" b1
wait_for grep -qx ready "$log" || :
tells "a bpf link, of which the kernel does not tell" \
	"link attached dev b1 mode native program xlb_xdp id [0-9]+"
stop "$started"
tells "goes" "link detached dev b1"
mark
ok "an interface is deleted" ip -n balancer link del b2
tells "deleted" "link deleted dev b2" "nexthop lost 10.2.2.2 .*reason no_route"

# --- the end ---

kill -INT "$monitor"
wait "$monitor" && status=0 || status=$?
is "SIGINT ends it" "$status" 0
is "and it leaves nothing on" "$(wishes)" 0
is "each line begins with one of its kinds" \
	"$(grep -Evc '^(backend|drop|flow|link|nexthop|service) ' "$WORK/monitor")" 0
finish
