# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# What net tests share: TAP, a place of their own, hosts joined by veth, servers.
#
# A test begins with `. "$(dirname "$0")/lib.sh"`, which runs it again in a mount
# namespace where /sys/fs/bpf and /run/netns are fresh: pins and the names of
# network namespaces can't collide, and nothing is left of them even after
# kill -9.  It ends with `finish`.

set -eu

NET=$(cd "$(dirname "$0")" && pwd)
ROOT=$(cd "$NET/../.." && pwd)
# shellcheck disable=SC2034 # for the tests
OBJECT=$ROOT/bpf/xlb.o
PATH=$ROOT/loader:$ROOT/scripts:$PATH

# --- TAP: every check is one line ---

checks=0

diag() {
	printf '%s\n' "$*" | sed 's/^/# /'
}

skip_all() {
	echo "1..0 # SKIP $*"
	exit 0
}

result() { # { ok | "not ok" } DESCRIPTION
	checks=$((checks + 1))
	echo "$1 $checks - $2"
}

# ok DESCRIPTION COMMAND...: it succeeds.
ok() {
	description=$1
	shift
	status=0
	"$@" >"$WORK/output" 2>&1 || status=$?
	if [ $status = 0 ]; then
		result ok "$description"
	else
		result "not ok" "$description"
		diag "failed with $status: $*"
		sed 's/^/#	/' "$WORK/output"
	fi
}

# fails STATUS DESCRIPTION COMMAND...: it ends with this status; see also $WORK/output.
fails() {
	wanted=$1
	description=$2
	shift 2
	status=0
	"$@" >"$WORK/output" 2>&1 || status=$?
	is "$description" "$status" "$wanted"
}

is() { # DESCRIPTION GOT WANTED
	if [ "$2" = "$3" ]; then
		result ok "$1"
	else
		result "not ok" "$1"
		diag "got:    $2"
		diag "wanted: $3"
	fi
}

like() { # DESCRIPTION GOT PATTERN (grep -E)
	if printf '%s\n' "$2" | grep -Eq -e "$3"; then
		result ok "$1"
	else
		result "not ok" "$1"
		diag "got:      $2"
		diag "not like: $3"
	fi
}

skip() { # DESCRIPTION WHY
	result ok "$1 # SKIP $2"
}

finish() {
	echo "1..$checks"
	exit 0
}

# --- a place of its own ---

[ "$(id -u)" = 0 ] || skip_all "needs root"
for program in bpftool curl ethtool ip jq nsenter setpriv unshare; do
	command -v "$program" >/dev/null || skip_all "needs $program"
done
if [ -z "${NET_TEST_PLACE-}" ]; then
	unshare -m true 2>/dev/null || skip_all "needs mount namespaces"
	NET_TEST_PLACE=1 exec unshare -m "$0" "$@"
fi

pids=
WORK=$(mktemp -d)

clean_up() {
	status=$?
	trap - EXIT INT TERM
	for each in $pids; do
		kill "$each" 2>/dev/null || :
		wait "$each" 2>/dev/null || :
	done
	for name in "$WORK"/netns/*; do
		if [ -e "$name" ]; then
			ip netns del "${name##*/}" || :
		fi
	done
	umount /run/netns 2>/dev/null || :
	rm -rf "$WORK"
	exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The machine's own would be below it, and seen where a test unmounts it.
while umount /sys/fs/bpf 2>/dev/null; do
	:
done
mount -t bpf bpf /sys/fs/bpf

# Forgets all pins, as a reboot would.
fresh_pins() {
	umount /sys/fs/bpf
	mount -t bpf bpf /sys/fs/bpf
}

mkdir -p /run/netns "$WORK/netns"
mount --bind "$WORK/netns" /run/netns

# on NETNS COMMAND...: unlike `ip netns exec` it leaves /sys, and so the pins, alone.
on() {
	netns=$1
	shift
	nsenter --net="/run/netns/$netns" "$@"
}

# Polls until a command succeeds, ten seconds at most.
wait_for() {
	tries=200
	until "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		if [ $tries = 0 ]; then
			diag "never came true: $*"
			return 1
		fi
		sleep 0.05
	done
}

# start LOG NETNS COMMAND...: in the background, its pid in $started; it dies with
# the test.  What it says is in $WORK/LOG.
start() {
	log=$WORK/$1
	netns=$2
	shift 2
	setpriv --pdeathsig KILL nsenter --net="/run/netns/$netns" "$@" >"$log" 2>&1 </dev/null &
	started=$!
	pids="$pids $started"
}

stop() { # PID
	kill "$1" 2>/dev/null || :
	wait "$1" 2>/dev/null || :
	rest=
	for each in $pids; do
		[ "$each" = "$1" ] || rest="$rest $each"
	done
	pids=$rest
}

# --- hosts and wires ---

sysctl_set() { # NETNS KEY=VALUE...
	netns=$1
	shift
	on "$netns" sysctl -q -w "$@"
}

host() { # NETNS
	ip netns add "$1"
	ip -n "$1" link set lo up
	sysctl_set "$1" net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.accept_ra=0 \
		net.ipv4.conf.all.accept_redirects=0 net.ipv4.conf.default.accept_redirects=0 \
		net.ipv6.conf.all.accept_redirects=0 net.ipv6.conf.default.accept_redirects=0
}

