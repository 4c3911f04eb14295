#!/bin/dash
# SPDX-License-Identifier: GPL-2.0-only
# Process 1 of a guest: runs the tests and leaves what they say in /run/results/RELEASE,
# one NAME.tap each.  The file `done` tells that all have been run.

set -u

HERE=$(cd "$(dirname "$0")" && pwd)
RESULTS=/run/results/$(uname -r)
TAPES=/run/results/tapes
INSTRUCTIONS_MAX=300000

export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C PYTHONDONTWRITEBYTECODE=1
ln -s /proc/self/fd /dev/fd
mount -t bpf bpf /sys/fs/bpf
cd "$HERE/../.." || exit 1

tap() { # NAME COMMAND...
	name=$1
	shift
	echo "$(cut -d' ' -f1 /proc/uptime) s: $name" >/dev/console
	"$@" >"$RESULTS/$name.tap" 2>&1 </dev/null
	status=$?
	grep -q '^1\.\.' "$RESULTS/$name.tap" ||
		echo "not ok - $name ended early, with status $status" >>"$RESULTS/$name.tap"
}

# One row of the table.
privileges() {
	tests/cli/privilege.t | sed 's/^\(not \)*ok [0-9]* - /&privileges: /'
}

tap verifier tests/kernels/verify $INSTRUCTIONS_MAX bpf/xlb.o bpf/decap.o bpf/probe.o
tap load tests/kernels/load.sh
# Loading takes longest: once for all tests of an object.
for object in xlb decap; do
	tap "packets-$object" unshare -m -n sh -c \
		"mount -t bpf bpf /sys/fs/bpf && exec tests/kernels/replay.py $TAPES/$object/*"
done
tap net tests/kernels/net.sh
tap capture tests/net/capture.t
tap privileges privileges

: >"$RESULTS/done"
sync
echo o >/proc/sysrq-trigger
sleep 60
