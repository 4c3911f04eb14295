#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Has Debian's newest kernel of each version in a folder: fetch.sh FOLDER VERSION...
# Prints their releases.  What is there already is not looked for again.
#
# apt gets a state of its own, so that the machine's sources stay as they are.  All
# three kernels are in the security suites, whose address the machine's sources tell.

set -eu

SUITES="bullseye-security bookworm-security"
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

die() {
	echo "fetch: $*" >&2
	exit 1
}

mkdir -p "$1"
FOLDER=$(cd "$1" && pwd)
shift
asked=

own_apt() {
	state=$FOLDER/apt
	mkdir -p "$state/lists/partial" "$state/archives/partial"
	# shellcheck disable=SC2016 # apt expands these
	address=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
		sed -n 's/^[a-z]*-security //p' | sort -u | head -n 1)
	[ -n "$address" ] || die "apt's sources on this machine name no security suite"
	[ -r $KEYRING ] || die "no $KEYRING: this takes a Debian machine"
	for suite in $SUITES; do
		echo "deb [signed-by=$KEYRING] $address $suite main"
	done >"$state/sources.list"
	cat >"$state/apt.conf" <<-END
		Dir::Etc::SourceList "$state/sources.list";
		Dir::Etc::SourceParts "/dev/null";
		Dir::State "$state";
		Dir::Cache "$state";
		APT::Sandbox::User "$(id -un)";
		#clear APT::Update::Post-Invoke;
		#clear APT::Update::Post-Invoke-Success;
	END
	apt-get -q -c "$state/apt.conf" update >&2
}

newest() { # VERSION
	apt-cache -c "$state/apt.conf" search --names-only \
		"^linux-image-$1\\.[0-9]+(\\+deb[0-9]+|-[0-9]+)-amd64\$" |
		sed 's/ .*//' | sort -V | tail -n 1
}

# Without most drivers and file systems, which are nine tenths of it.
unpack() { # PACKAGE RELEASE
	rm -rf "$FOLDER/new"
	mkdir "$FOLDER/new"
	dpkg-deb --fsys-tarfile "$1" | tar -x -C "$FOLDER/new" \
		--exclude='./usr' --exclude='./boot/System.map*' --exclude='*/kernel/sound' \
		--exclude='*/kernel/drivers/[!nv]*' --exclude='*/kernel/drivers/net/[ew]*' \
		--exclude='*/kernel/fs/[!9fno]*'
	mv "$FOLDER/new/boot/vmlinuz-$2" "$FOLDER/new/vmlinuz"
	depmod -b "$FOLDER/new" "$2"
	mv "$FOLDER/new" "$FOLDER/$2"
	rm "$1"
}

fetch() { # VERSION
	[ -n "$asked" ] || own_apt
	asked=1
	package=$(newest "$1")
	[ -n "$package" ] || die "no kernel $1 in $SUITES"
	rm -f "$FOLDER"/*.deb
	(cd "$FOLDER" && apt-get -q -c "$state/apt.conf" download "$package" >&2)
	unpack "$FOLDER/$package"_*.deb "${package#linux-image-}"
}

for version in "$@"; do
	for found in "$FOLDER/$version".[0-9]*; do
		[ -e "$found/vmlinuz" ] || fetch "$version"
	done
	for found in "$FOLDER/$version".[0-9]*; do
		echo "${found##*/}"
	done
done
