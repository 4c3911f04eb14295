#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# xlb load, unload and link: whose program it is, what is set, what is left alone.

# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"

lb() {
	on balancer xlb "$@"
}

setting() { # KEY under net.
	on balancer cat "/proc/sys/net/$1" 2>/dev/null || echo none
}

pins() {
	find /sys/fs/bpf -name 'xlb*' | sort
}

map_pins() {
	pins | grep /xlb_ | grep -vc /xlb_program_
}

said() {
	cat "$WORK/output"
}

host balancer
host client
host backend
wire balancer client client eth0
wire balancer back.end backend eth0

# --- refused, and nothing happens ---

umount /sys/fs/bpf
fails 2 "no such interface" lb load dev nosuch
fails 2 "no such object" lb load dev client obj /nosuch
is "the object is named" "$(said)" \
	"xlb: load dev client: obj /nosuch: No such file or directory"
fails 2 "lo has no native mode" lb load dev lo mode native
is "nothing is pinned" "$(pins)" ""
is "nothing is set" "$(setting ipv4/conf/client/forwarding)" 0

if ! command -v clang >/dev/null; then
	skip "somebody else's program" "needs clang"
else
	other_program "$WORK/other.o"
	for how in xdpdrv xdpgeneric; do
		on balancer ip link set dev client $how obj "$WORK/other.o" sec xdp
		other=$(program_id balancer client)
		fails 2 "$how: somebody else's program is not replaced" lb load dev client
		is "the way out is told" "$(said)" \
			"xlb: load dev client: program $other (other) is attached, which is not xlb's: ip link set dev client $how off"
		fails 2 "$how: nor taken off" lb unload dev client
		is "it is still there" "$(program_id balancer client)" "$other"
		is "nothing is pinned" "$(pins)" ""
		on balancer ip link set dev client $how off
	done
fi

# --- load ---

fails 1 "maps have no mode" lb load maps mode native
is "as is told" "$(said)" "xlb: load maps: mode: is of an interface: dev IF"
fails 2 "nor are made of no object" lb load maps obj /nosuch
is "nothing is pinned" "$(pins)" ""
ok "load can make maps alone" lb load maps services 5
is "of that size" "$(bpftool -j map show pinned /sys/fs/bpf/xlb/xlb_services4 | jq .max_entries)" 5
is "no interface runs xlb" "$(lb link)" ""
fails 2 "once made they keep it" lb load maps services 6
rm -r /sys/fs/bpf/xlb

umount /sys/fs/bpf 2>/dev/null || :
sysctl_set balancer net.ipv4.conf.all.rp_filter=1 net.ipv6.conf.back/end.accept_ra=1
ok "load also mounts a bpf file system" lb load dev back.end
like "settings are told" "$(said)" \
	'^xlb: load dev back.end: set net.ipv4.conf.back/end.forwarding=1 \(was 0\)$'
is "IPv4 is forwarded" "$(setting ipv4/conf/back.end/forwarding)" 1
is "own addresses come back" "$(setting ipv4/conf/back.end/accept_local)" 1
is "strict reverse path filtering is made loose" "$(setting ipv4/conf/back.end/rp_filter)" 2
is "IPv6 is forwarded" "$(setting ipv6/conf/back.end/forwarding)" 1
is "router advertisements still count" "$(setting ipv6/conf/back.end/accept_ra)" 2
like "IPv6 also by the stack, if this kernel can" \
	"$(setting ipv6/conf/back.end/force_forwarding)" '^(1|none)$'
is "other interfaces stay" "$(setting ipv4/conf/client/forwarding)" 0
id=$(program_id balancer back.end)
ok "load once more" lb load dev back.end
is "nothing is left to tell" "$(said)" ""
is "by another program" "$([ "$(program_id balancer back.end)" != "$id" ] && echo yes)" yes
fails 2 "not in another mode" lb load dev back.end mode generic
is "which is told" "$(said)" \
	"xlb: load dev back.end: runs xlb in native mode: xlb unload dev back.end"
