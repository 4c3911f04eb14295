#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""Outer headers of modes ipip and gue: what they copy, what they make up, what they spread."""

import socket

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

import tap
from frame import TAGS, frame, with_header_sum
from lab import PASS, REDIRECT, VIPS, Lab, backend_address, backend_mac, packed, sh
from modes import ANY, IP_HEADER, KINDS, PROTOCOL, SOURCES, TUNNELS, Kind, start

lab = Lab()
TUNNEL_KINDS = tuple(kind for kind in KINDS if kind.mode in TUNNELS)
GUE_KINDS = tuple(kind for kind in KINDS if kind.mode == "gue")
TRAFFIC = (0x00, 0x01, 0x02, 0x03, 0xb8, 0xb9, 0xba, 0xbb, 0xff)
NEAR_ZERO = (0, 1, 0x0100, 0xfeff, 0xfffe, 0xfffd)
FLOWS = 256
QUEUES = 8


def sent(way, **fields):
    """The frame that a packet becomes, as Scapy reads it."""
    return Ether(lab.run(way.asks(**fields))[1])


def check_fields():
    """Field by field, so that they can be read here."""
    for kind in TUNNEL_KINDS:
        way = start(lab, kind)
        length = len(way.asks()) - 14
        out = sent(way)
        gue = kind.mode == "gue"
        rest = out.payload
        if kind.outer == 4:
            fields = ("version", "ihl", "tos", "len", "id", "flags", "frag", "ttl", "proto", "src",
                      "dst")
            wanted = (4, 5, 0, length + kind.overhead(), 0, "DF", 0, 64,
                      17 if gue else PROTOCOL[kind.version], SOURCES[4], way.backend)
            header = IP(bytes(rest)[:20])
            del header.chksum
            tap.equal(rest.chksum, IP(bytes(header)).chksum, f"{kind}: the outer checksum")
        else:
            fields = ("version", "tc", "plen", "nh", "hlim", "src", "dst")
            wanted = (6, 0, length + kind.overhead() - 40,
                      17 if gue else PROTOCOL[kind.version], 64, SOURCES[6], way.backend)
        tap.equal(tuple(rest.getfieldval(field) for field in fields), wanted,
                  f"{kind}: the outer header")
        if not gue:
            continue
        raw = bytes(rest)[IP_HEADER[kind.outer]:]
        udp = UDP(raw[:8])
        tap.equal((udp.dport, udp.len, udp.chksum, raw[8:12]),
                  (6080, length + 12, 0, bytes([0, PROTOCOL[kind.version], 0, 0])),
                  f"{kind}: UDP without a checksum, GUE of version 0 without options")
        tap.ok(udp.sport >= 0xc000, f"{kind}: a dynamic source port", udp.sport)


def check_traffic():
    """DSCP and ECN are the inner packet's (RFC 2983, 3.1; RFC 6040, 4.1)."""
    for kind in TUNNEL_KINDS:
        way = start(lab, kind)
        for traffic in TRAFFIC:
            field = "tos" if kind.version == 4 else "tc"
            header = {field: traffic}
            way.check(f"{kind}: a traffic class of {traffic:#04x}", header=header)
            out = sent(way, header=header)
            tap.equal(out[IP].tos if kind.outer == 4 else out[IPv6].tc, traffic,
                      f"{kind}: {traffic:#04x} is outside as well")


def check_inner():
    """Whatever the inner header's flags; a TTL lowered with every carry of its checksum."""
    for kind in TUNNEL_KINDS:
        way = start(lab, kind)
        if kind.version == 6:
            way.check(f"{kind}: an inner flow label", header={"fl": 0xfffff})
            continue
        for flags in (0, "DF"):
            way.check(f"{kind}: inner flags {flags}", header={"flags": flags})
        for wanted in NEAR_ZERO:
            for form in (way.asked, way.asked | {"ttl": 63}):
                header = with_header_sum(form, wanted)["header"]
                way.check(f"{kind}: an inner header's sum of {wanted:#x}", header=header)


def check_stack():
    """What XDP cannot send goes up, in a frame that the kernel takes for its own."""
    for kind in TUNNEL_KINDS:
        way = start(lab, kind)
        lab.redirects("right", takes=0)
        lab.check(f"{kind}: the kernel is to send it", way.asks(), PASS, way.finished())


