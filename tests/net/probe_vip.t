#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# xlb-probe via vip: a backend that answers by its own address but lacks the VIP is down,
# until it has the VIP; in every mode that brings the VIP there, and where the balancer
# has it, too.

. "$(dirname "$0")/lib.sh"
. "$NET/traffic.sh"
. "$NET/nginx.sh"

command -v nginx >/dev/null || skip_all "needs nginx"

# A line for each service: MODE VIP BACKEND, where the VIP is written as before a port.
SERVICES="dr 192.0.2.10 1 $(backend4 1)
dr [2001:db8::10] 1 [$(backend6 1)]
ipip 192.0.2.11 2 $(backend4 2)
ipip [2001:db8::11] 2 [$(backend6 2)]
ipip 192.0.2.12 2 [fd00:2:2::3]
ipip [2001:db8::12] 2 10.2.2.3
gue 192.0.2.13 3 $(backend4 3)
gue [2001:db8::13] 3 [$(backend6 3)]
gue 192.0.2.14 3 [fd00:2:3::3]
gue [2001:db8::14] 3 10.2.3.3"

# each COMMAND: once for each service, with $mode, $vip, $number and $backend.
each() {
	while read -r mode vip number backend; do
		"$@"
	done <<-END
		$SERVICES
	END
}

service_line() {
	echo "service add $vip:80/tcp mode $mode table 251"
	echo "backend add $backend service $vip:80/tcp"
}

# The balancer's address of the VIP's family, which backends answer to.
source_of() { # VIP
	case $1 in
	\[*) echo "[fd00:1::1]" ;;
	*) echo 10.1.0.1 ;;
	esac
}

probe_line() { # KEYWORDS
	echo "probe $vip:80/tcp $*"
}

vip_line() { # KEYWORDS
	probe_line "$@" via vip source "$(source_of "$vip")"
}

state_line() { # STATE
	echo "backend change $backend service $vip:80/tcp state $1"
}

own_vip() {
	plain=${vip#[}
	plain=${plain%]}
	case $plain in
	*:*) address "b$number" lo "$plain/128" ;;
	*) address "b$number" lo "$plain/32" ;;
	esac
}

# "BACKEND VIP HEALTH", sorted, of what xlb-probe says.
changes() { # FILE
	awk '{ print $3, $5, $7 }' "$1" | sort
}

expected() { # HEALTH
	each expected_line "$1" | sort
}

expected_line() {
	echo "$backend:80 $vip:80/tcp $1"
}

# "SEVERITY WHAT", sorted.
doctor_vip() {
	on balancer xlb-doctor -j vip | jq -r '.[] | "\(.severity) \(.what)"' | sort
}

expected_finding() {
	case $vip-$backend in
	\[*-\[* | [0-9]*-[0-9]*) echo "error $backend:80: does not answer as $vip:80/tcp" ;;
	*) echo "notice $vip:80/tcp: not asked whether its backends have the VIP" ;;
	esac
}

probe_once() { # CONFIGURATION
	xlb-probe -n balancer -once "$1" >"$WORK/said" 2>"$WORK/why" || diag "failed: $(cat "$WORK/why")"
	diag "$(sed 's/.*tcp: //' "$WORK/why" | sort | uniq -c)"
}

rules() {
	ip -n balancer rule
	ip -n balancer -6 rule
}

# Whatever a way to VIPs leaves.
leftovers() {
	ip -n balancer -br link show xlb-probe 2>/dev/null
	rules | grep fwmark
	ip -n balancer route show table 7892066 2>/dev/null
}

# way_stands [INDEX]: on a device that is another than the one of that index.
way_stands() {
	[ "$(rules | grep -c fwmark)" = 2 ] && [ "$(way_index)" != "${1-0}" ]
}

way_index() {
	ip -n balancer -j link show xlb-probe | jq '.[0].ifindex'
}

nothing_left() {
	[ -z "$(leftovers)" ]
}

# Kinds of packets that backends have unpacked.
unpacked() {
	on b2 xlb -j decap stats | jq -r 'to_entries[] | select(.value > 0).key' | sort | xargs
}

said() { # LINE of $WORK/running
	grep -qx "$1" "$WORK/running"
}

said_last() { # LINE
	[ "$(tail -n 1 "$WORK/running")" = "$1" ]
}