ok "load on lo" lb load dev lo
like "in generic mode, as is told" "$(said)" '^xlb: load dev lo: in generic mode'
ok "load in another network namespace" xlb -n balancer load dev client mode generic
is "all share the maps" "$(program_maps balancer client)" "$(program_maps balancer back.end)"
is "link show" "$(lb link show)" "dev lo mode generic id $(program_id balancer lo) pin /sys/fs/bpf/xlb
dev client mode generic id $(program_id balancer client) pin /sys/fs/bpf/xlb redirect
dev back.end mode native id $(program_id balancer back.end) pin /sys/fs/bpf/xlb redirect"
is "link show of one" "$(lb -j link show dev lo | jq -c 'map(.id = 0)')" \
	'[{"dev":"lo","mode":"generic","id":0,"pin":"/sys/fs/bpf/xlb","unknown":false,"redirect":false}]'
fails 2 "maps of another place" lb -pin /sys/fs/bpf/other load dev client
is "are not made" "$(find /sys/fs/bpf/other 2>/dev/null)" ""

# --- which links take frames ---

redirects() {
	bpftool -j map dump pinned /sys/fs/bpf/xlb/xlb_links |
		jq -c 'map(.formatted | select(.value.redirect == 1).key) | sort'
}

index() {
	on balancer ip -j link show dev "$1" | jq '.[0].ifindex'
}

both=$(printf '%s\n' "$(index client)" "$(index back.end)" | jq -sc sort)
is "veth with GRO at the other end" "$(redirects)" "$both"
on backend ethtool -K eth0 gro off
if [ "$(lb -j link show dev back.end | jq '.[0].redirect')" = true ]; then
	skip "a veth whose peer takes no frames" "this kernel does not tell"
else
	ok "the peer takes frames no more" lb load dev back.end
	like "which is told" "$(said)" 'back.end: its peer takes no frames that XDP sends'
	is "and known" "$(redirects)" "[$(index client)]"
	on backend ethtool -K eth0 gro on
	ok "again" lb load dev back.end
	is "and known" "$(redirects)" "$both"
fi

mtus() { # { 0 | 1 }: of those that take frames or do not
	bpftool -j map dump pinned /sys/fs/bpf/xlb/xlb_links | jq -c --argjson takes "$1" \
		'map(.formatted.value | select(.redirect == $takes).mtu) | sort'
}

is "their MTU is known" "$(mtus 1)" "[1500,1500]"
on balancer ip link set dev client mtu 1400
on balancer ip link add narrow mtu 1300 type bridge
ok "a change of anything" lb config set idle 100
is "brings it up to date" "$(mtus 1)" "[1400,1500]"
like "those that take no frames have one, too" "$(mtus 0)" '[[,]1300[],]'
on balancer ip link set dev client mtu 1500
on balancer ip link del narrow
ok "a link is gone" lb config set idle 200
is "and its MTU" "$(mtus 0 | jq 'index(1300)')" null

# --- unload ---

ok "unload" lb unload dev client
is "without a word" "$(said)" ""
is "nothing is attached" "$(program_id balancer client)" ""
fails 2 "unload again" lb unload dev client
ok "unload lo" lb unload dev lo
ok "unload the last" lb unload dev back.end
is "the maps stay, as is told" "$(said)" \
	"xlb: unload dev back.end: its maps stay: rm /sys/fs/bpf/xlb/xlb_*"
is "link show has nothing" "$(lb -j link show)" "[]"

# --- maps that are there already ---

fresh_pins
mkdir /sys/fs/bpf/xlb
bpftool map create /sys/fs/bpf/xlb/xlb_links type hash key 4 value 4 entries 77 name xlb_links
ok "load joins a map of another size" lb load dev client
is "which it keeps" \
	"$(bpftool -j map show pinned /sys/fs/bpf/xlb/xlb_links | jq .max_entries)" 77
lb unload dev client 2>/dev/null
fresh_pins
on balancer ip link set dev client xdp obj "$OBJECT"
ok "load finds what ip loaded" lb load dev back.end
is "and shares it" "$(program_maps balancer back.end)" "$(program_maps balancer client)"
ok "load takes the place of what ip loaded" lb load dev client
is "same maps" "$(program_maps balancer back.end)" "$(program_maps balancer client)"
ok "unload what ip loaded" lb unload dev client
lb unload dev back.end 2>/dev/null

# --- a load that is killed ---

