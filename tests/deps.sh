#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Installs those of the named Debian packages that are missing: deps.sh PACKAGE...
# On systems without apt it says which of them seem to be missing.

set -eu

die() {
	echo "deps: $*" >&2
	exit 1
}

# Ubuntu before 25.04 has bpftool in a package made for one kernel.
name_here() {
	if [ "$1" = bpftool ] && [ "$ID" = ubuntu ] && ! apt-cache show bpftool >/dev/null 2>&1; then
		echo "linux-tools-common linux-tools-$(uname -r)"
	else
		echo "$1"
	fi
}

installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Is what the Debian package is wanted for there, under whatever name?
usable() {
	case $1 in
	bind9-dnsutils) command -v dig ;;
	dnsmasq-base) command -v dnsmasq ;;
	iproute2) command -v ip ;;
	iputils-ping) command -v ping ;;
	libcmocka-dev) pkg-config --exists cmocka ;;
	libc6-dev) echo '#include <stdio.h>' | cc -E - ;;
	libclang-rt-dev) echo 'int main(void) { return 0; }' | clang -fsanitize=address -x c - -o /dev/null ;;
	libcurl4-openssl-dev) pkg-config --exists libcurl ;;
	libjansson-dev) pkg-config --exists jansson ;;
	kmod) command -v modprobe ;;
	lib*-dev) pkg-config --exists "${1%-dev}" ;;
	nftables) command -v nft ;;
	procps) command -v sysctl ;;
	python3-prometheus-client) /usr/bin/python3 -c 'import prometheus_client' ;;
	python3-scapy) /usr/bin/python3 -c 'import scapy' ;;
	qemu-system-x86) command -v qemu-system-x86_64 ;;
	systemd) command -v systemd-analyze ;;
	util-linux) command -v nsenter && command -v unshare && command -v setpriv ;;
	xdp-tools) command -v xdpdump ;;
	*) command -v "$1" ;;
	esac >/dev/null 2>&1
}

ID=
# shellcheck source=/dev/null
[ -r /etc/os-release ] && . /etc/os-release
missing=

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
	for package in "$@"; do
		usable "$package" || missing="$missing $package"
	done
	[ -z "$missing" ] ||
		die "no apt here; install what Debian calls:$missing"
	exit 0
fi

for package in "$@"; do
	for name in $(name_here "$package"); do
		installed "$name" || missing="$missing $name"
	done
done
[ -n "$missing" ] || exit 0
[ "$(id -u)" = 0 ] || die "not root, and these packages are missing:$missing"

export DEBIAN_FRONTEND=noninteractive
apt-get -q update || die "apt-get update failed; still missing:$missing"
# shellcheck disable=SC2086 # a list
apt-get -q -y --no-install-recommends install $missing ||
	die "apt-get could not install:$missing"

# Tests run what they need of these themselves; the machine did not ask for a server.
for server in haproxy nginx; do
	case " $missing " in
	*" $server "*)
		invoke-rc.d $server stop >/dev/null 2>&1 || :
		update-rc.d $server disable >/dev/null 2>&1 || :
		;;
	esac
done