start_running() {
	start running balancer sh -c \
		"exec xlb-probe $WORK/running.conf 2>$WORK/running.why"
	prober=$started
}

topology_one_arm 3
for number in 1 2 3; do
	serve_nginx "b$number" 80
	sysctl_set "b$number" net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
done
for number in 2 3; do
	on "b$number" ip link set dev eth0 xdp obj "$ROOT/bpf/decap.o"
	address "b$number" eth0 "10.2.$number.3/24" "fd00:2:$number::3/64"
	for at in "$(backend4 $number)" "[$(backend6 $number)]" "10.2.$number.3" \
		"[fd00:2:$number::3]"; do
		on "b$number" xlb decap add "$at"
	done
done
# As one does where the balancer is to answer for the VIPs.
address balancer eth0 192.0.2.10/32 2001:db8::10/128 192.0.2.11/32 2001:db8::12/128
ok "xlb is loaded" load eth0
ok "tunnels have sources" xlb config set tunnel4 10.1.0.1 tunnel6 fd00:1::1
each service_line >"$WORK/batch"
ok "services and backends are added" xlb -batch "$WORK/batch"
for number in 1 2 3; do
	wait_for listening "b$number" 80
done

each probe_line http >"$WORK/address.conf"
each vip_line http timeout 1 >"$WORK/vip.conf"
each vip_line tcp timeout 1 >"$WORK/tcp.conf"
before=$(rules)

probe_once "$WORK/address.conf"
is "all backends answer by their own addresses" "$(cat "$WORK/said")" ""
probe_once "$WORK/vip.conf"
is "none answers by the VIP, which it lacks" "$(changes "$WORK/said")" "$(expected down)"
probe_once "$WORK/tcp.conf"
is "nor over TCP alone" "$(changes "$WORK/said")" "$(expected down)"
is "xlb-doctor says so, of those whose family tells which source is ours" "$(doctor_vip)" \
	"$(each expected_finding | sort)"
is "nothing is left of the way there" "$(leftovers 2>/dev/null)" ""
is "and all rules are as they were" "$(rules)" "$before"

each own_vip
is "and has nothing to say of them once they have the VIP" "$(doctor_vip | grep -c error)" 0
capture wire segment balancer
probe_once "$WORK/vip.conf"
is "all answer by the VIP, once they have it" "$(cat "$WORK/said")$(cat "$WORK/why")" ""
probe_once "$WORK/tcp.conf"
is "and over TCP alone" "$(cat "$WORK/said")$(cat "$WORK/why")" ""
is "and no port of ours is kept for long" "$(on balancer ss -Htan state time-wait |
	awk '$4 ~ /^(192\.0\.2|\[2001:db8:)/')" ""
captures_end
sound "on the wire every checksum is right" wire tcp ip4 ip6 gue
is "each kind of packet was in those of its service's mode" "$(unpacked)" \
	"gue_4in4 gue_4in6 gue_6in4 gue_6in6 ipip_4in4 ipip_4in6 ipip_6in4 ipip_6in6"

each state_line down >"$WORK/batch"
ok "all are taken down by the operator" xlb -batch "$WORK/batch"
probe_once "$WORK/vip.conf"
is "and probed all the same" "$(cat "$WORK/said")$(cat "$WORK/why")" ""
each state_line up >"$WORK/batch"
ok "and up again" xlb -batch "$WORK/batch"

# --- without a source, and where there is no way ---

ok "a service of mode dnat is added" xlb service add 192.0.2.20:80/tcp table 251
ok "with a backend" xlb backend add 10.2.1.2:81 service 192.0.2.20:80/tcp
{
	echo "probe 192.0.2.10:80/tcp http via vip"
	echo "probe [2001:db8::11]:80/tcp http via vip"
	echo "probe 192.0.2.12:80/tcp http via vip"
	echo "probe 192.0.2.20:80/tcp http via vip"
} >"$WORK/other.conf"
probe_once "$WORK/other.conf"
is "what cannot be probed by its VIP is not told of" "$(cat "$WORK/said")" ""
is "but why" "$(sed 's/^xlb-probe: //' "$WORK/why" | sort)" \
	"10.2.1.2:81 service 192.0.2.20:80/tcp: could not be probed: via vip: $(
	)backends of this mode do not have the VIP
