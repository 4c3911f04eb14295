#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What `make demo` shows: a balancer, four backends and a client in network
# namespaces, real HTTP and UDP between them, one backend failing and coming back.
#
# Whatever it says about shares and failures is counted from the answers, and a
# claim that does not hold makes it exit 1.  It has a mount namespace of its own
# with a fresh bpffs, /run/netns and /etc/hosts, so that nothing it does can meet
# what else runs on the machine, and nothing of it stays.

set -eu

die() {
	echo "demo: $*" >&2
	exit 1
}

cd "$(dirname "$0")/../.."
[ "$(id -u)" = 0 ] || die "needs root, for network namespaces and BPF"
for built in bpf/xlb.o loader/xlb; do
	[ -e "$built" ] || die "$built is not built yet: run make"
done
if [ -z "${XLB_DEMO-}" ]; then
	XLB_DEMO=1 exec unshare --mount "$0" "$@"
fi
PATH=$PWD/loader:$PWD/scripts:$PATH

BACKENDS="b1 b2 b3 b4"
VIP4=192.0.2.10
VIP6=2001:db8::10
# Each flow is known by its port: the same port is the same flow again.
FIRST=20000
HTTP_FLOWS=400 # for each family
UDP_FLOWS=200
# Requests that go on while something changes; the families run side by side, and
# a port bound for one is taken for the other.
LOAD_FIRST4=30000
LOAD_FIRST6=31000
LOAD=1000 # of each family, before and again after the change
SETTLE=2 # seconds, of the UDP service

work=$(mktemp -d)
servers=
broken=0

clean_up() {
	status=$?
	trap - EXIT INT TERM
	for pid in $servers; do
		kill "$pid" 2>/dev/null || :
	done
	wait
	for name in "$work"/netns/*; do
		[ ! -e "$name" ] || ip netns del "${name##*/}" || :
	done
	rm -rf "$work" 2>/dev/null || :
	exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# --- what it looks like ---

bold='' green='' red='' cyan='' plain='' block='#'
if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then
	bold=$(printf '\033[1m') plain=$(printf '\033[0m')
	green=$(printf '\033[32m') red=$(printf '\033[31m') cyan=$(printf '\033[36m')
fi
case $(locale charmap 2>/dev/null) in UTF-8) block=█ ;; esac

heading() {
	printf '\n%s== %s%s\n' "$bold" "$*" "$plain"
}

say() {
	printf '   %s\n' "$*"
}

# claim DESCRIPTION TEST...: says whether it holds.
claim() {
	description=$1
	shift
	if "$@"; then
		printf '   %sholds:%s %s\n' "$green" "$plain" "$description"
	else
		printf '   %sDOES NOT HOLD:%s %s\n' "$red" "$plain" "$description"
		broken=$((broken + 1))
	fi
}

# --- commands, shown as they are run ---

exec 3>&1 # where commands are shown, whatever becomes of their own output

show() { # NETNS COMMAND...
	printf '%s%s#%s' "$cyan" "$1" "$plain" >&3
	shift
	for word in "$@"; do
		case $word in
		'&') printf ' &' ;;
		*[!A-Za-z0-9_./:=@,%+-]*) printf " '%s'" "$word" ;;
		*) printf ' %s' "$word" ;;
		esac
	done >&3
	echo >&3
}

# Runs a command in a network namespace; unlike `ip netns exec` this leaves /sys,
# and with it the pinned maps, alone.
inside() { # NETNS COMMAND...
	netns=$1
	shift
	nsenter --net="/run/netns/$netns" "$@"
}

on() { # NETNS COMMAND...
	show "$@"
	inside "$@"
}

here() { # COMMAND...
	show "" "$@"
	"$@"
}

# --- the network ---

host() { # NETNS
	here ip netns add "$1"
	on "$1" ip link set dev lo up
	# Addresses are usable at once.
	on "$1" sysctl -q -w net.ipv6.conf.default.accept_dad=0
}

