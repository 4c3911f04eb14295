#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# xlb-up and xlb-down: all that a file says is there, or nothing; changes of a running
# balancer that its connections do not notice; and nothing is left afterwards.

. "$(dirname "$0")/lib.sh"
. "$NET/traffic.sh"

# What is recorded as up is this test's own.
mkdir -p /run/xlb
mount -t tmpfs tmpfs /run/xlb

FILE=$WORK/web.conf
SERVICE4=$VIP4:80/tcp SERVICE6=[$VIP6]:80/tcp

up() { # [FILE]
	on balancer xlb-up "${1-$FILE}"
}

down() { # [FILE]
	on balancer xlb-down "${1-$FILE}"
}

said() {
	grep -v '^+ ' "$WORK/output" || :
}

last_said() {
	tail -n 1 "$WORK/output"
}

head_lines() { # INTERFACE...
	printf 'interface %s\n' "$@"
	cat <<-END
		address $VIP4 dev lo    # a comment
		address 2001:DB8:0::10/128 dev lo
	END
}

service_lines() { # BACKEND-NUMBER...
	echo "service add $SERVICE4"
	echo "service add $SERVICE6"
	for number in "$@"; do
		echo "backend add $(backend4 "$number"):8080 service $SERVICE4"
		echo "backend add [$(backend6 "$number")]:8080 service $SERVICE6"
	done
}

# All that up makes, but for its lock and settings of the kernel, which stay.
state() {
	for dev in client b1 b2 lo; do
		echo "$dev $(program_mode balancer "$dev")"
		on balancer ip -j address show dev "$dev" |
			jq -c '.[].addr_info[] | [.local, .prefixlen]'
	done
	ls -I lock /sys/fs/bpf /run/xlb
}

