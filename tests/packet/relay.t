#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""ICMP errors about a tunnel's outer packets: what the client is told of its own packet."""

from scapy.layers.inet import ICMP, IP, IPOption_RR
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6PacketTooBig
from scapy.layers.l2 import Ether

import tap
from errors import ERRORS, HEADER, error, packet_of
from frame import TAGS
from lab import (MACS, PASS, REDIRECT, ROUTER_MAC, TX, VIPS, Lab, backend_address, backend_mac,
                 packed)
from modes import ANY, CONFIG, KINDS, SOURCES, TUNNELS, start

lab = Lab()
TUNNEL_KINDS = tuple(kind for kind in KINDS if kind.mode in TUNNELS)
PROTOCOLS = ("tcp", "udp")
MTU = 1400
LEAST = {4: 68, 6: 1280}        # MTUs


def too_big(version, mtu):
    return ICMP(type=3, code=4, nexthopmtu=mtu) if version == 4 else ICMPv6PacketTooBig(mtu=mtu)


def unreachable(version):
    """Of a host."""
    return ICMP(type=3, code=1) if version == 4 else ICMPv6DestUnreach(code=3)


def carried(way, **fields):
    """The packet in the tunnel."""
    return packet_of(way.forwarded(**fields))[way.kind.overhead():]


def comes(way, kind, *, size=None, asked=(), **fields):
    """From a router on the way to the backend; of the packet within it quotes `size` bytes.
    `asked` are fields of that packet."""
    outer = way.kind.outer
    fields = {"source": backend_address(77, outer), "smac": backend_mac(1),
              "dmac": MACS[way.link]} | fields
    return error(kind, packet_of(way.forwarded(**dict(asked))), SOURCES[outer],
                 size=way.kind.overhead() + size if size else None, **fields)


def goes(way, kind, *, size=None, **fields):
    fields = {"smac": MACS["left"], "dmac": ROUTER_MAC} | fields
    return error(kind, carried(way), way.client, source=way.vip, size=size, **fields)


def as_own(data):
    """An error of xlb's own is not to be fragmented, and needs no id for that (RFC 6864, 4.1)."""
    packet = Ether(data)
    packet[IP].flags, packet[IP].id = "DF", 0
    del packet[IP].chksum
    return bytes(packet)


def check(description, way, asked, told, link="right", verdict=REDIRECT, **common):
    wanted = goes(way, told, **common)
    lab.check(description, comes(way, asked, **common), verdict,
              as_own(wanted) if way.kind.version == 4 else wanted, link=link)


def check_too_big():
    for kind in TUNNEL_KINDS:
        for protocol in PROTOCOLS:
            way = start(lab, kind, protocol)
            most = max(MTU - kind.overhead(), LEAST[kind.version])
            for size in (HEADER[kind.version] + 8, HEADER[kind.version] + 9, None):
                check(f"{kind}, {protocol}: too big, quoting {size or 'all'}", way,
                      too_big(kind.outer, MTU), too_big(kind.version, most), size=size)
            tap.equal(lab.drops(), {}, f"{kind}, {protocol}: nothing is dropped")
        way = start(lab, kind)
        if kind.version == 4:
            check(f"{kind}: an MTU of the least", way, too_big(kind.outer, kind.overhead() + 1),
                  too_big(4, LEAST[4]))
        lab.check(f"{kind}: an MTU of nothing", comes(way, too_big(kind.outer, 0)), PASS,
                  link="right")
        lab.check(f"{kind}: an MTU of less than the tunnel",
                  comes(way, too_big(kind.outer, kind.overhead())), PASS, link="right")


def check_others():
    for kind in TUNNEL_KINDS:
        way = start(lab, kind)
        for name in list(ERRORS[kind.outer])[1:]:
            check(f"{kind}: {name} is a host that is not there", way, name,
                  unreachable(kind.version))


def check_ways():
    for kind in TUNNEL_KINDS:
        for tags in TAGS:
            way = start(lab, kind, link="left")
            check(f"{kind}: one interface, {len(tags)} VLAN tags", way, too_big(kind.outer, MTU),
                  too_big(kind.version, max(MTU - kind.overhead(), LEAST[kind.version])),
                  link="left", verdict=TX, tags=tags)
        way = start(lab, kind)
        lab.redirects("left", takes=0)
        data = comes(way, too_big(kind.outer, MTU))
        verdict, out = lab.run(data, "right")
        tap.equal((verdict, out[:12]), (PASS, data[:12]), f"{kind}: or the kernel sends it")