def check_spread():
    for kind in TUNNEL_KINDS:
        way = start(lab, kind, hash="flow")

        def mark(out):
            return Ether(out)[UDP].sport if kind.mode == "gue" else Ether(out)[IPv6].fl

        if kind.mode == "ipip" and kind.outer == 4:
            continue
        same = {mark(bytes(sent(way, flags=flags, payload=payload)))
                for flags in ("S", "A", "FA") for payload in (b"", b"longer payload")}
        tap.equal(len(same), 1, f"{kind}: one mark for all packets of a flow")
        marks = [mark(bytes(sent(way, sport=1024 + n))) for n in range(FLOWS)]
        tap.ok(len(set(marks)) > FLOWS * 0.95, f"{kind}: others for other flows", len(set(marks)))
        queues = [sum(each % QUEUES == queue for each in marks) for queue in range(QUEUES)]
        tap.ok(min(queues) > FLOWS / QUEUES / 2, f"{kind}: spread over {QUEUES} queues", queues)
        way = start(lab, kind, hash="source")
        tap.equal([mark(bytes(sent(way, sport=1024 + n))) for n in range(FLOWS)], marks,
                  f"{kind}: the same where the client alone chooses the backend")
        if kind.mode == "gue":
            tap.ok(min(marks) >= 0xc000, f"{kind}: source ports of the dynamic range", min(marks))


def check_port():
    for kind in GUE_KINDS:
        way = start(lab, kind, config={"gue_port": 5555})
        out = bytes(sent(way).payload)[IP_HEADER[kind.outer]:]
        tap.equal(UDP(out[:8]).dport, 5555, f"{kind}: a port configured otherwise")


def check_no_source():
    for kind in TUNNEL_KINDS:
        name = f"tunnel{kind.outer}"
        way = start(lab, kind, config={name: bytes(len(packed(SOURCES[kind.outer])))})
        lab.check_drop(f"{kind}: no {name}", way.asks(), "no_source")
        other = f"tunnel{10 - kind.outer}"
        way = start(lab, kind, config={other: bytes(4)})
        way.check(f"{kind}: {other} is not asked for")


def check_families():
    """Backends of both families behind one service."""
    for mode in TUNNELS:
        for version in (4, 6):
            kinds = [Kind(mode, version, outer) for outer in (4, 6)]
            way = start(lab, kinds[0])
            lab.backend(2, 6, port=80)
            lab.owners(way.service, [(1 + slot % 2, 0) for slot in range(way.service.size)])
            reached = set()
            for sport in range(1000, 1020):
                verdict, out = lab.run(way.asks(sport=sport))
                number = out[5]
                way.kind, way.host = kinds[number - 1], number
                way.backend = backend_address(number, way.kind.outer)
                reached.add(number)
                tap.equal((verdict, out), (REDIRECT, way.forwarded(sport=sport)),
                          f"{mode}, IPv{version}: backend {number} in its own family")
            tap.equal(reached, {1, 2}, f"{mode}, IPv{version}: both are reached")


def check_any_address():
    """The packet inside still says which address it is for."""
    for kind in TUNNEL_KINDS:
        way = start(lab, kind, config={"needs": {f"any_address{kind.version}": 1}})
        lab.service(ANY[kind.version], 81, current=1, mode=kind.mode)
        way.check(f"{kind}: any address", destination=VIPS[kind.version][:-1] + "7", dport=81)
        tap.equal(lab.records(way.asked | {"destination": VIPS[kind.version][:-1] + "7"}),
                  (None, None), f"{kind}: which needs no record")


def check_replies():
    """Replies go directly; those that come by xlb all the same are none of its business."""
    for kind in KINDS:
        if kind.mode in ("dnat", "nat"):
            continue
        way = start(lab, kind)
        way.reached()
        direct = frame(way.vip, way.client, 80, 40000, smac=backend_mac(1))
        lab.check(f"{kind}: a reply from the VIP", direct, PASS, link="right")
        if kind.version == kind.outer:
            own = frame(way.backend, way.client, 80, 40000, smac=backend_mac(1))
            lab.check(f"{kind}: and the backend's own connections", own, PASS, link="right")
        tap.equal(lab.stats(1)["out_packets"], 0, f"{kind}: count as no replies")


def check_wire():
    """The verdict carried out: headers of the right length in front of the right bytes."""
    sh("ethtool", "-K", "right-peer", "gro", "on")
    for kind in TUNNEL_KINDS:
        way = start(lab, kind)
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as heard:
            heard.bind(("right-peer", 0))
            heard.settimeout(2)
            lab.program.run_live(way.asks(), lab.ifindex["left"])
            wanted, got = way.forwarded(), b""
            try:
                while got != wanted:
                    got = heard.recv(2048)
            except TimeoutError:
                pass
            tap.equal(got.hex(), wanted.hex(), f"{kind}: on the wire")


def check_tags():
    """Two tags of either kind stay before the outer header, their priorities with them."""
    for kind in TUNNEL_KINDS:
        for tags in TAGS:
            way = start(lab, kind, link="left")
            way.check(f"{kind}: {len(tags)} tags, padded", tags=tags, payload=b"", pad=80)
            out = sent(way, tags=tags)
            tap.equal([layer.name for layer in (out.getlayer(n) for n in range(1 + len(tags)))][1:],
                      [tag.name for tag in tags], f"{kind}: {len(tags)} tags are kept")


check_fields()
check_traffic()
check_inner()
check_stack()
check_spread()
check_port()
check_no_source()
check_families()
check_any_address()
check_replies()
check_wire()
check_tags()
tap.done()
