#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# xlb-probe and xlb -batch as a health checker: backends fail and return, and what comes
# by the VIP meanwhile.

. "$(dirname "$0")/lib.sh"
. "$NET/traffic.sh"
. "$NET/nginx.sh"

command -v nginx >/dev/null || skip_all "needs nginx"

SERVICE4=$VIP4:80/tcp SERVICE6=[$VIP6]:80/tcp
REQUESTS=200

serve() { # NAME
	serve_nginx "$1" 8080
	wait_for listening "$1" 8080
}

# health NUMBER: of its two addresses
health() {
	xlb -j backend show | jq -r --arg four "$(backend4 "$1")" --arg six "$(backend6 "$1")" \
		'[.[] | select(.address == $four or .address == $six).health] | unique | join(" ")'
}

healthy() { # NUMBER HEALTH
	[ "$(health "$1")" = "$2" ]
}

# No new connection goes there any more.
slotless() { # NUMBER
	xlb -j -s backend show | jq -e --arg four "$(backend4 "$1")" --arg six "$(backend6 "$1")" \
		'[.[] | select(.address == $four or .address == $six).slots] == [0, 0]'
}

# Asks the VIP on and on; a line each in $WORK/asked, of who has answered, or failed.
ask() {
	cat >"$WORK/ask.sh" <<-END
		while :; do
			curl -sS --max-time 5 --noproxy '*' http://$VIP4/ && echo || echo failed
		done >>$WORK/asked 2>$WORK/asked.errors
	END
	start ask client sh "$WORK/ask.sh"
}

asked() { # more than N lines
	[ "$(wc -l <"$WORK/asked")" -gt "$1" ]
}

# Requests that failed after N lines; the first may have been under way.
failed_since() { # N
	tail -n "+$(($1 + 2))" "$WORK/asked" | grep -c failed || :
}

topology_routed 3
for name in b1 b3 b2; do
	serve $name
done
server=$started # of b2
ok "xlb is loaded" load client b1 b2 b3
{
	echo "service add $SERVICE4"
	echo "service add $SERVICE6"
	for number in 1 2; do
		echo "backend add $(backend4 $number):8080 service $SERVICE4"
		echo "backend add [$(backend6 $number)]:8080 service $SERVICE6"
	done
} >"$WORK/batch"
ok "two backends are added" xlb -batch "$WORK/batch"

{
	echo "probe $SERVICE4 http match b interval 0.2 timeout 5"
	echo "probe $SERVICE6 tcp interval 0.2 timeout 5"
} >"$WORK/probe.conf"
mkfifo "$WORK/pipe"
start probe balancer sh -c "exec xlb-probe $WORK/probe.conf >$WORK/pipe"
prober=$started
start xlb-batch balancer sh -c "exec xlb -force -batch - <$WORK/pipe"
ask
ok "requests are answered" wait_for asked 20
is "and none fails" "$(failed_since 0)" 0

stop "$server"
ok "a server that ends is found to be down" wait_for healthy 2 down
ok "and has no slots left" wait_for slotless 2
before=$(wc -l <"$WORK/asked")
is "what the operator wants of it stays" \
	"$(xlb -j backend show | jq -r '[.[].state] | unique | join(" ")')" up
ok "requests go on" wait_for asked $((before + 100))
is "since then, none has failed" "$(failed_since "$before")" 0
is "a burst over IPv6 neither" "$(http_many client "[$VIP6]:80" $REQUESTS | tally)" "b1 $REQUESTS"


ok "it is deleted" backend_both del 2 8080
ok "and added again" backend_both add 2 8080
ok "which does not make it any better" wait_for healthy 2 down
ok "somebody calls the other one down" backend_both change 1 8080 health down
ok "which does not make it any worse" wait_for healthy 1 up

ok "a third is added" backend_both add 3 8080
serve b2
ok "the server that begins again is found to be up" wait_for healthy 2 up
shares=$(http_many client "$VIP4:80" $REQUESTS | tally)
even "each of three has its share" "$shares" "b1 b2 b3" $REQUESTS
before=$(wc -l <"$WORK/asked")
ok "requests go on" wait_for asked $((before + 20))
is "and none fails" "$(failed_since "$before")" 0

kill "$prober"
status=0
wait "$prober" || status=$?
is "SIGTERM ends xlb-probe" $status 0
is "xlb has complained of nothing" "$(cat "$WORK/xlb-batch")" ""
finish
