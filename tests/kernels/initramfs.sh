#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# An initramfs that makes the host's own files, read only, a guest's root, with a
# tmpfs over them for what it writes: initramfs.sh KERNEL_FOLDER RELEASE GUEST_SCRIPT OUTPUT
# GUEST_SCRIPT becomes process 1.

set -eu

KERNEL=$1 RELEASE=$2 SCRIPT=$3 OUTPUT=$4

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

program() { # NAME
	path=$(command -v "$1")
	mkdir -p "$work/bin"
	cp -L "$path" "$work/bin/"
	ldd "$path" | grep -o '/[^ )]*' | while read -r library; do
		mkdir -p "$work${library%/*}"
		cp -L "$library" "$work$library"
	done
}

# In the order in which they want to be loaded.
modules() {
	modprobe -d "$KERNEL" -S "$RELEASE" --show-depends -a virtio_pci 9pnet_virtio 9p overlay |
		sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++'
}

# dash as process 1: busybox would take its own `ip` and `mount` for ours.
for each in dash insmod mkdir mount switch_root; do
	program "$each"
done
mkdir "$work/modules" "$work/host" "$work/over" "$work/root"
{
	echo '#!/bin/dash'
	echo 'set -e'
	echo 'export PATH=/bin'
	modules | while read -r module; do
		cp "$module" "$work/modules/"
		echo "insmod /modules/${module##*/}"
	done
	cat <<-END
		share=trans=virtio,version=9p2000.L,msize=262144
		mount -t 9p -o ro,cache=loose,\$share host /host
		mount -t tmpfs over /over
		mkdir /over/upper /over/work
		mount -t overlay -o lowerdir=/host,upperdir=/over/upper,workdir=/over/work over /root
		mount -t proc proc /root/proc
		mount -t sysfs sys /root/sys
		mount -t devtmpfs dev /root/dev
		mount -t tmpfs run /root/run
		mkdir /root/run/results
		mount -t 9p -o \$share results /root/run/results
		mkdir -p '/root/lib/modules/$RELEASE'
		mount --bind '/host$KERNEL/lib/modules/$RELEASE' '/root/lib/modules/$RELEASE'
		exec switch_root /root /bin/dash '$SCRIPT'
	END
} >"$work/init"
chmod +x "$work/init"
(cd "$work" && find . | cpio -o -H newc --quiet) >"$OUTPUT"