def check_nobodys():
    for kind in TUNNEL_KINDS:
        way = start(lab, kind)
        data = comes(way, too_big(kind.outer, MTU))
        lab.maps["xlb_vips"].clear()
        lab.check(f"{kind}: the packet within is to no VIP", data, PASS, link="right")
        way = start(lab, kind)
        lab.config(**CONFIG | {f"tunnel{kind.outer}": packed(backend_address(7, kind.outer))})
        lab.check(f"{kind}: a tunnel of somebody else", data, PASS, link="right")
        way = start(lab, kind)
        if kind.mode == "gue":
            lab.config(**CONFIG | {"gue_port": 6081})
            lab.check(f"{kind}: another port", data, PASS, link="right")
            way = start(lab, kind)
            at = data.index(packet_of(way.forwarded())[:kind.overhead()]) + kind.overhead() - 4
            for what, octet in (("version", 0), ("flags", 2)):
                other = data[:at + octet] + b"\x80" + data[at + octet + 1:]
                lab.check(f"{kind}: GUE of another {what}", other, PASS, link="right")
        whole, least = comes(way, too_big(kind.outer, MTU)), HEADER[kind.version] + 8
        short = comes(way, too_big(kind.outer, MTU), size=least - 1)
        lab.check(f"{kind}: a quote that ends before the ports", short, PASS, link="right")
        lab.check_drop(f"{kind}: cut short", whole[:-1], "bad_length", link="right")
        odd = {4: "127.0.0.1", 6: "::1"}[kind.outer]
        lab.check_drop(f"{kind}: from a loopback address",
                       comes(way, too_big(kind.outer, MTU), source=odd), "bad_source",
                       link="right")
        wrong = comes(way, too_big(kind.outer, MTU), checksum=0x1234)
        right = comes(way, too_big(kind.outer, MTU))
        got, wanted = lab.run(wrong, "right")[1], lab.run(right, "right")[1]
        at = 14 + HEADER[kind.version] + 2
        tap.ok(got[:at] == wanted[:at] and got[at:at + 2] != wanted[at:at + 2]
               and got[at + 2:] == wanted[at + 2:], f"{kind}: a wrong checksum stays wrong")
        if kind.outer == 4:
            options = [IPOption_RR(routers=["0.0.0.0"])]
            lab.check(f"{kind}: an error with options",
                      comes(way, too_big(4, MTU), options=options), PASS, link="right")


def anywhere(kind, protocol="tcp", mode=None, needed=1):
    """A service on any address, and a client that has asked one of them."""
    needs = {f"any_address{kind.version}": needed}
    way = start(lab, kind, protocol, config={"needs": needs}, vip=ANY[kind.version])
    if mode:
        lab.guard(way.service, mode=lab.numbers[f"XLB_{mode.upper()}"])
    way.vip = VIPS[kind.version]
    way.asked["destination"] = way.vip
    return way


def check_any_address():
    for kind in TUNNEL_KINDS:
        name = f"{kind}, any address"
        told = max(MTU - kind.overhead(), LEAST[kind.version])
        for protocol in PROTOCOLS:
            way = anywhere(kind, protocol)
            way.check(f"{name}, {protocol}")
            for size in (HEADER[kind.version] + 8, None):
                check(f"{name}, {protocol}: too big, quoting {size or 'all'}", way,
                      too_big(kind.outer, MTU), too_big(kind.version, told), size=size)
        odd = {4: ("224.0.0.1", "127.0.0.1", "0.0.0.0"), 6: ("ff02::1", "::1", "::")}[kind.version]
        others = [("of another port", {"dport": 81}), ("of another protocol", {"protocol": "udp"})]
        others += [(f"to {address}", {"destination": address}) for address in odd]
        if kind.version == 4:
            # Read as ports these would be 1799 and 80.
            options = [IPOption_RR(pointer=0, routers=["80.0.0.0"])]
            others += [("in a later fragment", {"header": {"frag": 100}}),
                       ("with options", {"options": options})]
        for what, asked in others:
            way = anywhere(kind)
            lab.check(f"{name}: about a packet {what}",
                      comes(way, too_big(kind.outer, MTU), asked=asked), PASS,
                      link="right")
        for what, fields in (("is not looked for", {"needed": 0}),
                             ("is of mode dnat", {"mode": "dnat"})):
            way = anywhere(kind, **fields)
            lab.check(f"{name}: the service {what}", comes(way, too_big(kind.outer, MTU)), PASS,
                      link="right")


check_too_big()
check_others()
check_any_address()
check_ways()
check_nobodys()
tap.done()
