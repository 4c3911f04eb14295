#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# xlb-top on a terminal, tmux's, beside traffic of a known rate: what it shows, keys, other
# sizes, and that the terminal is as it was however it ends.

# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"

command -v tmux >/dev/null || skip_all "needs tmux"
# For grep(1), which a fresh machine would have count bytes.
export LC_ALL=C.UTF-8

SMALL=$VIP4:5300/udp # 400 packets of 142 bytes a second
LARGE=[$VIP6]:5400/udp # 100 of 1062

# -N: never by a server of its own, which nobody would end.
tm() {
	tmux -N -S "$WORK/tmux" "$@"
}

screen() {
	tm capture-pane -p -t top
}

# The screen has a line like this.
shows() { # PATTERN (grep -E)
	screen | grep -Eq -e "$1"
}

keys() { # KEY...
	tm send-keys -t top "$@"
}

# A shell's work in a terminal: what it was set to, xlb-top, the status, what it is set to.
open_top() { # [VARIABLE=VALUE]... xlb-top...
	tm kill-session -t top 2>/dev/null || :
	rm -f "$WORK/before" "$WORK/after" "$WORK/status"
	cat >"$WORK/terminal" <<-END
		trap : INT
		stty -a >$WORK/before
		env TMPDIR=$WORK/tmp $* 2>$WORK/errors
		echo \$? >$WORK/status
		stty -a >$WORK/after
		echo done
		exec cat
	END
	tm new-session -d -s top -x 80 -y 24 sh "$WORK/terminal"
	tm set-option -t top status off >/dev/null
	tm resize-window -t top -x 80 -y 24
}

restored() {
	[ -e "$WORK/after" ] && cmp "$WORK/before" "$WORK/after" && shows '^done$' &&
		[ "$(tm display -p -t top '#{alternate_on} #{cursor_flag}')" = "0 1" ]
}

# It ends with this status, and leaves the terminal as it was.
ended() { # STATUS
	wait_for restored && [ "$(cat "$WORK/status")" = "$1" ]
}

mkdir "$WORK/tmp"
topology_routed 2
for each in client b1 b2; do
	on balancer xlb load dev "$each"
done 2>"$WORK/load"
xlb service add "$SMALL" settle 0
xlb service add "$LARGE" settle 0
for number in 1 2; do
	xlb backend add "$(backend4 $number)" service "$SMALL"
	xlb backend add "[$(backend6 $number)]" service "$LARGE"
done
start pace4 client /usr/bin/python3 "$NET/pace.py" "$VIP4" 5300 400 100
start pace6 client /usr/bin/python3 "$NET/pace.py" "$VIP6" 5400 100 1000
start tmux balancer tmux -S "$WORK/tmux" -f /dev/null -u -D
wait_for tm start-server

open_top LC_ALL=C.UTF-8 xlb-top -d 1
ok "the screen is there" wait_for shows '^xlb-top .* 2 services, 4 backends, every 1 s, by packets$'
is "from its first line to its last" \
	"$(screen | sed -n '1s/ .*//p; 24s/ .*//p' | tr '\n' ' ')" "xlb-top q "
is "with the terminal's own cursor away" \
	"$(tm display -p -t top '#{alternate_on} #{cursor_flag}')" "1 0"
keys d
ok "d: requests alone" wait_for shows '^all: .*, in$'
ok "as many packets and bits as are sent" wait_for shows \
	"^$VIP4:5300/udp +(3[5-9][0-9]|4[0-4][0-9]) +4[0-9][0-9]k +0 "
ok "of the other service, too" wait_for shows \
	"^\\[$VIP6\\]:5400/udp +(8[5-9]|9[0-9]|10[0-9]|11[0-5])(\\.[0-9])? +[789][0-9][0-9]k +0 "
ok "which is a fifth of all" wait_for shows "^\\[$VIP6\\]:5400/udp .* ██[^█]? "
ok "one backend has all of a flow" wait_for shows \
	"^  10\\.2\\.[12]\\.2:5300 +up +[34][0-9]+ .* ███████████ "
ok "the other nothing" wait_for shows "^  10\\.2\\.[12]\\.2:5300 +up +0 +0 +0 +▁+$"
ok "nothing is dropped" shows '^dropped/s: none$'

first() {
	[ "$(screen | awk '/udp/ { print $1; exit }')" = "$1" ]
}
ok "most packets stand first" first "$SMALL"
keys b
ok "b: most bits" wait_for first "$LARGE"
keys n
ok "n: in the order of names" wait_for first "$SMALL"
keys s
hidden() {
	shows "^$SMALL" && ! shows '^  10\.'
}
ok "s: services alone" wait_for hidden
keys s p
ok "s: and their backends" wait_for shows '^  10\.'

tm resize-window -t top -x 110 -y 9
ok "a smaller terminal: as much as fits" wait_for shows '^q quit .*\(2 more\)$'
wide() {
	screen | awk '/last minute/ { found = 1 } /udp/ && !/^all/ && length > 80 { wide = 1 }
		END { exit !(found && wide) }'
}
ok "in all of its width" wait_for wide
is "the first line is still there" "$(screen | sed -n '1s/ .*//p')" xlb-top
keys Down Down
ok "arrows move the rows" wait_for first "$LARGE"
keys k Up
ok "and back" wait_for first "$SMALL"
tm resize-window -t top -x 80 -y 24

xlb backend change "$(backend4 1)" service "$SMALL" state down
xlb backend change "$(backend4 2)" service "$SMALL" state down
ok "what is dropped now is told" wait_for shows '^dropped/s: no_backend (3[5-9]|4[0-4])[0-9]$'
ok "backends are down" shows '^  10\.2\.1\.2:5300 +down '
keys q
ok "q: it ends, and the terminal is as before" ended 0
is "without a word" "$(cat "$WORK/errors")" ""

open_top LC_ALL=C xlb-top -d 1
ok "without UTF-8 all is ASCII" wait_for shows "^\\[$VIP6\\]:5400/udp .* ########### .*#$"
is "indeed all" "$(screen | LC_ALL=C tr -d '\000-\177')" ""
keys C-c
ok "^C: the terminal is as before" ended 130
for each in 'TERM 143' 'HUP 129' 'QUIT 131'; do
	open_top xlb-top
	wait_for shows '^xlb-top '
	kill -s "${each% *}" "$(pgrep -P "$(tm display -p -t top '#{pane_pid}')")"
	ok "SIG${each% *}: so it is" ended "${each#* }"
done
open_top xlb-top -n 1 -d 1
ok "-n: after so many screens" ended 0
open_top xlb-top -d 1
wait_for shows '^xlb-top '
rm -r /sys/fs/bpf/xlb
ok "when the maps are gone: as before" ended 2
like "and why" "$(cat "$WORK/errors")" '^xlb-top: no maps of xlb'
is "no file of it is left" "$(ls "$WORK/tmp")" ""
finish
