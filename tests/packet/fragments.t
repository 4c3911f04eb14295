#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""Fragments follow the first of their packet, in every mode; options and headers are walked."""

from scapy.layers.inet import IPOption_NOP, IPOption_RR
from scapy.layers.inet6 import (IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, PadN)
from scapy.layers.l2 import Ether

import tap
from frame import frame
from lab import (CLIENTS, MACS, PASS, REDIRECT, VERSIONS, VIPS, Lab, backend_mac, packed)

lab = Lab()
MODES = ("dnat", "nat", "dr", "ipip", "gue")
SOURCES = {4: "10.0.0.254", 6: "2001:db8:2::254"}


def prepare(mode, version, protocol="udp"):
    nat = {4: "nat4", 6: "nat6"}[version]
    size = 4 if version == 4 else 16
    lab.reset(tunnel4=packed(SOURCES[4]), tunnel6=packed(SOURCES[6]), gue_port=6080,
              **{nat: [packed(SOURCES[version])] + [bytes(size)] * 7, f"{nat}_count": 1})
    address = lab.backend(1, version, port=80)
    lab.service(VIPS[version], 80, protocol, current=1, mode=mode)
    return {"source": CLIENTS[version], "destination": VIPS[version], "sport": 40000,
            "dport": 80, "protocol": protocol}, address


def pieces(fields, version, number, payload=bytes(range(64))):
    """The packet's first fragment and a later one, as frames."""
    if version == 6:
        first = frame(**fields, payload=payload, fragment={"m": 1, "id": number})
    else:
        first = frame(**fields, payload=payload, header={"flags": "MF", "id": number})
    later = later_of(fields, version, number, payload)
    return first, later


def later_of(fields, version, number, payload, **more):
    """A fragment from byte 72 on: all that it has is payload."""
    kind = 17 if fields["protocol"] == "udp" else 6
    whole = Ether(frame(**fields | more))
    network = whole[1]
    network.remove_payload()
    if version == 6:
        from scapy.layers.inet6 import IPv6ExtHdrFragment
        network.nh = 44
        network.plen = None
        packet = network / IPv6ExtHdrFragment(nh=kind, offset=9, m=0, id=number) / payload
    else:
        network.id, network.frag, network.flags, network.proto = number, 9, 0, kind
        network.len = network.chksum = None
        packet = network / payload
    whole.remove_payload()
    return bytes(whole / packet)


def inner_of(mode, version, data):
    """The packet within the frame, and what is in front of it."""
    at = 14
    if mode in ("ipip", "gue"):
        at += (20 if version == 4 else 40) + (12 if mode == "gue" else 0)
    return data[at:]


def expected(mode, version, fields, address):
    """The fields that the backend sees."""
    if mode == "dr":
        return fields
    aged = fields | {"ttl": 63}
    if mode in ("dnat", "nat"):
        aged = aged | {"destination": address}
    return aged | {"source": SOURCES[version]} if mode == "nat" else aged


def check_fragments(mode, version):
    name = f"{mode}, IPv{version}: "
    fields, address = prepare(mode, version)
    first, later = pieces(fields, version, 7)
    lab.check_drop(name + "a later fragment that comes first", later, "fragment")
    seen = expected(mode, version, fields, address)
    wanted_first, _ = pieces(seen, version, 7)
    if mode in ("dnat", "nat"):
        # Scapy sums up the fragment, the sender the packet: what changes is the same.
        wanted_first = None
    verdict, got = lab.run(first)
    if wanted_first:
        tap.equal((verdict, inner_of(mode, version, got).hex()),
                  (REDIRECT, wanted_first[14:].hex()), name + "the first fragment")
    else:
        whole = Ether(got)
        tap.equal((verdict, whole[1].src, whole[1].dst), (REDIRECT, seen["source"], address),
                  name + "the first fragment")
    verdict, got = lab.run(later)
    wanted = later_of(seen, version, 7, bytes(range(64)))
    tap.equal((verdict, inner_of(mode, version, got).hex()), (REDIRECT, wanted[14:].hex()),
              name + "a later one follows")
    other = pieces(fields, version, 8)[1]
    lab.check_drop(name + "one of another packet does not", other, "fragment")


def check_replies(version):
    fields, address = prepare("dnat", version)
    lab.replies(address, 80, VIPS[version], 80, 1, "udp")
    reply = {"source": address, "destination": CLIENTS[version], "sport": 80, "dport": 40000,
             "protocol": "udp", "smac": backend_mac(1), "dmac": MACS["right"]}
    first, later = pieces(reply, version, 9)
    for number, data in enumerate((first, later)):
        verdict, got = lab.run(data, "right")
        tap.equal((verdict, Ether(got)[1].src), (REDIRECT, VIPS[version]),
                  f"IPv{version}: a reply's fragment {number}")


def check_headers(mode):
    """What stands between the IP header and TCP."""
    fields, address = prepare(mode, 4, "tcp")
    for options in ([IPOption_NOP()] * 4, [IPOption_RR(routers=["0.0.0.0"] * 9)]):
        got = lab.run(frame(**fields, options=options))
        wanted = frame(**expected(mode, 4, fields, address), options=options)
        tap.equal((got[0], inner_of(mode, 4, got[1]).hex()), (REDIRECT, wanted[14:].hex()),
                  f"{mode}: {len(options)} IPv4 options")
    fields, address = prepare(mode, 6, "tcp")
    long = PadN(optdata=bytes(250))
    for name, extensions in {
            "hop-by-hop": [IPv6ExtHdrHopByHop()],
            "destination options": [IPv6ExtHdrDestOpt(options=[long])],
            "a used-up routing header": [IPv6ExtHdrRouting(addresses=["2001:db8::1"], segleft=0)],
            "seven": [IPv6ExtHdrHopByHop()] + [IPv6ExtHdrDestOpt()] * 6}.items():
        got = lab.run(frame(**fields, extensions=extensions))
        wanted = frame(**expected(mode, 6, fields, address), extensions=extensions)
        tap.equal((got[0], inner_of(mode, 6, got[1]).hex()), (REDIRECT, wanted[14:].hex()),
                  f"{mode}: IPv6, {name}")
    for name, extensions in {
            "nine": [IPv6ExtHdrDestOpt()] * 9,
            "a routing header": [IPv6ExtHdrRouting(addresses=["2001:db8::1"], segleft=1)]}.items():
        lab.check(f"{mode}: IPv6, {name}: passed up", frame(**fields, extensions=extensions), PASS)


for version in VERSIONS:
    for mode in MODES:
        check_fragments(mode, version)
    check_replies(version)
for mode in MODES:
    check_headers(mode)
tap.done()