# The same, with what is configured and recorded.
whole_state() {
	state
	xlb save
	cat /run/xlb/*
}

# With the programs that run still there.
pins_vanish() {
	umount /sys/fs/bpf
	mount -t bpf bpf /sys/fs/bpf
}

# In a folder that is searched first.
interrupted() { # COMMAND...
	PATH=$WORK/bin:$PATH "$@"
}

has_link_local() { # DEV
	on balancer ip -6 address show dev "$1" scope link | grep fe80
}

# refused STATUS DESCRIPTION MESSAGE [FILE]: a first up leaves nothing.
refused() {
	fails "$1" "$2" up "${4-$FILE}"
	like "$2: it says where and why" "$(said)" "^xlb-up: $3"
	is "$2: nothing is left" "$(state)" "$nothing"
}

# An ip(8) that ends xlb-up by a signal just when an address is to be added.
stand_in() { # SIGNAL
	cat >"$WORK/bin/ip" <<-END
		#!/bin/sh
		case "\$1 \$2" in
		"address add") kill -$1 \$PPID ;;
		*) exec "$(command -v ip)" "\$@" ;;
		esac
	END
	chmod +x "$WORK/bin/ip"
}

topology_routed 2
for number in 1 2; do
	serve_echo "b$number" 8080
done
mkdir "$WORK/bin"
nothing=$(state)

# --- all or nothing ---

{ head_lines client b1 "b2 mode native" && service_lines 1 2; } >"$FILE"
sed 's/b2 mode native/b3/' "$FILE" >"$WORK/bad.conf"
refused 2 "an interface is missing" "$WORK/bad.conf:3: interface b3: no such interface" \
	"$WORK/bad.conf"
{ cat "$FILE" && echo "backend add 10.0.0.1 service 192.0.2.9:80/tcp"; } >"$WORK/bad.conf"
refused 2 "a wrong line at the end" "$WORK/bad.conf:12: backend add 10.0.0.1: service 192.0.2.9" \
	"$WORK/bad.conf"
{ cat "$FILE" && echo "size backends 1"; } >"$WORK/bad.conf"
refused 2 "no room" "$WORK/bad.conf:9: backend add .*: xlb_backends is full" "$WORK/bad.conf"
{ echo "size backends 0" && cat "$FILE"; } >"$WORK/bad.conf"
refused 1 "a wrong size" "$WORK/bad.conf:1: size: backends 0: not a number" "$WORK/bad.conf"
sed 's/b2 mode native/lo mode native/' "$FILE" >"$WORK/bad.conf"
refused 2 "an interface that cannot" "$WORK/bad.conf:3: interface lo: native mode: " \
	"$WORK/bad.conf"
like "settings are told of, with their line" "$(said)" \
	"^xlb-up: $WORK/bad.conf:1: interface client: set net.ipv4.conf.client.accept_local=1 \(was 0\)"
on balancer sysctl -q -w net.ipv6.conf.client.disable_ipv6=1
nothing=$(state)
sed 's/128 dev lo/128 dev client/' "$FILE" >"$WORK/bad.conf"
refused 2 "an address that cannot be" \
	"$WORK/bad.conf:5: address 2001:db8::10/128 dev client: .*IPv6 is disabled" "$WORK/bad.conf"
on balancer sysctl -q -w net.ipv6.conf.client.disable_ipv6=0
address balancer client fd00:1::1/64
wait_for has_link_local client
nothing=$(state)
stand_in TERM
fails 143 "ended half-way" interrupted up
is "nothing is left" "$(state)" "$nothing"
stand_in KILL
fails 137 "killed half-way" interrupted up
ok "xlb-down knows what was done" down
is "nothing is left" "$(state)" "$nothing"

# --- up ---

ok "up" up
is "no command has anything to complain about" "$(said | grep -v 'set net\.')" ""
is "the interfaces run xlb" "$(for dev in client b1 b2; do program_mode balancer $dev; done)" \
	"$(printf 'native\nnative\nnative')"
ok "the VIPs are there" on balancer ping -c 1 -W 5 "$VIP4"
hold_flows client
open_both old tcp 80 20
unharmed "connections begin" "$report" 40
is "to both backends" "$(homes "$report" | awk '{ print $1 }' | paste -sd' ')" "b1 b2"

# --- up again ---

before=$(whole_state)
program=$(program_id balancer client)
ok "up again" up
is "changes nothing" "$(whole_state)" "$before"
is "but for the program, which is loaded anew" \
	"$([ "$(program_id balancer client)" = "$program" ] || echo another)" another

before=$(whole_state)
maps=$(program_maps balancer client)
pins_vanish
ok "up when the pins are gone" up
is "is as before" "$(whole_state)" "$before"
is "with the same maps" "$(program_maps balancer client)" "$maps"
is "on each interface" "$(program_maps balancer b2)" "$maps"

{ head_lines client b1 b2 lo && service_lines 1 && echo "address 192.0.2.11/32 dev lo"; } >"$FILE"
before=$(whole_state)
sed 's/interface lo/& mode native/' "$FILE" >"$WORK/web2.conf"
mv "$WORK/web2.conf" "$FILE"
fails 2 "up with a file that fails late" up
like "says why" "$(said)" "^xlb-up: $FILE:4: interface lo: native mode: "
is "and everything is as it was" "$(whole_state)" "$before"
unharmed "no connection has noticed" "$(flows check old)" 40

{
	head_lines client b1 b2
	service_lines 1 2 | sed "/$(backend4 2)\|$(backend6 2)/s/\$/ state drain/"
	echo "address 192.0.2.11/24 dev b2"
} >"$FILE"
ok "up with another file" up
is "the new address is there" "$(state | grep -c '"192.0.2.11",24')" 1
is "what is configured is what the file says" "$(on balancer xlb-restore -n - <<-END
	$(grep -E '^(service|backend)' "$FILE")
END
)" ""
unharmed "connections go on" "$(flows check old)" 40
open_both new tcp 80 10
unharmed "new ones work" "$report" 20
is "by the new file" "$(homes "$report")" "b1 20"
flows close new >/dev/null

flows close old >/dev/null
{ head_lines client b1 && service_lines 1 2; } | grep -v 2001:DB8 >"$FILE"
ok "up with less" up
is "an interface is without xlb" "$(program_mode balancer b2)" ""
is "addresses are gone" "$(state | grep -c '192.0.2.11\|2001:db8::10')" 0
is "one has stayed" "$(state | grep -c "$VIP4")" 1

# --- beside another ---

{
	echo "interface b2"
	echo "address 10.2.2.1/24 dev b2"
	echo "address fd00::99/128 dev b2"
	echo "service add 192.0.2.99:80/tcp"
} >"$WORK/two.conf"
before=$(whole_state)
fails 2 "another file for the same maps" up "$WORK/two.conf"
is "is refused" "$(last_said)" "xlb-up: $WORK/two.conf: pin /sys/fs/bpf/xlb: has the maps of web, \
which is up: xlb-down web, or name another folder"
is "and nothing has changed" "$(whole_state)" "$before"
echo "pin /sys/fs/bpf/two" >>"$WORK/two.conf"
ok "it has maps of its own" up "$WORK/two.conf"
is "with what it configures" "$(xlb -pin /sys/fs/bpf/two -j service show | jq -r '.[].service')" \
	192.0.2.99:80/tcp
is "others may know its maps" "$(cat /run/xlb/two.env)" XLB_PIN=/sys/fs/bpf/two
sed -i s/two/three/ "$WORK/two.conf"
fails 2 "they stay where they are" up "$WORK/two.conf"
rm "$WORK/two.conf"
ok "xlb-down does without the file" down "$WORK/two.conf"
is "the first is up as before" "$(whole_state)" "$before"
fails 2 "what is not up cannot go down" down "$WORK/two.conf"
is "as is said" "$(last_said)" "xlb-down: two: is not up"

# --- down ---

xlb load dev b2 2>/dev/null
ok "down, while xlb runs elsewhere" down
is "with the same maps, which stay" "$(said)" \
	"xlb-down: the maps in /sys/fs/bpf/xlb stay: xlb runs on b2"
is "there" "$(program_mode balancer b2)" native
is "nothing else is left" "$(state | grep -v '^b2 \|^xlb$')" "$(printf '%s\n' "$nothing" | grep -v '^b2 ')"

xlb unload dev b2 2>/dev/null
rm -r /sys/fs/bpf/xlb
up 2>/dev/null
pins_vanish
ok "down when the pins are gone" down
is "nothing is left" "$(state)" "$nothing"
up 2>/dev/null
for dev in client b1; do
	on balancer ip link set dev $dev xdpdrv off
done
rm -r /sys/fs/bpf/xlb
before=$(state)
cp "$FILE" "$WORK/right.conf"
echo "backend add 10.0.0.1 service 192.0.2.9:80/tcp" >>"$FILE"
fails 2 "up with a wrong file when all is gone" up
is "leaves no maps" "$(state)" "$before"
mv "$WORK/right.conf" "$FILE"
ok "with the right one it" up
ok "and down" down
is "nothing is left" "$(state)" "$nothing"

# --- over what was made by hand ---

load client b1 b2 2>/dev/null
service_lines 1 2 >"$WORK/batch"
xlb -batch "$WORK/batch"
address balancer lo "$VIP4/32"
open_both hand tcp 80 20
unharmed "connections begin" "$report" 40
{ head_lines client b1 b2 && service_lines 1 2; } >"$FILE"
ok "up takes over what runs" up
unharmed "connections go on" "$(flows check hand)" 40
# As ip(8) leaves it: with the pin, that right is not wanted (tests/cli/privilege.t).
rm /sys/fs/bpf/xlb/xlb_program_*
fails 2 "down without the right to look what runs" \
	on balancer setpriv --bounding-set=-sys_admin xlb-down "$FILE"
is "does not take that for nothing" "$(last_said)" \
	"xlb-down: web: not all could be undone: once more, when that is set right"
is "and leaves the maps" "$(xlb -j service show | jq length)" 2
ok "down" down
is "nothing is left but an address that was there before" \
	"$(state | grep -v "$VIP4")" "$nothing"
is "which is" "$(state | grep -c "$VIP4")" 1
finish
