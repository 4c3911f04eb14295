#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Changes of every kind, chosen by a seed, while clients talk to backends: the maps hold
# after each what a model says, no connection breaks but to backends that go, processes that
# watch and change the maps do not grow, and nothing is left over.  By itself a few steps of a
# seed that is always the same, or of SEED; for MINUTES, as `make soak` has it, of another one
# each time.

# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/../net/lib.sh"
# shellcheck disable=SC2034 # for lib.sh
NET=$ROOT/tests/net
# shellcheck source=tests/net/traffic.sh
. "$NET/traffic.sh"

HOSTS='b1 b2 b3 b4'
VIPS='192.0.2.10 192.0.2.11 192.0.2.12 2001:db8::10'

# Each backend can be had in any mode: at its own address, and at VIPs behind its tunnels.
backend() { # NAME
	sysctl_set "$1" net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
	for vip in $VIPS; do
		ip -n "$1" address add "$vip" dev lo
	done
	on "$1" ip link set dev eth0 xdp obj "$ROOT/bpf/decap.o"
	on "$1" xlb decap add "$(backend4 "${1#b}")"
	on "$1" xlb decap add "[$(backend6 "${1#b}")]"
	serve_echo "$1" 80
	serve_http "$1" 8000
}

topology_routed 4
sysctl_set balancer net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
address balancer lo 10.9.0.1/32 fd00:9::1/128
for each in $HOSTS; do
	sysctl_set balancer "net.ipv4.conf.$each.rp_filter=0"
	backend "$each"
done
for each in client $HOSTS; do
	xlb load dev "$each" services 16 backends 64 slots 16384 flows 8192 2>/dev/null
done
hold_flows client 0.2

# A seed that is told, or for MINUTES one of the day, repeats what it did before.
if [ -n "${MINUTES-}" ]; then
	limits="${SEED:-$(date +%s)} 0 $((MINUTES * 60))"
else
	limits="${SEED:-1} ${STEPS:-70} 0"
fi
status=0
# shellcheck disable=SC2086 # numbers
on balancer /usr/bin/python3 -B "$(dirname "$0")/soak.py" $limits "$WORK" \
	"${LOG:-$WORK/log}" || status=$?
exit $status