# killed CALL: at that bpf() call; fails once the load gets by with fewer.
killed() {
	! on balancer strace -f -o /dev/null -e inject=bpf:signal=KILL:when="$1" \
		xlb load dev client 2>/dev/null
}

if ! command -v strace >/dev/null; then
	skip "kill -9 while loading" "needs strace"
else
	all=$(map_pins)
	call=7
	fresh_pins
	while [ $call -lt 500 ] && killed $call 2>/dev/null; do
		ok "killed at bpf call $call: the next load completes it" lb load dev client
		is "no map is missing" "$(map_pins)" "$all"
		is "of programs that which runs is pinned" "$(pins | sed -n 's/.*xlb_program_//p')" \
			"$(program_id balancer client)"
		on balancer ip link set dev client xdp off
		fresh_pins
		call=$((call + 16))
	done
	on balancer ip link set dev client xdp off
	fresh_pins
fi

# --- after a bare ip link ---

sysctl_set balancer net.ipv4.conf.client.forwarding=0 net.ipv6.conf.client.forwarding=0 \
	net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.client.rp_filter=0
on balancer ip link set dev client xdp obj "$OBJECT"
ok "an IPv4 service" lb service add 192.0.2.10:80/tcp
is "forwarding is warned of, with the line to type" "$(said)" \
	"xlb: warning: client: forwarding is off: sysctl -w net.ipv4.conf.client.forwarding=1"
on balancer ip link set dev back.end xdp obj "$OBJECT"
sysctl_set balancer net.ipv6.conf.client.force_forwarding=0 \
	net.ipv6.conf.back/end.force_forwarding=0 2>/dev/null || :
ok "an IPv6 service" lb service add '[2001:db8::10]:80/tcp'
for each in client.ipv4 client.ipv6 back.end.ipv6; do
	like "what keeps ${each##*.} off at ${each%.*} is told" "$(said)" \
		"^xlb: warning: ${each%.*}: forwarding is off: sysctl -w net.${each##*.}.conf"
done
grep -o 'sysctl -w .*' "$WORK/output" >"$WORK/lines"
ok "the lines can be typed" on balancer sh "$WORK/lines"
ok "another service" lb service add 192.0.2.10:443/tcp
is "and then nothing is told" "$(said)" ""
on balancer ip link set dev client xdp off
on balancer ip link set dev back.end xdp off

# --- how much the maps hold ---

entries() { # MAP
	bpftool -j map show pinned "/sys/fs/bpf/xlb/xlb_$1" | jq .max_entries
}

fresh_pins
ok "sizes" lb load dev client services 10 backends 65534 slots 1000 flows 50
is "are those of the maps" "$(for map in services4 services6 backends replies4 replies6 \
	targets nexthops stats slots flows4 flows6; do entries $map; done | xargs)" \
	"10 10 65534 65534 65534 65535 65535 65535 63 50 50"
ok "the same again" lb load dev client slots 1000
fails 2 "another size" lb load dev back.end backends 100
is "the way out is told" "$(said)" "xlb: load dev back.end: maps of other sizes are there \
already, and are sized when they are made: xlb-save, unload, rm /sys/fs/bpf/xlb/xlb_*, load, xlb-restore"
is "nothing is attached" "$(program_id balancer back.end)" ""
ok "no size joins" lb load dev back.end
ok "one is unloaded" lb unload dev client
ok "and the other" lb unload dev back.end

# --- another network namespace, with a folder of its own ---

look() {
	bpftool -j map dump pinned /sys/fs/bpf/xlb/xlb_links
	pins | grep ^/sys/fs/bpf/xlb/
}

fresh_pins
ok "one namespace" lb load dev client
before=$(look)
ok "another" on client xlb -pin /sys/fs/bpf/other load dev eth0
is "which the first has nothing of" "$(look)" "$before"
ok "nor of its end" on client xlb -pin /sys/fs/bpf/other unload dev eth0
is "it has its interfaces, and its program's pin" "$(look)" "$before"
ok "so that it ends as before" lb unload dev client

# --- where native mode can't be ---

fresh_pins
on backend ip link set dev eth0 mtu 9000
ok "jumbo frames" lb load dev back.end
like "in generic mode, and why" "$(said)" 'generic mode.*native: .*MTU'
is "generic mode" "$(program_mode balancer back.end)" generic
finish
