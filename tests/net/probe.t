#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# xlb-probe asks nginx: over HTTP, over TLS by name, for a status and a text; over TCP; by a
# command; in both families; and says what it is told to say, in time.

. "$(dirname "$0")/lib.sh"
. "$NET/traffic.sh"
. "$NET/nginx.sh"

for program in nginx openssl; do
	command -v "$program" >/dev/null || skip_all "needs $program"
done

WEB=$VIP4:80/tcp WEB6=[$VIP6]:80/tcp TLS=$VIP4:443/tcp SILENT=$VIP4:81/tcp

# --- certificates: one authority, one that nobody knows, and one that is over ---

authority() { # NAME
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
		-subj "/CN=$1" -keyout "$WORK/$1.key" -out "$WORK/$1.pem" 2>/dev/null
}

certificate() { # NAME AUTHORITY START END
	cat >"$WORK/$1.ca" <<-END
		[ca]
		default_ca = here
		[here]
		database = $WORK/$1.index
		serial = $WORK/$1.serial
		new_certs_dir = $WORK
		default_md = sha256
		policy = any
		x509_extensions = name
		[any]
		commonName = supplied
		[name]
		subjectAltName = DNS:$1
	END
	: >"$WORK/$1.index"
	openssl rand -hex 8 >"$WORK/$1.serial"
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" \
		-keyout "$WORK/$1.key" -out "$WORK/$1.csr" 2>/dev/null
	openssl ca -batch -notext -config "$WORK/$1.ca" -cert "$WORK/$2.pem" \
		-keyfile "$WORK/$2.key" -in "$WORK/$1.csr" -out "$WORK/$1.pem" \
		-startdate "$3" -enddate "$4" 2>/dev/null
}

certificates() {
	authority known
	authority unknown
	certificate www.test known 200101000000Z 490101000000Z
	certificate other.test known 200101000000Z 490101000000Z
	certificate stranger.test unknown 200101000000Z 490101000000Z
	certificate over.test known 200101000000Z 200102000000Z
}

# --- nginx, which knows whom it is asked for ---

tls_server() { # NAME [default_server]
	cat <<-END
		server {
			listen 443 ssl $2;
			listen [::]:443 ssl $2;
			server_name $1;
			ssl_certificate $WORK/$1.pem;
			ssl_certificate_key $WORK/$1.key;
			location / { return 200 "I am $1"; }
		}
	END
}

serve_tls() { # NETNS
	cat >"$WORK/$1.nginx" <<-END
		daemon off;
		master_process off;
		user root;
		pid $WORK/$1.pid;
		error_log stderr;
		events { }
		http {
			access_log $WORK/$1.access;
			server {
				listen 80;
				listen [::]:80 ipv6only=on;
				location /healthz { return 200 "all is well"; }
				location /busy { return 503; }
				# In chunks of which none ends where the prober does.
				location /large/ {
					root $WORK;
					sendfile off;
					output_buffers 1 5000;
					ssi on;
					ssi_types *;
				}
			}
			$(tls_server other.test default_server)
			$(tls_server www.test '')
			$(tls_server stranger.test '')
			$(tls_server over.test '')
		}
	END
	start "nginx-$1" "$1" nginx -c "$WORK/$1.nginx"
	wait_for listening "$1" 80 443
}

# --- what is said ---

# probe LINE: of the backends of $service, once; what is said on stdout, and why.
probe() {
	echo "probe $service $*" >"$WORK/probe.conf"
	said=$(on balancer xlb-probe -once "$WORK/probe.conf" 2>"$WORK/why")
}

answers() { # LINE: probing like that finds the backend up
	probe "$@"
	is "$service $*" "$said$(cat "$WORK/why")" ""
}

fails_by() { # PATTERN LINE: and like this down, because of what is like PATTERN
	pattern=$1
	shift
	probe "$@"
	is "not $service $*" "$said" "backend change $backend service $service health down"
	like "because: $pattern" "$(cat "$WORK/why")" ": down: $pattern"
}