# wire NETNS NUMBER: joins it to the balancer.  Neither end leaves checksums to a
# device that is none, and both take the frames that XDP sends them.
wire() {
	here ip link add "$1" netns balancer type veth peer name eth0 netns "$1"
	on balancer ip link set dev "$1" up
	on "$1" ip link set dev eth0 up
	on balancer ethtool -K "$1" tx off gro on >/dev/null
	on "$1" ethtool -K eth0 tx off gro on >/dev/null
	on balancer ip address add "10.0.$2.1/24" dev "$1"
	on balancer ip address add "fd00:$2::1/64" dev "$1"
	on "$1" ip address add "10.0.$2.2/24" dev eth0
	on "$1" ip address add "fd00:$2::2/64" dev eth0
	on "$1" ip route add default via "10.0.$2.1"
	on "$1" ip route add default via "fd00:$2::1"
}

network() {
	heading "A network: client --- balancer --- b1, b2, b3, b4"
	say "The name before # is the network namespace that a command runs in."
	host balancer
	on balancer sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	# What the kernel forwards until it knows its neighbours has the VIP as
	# its source, to which there is no route.
	on balancer sysctl -q -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
	number=0
	for name in client $BACKENDS; do
		host "$name"
		wire "$name" "$number"
		number=$((number + 1))
	done
}

serve() { # NETNS
	show "$1" tests/demo/backend.py "$1" 8080 "&"
	setpriv --pdeathsig KILL nsenter --net="/run/netns/$1" tests/demo/backend.py "$1" 8080 \
		>"$work/$1.log" 2>&1 &
	servers="$servers $!"
	until grep -q ready "$work/$1.log"; do
		kill -0 "$!" 2>/dev/null || die "the server of $1 did not start: $(cat "$work/$1.log")"
		sleep 0.05
	done
}

host_names() {
	number=0
	for name in client $BACKENDS; do
		printf '10.0.%s.2 %s\nfd00:%s::2 %s\n' "$number" "$name" "$number" "$name"
		number=$((number + 1))
	done
}

# --- traffic: files of lines "ANSWER PORT", ANSWER being a backend's name or - ---

# What curl reads: a request from each port, each over a connection of its own.
# The ports are not drawn, so the same request is the same flow again.
requests() { # URL FIRST COUNT
	seq "$2" $(($2 + $3 - 1)) | sed "
		s|.*|url = \"$1\"\nlocal-port = &\nwrite-out = \" & %{http_code} %{exitcode}\\\\n\"|
		s|\$|\nsilent\ngloboff\nno-buffer\nmax-time = 2|
		\$!s|\$|\nnext|"
}

# Lines of curl, "NAME PORT 200 0"; without the name if the request failed.
answers() {
	awk 'NF == 4 && $3 == 200 && $4 == 0 { print $1, $2; next } { print "-", $(NF - 2) }' "$@"
}

# The same flows in every scene: into the files SCENE.4, SCENE.6 and SCENE.udp.
traffic() { # SCENE
	say "$HTTP_FLOWS HTTP requests from port $FIRST and up, over IPv4 and again over IPv6;" \
		"$UDP_FLOWS datagrams."
	for family in 4 6; do
		on client curl -q -K "$work/requests$family" >"$work/answers" || :
		answers "$work/answers" >"$work/$1.$family"
	done
	on client tests/demo/datagrams.py "$VIP4" 4000 "$FIRST" $((FIRST + UDP_FLOWS - 1)) \
		>"$work/$1.udp"
}

count() { # FILE ANSWER
	awk -v wanted="$2" '$1 == wanted { n++ } END { print n + 0 }' "$1"
}

