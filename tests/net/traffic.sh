# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # lib.sh gives some, tests use others
# What tests of traffic share, on top of lib.sh: xlb on the balancer, many requests at
# once, flows that are held, frames judged by tcpdump.

# xlb as the balancer's operator runs it.
xlb() {
	on balancer xlb "$@"
}

load() { # INTERFACE...
	for each in "$@"; do
		xlb load dev "$each"
	done
}

serve_echo() { # NETNS PORT [ADDRESS...]
	name=$1
	shift
	start "echo-$name-$1" "$name" /usr/bin/python3 "$NET/echod.py" "$name" "$@"
	wait_for grep -qx ready "$log"
}

# The same for a service's two families, $SERVICE4 and $SERVICE6.
backend_both() { # VERB NUMBER PORT KEYWORDS...
	verb=$1
	number=$2
	port=$3
	shift 3
	xlb backend "$verb" "$(backend4 "$number"):$port" service "$SERVICE4" "$@"
	xlb backend "$verb" "[$(backend6 "$number")]:$port" service "$SERVICE6" "$@"
}

# Like wait_for, for what takes its time.
within() { # SECONDS COMMAND...
	deadline=$(($(date +%s) + $1))
	shift
	until "$@"; do
		[ "$(date +%s)" -lt "$deadline" ] || return 1
	done
}

# --- what xlb counted ---

counted() { # SERVICE BACKEND: connections
	xlb -j stats show service "$1" | jq --arg backend "$2" \
		'.services[].backends[] | select(.backend == $backend).connections'
}

dropped_for() { # REASON
	xlb -j stats | jq --arg reason "$1" '.drops[$reason]'
}

# Every reason that something was dropped for, with its number.
dropped() {
	xlb -j stats | jq -r '.drops | to_entries[] | select(.value > 0) | "\(.key) \(.value)"'
}

records() {
	xlb -j flow count | jq .records
}

# What a network namespace's kernel has counted under a name of nstat(8).
kernel_counted() { # NETNS NAME
	on "$1" nstat -asz "$2" | awk -v name="$2" '$1 == name { print $2 }'
}

# Every kind of error that it has found in a header or checksum, with its number.
kernel_errors() { # NETNS
	on "$1" nstat -as | awk '$1 ~ /CsumErrors$|InHdrErrors$|^TcpInErrs$/ { print $1, $2 }'
}

# --- requests ---

# COUNT requests, each over a connection of its own; the answers' lines.
http_many() { # NETNS ADDRESS:PORT COUNT
	on "$1" curl -sS --fail-early --max-time 10 --noproxy '*' -H 'Connection: close' -w '\n' \
		"http://$2/[1-$3]"
}

# What httpd.py answers to /bytes/SIZE.
body() { # SIZE
	/usr/bin/python3 -c "import sys; sys.stdout.buffer.write((bytes(range(251)) * ($1 // 251 + 1))[:$1])"
}

# "NAME COUNT" for every name, from lines of names.
tally() {
	sort | uniq -c | awk '{ print $2, $1 }'
}

# The number beside a name in a tally, 0 if it is not there.
count_of() { # TALLY NAME
	printf '%s\n' "$1" | awk -v name="$2" '$1 == name { count = $2 } END { print count + 0 }'
}

# even DESCRIPTION TALLY NAMES TOTAL: each name has its share of the total and none is
# missing.  Shares are of random choices; 0.4 is over four standard deviations of
# each where four share 400.
even() {
	like "$1" "$(printf '%s\n' "$2" | awk -v names="$3" -v total="$4" '
		{ count[$1] = $2; sum += $2 }
		END {
			n = split(names, name, " ")
			for (i = 1; i <= n; i++) {
				off = count[name[i]] * n / total - 1
				if (off > 0.4 || off < -0.4)
					uneven = uneven " " name[i] ":" count[name[i]] + 0
			}
			print sum == total && !uneven ? "even" : "sum " sum + 0 uneven
		}')" '^even$'
	diag "$(printf '%s\n' "$2" | paste -sd' ')"
}

# --- flows that are held (flows.py) ---

hold_flows() { # NETNS [PAUSE]
	netns=$1
	shift
	start flows "$netns" /usr/bin/python3 "$NET/flows.py" hold "$WORK/flows.socket" "$@"
	wait_for test -S "$WORK/flows.socket"
}

flows() { # ORDER...; see flows.py
	/usr/bin/python3 "$NET/flows.py" ask "$WORK/flows.socket" "$@"
}

# The same to both of a service's addresses; what becomes of them is in $report.
open_both() { # GROUP PROTOCOL PORT COUNT_OF_EACH
	flows open "$1" "$2" "$VIP4" "$3" "$4" >/dev/null
	flows open "$1" "$2" "$VIP6" "$3" "$4" >/dev/null
	report=$(flows check "$1")
}

# A report's number: alive, moved, lost, "on b1", "broken b1 reset"; 0 if it has none.
reported() { # REPORT WORDS
	printf '%s\n' "$1" | awk -v words="$2 " '
		index($0, words) == 1 { number = $NF }
		END { print number + 0 }'
}

# How many a backend has lost, however.
broken() { # REPORT NAME
	printf '%s\n' "$1" | awk -v name="$2" '
		$1 == "broken" && $2 == name { sum += $4 }
		END { print sum + 0 }'
}

# Who has how many, as a tally.
homes() { # REPORT
	printf '%s\n' "$1" | awk '$1 == "on" { print $2, $3 }'
}

# unharmed DESCRIPTION REPORT COUNT: all of them live, where they were.
unharmed() {
	is "$1" "$(printf '%s\n' "$2" | grep -E '^(flows|alive|moved|lost|broken)' | paste -sd' ')" \
		"flows $3 alive $3 moved 0 lost 0"
}

# --- frames ---

captures=

# capture NAME NETNS DEV: all that the device carries, until captures_end.
capture() {
	start "$1.tcpdump" "$2" tcpdump -Z root -n -i "$3" --immediate-mode -U -w "$WORK/$1.pcap"
	captures="$captures $started"
	wait_for grep -q listening "$log"
}

captures_end() {
	for each in $captures; do
		stop "$each"
	done
	captures=
}

# sound DESCRIPTION NAME PROTOCOL...: tcpdump has judged captured packets of each
# protocol, and finds no checksum wrong, of IPv4, TCP, UDP or ICMP.  ip4 and ip6 are
# packets in another packet; of gue tcpdump knows no more than the outer headers, and not
# that it may go without a checksum (RFC 6935).
sound() {
	description=$1
	judged=$WORK/$2.judged
	tcpdump -nn -vv -r "$WORK/$2.pcap" 2>/dev/null |
		sed 's/\.6080: \[bad udp cksum 0x0000 -> .*\]/.6080: [no cksum]/' >"$judged"
	shift 2
	got="wrong $(grep -Ec 'incorrect|bad ([a-z0-9]* )?cksum|wrong icmp cksum' "$judged" || :)"
	for each in "$@"; do
		case $each in
		tcp) right='cksum .* \(correct\)' ;;
		udp) right='udp sum ok' ;;
		ip4) right='\) .* > [0-9a-f.:]*: (IP )?\(tos' ;;
		ip6) right='\) .* > [0-9a-f.:]*: (IP6 )?\((class|flowlabel)' ;;
		gue) right='\.6080: ' ;;
		esac
		grep -Eq "$right" "$judged" || got="$got, no $each judged"
	done
	is "$description" "$got" "wrong 0"
}
