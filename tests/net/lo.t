#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The smallest trial: xlb on lo, where client, balancer and backends are one machine.

. "$(dirname "$0")/lib.sh"
. "$NET/traffic.sh"

REQUESTS=100

host balancer
address balancer lo fd00::1/128 fd00::2/128
for number in 1 2; do
	for address in "::ffff:127.0.0.$number" "fd00::$number"; do
		start "http-$address" balancer /usr/bin/python3 "$NET/httpd.py" "b$number" 8080 \
			"$address"
		wait_for grep -qx ready "$log"
	done
	start "echo-b$number" balancer /usr/bin/python3 "$NET/echod.py" "b$number" 5300 \
		"127.0.0.$number" "fd00::$number"
	wait_for grep -qx ready "$log"
done

ok "xlb is loaded on lo" xlb load dev lo mode generic
is "without a service, lo is as it was" "$(http balancer 127.0.0.2:8080/)" b2

# As a newcomer types it, the ports left to the services.
ok "an IPv4 service on any address" xlb service add '*:8080/tcp'
ok "a backend" xlb backend add 127.0.0.1
ok "another" xlb backend add 127.0.0.2
ok "an IPv6 service on any address" xlb service add '[*]:8080/tcp'
for number in 1 2; do
	ok "a backend of it" xlb backend add "[fd00::$number]" service '[*]:8080/tcp'
done
# At once: a backend that is added later has no UDP flow until the settle time is over.
cat <<-END >"$WORK/batch"
	service add *:5300/udp
	service add *:5300/tcp
	service add [*]:5300/udp
	service add [*]:5300/tcp
END
for number in 1 2; do
	for protocol in udp tcp; do
		echo "backend add 127.0.0.$number service *:5300/$protocol"
		echo "backend add [fd00::$number] service [*]:5300/$protocol"
	done
done >>"$WORK/batch"
ok "services of both families and protocols" xlb -batch "$WORK/batch"

for vip in 127.0.0.1:8080 '[fd00::1]:8080'; do
	even "both answer for $vip" "$(http_many balancer "$vip" $REQUESTS | tally)" \
		"b1 b2" $REQUESTS
done

hold_flows balancer
VIPS='127.0.0.1 127.8.8.8 fd00::2 ::1'
for protocol in tcp udp; do
	for vip in $VIPS; do
		flows open "$protocol-$vip" $protocol "$vip" 5300 $REQUESTS >/dev/null
	done
	for vip in $VIPS; do
		report=$(flows check "$protocol-$vip")
		unharmed "$protocol to $vip is answered" "$report" $REQUESTS
		even "by both" "$(homes "$report")" "b1 b2" $REQUESTS
		flows close "$protocol-$vip" >/dev/null
	done
done

body 10485760 >"$WORK/expected"
http balancer 127.0.0.1:8080/bytes/10485760 >"$WORK/body"
ok "10 MiB arrive as they were sent" cmp "$WORK/expected" "$WORK/body"
is "nothing is dropped" "$(dropped)" ""

ok "xlb is unloaded" xlb unload dev lo
is "lo is as it was" "$(http balancer 127.0.0.2:8080/)" b2
finish