shares() { # SCENE
	echo
	for name in $BACKENDS -; do
		weight=1
		[ "$name" != b4 ] || weight=2
		echo "$name $weight $(count "$work/$1.4" "$name")" \
			"$(count "$work/$1.6" "$name") $(count "$work/$1.udp" "$name")"
	done | awk -v bold="$bold" -v green="$green" -v plain="$plain" -v block="$block" '
		BEGIN {
			printf "   %sbackend  weight  HTTP/IPv4  HTTP/IPv6    UDP   share%s\n", bold, plain
		}
		{ name[NR] = $1; line[NR] = $0; sum[NR] = $3 + $4 + $5; all += sum[NR] }
		END {
			for (i = 1; i <= NR; i++) {
				split(line[i], field)
				if (name[i] == "-" && !sum[i])
					continue
				bar = ""
				for (n = 0; n < int(sum[i] / all * 60 + 0.5); n++)
					bar = bar block
				printf "   %-7s %7s %10d %10d %6d %6.1f%%  %s%s%s\n",
					name[i] == "-" ? "nobody" : name[i],
					name[i] == "-" ? "" : field[2],
					field[3], field[4], field[5], sum[i] / all * 100,
					green, bar, plain
			}
		}'
	echo
}

# How many flows fulfil a condition for awk about `old`, the answer in the first
# scene, and `now`, that in the second.
flows() { # SCENE SCENE CONDITION
	for kind in 4 6 udp; do
		awk "NR == FNR { first[\$2] = \$1; next } { old = first[\$2]; now = \$1 } $3" \
			"$work/$1.$kind" "$work/$2.$kind"
	done | wc -l
}

# Are shares as the weights want them?  Which flow goes where is a matter of its
# hash, so each share may be off by four standard deviations.
shares_fair() { # SCENE
	for kind in 4 6 udp; do
		for name in $BACKENDS; do
			weight=1
			[ "$name" != b4 ] || weight=2
			echo "$weight $(count "$work/$1.$kind" "$name") $(wc -l <"$work/$1.$kind")"
		done
	done | awk '{
		share = $1 / 5
		deviation = sqrt($3 * share * (1 - share))
		if ($2 < $3 * share - 4 * deviation || $2 > $3 * share + 4 * deviation)
			exit 1
	}'
}

# --- requests that go on while a command runs ---

load_start() {
	rm -f "$work/stop"
	loads=
	for family in 4 6; do
		: >"$work/load$family"
		# shellcheck disable=SC2016 # expanded by the inner shell
		nsenter --net=/run/netns/client sh -c 'until [ -e "$1/stop" ]; do
				setpriv --pdeathsig KILL curl -q -K "$1/requests_on$2" >>"$1/load$2"
			done' load "$work" $family &
		loads="$loads $!"
		servers="$servers $!"
	done
}

answered() { # FAMILY
	wc -l <"$work/load$1"
}

load_until() { # ANSWERS_4 ANSWERS_6
	tries=0
	until [ "$(answered 4)" -ge "$1" ] && [ "$(answered 6)" -ge "$2" ]; do
		sleep 0.1
		tries=$((tries + 1))
		[ $tries -lt 200 ] || die "requests have stopped being answered"
	done
}

failed_of() { # FAMILY LINES...: of curl's lines, chosen for sed
	sed -n "$2" "$work/load$1" | answers | count /dev/stdin -
}

# Runs a command while requests go on, and counts those that failed.
under_load() { # NETNS COMMAND...
	say "Requests go on over IPv4 and IPv6, one after the other, while this happens:"
	load_start
	load_until $LOAD $LOAD
	on "$@"
	# One request of each family may be under way, and the next have begun
	# before the count: later ones all began after the command was done.
	done4=$(($(answered 4) + 2)) done6=$(($(answered 6) + 2))
	load_until $((done4 + LOAD)) $((done6 + LOAD))
	: >"$work/stop"
	# shellcheck disable=SC2086 # a list
	wait $loads
	failed=$(($(failed_of 4 "1,${done4}p") + $(failed_of 6 "1,${done6}p")))
	say "$((done4 + done6)) requests began before the command was done: $failed failed."
	failed=$(($(failed_of 4 "$((done4 + 1)),\$p") + $(failed_of 6 "$((done6 + 1)),\$p")))
	later=$(($(answered 4) + $(answered 6) - done4 - done6))
	claim "none of the $later requests begun afterwards failed" [ $failed = 0 ]
}

