# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# shellcheck disable=SC2154 # lib.sh and peers give some
# How each way to balance is set up and changed, as its users do it.  Of each:
#
#	NAME_missing    says why it can't be measured here, and fails
#	NAME_start      three backends for port 80, the first for 5201, two for port 7
#	NAME_change     { add | remove | delete } NUMBER: of port 7's backends; to remove is to
#	                give it no more connections, to delete, to be rid of it at once

echo_backends="1 2"

# What clients are to talk to: the service, or a backend where nothing balances.
target() { # NUMBER
	if [ "$peer" = routing ]; then
		backend4 "$1"
	else
		echo "$VIP4"
	fi
}

# $echo_backends after a change.
echo_change() { # WORD NUMBER
	case $1 in
	add) echo_backends="$echo_backends $2" ;;
	*) echo_backends=$(echo " $echo_backends " | sed "s/ $2 / /") ;;
	esac
}

wanted() { # PROGRAM
	command -v "$1" >/dev/null || {
		echo "$1 is not installed"
		return 1
	}
}

# --- plain routing ---

routing_missing() { :; }
routing_start() { :; }

# --- nftables: a chain that is replaced in one step ---

nftables_missing() {
	wanted nft
}

nft_map() { # NUMBER...
	number=-1
	for each; do
		number=$((number + 1))
		printf '%s %s' "${comma-}$number :" "$(backend4 "$each")"
		comma=", "
	done
	unset comma
}

nftables_apply() {
	# shellcheck disable=SC2086 # a list
	cat >"$WORK/nft" <<-END
		table ip balancer
		delete table ip balancer
		table ip balancer {
			chain prerouting {
				type nat hook prerouting priority dstnat
				ip daddr $VIP4 tcp dport 80 dnat to numgen inc mod 3 map { $(nft_map $BACKENDS) }
				ip daddr $VIP4 tcp dport 7 dnat to numgen inc mod $(echo $echo_backends | wc -w) map { $(nft_map $echo_backends) }
				ip daddr $VIP4 meta l4proto { tcp, udp } th dport 5201 dnat to $(backend4 1)
			}
		}
	END
	on balancer nft -f "$WORK/nft"
}

nftables_start() {
	echo_backends="1 2"
	nftables_apply
}

nftables_change() { # WORD NUMBER
	echo_change "$1" "$2"
	nftables_apply
}

# --- iptables: its table, replaced in one step ---

iptables_missing() {
	wanted iptables
}

