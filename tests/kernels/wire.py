# SPDX-License-Identifier: GPL-2.0-only
"""An XDP program run on frames that really come in by a veth, and what becomes of them.

Before Linux 5.15 BPF_PROG_TEST_RUN lets no frame come in by any link but lo.
"""

import ctypes
import socket
import struct
import time

from bpf import LIBBPF, TYPE_XDP, checked, instruction

ETH_P_ALL = 3
SOL_PACKET, PACKET_AUXDATA, PACKET_IGNORE_OUTGOING = 263, 8, 23
STATUS_VLAN_VALID, STATUS_VLAN_TPID_VALID = 1 << 4, 1 << 6
NATIVE = 1 << 2                 # XDP_FLAGS_DRV_MODE
DROP, PASS, TX, REDIRECT = 1, 2, 3, 4
AUXDATA = struct.Struct("=IIIHHHH")
LONGEST = 2048
LONGEST_SENT = 14 + 1500
TAGGED_HEADERS = 14 + 4 + 2     # what the kernel wants of a tagged frame
PATIENCE = 1                    # seconds for a frame that is to come
# Of no protocol, and so passed: it comes after one that is to be dropped, to tell that
# that has been.
LAST = bytes(12) + b"\x88\xb5" + bytes(46)


def passes():
    """A program that passes all: without one a veth takes no frame that XDP sends it."""
    code = instruction(0xb7, 0, immediate=PASS) + instruction(0x95)
    return checked(LIBBPF.bpf_prog_load(TYPE_XDP, b"passes", b"GPL", code,
                                        ctypes.c_size_t(len(code) // 8), None), "passes")


def tagged(data, more):
    """With the outer VLAN tag, which the kernel has taken out, back in its place."""
    for _, _, content in more:
        status, _, _, _, _, tag, protocol = AUXDATA.unpack(content[:AUXDATA.size])
        if status & STATUS_VLAN_VALID:
            protocol = protocol if status & STATUS_VLAN_TPID_VALID else 0x8100
            return data[:12] + struct.pack("!HH", protocol, tag) + data[12:]
    return data


def too_long(frame):
    return len(frame) > LONGEST_SENT


def cut_in_tag(frame):
    """The kernel drops such a frame before anybody hears that XDP has passed it."""
    return frame[12:14] in (b"\x81\x00", b"\x88\xa8") and len(frame) < TAGGED_HEADERS


def is_own(data):
    """ARP, and with or without options ICMPv6: neighbours, routers, groups."""
    return data[12:14] == b"\x08\x06" or data[12:14] == b"\x86\xdd" and data[20:21] in (b"\0", b":")


def expected(verdict, out, heard):
    """Does what was heard tell that this verdict left this frame?"""
    if verdict == DROP:
        return heard == [(PASS, LAST)]
    # What a link sends back may be redirected to it, too.
    return (verdict, out) in heard or verdict == REDIRECT and (TX, out) in heard


class Wire:
    """One link, LINK, whose other end is LINK-peer, and all other such links."""

    def __init__(self, ifindex):
        self.ifindex = ifindex
        self.link = socket.if_indextoname(ifindex)
        self.peer = f"{self.link}-peer"
        self.program = None
        idle = passes()
        for number, name in socket.if_nameindex():
            if name.endswith("-peer"):
                self.attach(number, idle)
        self.ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.ear.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.ear.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.ear.setblocking(False)
        self.mouth = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.mouth.bind((self.peer, 0))

    @staticmethod
    def attach(ifindex, program):
        checked(LIBBPF.bpf_xdp_attach(ifindex, program, NATIVE, None), f"attach to {ifindex}")

    def heard(self, out):
        """(verdict, frame) of each that has come since the last time."""
        found = []
        while True:
            try:
                data, more, _, (name, *_) = self.ear.recvmsg(LONGEST, 256)
            except BlockingIOError:
                return found
            data = tagged(data, more)
            if data == out or not is_own(data):
                if name == self.link:
                    found.append((PASS, data))
                elif name.endswith("-peer"):
                    found.append((TX if name == self.peer else REDIRECT, data))

    def run(self, program, frame, verdict, out, patience):
        """The verdict and the frame it left, which are those wanted if it may be so."""
        if self.program != program:
            self.attach(self.ifindex, program)
            self.program = program
        self.heard(out)
        self.mouth.send(frame)
        if verdict == DROP:
            self.mouth.send(LAST)
        heard, end = self.heard(out), time.monotonic() + patience
        while not expected(verdict, out, heard) and time.monotonic() < end:
            heard += self.heard(out)
        if expected(verdict, out, heard):
            return verdict, out
        return next((each for each in heard if each[1] != LAST), (DROP, frame))
