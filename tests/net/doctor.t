#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# xlb-doctor: nothing where all is well; each fault alone is found, its command is typed,
# and then nothing is found again.

# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"

mkdir "$WORK/bin"

doctor() {
	PATH=$WORK/bin:$PATH on balancer xlb-doctor "$@"
}

# One line for each finding, SEVERITY CHECK WHAT, in $found; of the last, $check and $mend.
look() { # [CHECK...]
	doctor -j "$@" >"$WORK/json" || [ $? -gt 2 ]
	found=$(jq -r '.[] | "\(.severity) \(.check) \(.what)"' "$WORK/json")
	check=$(jq -r '.[-1].check // empty' "$WORK/json")
	mend=$(jq -r '.[-1].mend // empty' "$WORK/json")
}

# Looks until just this is found, since the kernel may have to learn of it first.
until_found() { # FINDINGS [CHECK...]
	wanted=$1
	shift
	tries=60
	look "$@"
	until [ "$found" = "$wanted" ] || [ $tries = 0 ]; do
		tries=$((tries - 1))
		sleep 0.1
		look "$@"
	done
}

sick() { # FINDINGS [CHECK...]
	until_found "$@"
	is "found: $1" "$found" "$1"
}

# Types the command that mends it, and looks again; at all else does the next sick().
mended() {
	typed=$mend
	(cd "$WORK" && on balancer sh -c "$typed") >"$WORK/output" 2>&1 || diag "$(cat "$WORK/output")"
	until_found "" ${check:+"$check"}
	is "mended by: $typed" "$found" ""
}

# A command in the place of another, for what no namespace has of its own.
pretend() { # NAME
	cat >"$WORK/bin/$1"
	chmod +x "$WORK/bin/$1"
}

topology_routed 2

fails 1 "a check that there is not" doctor nosuch
# Who is not root may not get into the tree, which may be in root's home.
mkdir "$WORK/loader"
cp "$ROOT/loader/xlb" "$WORK/loader"
cp -r "$ROOT/scripts" "$WORK"
chmod 755 "$WORK"
fails 2 "somebody else" setpriv --reuid 65534 --clear-groups "$WORK/scripts/xlb-doctor"
is "is told why" "$(cat "$WORK/output")" "xlb-doctor: not enough privilege: run as root"
# Root in name, that may not open programs.
bounded() { # COMMAND...
	on balancer setpriv --bounding-set=-all,+net_admin --inh-caps=-all,+net_admin "$@"
}

# --- before xlb is loaded ---

umount /sys/fs/bpf
sick "error bpffs no bpf file system on /sys/fs/bpf" bpffs
mended
sick "error maps no maps of xlb: load it first (xlb load dev IF)
error interfaces xlb runs on no interface of this network namespace"
mend=$(echo "$mend" | sed 's/IF/client/')
mended
for dev in b1 b2; do
	on balancer xlb load dev $dev 2>/dev/null
done
fails 2 "root without CAP_SYS_ADMIN" bounded xlb-doctor
is "is told why, and nothing else" "$(cat "$WORK/output")" \
	"xlb-doctor: not enough privilege: without CAP_SYS_ADMIN programs cannot be looked at"

# --- what namespaces have not of their own ---

pretend uname <<'EOF'
#!/bin/sh
case $1 in -r) echo 4.19.0-27-amd64 ;; *) exec /usr/bin/uname "$@" ;; esac
EOF
sick "error kernel the kernel is Linux 4.19.0-27-amd64"
rm "$WORK/bin/uname"
ip=$(command -v ip)
pretend ip <<EOF
#!/bin/sh
case \$* in
*"address show") $ip "\$@" | jq 'map(if .ifname == "b1" then del(.xdp.prog.jited) else . end)' ;;
*) exec $ip "\$@" ;;
esac
EOF
sick "warning jit b1: its program is interpreted"
is "JIT: how it is mended" "$mend" \
	"sysctl -w net.core.bpf_jit_enable=1 && xlb load dev b1"