router() { # NETNS
	host "$1"
	sysctl_set "$1" net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
		net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.default.send_redirects=0
}

# wire NETNS DEV PEER_NETNS PEER_DEV: a veth pair, both ends up.  Checksums are
# made by the sender (XDP would see partial ones), and GRO, set once both ends are
# up, makes either end take frames that XDP sends.
wire() {
	ip link add name "$2" netns "$1" type veth peer name "$4" netns "$3"
	ip -n "$1" link set dev "$2" up
	ip -n "$3" link set dev "$4" up
	on "$1" ethtool -K "$2" tx off gro on >/dev/null
	on "$3" ethtool -K "$4" tx off gro on >/dev/null
}

address() { # NETNS DEV ADDRESS/PREFIX...
	netns=$1
	dev=$2
	shift 2
	for each in "$@"; do
		ip -n "$netns" address add "$each" dev "$dev"
	done
}

default_route() { # NETNS GATEWAY...
	netns=$1
	shift
	for each in "$@"; do
		ip -n "$netns" route add default via "$each"
	done
}

# Where the topologies below route to, but nobody has: for services.
# shellcheck disable=SC2034
VIP4=192.0.2.10 VIP6=2001:db8::10

backend4() { # NUMBER
	echo "10.2.$1.2"
}

backend6() { # NUMBER
	echo "fd00:2:$1::2"
}

topology_backend() { # NUMBER: of topology_routed
	host "b$1"
	wire balancer "b$1" "b$1" eth0
	address balancer "b$1" "10.2.$1.1/24" "fd00:2:$1::1/64"
	address "b$1" eth0 "$(backend4 "$1")/24" "$(backend6 "$1")/64"
	default_route "b$1" "10.2.$1.1" "fd00:2:$1::1"
}

# client eth0 -- client balancer b1 -- eth0 b1, b2 -- eth0 b2, ...
topology_routed() { # BACKENDS
	router balancer
	host client
	wire balancer client client eth0
	address balancer client 10.1.0.1/24 fd00:1::1/64
	address client eth0 10.1.0.2/24 fd00:1::2/64
	default_route client 10.1.0.1 fd00:1::1
	for n in $(seq "$1"); do
		topology_backend "$n"
	done
}

# All on one segment, a bridge in a namespace of its own; the balancer has one
# interface, eth0, and is the router of the client's subnet and of each backend's.
topology_one_arm() { # BACKENDS
	host segment
	ip -n segment link add bridge type bridge
	ip -n segment link set bridge up
	router balancer
	host client
	wire balancer eth0 segment balancer
	wire client eth0 segment client
	ip -n segment link set dev balancer master bridge
	ip -n segment link set dev client master bridge
	address balancer eth0 10.1.0.1/24 fd00:1::1/64
	address client eth0 10.1.0.2/24 fd00:1::2/64
	default_route client 10.1.0.1 fd00:1::1
	for n in $(seq "$1"); do
		host "b$n"
		wire "b$n" eth0 segment "b$n"
		ip -n segment link set dev "b$n" master bridge
		address balancer eth0 "10.2.$n.1/24" "fd00:2:$n::1/64"
		address "b$n" eth0 "$(backend4 "$n")/24" "$(backend6 "$n")/64"
		default_route "b$n" "10.2.$n.1" "fd00:2:$n::1"
	done
}

# --- XDP programs ---

# Somebody else's program that passes everything, in section xdp; wants clang.
other_program() { # FILE
	clang -target bpf -x assembler -c -o "$1" "$ROOT/tests/net/other.s"
}

# The id of the program on an interface, or nothing.
program_id() { # NETNS DEV
	on "$1" ip -j link show dev "$2" | jq -r '.[0].xdp.prog.id // empty'
}

# native or generic, or nothing.
program_mode() { # NETNS DEV
	on "$1" ip -j link show dev "$2" |
		jq -r '.[0].xdp.mode // empty | if . == 1 then "native" else "generic" end'
}

# The ids of the pinned maps it uses, one a line, in numeric order: its constants are
# its own.
program_maps() { # NETNS DEV
	for map in $(bpftool -j prog show id "$(program_id "$1" "$2")" | jq '.map_ids | sort[]'); do
		bpftool -j map show id "$map"
	done | jq 'select(.name | endswith(".rodata") | not).id'
}

# --- servers and clients ---

# Both answer with the NAME of the host they run on, on both families.
serve_http() { # NETNS PORT
	start "http-$1-$2" "$1" /usr/bin/python3 "$NET/httpd.py" "$1" "$2"
	wait_for grep -qx ready "$log"
}

serve_udp() { # NETNS PORT
	start "udp-$1-$2" "$1" /usr/bin/python3 "$NET/udpd.py" "$1" "$2"
	wait_for grep -qx ready "$log"
}

# One request over a connection of its own; IPv6 in brackets.
http() { # NETNS ADDRESS:PORT[/PATH]
	on "$1" curl -sS -g --max-time 5 --noproxy '*' "http://$2"
}

udp() { # NETNS ADDRESS PORT TEXT [COUNT [SECONDS]]
	netns=$1
	shift
	on "$netns" /usr/bin/python3 "$NET/udpask.py" "$@"
}
