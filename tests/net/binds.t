#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What a fresh system's settings do to a balancer: xlb counts what it drops, tells the
# line to type, and `xlb load` types it.

. "$(dirname "$0")/lib.sh"
. "$NET/traffic.sh"

DEVS='client b1'

forwarding_off() {
	sysctl_set balancer net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0
	for dev in $DEVS; do
		sysctl_set balancer net.ipv4.conf."$dev".forwarding=0 \
			net.ipv6.conf."$dev".forwarding=0
		on balancer sysctl -q -e -w net.ipv6.conf."$dev".force_forwarding=0
	done
}

asks() { # ADDRESS
	on client curl -sS --max-time 1 --noproxy '*' "http://$1/"
}

answered() { # WHEN
	for vip in $VIP4 "[$VIP6]"; do
		is "$1 $vip answers" "$(http client "$vip:80/")" b1
	done
}

topology_routed 1
serve_http b1 8080
forwarding_off
for dev in $DEVS; do
	on balancer ip link set dev "$dev" xdp obj "$OBJECT"
done

xlb service add $VIP4:80/tcp 2>"$WORK/warned"
for dev in $DEVS; do
	like "xlb warns of IPv4 on $dev" "$(cat "$WORK/warned")" \
		"warning: $dev: .*sysctl -w net\.ipv4\.conf\.$dev\.forwarding=1"
done
is "and not of IPv6, which has no service" "$(grep -c ipv6 "$WORK/warned")" 0
xlb backend add "$(backend4 1):8080" 2>/dev/null
xlb service add "[$VIP6]:80/tcp" 2>"$WORK/warned"
for dev in $DEVS; do
	like "xlb warns of IPv6 on $dev" "$(cat "$WORK/warned")" \
		"warning: $dev: .*sysctl -w net\.ipv6\.conf\.$dev\.forwarding=1"
done
xlb backend add "[$(backend6 1)]:8080" service "[$VIP6]:80/tcp" 2>/dev/null

for vip in $VIP4 "[$VIP6]"; do
	before=$(dropped_for forwarding_disabled 2>/dev/null)
	fails 28 "without forwarding $vip does not answer" asks "$vip"
	ok "what it was sent is counted as dropped for that" \
		test "$(dropped_for forwarding_disabled 2>/dev/null)" -gt "$before"
done

sed -n 's/.*\(sysctl -w\)/\1/p' "$WORK/warned" >"$WORK/typed"
ok "what xlb tells to type is understood" on balancer sh -eu "$WORK/typed"
answered "then"
is "xlb has nothing to warn of" "$(xlb flow gc 2>&1)" ""

forwarding_off
sysctl_set balancer net.ipv4.conf.all.rp_filter=1
for dev in $DEVS; do
	xlb load dev "$dev" 2>"$WORK/said"
	for setting in ipv4.conf.$dev.forwarding=1 ipv6.conf.$dev.forwarding=1 \
		ipv4.conf.$dev.accept_local=1 ipv4.conf.$dev.rp_filter=2; do
		like "xlb load says that it set $setting" "$(cat "$WORK/said")" "set net\.$setting "
		is "and it is so" "$(on balancer sysctl -n "net.${setting%=*}")" "${setting#*=}"
	done
done
answered "then"

# Replies that the kernel must forward, as the client's neighbour entry is gone, come
# from an address of the balancer's own.
address balancer lo $VIP4/32 $VIP6/128
ip -n balancer neigh flush dev client
answered "with the VIPs held on lo"
finish
