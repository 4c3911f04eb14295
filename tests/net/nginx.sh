# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# shellcheck disable=SC2154 # lib.sh gives some
# nginx on backends of the modes, and bodies that come and go.

# One process, with all that it writes in the work folder.
serve_nginx() { # NAME PORT...
	name=$1
	shift
	cat >"$WORK/$name.nginx" <<-END
		daemon off;
		master_process off;
		user root;
		pid $WORK/$name.pid;
		error_log stderr;
		worker_rlimit_nofile 8192;
		events { worker_connections 4096; }
		http {
			access_log off;
			client_body_temp_path $WORK/$name.body;
			client_max_body_size 0;
			server {
				$(printf 'listen %s backlog=4096; ' "$@")
				$(printf 'listen [::]:%s backlog=4096 ipv6only=on; ' "$@")
				root $WORK;
				location / { return 200 $name; }
				location /files/ { dav_methods PUT; }
			}
		}
	END
	start "nginx-$name" "$name" nginx -c "$WORK/$name.nginx"
}

listening() { # NETNS PORT...
	sockets=$(on "$1" ss -Hnltu)
	shift
	for port in "$@"; do
		printf '%s\n' "$sockets" | grep -q ":$port " || return 1
	done
}

# What there is to come, and to go.
make_body() { # SIZE
	mkdir "$WORK/files"
	head -c "$1" /dev/urandom >"$WORK/files/body"
}

body_down() { # ADDRESS:PORT: it comes as it is there
	rm -f "$WORK/down"
	on client curl -fsS --noproxy '*' --max-time 8 -o "$WORK/down" "http://$1/files/body" &&
		cmp "$WORK/files/body" "$WORK/down"
}

body_up() { # ADDRESS:PORT: it goes as it is here
	rm -f "$WORK/files/up"
	on client curl -fsS --noproxy '*' --max-time 8 -H Expect: -T "$WORK/files/body" \
		"http://$1/files/up" &&
		cmp "$WORK/files/body" "$WORK/files/up"
}