# --- the scenes ---

prepare() {
	# New for this mount namespace alone.
	mount -t bpf bpf /sys/fs/bpf
	mkdir -p /run/netns "$work/netns"
	mount --bind "$work/netns" /run/netns
	{
		cat /etc/hosts
		host_names
	} >"$work/hosts"
	mount --bind "$work/hosts" /etc/hosts
	printf '%s\n' "b1:8080" "b2:8080" "b3:8080" "b4:8080 weight 2" >"$work/pool"
	requests "http://$VIP4/" $FIRST $HTTP_FLOWS >"$work/requests4"
	requests "http://[$VIP6]/" $FIRST $HTTP_FLOWS >"$work/requests6"
	requests "http://$VIP4/" $LOAD_FIRST4 200 >"$work/requests_on4"
	requests "http://[$VIP6]/" $LOAD_FIRST6 200 >"$work/requests_on6"
}

load() {
	heading "One eBPF object on each interface of the balancer"
	for dev in client $BACKENDS; do
		on balancer ip link set dev "$dev" xdp obj bpf/xlb.o
	done
	on balancer xlb link show
}

configure() {
	heading "Three services with four backends each, b4 with twice the weight"
	on balancer xlb-service add "$VIP4:80/tcp" "[$VIP6]:80/tcp"
	on balancer xlb-service add "$VIP4:4000/udp" settle $SETTLE
	say "Each name stands for an IPv4 and an IPv6 address; a service takes its own family's."
	here cat "$work/pool"
	for service in "$VIP4:80/tcp" "[$VIP6]:80/tcp" "$VIP4:4000/udp"; do
		on balancer xlb-backend add -f "$work/pool" service "$service"
	done
	on balancer xlb backend show
}

scene_all() {
	heading "Real requests, from a client that knows only $VIP4 and $VIP6"
	for url in "http://$VIP4/" "http://[$VIP6]/"; do
		on client curl -sg "$url"
		echo
	done
	traffic all
	shares all
	claim "every request was answered" [ "$(flows all all 'now == "-"')" = 0 ]
	claim "shares are as the weights say" shares_fair all
}

scene_down() {
	heading "b3 goes down"
	under_load balancer xlb-backend down b3
	say "The same flows as before, again:"
	traffic down
	shares down
	claim "every request was answered" [ "$(flows all down 'now == "-"')" = 0 ]
	claim "all $(flows all down 'old == "b3"') flows of b3 are elsewhere" \
		[ "$(flows all down 'now == "b3"')" = 0 ]
	claim "none of the other $(flows all down 'old != "b3"') flows has moved" \
		[ "$(flows all down 'old != "b3" && now != old')" = 0 ]
}

scene_up() {
	heading "b3 comes back"
	under_load balancer xlb-backend up b3
	say "UDP does not say where a flow begins, so it moves only when the settle time is over:"
	here sleep $((SETTLE + 1))
	say "The same flows once more:"
	traffic up
	shares up
	claim "every one of the $(flows all up 1) flows is where it was at first" \
		[ "$(flows all up 'now != old || now == "-"')" = 0 ]
}

look() {
	heading "The state is in pinned maps with types, for anybody to read"
	on balancer bpftool map dump pinned /sys/fs/bpf/tc/globals/xlb_services4
	on balancer xlb-stat
}

began=$(date +%s)
prepare
network
heading "A small HTTP and UDP server on each backend"
for name in $BACKENDS; do
	serve "$name"
done
load
configure
scene_all
scene_down
scene_up
look
heading "Done in $(($(date +%s) - began)) seconds; everything is taken down again."
[ $broken = 0 ] || die "$broken of the claims above did not hold"
