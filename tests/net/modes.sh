# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # lib.sh gives some, tests use others
# What tests of the modes share, on top of lib.sh and traffic.sh: a network that every
# mode works in, and services in every family that a mode can have.
#
#	client --- router --- front balancer lan --+
#	             lan                           |
#	              +-------- segment -----------+
#	               |     |            |
#	               b1    b2    lan inner far --- far
#
# Clients come in by `front` at first, or with clients_by by `lan`, as on a stick.  In
# modes nat, dr, ipip and gue backends have nothing to do with the balancer: their
# default route is by the router.  `far` is a backend as well, where the mode is not dr.

. "$NET/traffic.sh"

# $WAYS: a way is the family of a service, and of its backends: inner in outer.
mode() { # MODE
	MODE=$1
	case $MODE in
	ipip | gue) WAYS='4in4 6in6 4in6 6in4' ;;
	*) WAYS='4 6' ;;
	esac
}

# Modes that leave addresses and port of a packet alone.
direct() {
	case $MODE in
	dnat | nat) return 1 ;;
	esac
}

tunnels() {
	case $MODE in
	ipip | gue) ;;
	*) return 1 ;;
	esac
}

CLIENT4=10.1.0.2 CLIENT6=fd00:1::2
# What mode nat gives to packets as their source.
NAT4=10.2.0.200 NAT6=fd00:2::200

vip() { # WAY
	case $1 in
	4 | 4in4) echo 192.0.2.10 ;;
	4in6) echo 192.0.2.11 ;;
	6 | 6in6) echo 2001:db8::10 ;;
	6in4) echo 2001:db8::11 ;;
	esac
}

family() { # WAY: of its service
	echo "${1%in*}"
}

vip_url() { # WAY: as it is written before a port
	case $(family "$1") in
	4) vip "$1" ;;
	6) echo "[$(vip "$1")]" ;;
	esac
}

# Each way has an address of its own there.
backend_address() { # WAY NAME
	case $1:$2 in
	4:far | 4in4:far) echo 10.4.0.2 ;;
	6in4:far) echo 10.4.0.3 ;;
	6:far | 6in6:far) echo fd00:4::2 ;;
	4in6:far) echo fd00:4::3 ;;
	4:* | 4in4:*) echo "10.2.0.1${2#b}" ;;
	6in4:*) echo "10.2.0.2${2#b}" ;;
	6:* | 6in6:*) echo "fd00:2::1${2#b}" ;;
	4in6:*) echo "fd00:2::2${2#b}" ;;
	esac
}

backend_url() { # WAY NAME: as it is written before a port
	case ${1#*in} in
	4) backend_address "$1" "$2" ;;
	6) echo "[$(backend_address "$1" "$2")]" ;;
	esac
}

backend_addresses() { # NAME
	for way in $WAYS; do
		case ${way#*in} in
		4) address "$1" eth0 "$(backend_address "$way" "$1")/24" ;;
		6) address "$1" eth0 "$(backend_address "$way" "$1")/64" ;;
		esac
	done
}

# join NETNS DEV: by a wire to the segment, where that is called NETNS.
join() {
	wire "$1" "$2" segment "$1"
	ip -n segment link set dev "$1" master bridge
}

# exact NETNS DEV: its peer sends no frame by XDP, so it can do without GRO, and
# tcpdump sees frames as they are on the wire.
exact() {
	on "$1" ethtool -K "$2" gro off >/dev/null
}

# The way of clients' packets to the balancer, and of its replies.
clients_by() { # { front | lan }
	case $1 in
	front) net=3 ;;
	lan) net=2 ;;
	esac
	ip -n router route replace 192.0.2.0/24 via "10.$net.0.2"
	ip -n router route replace 2001:db8::/32 via "fd00:$net::2"
	ip -n balancer route replace default via "10.$net.0.1"
	ip -n balancer route replace default via "fd00:$net::1"
}

topology_outside() {
	host client
	router router
	wire client eth0 router client
	exact client eth0
	address client eth0 $CLIENT4/24 $CLIENT6/64
	address router client 10.1.0.1/24 fd00:1::1/64
	default_route client 10.1.0.1 fd00:1::1
	wire router front balancer front
	address router front 10.3.0.1/24 fd00:3::1/64
	address balancer front 10.3.0.2/24 fd00:3::2/64
	join router lan
	address router lan 10.2.0.1/24 fd00:2::1/64
}

