#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What the verifier of this kernel counts, and the stack, by the measure of older kernels:
# most of what keeps an object from loading there shows here.

set -eu
cd "$(dirname "$0")/../.."
[ "$(id -u)" = 0 ] || {
	echo "1..0 # SKIP needs root"
	exit 0
}
exec tests/kernels/verify 300000 bpf/xlb.o bpf/decap.o bpf/probe.o