check_http() {
	answers http
	answers http path /healthz status 200 match '"all is well"'
	answers http path /busy status 503
	fails_by 'status 404, not 200-399' http path /none
	fails_by 'status 503, not 200-399' http path /busy
	fails_by 'status 200, but no "ill" in the body' http path /healthz match ill
	fails_by 'connect: Connection refused' http port 82
	fails_by 'status 400' http port 443
	answers tcp
	fails_by 'connect: Connection refused' tcp port 82
}

# The first 64 KiB of a gigabyte: one text ends there, the other a byte later.
large() {
	mkdir "$WORK/large"
	for text in near farr; do
		truncate -s 1G "$WORK/large/$text"
	done
	printf near | dd of="$WORK/large/near" bs=1 seek=65532 conv=notrunc status=none
	printf farr | dd of="$WORK/large/farr" bs=1 seek=65533 conv=notrunc status=none
}

check_large() {
	answers http path /large/near match near
	answers http path /large/farr match far
	fails_by 'status 200, but no "farr" in the first 64 KiB' \
		http path /large/farr match farr
}

check_tls() {
	service=$TLS
	backend=$(backend4 1):443
	answers https host www.test ca "$WORK/known.pem" match '"I am www.test"'
	answers https host other.test ca "$WORK/known.pem"
	fails_by '.*certificate' https host www.test
	fails_by '.*no alternative certificate subject name matches.*none.test' \
		https host none.test ca "$WORK/known.pem"
	fails_by '.*certificate' https host stranger.test ca "$WORK/known.pem"
	answers https host stranger.test ca "$WORK/unknown.pem"
	mount -t tmpfs tmpfs /etc/ssl/certs
	cp "$WORK/unknown.pem" /etc/ssl/certs/ca-certificates.crt
	openssl rehash /etc/ssl/certs
	answers https host stranger.test
	fails_by '.*certificate' https host stranger.test ca "$WORK/known.pem"
	umount /etc/ssl/certs
	fails_by '.*certificate.*expired' https host over.test ca "$WORK/known.pem"
	answers https host over.test verify off match '"I am over.test"'
	answers https verify off match '"I am other.test"'
	fails_by '.*SSL' https verify off port 80
	probe https host www.test ca "$WORK/none.pem"
	is "authorities that cannot be read are no fault of backends" "$said" ""
	like "but told" "$(cat "$WORK/why")" "could not be probed: .*none.pem"
}

check_exec() {
	service=$WEB
	backend=$(backend4 1):80
	answers exec command curl -fsS -o /dev/null --noproxy '"*"' 'http://{address}:{port}/healthz'
	# shellcheck disable=SC2016 # for a shell of its own
	fails_by 'no luck' exec command sh -c \
		'"curl -fs http://$0:$1/none || { echo no luck; exit 2; }"' \
		'{address}' '{port}'
}

# It takes connections, or rather its kernel does, and that is all.
check_silence() {
	service=$SILENT
	backend=$(backend4 1):81
	start silent b1 /usr/bin/python3 -c \
		'import signal, socket; s = socket.create_server(("", 81)); signal.pause()'
	wait_for listening b1 81
	answers tcp
	fails_by 'no answer within 0.4 seconds' http timeout 0.4
	ip -n b1 link set eth0 down
	fails_by '(no answer within 0.4 seconds|connect: No route to host)' tcp timeout 0.4
	ip -n b1 link set eth0 up
}

topology_routed 1
certificates
serve_tls b1
ok "xlb is loaded" load b1
{
	for service in "$WEB" "$TLS" "$SILENT" "$WEB6"; do
		echo "service add $service table 251"
	done
	for port in 80 443 81; do
		echo "backend add $(backend4 1):$port service $VIP4:$port/tcp"
	done
	echo "backend add [$(backend6 1)]:80 service $WEB6"
} >"$WORK/batch"
ok "a host is backend of four services" xlb -batch "$WORK/batch"

service=$WEB
backend=$(backend4 1):80
check_http
large
check_large
service=$WEB6
backend=[$(backend6 1)]:80
check_http
check_tls
check_exec
check_silence
finish
