#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What xlb asks the kernel about backends' neighbours: all over one socket, each kept, and
# for longer than the backend; and backends in mode dr behind a router, which are warned of.

# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"

lb() {
	on balancer xlb "$@"
}

said() {
	cat "$WORK/output"
}

managed() {
	ip -d -n balancer neigh show | grep -c managed
}

router balancer
host client
wire balancer client client eth0
address balancer client 10.1.0.1/16 fd00:1::1/64
ip -n balancer route add 10.8.0.0/24 via 10.1.0.254
ip -n balancer route add 10.9.0.0/24 via inet6 fd00:1::fe dev client
ip -n balancer route add fd00:8::/64 via fd00:1::fe
lb load dev client 2>/dev/null

# --- behind a router ---

dr=192.0.2.1:80/tcp
dr6='[2001:db8::1]:80/tcp'
dnat=192.0.2.2:80/tcp
ok "services" lb -batch - <<END
service add $dr mode dr
service add $dr6 mode dr
service add $dnat
END
ok "dr: a backend on the segment" lb backend add 10.1.0.5 service $dr
is "is fine" "$(said)" ""
ok "dr: one without a route" lb backend add 198.51.100.1 service $dr
is "is the route's affair" "$(said)" ""
ok "dnat: one behind a router" lb backend add 10.8.0.5 service $dnat
is "is fine" "$(said)" ""
told="behind a router (via"
wants="mode dr needs it on the same segment"
ok "dr: one behind a router" lb backend add 10.8.0.6 service $dr
is "is warned of" "$(said)" "xlb: warning: backend 10.8.0.6:80: $told 10.1.0.254), $wants"
ok "and taken out" lb backend del 10.8.0.6 service $dr
is "is not, any more" "$(said)" ""
ok "dr: one behind a router of the other family" lb backend add 10.9.0.6 service $dr
is "is warned of" "$(said)" "xlb: warning: backend 10.9.0.6:80: $told fd00:1::fe), $wants"
lb backend del 10.9.0.6 service $dr 2>/dev/null
ok "dr: one over IPv6" lb backend add '[fd00:8::6]' service "$dr6"
is "is warned of" "$(said)" "xlb: warning: backend [fd00:8::6]:80: $told fd00:1::fe), $wants"
ok "a route of its own" ip -n balancer route add fd00:8::6/128 dev client
ok "brings it to the segment" lb config set idle 100
is "and nothing is told" "$(said)" ""
ok "whichever command comes after it is gone" ip -n balancer route del fd00:8::6/128 dev client
ok "tells" lb config set idle 200
is "of the router again" "$(said)" \
	"xlb: warning: backend [fd00:8::6]:80: $told fd00:1::fe), $wants"
lb service del "$dr6"

# --- one socket ---

for host in $(seq 10 59); do
	echo "backend add 10.1.1.$host service $dnat"
done >"$WORK/batch"
before=$(managed)
if ! command -v strace >/dev/null; then
	skip "one socket for all neighbours" "needs strace"
else
	on balancer strace -f -e trace=socket -o "$WORK/one" xlb config set idle 100
	ok "fifty backends more" on balancer strace -f -e trace=socket -o "$WORK/fifty" \
		xlb -batch "$WORK/batch"
	is "want no socket more" "$(grep -c NETLINK "$WORK/fifty")" "$(grep -c NETLINK "$WORK/one")"
	is "and are kept, each" "$(($(managed) - before))" 50
fi

# --- what is left of it ---

lb backend add 10.1.1.60 service $dnat
before=$(managed)
ok "a service with all its backends is deleted" lb service del $dnat
ok "another command" lb config set idle 200
is "the kernel keeps their neighbours" "$(managed)" "$before"
ok "until one is deleted there" ip -n balancer neighbour del 10.1.1.60 dev client
ok "another command" lb config set idle 100
is "and then no more" "$(managed)" "$((before - 1))"
finish