# Every Nth of what the rules before have left.
iptables_rules() { # PORT NUMBER...
	port=$1
	shift
	while [ $# -gt 0 ]; do
		echo "-A PREROUTING -d $VIP4 -p tcp --dport $port" \
			"-m statistic --mode nth --every $# --packet 0" \
			"-j DNAT --to-destination $(backend4 "$1")"
		shift
	done
}

iptables_apply() {
	{
		echo "*nat"
		# shellcheck disable=SC2086 # lists
		{
			iptables_rules 80 $BACKENDS
			iptables_rules 7 $echo_backends
		}
		for protocol in tcp udp; do
			echo "-A PREROUTING -d $VIP4 -p $protocol --dport 5201" \
				"-j DNAT --to-destination $(backend4 1)"
		done
		echo "COMMIT"
	} | on balancer iptables-restore
}

iptables_start() {
	echo_backends="1 2"
	iptables_apply
}

iptables_change() { # WORD NUMBER
	echo_change "$1" "$2"
	iptables_apply
}

# --- haproxy: a new process takes over, the old one keeps what it has ---

haproxy_missing() {
	wanted haproxy
}

haproxy_service() { # PORT NUMBER...
	printf 'listen port%s\n\tbind %s:%s backlog 4096\n' "$1" "$VIP4" "$1"
	port=$1
	shift
	for each; do
		printf '\tserver b%s %s:%s\n' "$each" "$(backend4 "$each")" "$port"
	done
}

haproxy_apply() {
	{
		printf 'global\n\tnbthread %s\n' "$(nproc)"
		printf 'defaults\n\tmode tcp\n\tbalance roundrobin\n\ttimeout connect 5s\n'
		printf '\ttimeout client 1m\n\ttimeout server 1m\n'
		# shellcheck disable=SC2086 # lists
		{
			haproxy_service 80 $BACKENDS
			haproxy_service 7 $echo_backends
		}
		haproxy_service 5201 1
	} >"$WORK/haproxy.cfg"
	# shellcheck disable=SC2086 # an option, or none
	start haproxy balancer haproxy -db -f "$WORK/haproxy.cfg" ${balancer_pids:+-sf $balancer_pids}
	balancer_pids=$started
	wait_for haproxy_listens
}

haproxy_listens() {
	on balancer ss -Hlntp "sport = :80" | grep -q "pid=$balancer_pids,"
}

haproxy_start() {
	echo_backends="1 2"
	balancer_pids=
	address balancer lo "$VIP4/32"
	haproxy_apply
}

haproxy_change() { # WORD NUMBER
	echo_change "$1" "$2"
	haproxy_apply
}

# --- IPVS: masquerading ---

ipvs_missing() {
	if ! grep -qs . /proc/net/ip_vs && ! modprobe -q ip_vs 2>/dev/null; then
		echo "not in this kernel"
		return 1
	fi
	wanted ipvsadm
}

ipvs_server() { # { -a | -e } { -t | -u } PORT NUMBER [WEIGHT]
	on balancer ipvsadm "$1" "$2" "$VIP4:$3" -r "$(backend4 "$4"):$3" -m -w "${5-1}"
}

ipvs_start() {
	address balancer lo "$VIP4/32"
	for port in 80 7 5201; do
		on balancer ipvsadm -A -t "$VIP4:$port" -s rr
	done
	on balancer ipvsadm -A -u "$VIP4:5201" -s rr
	for n in $BACKENDS; do
		ipvs_server -a -t 80 "$n"
	done
	for n in 1 2; do
		ipvs_server -a -t 7 $n
	done
	ipvs_server -a -t 5201 1
	ipvs_server -a -u 5201 1
}

ipvs_change() { # WORD NUMBER
	case $1 in
	add) ipvs_server -a -t 7 "$2" ;;
	remove) ipvs_server -e -t 7 "$2" 0 ;;
	delete) on balancer ipvsadm -d -t "$VIP4:7" -r "$(backend4 "$2"):7" ;;
	esac
}

# --- xlb, in the mode of the peer's name ---

xlb_start() {
	for dev in front back1 back2 back3; do
		on balancer xlb load dev $dev mode native 2>/dev/null
	done
	on balancer xlb config set nat4 198.51.100.200
	{
		for end in 80/tcp 7/tcp 5201/tcp 5201/udp; do
			echo "service add $VIP4:$end mode $peer"
		done
		for n in $BACKENDS; do
			echo "backend add $(backend4 "$n"):80 service $VIP4:80/tcp"
		done
		for n in 1 2; do
			echo "backend add $(backend4 $n):7 service $VIP4:7/tcp"
		done
		for protocol in tcp udp; do
			echo "backend add $(backend4 1):5201 service $VIP4:5201/$protocol"
		done
	} | on balancer xlb -batch - 2>/dev/null
}

xlb_change() { # WORD NUMBER
	backend="$(backend4 "$2"):7 service $VIP4:7/tcp"
	# shellcheck disable=SC2086 # words
	case $1 in
	add) on balancer xlb backend add $backend ;;
	remove) on balancer xlb backend change $backend state drain ;;
	delete) on balancer xlb backend del $backend ;;
	esac
}

dnat_missing() { :; }
dnat_start() { xlb_start; }
dnat_change() { xlb_change "$@"; }

nat_missing() { :; }
nat_start() { xlb_start; }
nat_change() { xlb_change "$@"; }

dr_missing() { :; }
dr_start() {
	for n in $BACKENDS; do
		on b"$n" ip address replace "$VIP4/32" dev lo
		address b"$n" direct 10.3."$n".1/24
		address client direct"$n" 10.3."$n".2/24
		on b"$n" ip route add 10.1.0.2/32 via 10.3."$n".2
	done
	xlb_start
}
dr_change() { xlb_change "$@"; }
