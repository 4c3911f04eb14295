#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Every way to load the objects on this kernel, and what it has not: run by guest.sh.

# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/../net/lib.sh"
DECAP=$ROOT/bpf/decap.o

since() { # VERSION: is this kernel that old, or newer?
	[ "$(printf '%s\n' "$1" "$(uname -r)" | sort -V | head -n 1)" = "$1" ]
}

lacks() { # DESCRIPTION VERSION
	skip "$1" "not on this kernel: since $2"
}

look() { # MODE
	[ "$(program_mode balancer eth0)" = "$1" ] || return 1
	on balancer xlb service add 192.0.2.1:80/tcp &&
		on balancer xlb backend add 10.1.0.2 service 192.0.2.1:80/tcp &&
		on balancer xlb service show | grep -q '^192.0.2.1:80/tcp'
}

unload() {
	on balancer ip link set dev eth0 xdpdrv off
	on balancer ip link set dev eth0 xdpgeneric off
	fresh_pins
}

# way MODE COMMAND...: it attaches in that mode, and the maps can be worked with.
way() {
	mode=$1
	shift
	ok "$*" on balancer "$@"
	ok "$*: $mode mode, a service is added and shown" look "$mode"
	unload
}

attach_pinned() { # PROGRAM
	on balancer bpftool net attach xdp pinned "$1" dev eth0
}

router balancer
host client
wire balancer eth0 client eth0
address balancer eth0 10.1.0.1/24 fd00:1::1/64
address client eth0 10.1.0.2/24 fd00:1::2/64
cd "$ROOT/bpf"

way native ip link set dev eth0 xdp obj xlb.o
way native ip link set dev eth0 xdp obj xlb.o sec xdp
way native ip link set dev eth0 xdpdrv obj xlb.o
way generic ip link set dev eth0 xdpgeneric obj xlb.o
way native xlb load dev eth0
way generic xlb load dev eth0 mode generic

ok "bpftool prog load xlb.o" bpftool prog load xlb.o /sys/fs/bpf/program type xdp
ok "bpftool prog load xlb.o: attaches" attach_pinned /sys/fs/bpf/program
ok "bpftool prog load xlb.o: native mode, a service is added and shown" look native
unload
ok "bpftool prog loadall xlb.o" bpftool prog loadall xlb.o /sys/fs/bpf/programs type xdp
ok "bpftool prog loadall xlb.o: attaches" attach_pinned /sys/fs/bpf/programs/xlb_prog
ok "bpftool prog loadall xlb.o: native mode, a service is added and shown" look native
unload

for mode in xdp xdpdrv xdpgeneric; do
	ok "ip link set dev eth0 $mode obj decap.o" \
		on balancer ip link set dev eth0 $mode obj "$DECAP"
	ok "ip link set dev eth0 $mode obj decap.o: its maps" on balancer xlb decap add 10.1.0.1
	unload
done
ok "ip link set dev eth0 xdp obj decap.o sec xdp" \
	on balancer ip link set dev eth0 xdp obj "$DECAP" sec xdp
unload
ok "bpftool prog load decap.o" bpftool prog load "$DECAP" /sys/fs/bpf/program type xdp
unload

# --- what some kernels have not ---

keep="neighbours of backends are kept"
on balancer xlb load dev eth0 2>/dev/null
ok "$keep" look native
asked() {
	on balancer ip -d neigh show to 10.1.0.2 | grep -q "$1"
}
if since 5.16; then
	ok "$keep, managed" asked managed
else
	ok "$keep: asked for" wait_for asked 'lladdr'
	lacks "$keep, managed" 5.16
fi
unload

jumbo="an MTU of 9000"
pieces="frames in pieces, which that makes, in native mode"
ip -n balancer link set dev eth0 mtu 9000
ip -n client link set dev eth0 mtu 9000
if since 5.18; then
	ok "$jumbo" on balancer xlb load dev eth0
	is "$pieces" "$(program_mode balancer eth0)" native
else
	ok "$jumbo" on balancer xlb load dev eth0
	like "$jumbo: says why it is slower" "$(cat "$WORK/output")" "in generic mode"
	is "$jumbo: generic mode" "$(program_mode balancer eth0)" generic
	lacks "$pieces" 5.18
fi
finish
