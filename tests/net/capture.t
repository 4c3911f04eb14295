#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# xlb-capture: what tcpdump shows of real packets before and after xlb.  Few kernels of
# test machines let programs be traced; tests/kernels/guest.sh runs this on Debian's.

. "$(dirname "$0")/lib.sh"

for program in tcpdump xdpdump; do
	command -v $program >/dev/null || skip_all "needs $program"
done

# capture WORD...: in the background until it listens, or has said why it does not; what
# it prints is in $WORK/shown.
capture() {
	# Through a file of its own: start() joins what it says with what it prints.
	start capture balancer sh -c "exec xlb-capture \"\$@\" >$WORK/shown" sh "$@"
	wait_for grep -Eq '^listening|not trace' "$WORK/capture"
}

# Until it has ended by itself, or, told to, with what it still had.
capture_ended() {
	! kill -0 "$started" 2>/dev/null
}

capture_stop() {
	kill "$started"
	wait_for capture_ended
}

shown() { # PATTERN
	grep -Eq "$1" "$WORK/shown"
}

topology_routed 1
serve_http b1 80
on balancer xlb load dev client 2>/dev/null
on balancer xlb load dev b1 2>/dev/null
on balancer xlb service add "$VIP4:80/tcp"
on balancer xlb service add "$VIP4:81/tcp"
on balancer xlb backend add "$(backend4 1):80" service "$VIP4:80/tcp"
on balancer xlb backend add "$(backend4 1):81" service "$VIP4:81/tcp" state down
# Before 5.13 a veth end takes what XDP sends it only if it has a program.
on client ip link set dev eth0 xdpdrv obj "$ROOT/bpf/decap.o"
on b1 ip link set dev eth0 xdpdrv obj "$ROOT/bpf/decap.o"
capture dev client
if grep -q 'not trace' "$WORK/capture"; then
	skip_all "$(sed 's/^xlb-capture: //' "$WORK/capture")"
fi
is "xlb-capture: HTTP through xlb" "$(http client "$VIP4")" b1
ok "xlb-capture: both: the last packet of a connection is seen" \
	wait_for shown "^redirect .* > $(backend4 1)\.80: Flags \[F"
capture_stop
syn="$(grep -F 'Flags [S]' "$WORK/shown")"
like "xlb-capture: a SYN before xlb is for the service" "$syn" "^before .* > $VIP4\.80: "
like "xlb-capture: and after it for the backend" "$syn" "^redirect .* > $(backend4 1)\.80: "
is "xlb-capture: each packet is there twice" "$(grep -c '^before' "$WORK/shown")" \
	"$(grep -vc '^before' "$WORK/shown")"
like "xlb-capture: how many is said" "$(cat "$WORK/capture")" '^[1-9][0-9]* packets captured$'

capture dev client before
http client "$VIP4" >/dev/null
ok "xlb-capture: before: packets as they came" \
	wait_for shown "^before .* > $VIP4\.80: Flags \[F"
capture_stop
is "xlb-capture: before: nothing else" "$(grep -vc '^before' "$WORK/shown")" 0

capture dev client after
http client "$VIP4" >/dev/null
ok "xlb-capture: after: packets as they left" \
	wait_for shown "^redirect .* > $(backend4 1)\.80: Flags \[F"
on client ping -q -c 1 -W 5 10.1.0.1 >/dev/null
ok "xlb-capture: after: what is not for a service passes" \
	wait_for shown "^pass .* > 10\.1\.0\.1: ICMP echo request"
http client "$VIP4:81" >/dev/null 2>&1 &
ok "xlb-capture: after: what has no live backend is dropped" \
	wait_for shown "^drop .* > $VIP4\.81: Flags \[S"
capture_stop
wait $! || :
is "xlb-capture: after: nothing else" "$(grep -c '^before' "$WORK/shown")" 0

capture -c 1 dev client
http client "$VIP4" >/dev/null
ok "xlb-capture: -c 1: ends by itself" wait_for capture_ended
is "xlb-capture: -c 1: has one packet" "$(wc -l <"$WORK/shown")" 1

capture -c 3 -w "$WORK/file" dev client
http client "$VIP4" >/dev/null
ok "xlb-capture: -w: ends after -c 3" wait_for capture_ended
is "xlb-capture: -w: tcpdump reads three packets" "$(tcpdump -nr "$WORK/file" 2>/dev/null | wc -l)" 3
capture -w - dev client
http client "$VIP4" >/dev/null
ok "xlb-capture: -w -: the whole connection is written" \
	wait_for sh -c "tcpdump -nr $WORK/shown 2>/dev/null | grep -q '$(backend4 1).80: Flags \[F'"
capture_stop
on balancer sh -c "xlb-capture -w - dev client 2>$WORK/capture | tcpdump -c 2 -nr - 2>/dev/null" \
	>"$WORK/shown" &
started=$!
wait_for grep -q '^listening' "$WORK/capture"
# That nobody reads it any more is noticed with a packet.
more() {
	http client "$VIP4" >/dev/null && capture_ended
}
ok "xlb-capture: -w - into a tcpdump that has enough after two packets" wait_for more
is "xlb-capture: which it shows" "$(wc -l <"$WORK/shown")" 2
finish
