#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What probing costs: 1000 backends, each probed every second, all of them nginx on
# loopback; by how much of a CPU xlb-probe uses, the kernel's work for it included (on
# loopback that is also what the answering end costs the kernel).
#
#	tests/bench/probe.sh [ BACKENDS [ SECONDS ] ]

set -eu
cd "$(dirname "$0")/../.."
if [ "${1-}" != inside ]; then
	exec unshare --mount --net "$0" inside "$@"
fi
BACKENDS=${2-1000}
SECONDS_EACH=${3-10}
PATH=$PWD/loader:$PATH
WORK=$(mktemp -d)
trap 'kill $server 2>/dev/null || :; rm -rf "$WORK"' EXIT
server=

mount -t bpf bpf /sys/fs/bpf
ip link set lo up
cat >"$WORK/nginx" <<-END
	daemon off;
	master_process off;
	user root;
	pid $WORK/pid;
	error_log stderr crit;
	worker_rlimit_nofile 8192;
	events { worker_connections 4096; }
	http {
		access_log off;
		server {
			listen 8080 backlog=4096;
			listen 8443 ssl backlog=4096;
			ssl_certificate $WORK/certificate;
			ssl_certificate_key $WORK/key;
			location / { return 200 "all is well"; }
		}
	}
END
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
	-subj /CN=www.test -addext subjectAltName=DNS:www.test \
	-keyout "$WORK/key" -out "$WORK/certificate" 2>/dev/null
nginx -c "$WORK/nginx" &
server=$!
until curl -s -o /dev/null --noproxy '*' http://127.0.0.1:8080/; do
	sleep 0.05
done

# The maps alone: on lo, xlb would make all answers come from the VIP.
xlb load dev lo mode generic >/dev/null
xlb unload dev lo 2>/dev/null
{
	echo "service add 192.0.2.1:80/tcp"
	seq "$BACKENDS" | awk '{ printf "backend add 127.1.%d.%d:8080\n", $1 / 250, $1 % 250 + 1 }'
} | xlb -batch -

# Ticks of a process, and what the server has had to do.
ticks() {
	sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'
}

measure() { # KEYWORDS...
	echo "probe 192.0.2.1:80/tcp $* interval 1" >"$WORK/conf"
	xlb-probe "$WORK/conf" >"$WORK/said" 2>&1 &
	prober=$!
	# Until each has been probed for the first time.
	sleep 2
	before=$(ticks $prober)
	sleep "$SECONDS_EACH"
	after=$(ticks $prober)
	kill $prober
	wait $prober
	[ ! -s "$WORK/said" ] || echo "some are down: $(wc -l <"$WORK/said")"
	awk -v ticks=$((after - before)) -v hz="$(getconf CLK_TCK)" -v backends="$BACKENDS" \
		-v seconds="$SECONDS_EACH" -v name="$1" 'BEGIN {
			share = ticks / hz / seconds
			printf "%-6s %d backends each second: %.1f %% of a CPU, %.0f us a probe\n",
				name, backends, share * 100, share * 1e6 / backends
		}'
}

measure tcp
measure http path /healthz status 200 match well
measure https host www.test ca "$WORK/certificate" port 8443