[fd00:2:2::3]:80 service 192.0.2.12:80/tcp: could not be probed: via vip: $(
	)the backend is of another family: which source? source ADDRESS"

# --- while it runs ---

probe='probe 192.0.2.10:80/tcp http interval 0.2 timeout 1 rise 1 fall 1'
down="backend change 10.2.1.2:80 service 192.0.2.10:80/tcp health down"
up="backend change 10.2.1.2:80 service 192.0.2.10:80/tcp health up"
echo "$probe port 81" >"$WORK/running.conf"
start_running
ok "a backend is down by its own address" wait_for said "$down"
echo "$probe via vip" >"$WORK/running.conf"
kill -HUP "$prober"
ok "a way to VIPs is made once the configuration asks for it" wait_for way_stands
ok "and the backend is up by the VIP" wait_for said "$up"
for family in -4 -6; do
	is "first come the rules for marks, and then the kernel's own ($family)" \
		"$(ip -n balancer $family rule | awk '{ print $1, $NF }' | xargs)" \
		"$(ip -n balancer $family rule show table 7892066 | awk '{ print $1, $NF }') $(
			printf '%s\n' "$before" | if [ $family = -4 ]; then head -n 3; else tail -n +4; fi |
				awk '{ print $1, $NF }' | xargs)"
done
is "clients reach the VIP meanwhile" "$(http_many client 192.0.2.10:80 20 | tally)" "b1 20"
fails 2 "a second one by VIPs is refused" on balancer xlb-probe -once "$WORK/vip.conf"
is "in so many words" "$(cat "$WORK/output")" \
	"xlb-probe: via vip: another xlb-probe does that here already"
ip -n b1 address del 192.0.2.10/32 dev lo
ok "a VIP that goes is found out" wait_for said_last "$down"
ip -n b1 address add 192.0.2.10/32 dev lo
ok "and one that returns" wait_for said_last "$up"

# What goes to the VIP without its way meets this machine, which refuses it.
made() { # TIMES
	[ "$(grep -c "made again" "$WORK/running.why")" = "$1" ]
}

ip -n balancer rule del pref 0 fwmark 0x78600000/0xfff00000
ok "a rule that somebody deletes is made again" wait_for made 1
ok "with all else" wait_for way_stands
ip -n balancer link del xlb-probe
ok "and so is the device" wait_for made 2
is "no probe counts that went elsewhere meanwhile" "$(tail -n 1 "$WORK/running")" "$up"
echo "$probe port 80" >"$WORK/late.conf"
start late balancer sh -c "exec xlb-probe $WORK/late.conf 2>$WORK/late.why"
late=$started
ip -n b1 address del 192.0.2.10/32 dev lo
ok "the way is the right one" wait_for said_last "$down"
echo "$probe via vip" >"$WORK/late.conf"
kill -HUP "$late"
ok "who gets no way to VIPs cannot probe them" wait_for grep -q \
	"could not be probed: via vip: there is no way to the VIP now" "$WORK/late.why"
ip -n b1 address add 192.0.2.10/32 dev lo
ok "another can" wait_for said_last "$up"
stop "$late"
is "and who could not has told nothing" "$(cat "$WORK/late")" ""

index=$(way_index)
kill -9 "$prober"
{ wait "$prober" || :; } 2>/dev/null
ok "one that is killed leaves something" way_stands
start_running
ok "which the next one makes anew" wait_for way_stands "$index"
stop "$prober"
ok "one that ends takes it away" wait_for nothing_left
is "all rules are as they were" "$(rules)" "$before"

# --- and who has no rights there at all ---

start squatter balancer setpriv --reuid=12345 --regid=12345 --clear-groups --no-new-privs \
	/usr/bin/python3 -c '
import signal, socket
name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
name.bind("\0xlb-probe")
print("ready", flush=True)
signal.pause()'
squatter=$started
wait_for grep -qx ready "$log"
fails 2 "any user can keep probes by VIPs from beginning" \
	on balancer xlb-probe -once "$WORK/vip.conf"
is "which says so" "$(cat "$WORK/output")" \
	"xlb-probe: via vip: another xlb-probe does that here already"
fails 0 "but no others" on balancer xlb-probe -once "$WORK/address.conf"
stop "$squatter"
fails 0 "nor those that come when the name is free" \
	on balancer xlb-probe -once "$WORK/vip.conf"
finish
