# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# shellcheck disable=SC2154 # lib.sh gives some
# What tests of next hops share, on top of traffic.sh: a service of each family that is
# asked fifty times a second, and when it was silent, and for how long.

FAMILIES='IPv4 IPv6'

now() {
	date +%s.%N
}

later() { # TIME SECONDS
	awk -v time="$1" -v seconds="$2" 'BEGIN { printf "%.3f", time + seconds }'
}

watch_both() {
	watchers=
	for each in "IPv4 $VIP4" "IPv6 $VIP6"; do
		start "${each% *}" client /usr/bin/python3 "$NET/watch.py" "${each#* }" 53
		watchers="$watchers $started"
	done
}

# Both have got what there was to get.
watch_end() {
	for each in $watchers; do
		stop "$each"
	done
}

# After that: how many datagrams of a family were not answered.
unanswered() { # FAMILY
	awk '$1 == "asked" { print $2 - $4 }' "$WORK/$1"
}

# The time of NAME's first answer after a time; fails while there is none.
answered() { # FAMILY NAME SINCE
	awk -v name="$2" -v since="$3" '
		$1 > since && $2 == name { print $1; found = 1; exit }
		END { exit !found }' "$WORK/$1"
}

within_two() { # SECONDS, or nothing
	[ -n "$1" ] && awk -v took="$1" 'BEGIN { exit !(took <= 2) }'
}

# followed EVENT NAME SINCE: NAME answers within two seconds.
followed() {
	for family in $FAMILIES; do
		wait_for answered "$family" "$2" "$3" || :
		took=$(answered "$family" "$2" "$3" |
			awk -v since="$3" '{ printf "%.2f", $1 - since }')
		ok "$1: $family: $2 answers within two seconds (${took:-never})" within_two "$took"
	done
}

# There are answers of both after that time.
answers_after() { # TIME
	for family in $FAMILIES; do
		awk -v time="$1" '$1 > time { found = 1; exit } END { exit !found }' \
			"$WORK/$family" || return
	done
}

# bridged EVENT SINCE UNTIL: nobody has been silent for two seconds.
bridged() {
	wait_for answers_after "$3" || :
	for family in $FAMILIES; do
		longest=$(awk -v since="$2" '
			BEGIN { last = since }
			$1 > since {
				if ($1 - last > gap)
					gap = $1 - last
				last = $1
			}
			END { if (last > since) printf "%.2f", gap }' "$WORK/$family")
		ok "$1: $family: the longest silence is under two seconds (${longest:-all})" \
			within_two "$longest"
	done
}
