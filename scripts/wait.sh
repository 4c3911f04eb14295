# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # common.sh and xlb-backend give some, or use them
# What xlb-backend waits for: that backends are silent, that they are warm.  Which is in
# $selected, "BACKEND SERVICE" a line.

# What xlb knows of each of them, a list of lists: the backend, or its service's flows.
selected_show() { # { backend | flow }
	batch=
	origins=
	while read -r end service; do
		case $1 in
		backend) queue backend show "$end" service "$service" ;;
		flow) queue flow show service "$service" ;;
		esac
	done <<-END
		${selected%"$newline"}
	END
	batch_run "$1" -j -s
}

# "BACKEND SERVICE PACKETS" a line.
packets_count() {
	shown=$(selected_show backend)
	printf '%s\n' "$shown" | jq -r '.[][] |
		"\(.backend) \(.service) \(.in_packets + .out_packets)"'
}

# The same with when the packets last became more.
packets_watch() { # BEFORE COUNTED NOW
	printf '%s\n' "$1" "$2" | awk -v now="$3" '
		{ key = $1 " " $2 }
		NF == 4 { packets[key] = $3; since[key] = $4 }
		NF == 3 {
			if (!(key in packets) || packets[key] != $3)
				since[key] = now
			print $0, since[key]
		}'
}

# What was left, a line for each: the seconds without a packet, and the recorded flows
# with one since $quiet seconds ago.
flows_print() { # WATCHED NOW
	shown=$(selected_show flow)
	{
		printf '%s\n' "$shown"
		printf %s "$1" | jq -R -s .
	} | jq -r -s --argjson now "$2" --argjson quiet "$quiet" '
		. as [$flows, $watched] |
		$watched | split("\n") | to_entries[] |
		(.value | split(" ")) as [$backend, $service, $packets, $since] |
		[$flows[.key][] | select(.backend == $backend and .direction == "forward"
			and (.embryonic | not) and .silent < $quiet)] as $left |
		($now - ($since | tonumber) | . / 100 | floor) as $silent |
		"\($backend) service \($service) silent \($silent) flows \($left | length)"'
}

# Hundredths of a second since the machine started.
hundredths() {
	read -r seconds _ </proc/uptime
	echo "${seconds%.*}${seconds#*.}"
}

# Returns when no packet has been seen for $quiet seconds, or in $wait.
silence_wait() {
	end_at=
	watched=
	while :; do
		now=$(hundredths)
		end_at=${end_at:-$((now + wait * 100))}
		counted=$(packets_count)
		watched=$(packets_watch "$watched" "$counted" "$now")
		busy=$(printf '%s\n' "$watched" | awk -v since=$((now - quiet * 100)) '$4 > since')
		if [ -z "$busy" ] || [ "$now" -ge "$end_at" ]; then
			break
		fi
		sleep 1
	done
	flows_print "$watched" "$now"
	[ -z "$busy" ] || die 2 "drain: not silent after $wait seconds: \
$(printf '%s\n' "$busy" | awk '{ printf "%s%s service %s", comma, $1, $2; comma = ", " }')"
}

# Says whom is waited for and, at most, how long: a ninth of a warmup is a tenth of warmth.
warmth_tell() { # BACKENDS
	services=$(xlb -j service show)
	printf '%s\n' "$1" "$services" | jq -rs --arg program "$program" '
		(.[1] | map({key: .service, value: .warmup}) | from_entries) as $warmup |
		[.[0][][] | select(.warm < 100)] |
		(map(($warmup[.service] // 0) * (100 - .warm) / 90) | max | ceil) as $seconds |
		"\($program): up: warming up for \($seconds) seconds: " +
			(map("\(.backend) service \(.service)") | join(", "))' >&2
}

# Takes the steps of those that warm up until all are warm.
warmth_wait() {
	told=
	while
		shown=$(selected_show backend) || exit
		printf '%s\n' "$shown" | jq -e 'any(.[][]; .warm < 100)' >/dev/null
	do
		[ -n "$told" ] || warmth_tell "$shown"
		told=yes
		sleep 1
		batch=
		origins=
		queue service warm
		batch_run 'service warm:'
	done
}