rm "$WORK/bin/ip"
pretend ethtool <<EOF
#!/bin/sh
case \$* in
"-k b1") [ -e $WORK/off ] || echo "large-receive-offload: on" ;;
"-K b1 large-receive-offload off") touch $WORK/off ;;
esac
EOF
PATH=$WORK/bin:$PATH
sick "warning lro b1: large-receive-offload is on"
mended
PATH=${PATH#*:}
rm "$WORK/bin/ethtool"

# --- interfaces ---

ip -n balancer link set dev b2 down
sick "error interfaces b2: is down"
mended
# What the kernel forgot with it.
address balancer b2 fd00:2:2::1/64
on balancer xlb unload dev client
on balancer xlb load dev client mode generic 2>/dev/null
sick "notice generic client: xlb runs in generic mode"
mended
ip -n balancer link add br9 type bridge
ip -n balancer link add p9 master br9 up type veth peer name p9-peer
ip -n balancer link set br9 up
on balancer ethtool -K p9 gro on
on balancer xlb load dev br9 mode generic 2>/dev/null
sick "warning lro p9: merges packets before br9, which is above, sees them" lro
mended
on balancer xlb unload dev br9
ip -n balancer link del br9
ip -n balancer link del p9
on client ethtool -K eth0 tx on >/dev/null
sick "error checksum client: its peer leaves checksums to the device"
mended

lb() {
	on balancer xlb "$@"
}

lb config set tunnel4 10.2.1.1 2>/dev/null
lb service add $VIP4:80/tcp
lb backend add 10.2.1.2:80
lb backend add 10.2.2.2:80
lb service add "[$VIP6]:80/tcp"
lb backend add "[fd00:2:1::2]:80" service "[$VIP6]:80/tcp"
until_found ""
is "all is well with a service" "$(doctor)" "nothing found"
sysctl_set balancer net.ipv4.conf.client.forwarding=0
sick "error settings client: forwarding is off"
mended
sysctl_set balancer net.ipv4.conf.client.rp_filter=1
sick "warning settings client: the kernel may drop replies from VIPs"
mended
address balancer lo $VIP4/32
sysctl_set balancer net.ipv4.conf.client.accept_local=0
sick "error settings client: the kernel drops frames from addresses of its own"
mended
ip -n balancer address del $VIP4/32 dev lo
on b1 ethtool -K eth0 gro off
if [ "$(lb -j link show dev b1 | jq '.[0].redirect')" = true ]; then
	skip "a veth whose peer takes no frames" "this kernel does not tell"
	on b1 ethtool -K eth0 gro on
else
	sick "error settings b1: its peer takes no frames that XDP sends"
	mended
fi
# Pairs whose other end is here, or where nobody can see it.
wire balancer spare balancer near
on balancer xlb load dev spare 2>/dev/null
on balancer ethtool -K near tx on >/dev/null
sick "error checksum spare: its peer leaves checksums to the device"
is "the other end is here" "$mend" "ethtool -K near tx off"
mended
# A bridge sends what its hosts have made.
host lan
ip -n lan link add bridge type bridge
ip -n balancer link set near netns lan
ip -n lan link set near master bridge up
on lan ethtool -K near tx on >/dev/null
sick "warning checksum spare: its peer leaves checksums to the device" checksum
mended
ip -n balancer link del spare
host hidden
wire balancer spare hidden spare
on balancer xlb load dev spare 2>/dev/null
start hold hidden sh -c 'echo ready; exec tail -f /dev/null'
wait_for grep -qx ready "$log"
ip netns del hidden
sick "notice checksum spare: what its peer does cannot be seen from here"
is "the other end has no name" "$mend" "ethtool -K PEER tx off"
stop "$started"
ip -n balancer link del spare 2>/dev/null || :
mkdir "$WORK/without"
# Some are in both.
ln -sf /usr/bin/* /usr/sbin/* "$WORK/without" 2>/dev/null || :
rm "$WORK/without/ethtool" "$WORK/without/bpftool"
PATH=$ROOT/loader:$ROOT/scripts:$WORK/without on balancer xlb-doctor >"$WORK/output" || :
is "what is not looked at for want of a program is told" "$(grep -c '^notice: .* not been looked at' \
	"$WORK/output")" 3

wire balancer spare client spare
if ! command -v clang >/dev/null; then
	skip "somebody else's program" "needs clang"
else
	other_program "$WORK/other.o"
	for how in xdpdrv xdpgeneric; do
		on balancer ip link set dev spare $how obj "$WORK/other.o" sec xdp
		sick "notice programs spare: program $(program_id balancer spare) (other) is attached, which is not xlb's"
		mended
	done
fi
on balancer ip link set dev spare xdp obj "$OBJECT"
sick "error maps maps of xlb in both /sys/fs/bpf/xlb and /sys/fs/bpf/tc/globals: choose with -pin DIR or \$XLB_PIN" maps
is "how it is mended" "$mend" "export XLB_PIN=/sys/fs/bpf/xlb"
is "and is" "$(XLB_PIN=/sys/fs/bpf/xlb doctor maps)" "nothing found"
on balancer xlb unload dev spare 2>/dev/null
rm -r /sys/fs/bpf/tc
ip -n balancer link del spare

# --- services and backends ---

lb service add 192.0.2.11:80/tcp
sick "error services 192.0.2.11:80/tcp: no backend takes new flows"
mend=$(echo "$mend" | sed 's/ADDRESS/10.2.1.2/')
mended
lb backend change 10.2.1.2 service 192.0.2.11:80/tcp state drain
sick "error services 192.0.2.11:80/tcp: no backend takes new flows"
mended
lb backend change 10.2.1.2 service 192.0.2.11:80/tcp health down
sick "error services 192.0.2.11:80/tcp: no backend takes new flows"
mended
lb service del 192.0.2.11:80/tcp

lb backend add 10.97.0.1:80 service $VIP4:80/tcp
sick "error routes 10.97.0.1: no route to this backend"
mend=$(echo "$mend" | sed 's/ROUTER/10.2.1.2/')
mended
lb backend del 10.97.0.1:80 service $VIP4:80/tcp

lb service add 10.1.0.9:80/tcp
lb backend add 10.2.1.2:80 service 10.1.0.9:80/tcp
unanswered="nobody here answers for this VIP, which is on the segment of"
sick "warning addresses 10.1.0.9: $unanswered client" addresses
ip -n balancer neigh add 10.1.0.9 lladdr 02:00:00:00:00:09 dev client
look addresses
is "another node may have it" "$found" ""
ip -n balancer neigh del 10.1.0.9 dev client
ip -n balancer neigh add proxy 10.1.0.9 dev client
look addresses
is "the kernel may answer for it all the same" "$found" ""
ip -n balancer neigh del proxy 10.1.0.9 dev client
sick "warning addresses 10.1.0.9: $unanswered client" addresses
mended
on balancer xlb unload dev client
sick "warning addresses 10.1.0.9: is on client, where xlb is not" addresses
mended
ip -n balancer address del 10.1.0.9/32 dev client
wire balancer spare client spare
ip -n balancer link add bridge type bridge
ip -n balancer link set bridge up
ip -n balancer link set spare master bridge
address balancer bridge 10.1.0.9/32
sick "warning addresses 10.1.0.9: is on bridge, where xlb is not" addresses
on balancer xlb load dev spare 2>/dev/null
look addresses
is "frames of a bridge are seen at its port" "$found" ""
ip -n balancer link del spare
ip -n balancer link del bridge
lb backend del 10.2.1.2:80 service 10.1.0.9:80/tcp
lb service del 10.1.0.9:80/tcp

no_such="mode nat gives it, and this machine has no such address"
lb config set nat4 10.2.1.1,10.2.1.9
lb service change $VIP4:80/tcp mode nat
sick "warning addresses 10.2.1.9: $no_such" addresses
mended
lb config set nat4 10.97.0.9
sick "notice addresses 10.97.0.9: $no_such" addresses
mend=$(echo "$mend" | sed 's/IF/b1/')
mended
ip -n balancer address del 10.2.1.9/32 dev b1
lb config set nat4 10.2.1.9
lb backend change 10.2.2.2:80 service $VIP4:80/tcp state down
# Its answers, sent again and again, would teach the kernel of it as a neighbour below.
ip -n b1 route add blackhole 10.2.1.9/32
on client curl -s --max-time 0.2 http://$VIP4/ || :
sick "error addresses 10.2.1.9: $no_such" addresses
mended
lb service change $VIP4:80/tcp mode dnat
lb backend change 10.2.2.2:80 service $VIP4:80/tcp state up
lb config set nat4 none

ip -n balancer neigh del 10.2.1.2 dev b1
sick "notice neighbours 10.2.1.2: the kernel keeps no neighbour at b1"
mended
sysctl_set b1 net.ipv4.conf.all.arp_ignore=8
ip -n balancer neigh del 10.2.1.2 dev b1
lb service warm
sick "error neighbours 10.2.1.2: does not answer at b1"
mended
sysctl_set b1 net.ipv4.conf.all.arp_ignore=0
lb backend change 10.2.1.2:80 service $VIP4:80/tcp health up

on balancer xlb unload dev b2
sick "error replies b2: backends are there, but xlb is not"
mended

ip -n balancer route add 10.98.0.0/24 via 10.2.1.2
lb service add 192.0.2.12:80/tcp mode dr
lb backend add 10.98.0.1 service 192.0.2.12:80/tcp 2>/dev/null
sick "error segment 10.98.0.1:80: behind a router (via 10.2.1.2)"
mended
sick "warning mtu b1: its tunnels hold packets of 1480 bytes, clients send 1500"
mended
lb service change 192.0.2.12:80/tcp mode gue
sick "warning mtu b1: its tunnels hold packets of 1488 bytes, clients send 1500"
mended

# Connections that nobody answers.
ip -n b1 route add blackhole 10.1.0.0/24
ip -n b2 route add blackhole 10.1.0.0/24
on client python3 - $VIP4 <<'EOF'
import socket
import sys
opening = [socket.socket() for _ in range(400)]
for connection in opening:
    connection.setblocking(False)
    connection.connect_ex((sys.argv[1], 80))
EOF
look answers
is "found: backends that do not answer" "$(echo "$found" | sed 's/[0-9]* packets/N packets/')" \
	"error answers 10.2.2.2:80: N packets went there, none came back"
mend=$(echo "$mend" | sed 's/ADDRESS/10.2.1.1/')
mended

# --- maps ---

saved=$(lb save)
rm /sys/fs/bpf/xlb/xlb_slots
sick "error maps xlb_slots is missing in /sys/fs/bpf/xlb: xlb load dev IF pins it again where xlb runs; else remove what is left there and load again" maps
is "one pin: who runs has the map" "$mend" "xlb load dev client"
mended
is "nothing is lost with a pin" "$(lb save)" "$saved"
rm -r /sys/fs/bpf/xlb
lost="the maps of its xlb are pinned nowhere"
sick "error maps no maps of xlb: load it first (xlb load dev IF)
error interfaces client: $lost
error interfaces b1: $lost
error interfaces b2: $lost" maps interfaces
is "no pins: who runs has the maps" "$(jq -r '.[].mend' "$WORK/json" | sort -u)" \
	"xlb load dev b1
xlb load dev b2
xlb load dev client"
mended
is "nothing is lost with all pins" "$(lb save)" "$saved"
for dev in client b1 b2; do
	on balancer xlb unload dev $dev 2>/dev/null
done
rm /sys/fs/bpf/xlb/xlb_slots
look maps
is "where nobody runs, what is left is to go" "$mend" \
	"rm /sys/fs/bpf/xlb/xlb_*; xlb load dev IF"
fresh_pins
for dev in client b1; do
	on balancer xlb load dev $dev services 10 backends 10 slots 160000 flows 100 rules 10
done
for n in $(seq 9); do
	echo "service add 192.0.2.$n:80/tcp"
	echo "backend add 10.2.1.2 service 192.0.2.$n:80/tcp"
done | lb -batch -
until_found "" neighbours
for n in $(seq 9); do
	echo "acl add 198.51.100.$n deny"
done | lb -batch -
saved=$(lb save)
full="that the maps have room for"
sick "warning fill services: 9 of 10 $full
warning fill backends: 9 of 10 $full
warning fill slots: 147456 of 160000 $full
warning fill rules: 9 of 10 $full"
is "one command mends them all" "$(jq -r '.[].mend' "$WORK/json" | sort -u)" "$mend"
mended
is "nothing is lost" "$(lb save)" "$saved"

# Records, of flows that nobody has.
sizes=$(bpftool -j map show pinned /sys/fs/bpf/xlb/xlb_flows4 | jq -r '"\(.bytes_key) \(.bytes_value)"')
zeros() {
	printf '0 %.0s' $(seq "$1")
}
for n in $(seq 95); do
	echo "map update pinned /sys/fs/bpf/xlb/xlb_flows4 key $n $(zeros $((${sizes% *} - 1)))" \
		"value $(zeros "${sizes#* }")"
done >"$WORK/records"
bpftool batch file "$WORK/records" >/dev/null
sick "warning fill flows: 95 of 100 $full"
mended
finish
