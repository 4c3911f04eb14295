#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The program is replaced under traffic: no request fails, no connection breaks.

# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"

RELOADS=10

requests() { # ADDRESS:PORT: one after the other until $WORK/enough is there
	while [ ! -e "$WORK/enough" ]; do
		http client "$1" && echo
	done
}

topology_routed 2
for n in 1 2; do
	serve_http "b$n" 80
done
for dev in client b1 b2; do
	on balancer xlb load dev "$dev" 2>/dev/null
done
for each in "$VIP4 $(backend4 1) $(backend4 2)" "[$VIP6] [$(backend6 1)] [$(backend6 2)]"; do
	# shellcheck disable=SC2086 # three words
	set -- $each
	echo "service add $1:80/tcp"
	echo "backend add $2:80 service $1:80/tcp"
	echo "backend add $3:80 service $1:80/tcp"
done >"$WORK/batch"
on balancer xlb -batch "$WORK/batch"

requests "$VIP4:80" >"$WORK/answers4" 2>&1 &
four=$!
requests "[$VIP6]:80" >"$WORK/answers6" 2>&1 &
six=$!
pids="$pids $four $six"
# Paced so that it lasts: 20 MB at 2 MB/s.
start download client curl -sS --limit-rate 2M -o /dev/null -w '%{size_download}' \
	"http://$VIP4/bytes/20000000"
download=$started

reload() {
	left=$RELOADS
	while [ "$left" -gt 0 ]; do
		for dev in client b1 b2; do
			on balancer xlb load dev "$dev" || return
		done
		left=$((left - 1))
	done
}

before=$(program_id balancer client)
ok "the program is replaced $RELOADS times" reload
like "each time by another" "$(($(program_id balancer client) - before))" '^[1-9]'
touch "$WORK/enough"
wait "$four" "$six"
wait "$download" || :
is "a connection lives on" "$(cat "$WORK/download")" 20000000
for family in 4 6; do
	is "all requests over IPv$family are answered" \
		"$(sort "$WORK/answers$family" | uniq | xargs)" "b1 b2"
	diag "$(wc -l <"$WORK/answers$family") requests over IPv$family"
done
finish
