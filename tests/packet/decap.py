# SPDX-License-Identifier: GPL-2.0-only
"""decap.o loaded in namespaces of its own, and frames as tunnels carry them."""

import itertools
import os

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

import frame
import tap
from bpf import LOOPBACK, Map, Program, pinned
from btf import Btf
from counters import counters_keep
from frame import CLIENT_MAC, XLB_MAC
from lab import CLIENTS, PASS, PINS, ROOT, VERDICTS, VERSIONS, VIPS, enter_namespaces, packed, sh

OBJECT = os.environ.get("DECAP_OBJECT", os.path.join(ROOT, "bpf", "decap.o"))
BALANCERS = {4: "10.0.0.1", 6: "2001:db8:2::1"}
LOCALS = {4: "10.0.0.3", 6: "2001:db8:2::3"}
STRANGERS = {4: "10.0.0.4", 6: "2001:db8:2::4"}
PORT = 6080
PROTOCOLS = {4: 4, 6: 41}       # IANA: an IP packet of that version
UDP_PROTOCOL = 17
HEADER = {4: 20, 6: 40}
IPIP, GUE, GUE1 = TUNNELS = ("IP in IP", "GUE", "GUE version 1")


def ethernet(tags=()):
    packet = Ether(src=CLIENT_MAC, dst=XLB_MAC)
    for tag in tags:
        packet /= tag.copy()
    return packet


def inner(version, transport=TCP, ecn=0, **fields):
    """A client's packet to the VIP, of DSCP 10."""
    traffic = 10 << 2 | ecn
    if version == 4:
        packet = IP(**{"src": CLIENTS[4], "dst": VIPS[4], "tos": traffic, "ttl": 63, "id": 7}
                    | fields)
    else:
        packet = IPv6(**{"src": CLIENTS[6], "dst": VIPS[6], "tc": traffic, "fl": 0x12345,
                         "hlim": 63} | fields)
    return packet / transport(sport=40000, dport=80) / Raw(b"payload")


def outer(version, ecn=0, **fields):
    """A header from the balancer to this backend."""
    traffic = 10 << 2 | ecn
    if version == 4:
        return IP(**{"src": BALANCERS[4], "dst": LOCALS[4], "tos": traffic, "flags": "DF"} | fields)
    return IPv6(**{"src": BALANCERS[6], "dst": LOCALS[6], "tc": traffic, "fl": 0x54321} | fields)


def gue(protocol, version=0, control=0, private=b"", flags=0):
    """GUE's own header, which the caller puts before what GUE1 carries."""
    first = version << 6 | control << 5 | len(private) // 4
    return bytes((first, protocol)) + flags.to_bytes(2, "big") + private


def protocol_of(tunnel, inside):
    """What the outer IP header announces."""
    return PROTOCOLS[inside] if tunnel == IPIP else UDP_PROTOCOL


def carried(tunnel, inside, content, port=PORT, **udp):
    """What stands after the outer IP header."""
    if tunnel == IPIP:
        return Raw(content)
    header = gue(PROTOCOLS[inside]) if tunnel == GUE else b""
    return UDP(**{"sport": 0xc123, "dport": port, "chksum": 0} | udp) / Raw(header + content)


def wrap(tunnel, outside, inside, content, tags=(), ecn=0, more=(), **udp):
    """The whole frame; `more` are fields of the outer IP header."""
    fields = {"proto" if outside == 4 else "nh": protocol_of(tunnel, inside)} | dict(more)
    return bytes(ethernet(tags) / outer(outside, ecn, **fields)
                 / carried(tunnel, inside, content, **udp))


def unwrapped(content, tags=()):
    """The frame that is to be left."""
    kind = {4: b"\x08\x00", 6: b"\x86\xdd"}[content[0] >> 4]
    return bytes(ethernet(tags))[:-2] + kind + content


def combinations():
    return itertools.product(TUNNELS, VERSIONS, VERSIONS)


def name_of(tunnel, outside, inside):
    return f"{tunnel}, {inside} in {outside}"


def counter_of(tunnel, outside, inside):
    return f"{'ipip' if tunnel == IPIP else 'gue'}_{inside}in{outside}"


class Decap:
    """The loaded object, its maps, and checks of what it does."""

    def __init__(self):
        if os.geteuid():
            tap.skip_all("only root can make namespaces and load programs")
        enter_namespaces()
        sh("bpftool", "prog", "loadall", OBJECT, f"{PINS}/programs", "type", "xdp")
        counters_keep(f"{PINS}/programs/decap_xdp")
        self.btf = Btf(OBJECT)
        maps = self.btf.maps()
        self.locals, self.stats = (Map(f"{PINS}/{name}", self.btf, maps[name])
                                   for name in ("decap_locals", "decap_stats"))
        self.programs = [Program(pinned(f"{PINS}/programs/{name}"))
                         for name in ("decap_prog", "decap_xdp")]
        self.seen = set()
        self.reset()

    def reset(self):
        self.locals.clear()
        self.stats.clear()
        for version in VERSIONS:
            self.local(LOCALS[version], PORT)

    def local(self, address, port):
        key = packed(address) if ":" in address else bytes(10) + b"\xff\xff" + packed(address)
        self.locals.set(key, {"gue_port": port})

    def run(self, data):
        return self.programs[-1].run(data, LOOPBACK)

    def counted(self):
        """Counters that are not zero, which they are afterwards."""
        counts = {name: count for name, count in self.stats.get(0).items() if count}
        self.stats.clear()
        self.seen |= set(counts)
        return counts

    def outcome(self, data):
        """Verdict, frame, what was counted."""
        return *self.run(data), self.counted()

    def check(self, description, data, verdict, counter, expected=None):
        expected = data if expected is None else expected
        got, left, counts = self.outcome(data)
        wanted = {counter: 1} if counter else {}
        tap.ok((got, left, counts) == (verdict, expected, wanted), description,
               f"verdict {VERDICTS[got]}, wanted {VERDICTS[verdict]}",
               f"counted {counts}, wanted {wanted}",
               *(() if left == expected else frame.compare(left, expected)))

    def check_undone(self, description, combination, content, expected=None, tags=(), **fields):
        """A tunnel's packet comes out as `expected`, which is what went in unless given."""
        tunnel, outside, inside = combination
        self.check(f"{name_of(*combination)}, {description}",
                   wrap(tunnel, outside, inside, content, tags, **fields), PASS,
                   counter_of(*combination), unwrapped(expected or content, tags))

    def check_all(self, description, cases):
        """Many cases as one line: (name, data, verdict, counter), the frame as it was."""
        wrong = []
        for name, data, verdict, counter in cases:
            got, left, counts = self.outcome(data)
            if (got, left, counts) != (verdict, data, {counter: 1} if counter else {}):
                wrong.append((name, VERDICTS[got], left == data, counts))
        tap.equal(wrong[:5], [], description)
