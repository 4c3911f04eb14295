#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The systemd units as they are installed: systemd finds no fault with them, and what they
# run does its work with the capabilities, read-only files and system calls that they leave
# it.  No systemd runs here: setpriv and mounts stand in for it, strace for its filter.

. "$(dirname "$0")/lib.sh"
. "$NET/traffic.sh"

for program in bash strace systemd-analyze; do
	command -v $program >/dev/null || skip_all "needs $program"
done

# /etc/xlb, /run/xlb and what is installed are this test's own.
cp -a /etc "$WORK/etc"
mkdir "$WORK/etc/xlb"
mount --bind "$WORK/etc" /etc
mkdir -p /run/xlb
mount -t tmpfs tmpfs /run/xlb
make -s -C "$ROOT" -o all install PREFIX="$WORK/xlb" >/dev/null
# They were built for another place: there they look as in a build tree.
ln -s lib/bpf "$WORK/xlb/bpf"
UNITS=$WORK/xlb/lib/systemd/system
LIMIT=2.5 # of exposure, as systemd-analyze(1) has it, from 0 to 10

setting() { # UNIT KEY
	sed -n "s/^$2=//p" "$UNITS/$1@.service"
}

# A command of a unit, as a shell has it.
command_of() { # UNIT KEY
	setting "$1" "$2" | sed 's/%i/web/g; s/\$\$/$/g'
}

# Writes $WORK/KEY.sh, which runs a command of a unit with its capabilities and a file system that is read-only but for /dev, /proc,
# /sys and what is mounted by itself; what it asks of the kernel is in
# /run/xlb/trace.KEY.
# It is the process that is waited for or signalled: all of this ends in an exec.
unit_write() { # UNIT KEY
	set_of=-all
	for each in $(setting "$1" CapabilityBoundingSet); do
		set_of=$set_of,+$(printf %s "${each#CAP_}" | tr '[:upper:]' '[:lower:]')
	done
	cat >"$WORK/$2.sh" <<-END
		mount -o remount,bind,ro / || exit
		if [ -e /run/xlb/web.env ]; then
			. /run/xlb/web.env
			export XLB_PIN
		fi
		exec setpriv --bounding-set=$set_of --no-new-privs \\
			strace -D -f -qq -o /run/xlb/trace.$2 $(command_of "$1" "$2")
	END
}

unit_run() { # UNIT KEY
	unit_write "$@"
	on balancer unshare -m sh "$WORK/$2.sh"
}

# What of its calls a unit's filter would refuse.
refused() { # UNIT KEY
	"$NET/syscalls.py" "$UNITS/$1@.service" "/run/xlb/trace.$2"
}

for unit in xlb xlb-metrics xlb-probe; do
	ln -s "$unit@.service" "$UNITS/$unit@web.service"
	ok "$unit@: systemd takes it" systemd-analyze verify --man=no "$UNITS/$unit@web.service"
	is "and has nothing to say" "$(cat "$WORK/output")" ""
	ok "$unit@: it is exposed by at most $LIMIT" systemd-analyze --no-pager security \
		--offline=true --threshold="$(echo $LIMIT | tr -d .)" "$UNITS/$unit@web.service"
	diag "$(tail -n 1 "$WORK/output")"
done

# --- what they run ---

topology_routed 2
for number in 1 2; do
	serve_http "b$number" 8080
	serve_http "b$number" 81
done
address b1 lo "$VIP4/32"
cat >/etc/xlb/web.conf <<-END
	interface client
	interface b1
	interface b2
	address $VIP4 dev lo
	pin /sys/fs/bpf/web
	service add $VIP4:80/tcp
	backend add $(backend4 1):8080 service $VIP4:80/tcp
	backend add $(backend4 2):8080 service $VIP4:80/tcp
	service add $VIP4:81/tcp mode dr
	backend add $(backend4 1) service $VIP4:81/tcp
	backend add $(backend4 2) service $VIP4:81/tcp
END
ok "xlb@: starts" unit_run xlb ExecStart
is "no call was one that it may not make" "$(refused xlb ExecStart)" ""
like "it works" "$(http client "$VIP4:80")" '^b[12]$'
ok "xlb@: reloads" unit_run xlb ExecReload
is "no call was one that it may not make" "$(refused xlb ExecReload)" ""

health() { # BACKEND-NUMBER [PORT-OF-SERVICE]
	on balancer xlb -pin /sys/fs/bpf/web -j backend show "$(backend4 "$1")" \
		service "$VIP4:${2-80}/tcp" | jq -r '.[].health'
}

is_health() { # HEALTH BACKEND-NUMBER [PORT-OF-SERVICE]
	wanted=$1
	shift
	[ "$(health "$@")" = "$wanted" ]
}

main_ended() {
	! kill -0 "$main" 2>/dev/null
}

echo "probe $VIP4:80/tcp http interval 0.2 fall 1 match nothing" >/etc/xlb/web.probe
unit_write xlb-probe ExecStart
start checker balancer unshare -m sh "$WORK/ExecStart.sh"
main=$started
ok "xlb-probe@: starts, and what it finds is done" wait_for is_health down 1
is "its main process is the prober" "$(cat "/proc/$main/comm")" xlb-probe
sed -i 's/match nothing/match b1/' /etc/xlb/web.probe
ok "xlb-probe@: reloads" sh -c "MAINPID=$main; $(command_of xlb-probe ExecReload)"
ok "by which a backend is up again" wait_for is_health up 1
ok "it ends when it is told to" kill "$main"
ok "at once" wait_for main_ended
is "no call was one that it may not make" "$(refused xlb-probe ExecStart)" ""


# The way to a VIP wants a device, a route and a program of the prober's own.
echo "probe $VIP4:81/tcp http interval 0.2 fall 1 via vip" >/etc/xlb/web.probe
start checker balancer unshare -m sh "$WORK/ExecStart.sh"
main=$started
ok "xlb-probe@: finds out who lacks the VIP" wait_for is_health down 2 81
is "and who has it" "$(health 1 81)" up
is "no call was one that it may not make" "$(refused xlb-probe ExecStart)" ""
kill "$(pgrep -P "$main" -x xlb)"
on b2 ip address add "$VIP4/32" dev lo
wait_for main_ended
status=0
wait "$main" || status=$?
is "when nobody takes what it finds, it fails, to be started again" $status 2

# tests/net/metrics.t has it at its socket, and what it reads read-only.
printf 'GET /metrics HTTP/1.1\r\n\r\n' >"$WORK/request"
ok "xlb-metrics@: starts" unit_run xlb-metrics ExecStart <"$WORK/request"
like "and answers" "$(cat "$WORK/output")" "^xlb_backend_weight.*$(backend4 1):8080"
is "no call was one that it may not make" "$(refused xlb-metrics ExecStart)" ""

ok "xlb@: stops" unit_run xlb ExecStop
is "no call was one that it may not make" "$(refused xlb ExecStop)" ""
is "and nothing is left" "$(ls /sys/fs/bpf/web 2>&1; ls /run/xlb/*.up 2>&1; program_id balancer client)" \
	"$(ls /sys/fs/bpf/web 2>&1; ls /run/xlb/*.up 2>&1)"
finish