# Where a backend, or the router before one, sends what it has for clients.
backend_route() { # NETNS
	case $MODE in
	dnat) default_route "$1" 10.2.0.2 fd00:2::2 ;;
	*) default_route "$1" 10.2.0.1 fd00:2::1 ;;
	esac
}

topology_far() {
	router inner
	join inner lan
	address inner lan 10.2.0.3/24 fd00:2::3/64
	backend_route inner
	host far
	wire inner far far eth0
	exact far eth0
	address inner far 10.4.0.1/24 fd00:4::1/64
	backend_addresses far
	default_route far 10.4.0.1 fd00:4::1
	for name in balancer router; do
		ip -n $name route add 10.4.0.0/24 via 10.2.0.3
		ip -n $name route add fd00:4::/64 via fd00:2::3
	done
}

# A backend has the VIPs where it gets packets for them, and tells nobody.
own_vips() { # NAME
	direct || return 0
	sysctl_set "$1" net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
	for way in $WAYS; do
		case $(family "$way") in
		4) address "$1" lo "$(vip "$way")/32" ;;
		6) address "$1" lo "$(vip "$way")/128" ;;
		esac
	done
}

# topology_modes NAME...: backends on the segment.  $BACKENDS: all that there are.
topology_modes() {
	BACKENDS=$*
	host segment
	ip -n segment link add bridge type bridge mcast_snooping 0
	ip -n segment link set bridge up
	# As fresh systems are: what more it takes is up to `xlb load`.
	host balancer
	sysctl_set balancer net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.default.rp_filter=1
	join balancer lan
	address balancer lan 10.2.0.2/24 fd00:2::2/64 $NAT4/32 $NAT6/128
	topology_outside
	clients_by front
	for name in "$@"; do
		host "$name"
		join "$name" eth0
		exact "$name" eth0
		backend_addresses "$name"
		backend_route "$name"
	done
	if [ "$MODE" != dr ]; then
		topology_far
		BACKENDS="$BACKENDS far"
	fi
	for name in $BACKENDS; do
		own_vips "$name"
		! tunnels || unpack "$name"
	done
}

# --- xlb ---

start_xlb() {
	ok "xlb is loaded" load front lan
	ok "sources are configured" xlb config set nat4 $NAT4 nat6 $NAT6 \
		tunnel4 10.2.0.2 tunnel6 fd00:2::2
}

# The port of a backend of a service on PORT: another one, where that can be.
backend_port() { # PORT
	if direct; then
		echo "$1"
	else
		echo $((8000 + $1))
	fi
}

# As xlb names it.
service() { # WAY PORT/PROTOCOL
	echo "$(vip_url "$1"):$2"
}

# For a batch.  KEYWORDS are the service's.
service_lines() { # WAY PORT/PROTOCOL [KEYWORDS...]
	way=$1
	end=$2
	shift 2
	echo "service add $(service "$way" "$end") mode $MODE $*"
	for name in $BACKENDS; do
		echo "backend add $(backend_url "$way" "$name"):$(backend_port "${end%/*}")" \
			"service $(service "$way" "$end")"
	done
}

# serve_echo_at NAME PORT: at the addresses that packets have when they get there, so
# that UDP answers come from those.
serve_echo_at() {
	addresses=
	for way in $WAYS; do
		if direct; then
			addresses="$addresses $(vip "$way")"
		else
			addresses="$addresses $(backend_address "$way" "$1")"
		fi
	done
	# shellcheck disable=SC2086 # words
	serve_echo "$1" "$(backend_port "$2")" $addresses
}

# --- backends of tunnels ---

# unpack NAME: takes what tunnels bring it to its addresses.
unpack() {
	on "$1" ip link set dev eth0 xdp obj "$ROOT/bpf/decap.o"
	for way in $WAYS; do
		on "$1" xlb decap add "$(backend_url "$way" "$1")"
	done
}

# Whatever unpack() has done, as lines of name and number.  All backends share maps here.
unpacked() {
	on b1 xlb -j decap stats | jq -r 'to_entries[] | select(.value > 0) | "\(.key) \(.value)"'
}
