#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# xlb-metrics beside traffic: it counts what the client's kernel does, and is served to curl
# with the rights and the view of the file system that its unit has.

# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"

REQUESTS=20
SERVICE=$VIP4:80/tcp
UNITS=$ROOT/scripts/systemd
ODD='a"b\n' # an interface, as the kernel takes it; there is no end of line in it

# The value of a key in a unit.
unit() { # FILE KEY
	sed -n "s/^$2=//p" "$UNITS/$1"
}

# The sum of a metric's samples, in the balancer's namespace.
sum() { # METRIC
	on balancer xlb-metrics | awk -v metric="$1" '
		substr($0, 1, length(metric) + 1) == metric "{" { sum += $NF }
		END { print sum + 0 }'
}

# A counter of the client's kernel: of IPv4, where only the requests are.
# shellcheck disable=SC2016 # awk has fields of its own
kernel() { # FILE PROTOCOL FIELD
	on client awk -v protocol="$2:" -v field="$3" '
		$1 != protocol { next }
		!place { for (place = 2; $place != field; place++); next }
		{ print $place }' "/proc/net/$1"
}

# Packets and bytes of frames, out and in.
kernel_counts() {
	out=$(kernel snmp Tcp OutSegs) in=$(kernel snmp Tcp InSegs)
	echo "$out $(($(kernel netstat IpExt OutOctets) + 14 * out))" \
		"$in $(($(kernel netstat IpExt InOctets) + 14 * in))"
}

xlb_counts() {
	for name in in_packets in_bytes out_packets out_bytes; do
		printf '%s ' "$(sum "xlb_backend_${name}_total")"
	done
}

agree() {
	# shellcheck disable=SC2046 # four words
	set -- $(xlb_counts) $(kernel_counts)
	[ "$1 $2 $3 $4" = "$5 $6 $7 $8" ] && [ "$1" -gt $((REQUESTS * 5)) ]
}

# As the unit has it: no rights but its own, and what is under /sys is read only.
serve_confined() {
	caps=$(unit xlb-metrics@.service CapabilityBoundingSet | sed 's/CAP_/+/g; s/ /,/g' |
		tr '[:upper:]' '[:lower:]')
	address=$(unit xlb-metrics.socket ListenStream)
	command=$(unit xlb-metrics@.service ExecStart)
	cat >"$WORK/confined" <<-END
		#!/bin/sh
		mount -o remount,bind,ro /sys/fs/bpf
		exec setpriv --bounding-set "-all,$caps" --no-new-privs \
			$ROOT/scripts/${command##*/}
	END
	chmod +x "$WORK/confined"
	start served balancer unshare -m /usr/bin/python3 "$NET/inetd.py" "${address%:*}" \
		"${address##*:}" "$WORK/confined"
	wait_for grep -qx ready "$log"
}

fetch() { # PATH [OPTION]...
	path=$1
	shift
	on balancer curl -sS --noproxy '*' --max-time 10 "$@" "http://$address$path"
}

# Another parser finds such a sample in what was fetched.
label() { # METRIC LABEL VALUE
	/usr/bin/python3 -c '
import sys
from prometheus_client.parser import text_string_to_metric_families
metric, label, value = sys.argv[1:]
found = [sample for family in text_string_to_metric_families(sys.stdin.read())
         for sample in family.samples if sample.name == metric]
sys.exit(not any(sample.labels[label] == value for sample in found))' "$@" <"$WORK/metrics"
}

topology_routed 2
wire balancer "$ODD" b1 odd
on balancer xlb load dev client >"$WORK/load" 2>&1
ok "xlb is loaded" on balancer xlb load dev b1
ok "on the other backend's interface" on balancer xlb load dev b2
ok "and on one with a strange name" on balancer xlb load dev "$ODD" mode generic
xlb service add "$SERVICE"
xlb backend add "$(backend4 1):8080" service "$SERVICE"
xlb backend add "$(backend4 2):8080" service "$SERVICE"
serve_http b1 8080
serve_http b2 8080

for each in $(seq $REQUESTS); do
	http client "$VIP4:80" >>"$WORK/answers"
done
is "connections are those that curl has made" "$(sum xlb_backend_connections_total)" $REQUESTS
ok "packets and bytes are those of the client's kernel" wait_for agree
diag "xlb $(xlb_counts), the kernel $(kernel_counts)"

xlb backend change "$(backend4 1):8080" service "$SERVICE" state down
xlb backend change "$(backend4 2):8080" service "$SERVICE" health down
fails 28 "without a backend curl waits in vain" on client curl -sS --max-time 0.5 "http://$VIP4/"
ok "what was dropped is counted" test "$(sum xlb_dropped_packets_total)" -ge 1
is "no backend serves" "$(sum xlb_service_backends_serving)" 0

serve_confined
ok "curl is served, with no rights but the unit's" fetch /metrics -f -o "$WORK/metrics"
like "it gets what is counted" "$(grep connections "$WORK/metrics")" \
	"^xlb_backend_connections_total\{service=\"$SERVICE\",backend=\"10.2.1.2:8080\"\} [1-9]"
is "of the right type, in one piece" "$(fetch /metrics -o "$WORK/again" -w \
	'%{content_type} %header{content-length}')" \
	"text/plain; version=0.0.4; charset=utf-8 $(stat -c %s "$WORK/again")"
is "nothing else is served" "$(fetch / -o /dev/null -w '%{http_code}')" 404
is "nothing is taken" "$(fetch /metrics -o /dev/null -w '%{http_code}' -d x=y)" 405
ok "whoever is on the machine gets the same" on balancer setpriv --reuid=12345 --regid=12345 \
	--clear-groups --no-new-privs curl -sS --noproxy '*' --max-time 10 -f -o /dev/null \
	"http://$address/metrics"
ok "a strange name comes through" label xlb_link_info dev "$ODD"
ok "beside the usual ones" label xlb_link_info dev client
ok "so does the way to a backend" label xlb_backend_nexthop_info dev b1

if command -v systemd-analyze >/dev/null; then
	mkdir "$WORK/units"
	for each in xlb-metrics.socket xlb-metrics@.service; do
		sed "s|/usr/local/sbin|$ROOT/scripts|" "$UNITS/$each" >"$WORK/units/$each"
	done
	ok "systemd finds no fault with the units" systemd-analyze verify --man=no \
		"$WORK/units/xlb-metrics.socket" "$WORK/units/xlb-metrics@.service"
	is "nor does it warn" "$(cat "$WORK/output")" ""
else
	skip "systemd finds no fault with the units" "no systemd here"
fi
finish
