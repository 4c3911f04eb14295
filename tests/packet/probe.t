#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""What probe.o makes of probes via a VIP: the packet as it is, or in traffic's outer headers."""

import ctypes
import os
import struct

from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

import tap
from bpf import LIBBPF, TestRunOptions, checked, pinned
from frame import frame
from lab import CLIENTS, MACS, PINS, ROOT, VERSIONS, Lab, packed, sh
from modes import CONFIG, KINDS, TUNNELS, encapsulated, start

SHOT, REDIRECT = 2, 7           # <linux/pkt_cls.h>
MARK = 0x786 << 20
TRAFFIC = (0x00, 0x01, 0xb8, 0xff)
CONTEXT = 184                   # bytes, of which the kernel takes what it knows
MARK_AT, IFINDEX_AT = 8, 40     # struct __sk_buff

lab = Lab()
PROBE = f"{PINS}/probe"
sh("bpftool", "prog", "load", os.path.join(ROOT, "bpf", "probe.o"), PROBE, "type", "classifier")
program = pinned(PROBE)


def run(data, mark):
    """The verdict, and the packet without the MAC addresses, which the kernel puts there."""
    context = bytearray(CONTEXT)
    struct.pack_into("=I", context, MARK_AT, mark)
    struct.pack_into("=I", context, IFINDEX_AT, lab.ifindex["left"])
    out = ctypes.create_string_buffer(len(data) + 256)
    options = TestRunOptions(sz=ctypes.sizeof(TestRunOptions), data_in=data,
                             data_size_in=len(data), data_out=ctypes.addressof(out),
                             data_size_out=len(out), repeat=1, ctx_in=bytes(context),
                             ctx_size_in=len(context))
    checked(LIBBPF.bpf_prog_test_run_opts(program, ctypes.byref(options)), "run")
    return options.retval, out.raw[12:options.data_size_out]


def mark(kind, backend=1):
    return MARK | lab.numbers[f"XLB_{kind.mode.upper()}"] << 16 | backend


def flow_of(kind, out):
    """The kernel's hash of the flow, as far as the outer headers show it."""
    if kind.outer == 6:
        return IPv6(out[2:]).fl
    return struct.unpack_from("!H", out, 22)[0] if kind.mode == "gue" else 0


def check_ways():
    for kind in KINDS:
        if kind.mode not in (*TUNNELS, "dr"):
            continue
        way = start(lab, kind)
        for traffic in TRAFFIC:
            data = way.asks(header={"tos" if kind.version == 4 else "tc": traffic})
            verdict, out = run(data, mark(kind))
            wanted = data
            if kind.mode in TUNNELS:
                wanted = encapsulated(kind, data[14:], way.backend, flow_of(kind, out),
                                      smac=MACS["left"], dmac=MACS["right"], traffic=traffic)
            tap.equal((verdict, out.hex()), (REDIRECT, wanted[12:].hex()),
                      f"{kind}: a traffic class of {traffic:#04x}")


def check_shot():
    for kind in KINDS:
        if kind.mode not in TUNNELS:
            continue
        way = start(lab, kind)
        tap.equal(run(way.asks(), mark(kind) ^ 1 << 20)[0], SHOT, f"{kind}: of another mark")
        tap.equal(run(way.asks(), 0)[0], SHOT, f"{kind}: of the kernel's own")
        lab.config(**CONFIG | {f"tunnel{kind.outer}": bytes(4 if kind.outer == 4 else 16)})
        tap.equal(run(way.asks(), mark(kind))[0], SHOT, f"{kind}: no source is set")
    for kind in KINDS:
        if kind.mode in ("dnat", "nat"):
            tap.equal(run(start(lab, kind).asks(), mark(kind))[0], SHOT,
                      f"{kind}: goes there without")


check_ways()
check_shot()
tap.done()
