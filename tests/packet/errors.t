#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""ICMP errors about a flow's packets: whom they reach, and what they then quote."""

from scapy.layers.inet import ICMP, IPOption_RR
from scapy.layers.inet6 import (ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6ND_Redirect,
                                IPv6ExtHdrDestOpt)
from scapy.layers.l2 import Ether

import tap
from errors import ERRORS, HEADER, ROUTERS, error, packet_of
from frame import TAGS, frame
from lab import (CLIENTS, MACS, PASS, REDIRECT, ROUTER_MAC, TX, VERSIONS, VIPS, Lab,
                 backend_address, backend_mac)
from modes import ANY, KINDS, TRANSLATED, TUNNELS, Kind, encapsulated, start

lab = Lab()
PROTOCOLS = ("tcp", "udp")
TRANSLATING = tuple(kind for kind in KINDS if kind.mode in TRANSLATED)
LEAST = 8                       # bytes of a transport header that any error quotes
STALE = 100                     # seconds
ENDING = ("FA", "R", "RA", "S") # flags of packets that end a connection, or begin another


def established(kind, protocol="tcp", **more):
    """A way whose flow has the records that its mode wants."""
    way = start(lab, kind, protocol, **more)
    for _ in range(2):
        lab.run(way.asks())
    lab.maps["xlb_stats"].clear()
    return way


def about_answer(way, kind, *, size=None, ttl=64, own=(), **fields):
    """An error about what the client was sent: as it comes, and as the backend gets it.
    `own` are options of its own."""
    quoted = packet_of(frame(**way.back(**fields)))
    comes = error(kind, quoted, way.vip, size=size, ttl=ttl, options=own)
    macs = way.macs()
    if way.kind.mode in TUNNELS:
        inner = packet_of(error(kind, quoted, way.vip, size=size, ttl=ttl - 1, options=own))
        return comes, encapsulated(way.kind, inner, way.backend, way.flow(way.asked), **macs)
    if way.kind.mode == "dr":
        return comes, error(kind, quoted, way.vip, size=size, ttl=ttl, options=own, **macs)
    quoted = packet_of(frame(**way.answered | fields))
    return comes, error(kind, quoted, way.backend, size=size, ttl=ttl - 1, options=own,
                        source=way.source if way.kind.mode == "nat" else None, **macs)


def about_request(way, kind, *, size=None, source=None, **fields):
    """An error about what the backend was sent: as it comes, and as the client gets it."""
    quoted = packet_of(frame(**way.translated(**fields)))
    comes = error(kind, quoted, way.source, size=size, source=source or way.backend,
                  smac=backend_mac(1), dmac=MACS[way.link])
    quoted = packet_of(way.asks(**fields))
    return comes, error(kind, quoted, way.client, size=size, source=way.vip, ttl=63,
                        smac=MACS["left"], dmac=ROUTER_MAC)


def sizes(version):
    """The ports alone, all of TCP's header, and all."""
    return HEADER[version] + LEAST, HEADER[version] + 20, None


def check_answers():
    for kind in KINDS:
        for protocol in PROTOCOLS:
            way = established(kind, protocol)
            for name in ERRORS[kind.version]:
                for size in sizes(kind.version):
                    comes, goes = about_answer(way, name, size=size)
                    lab.check(f"{kind}, {protocol}: {name}, quoting {size or 'all'}: "
                              "to the backend", comes, way.sent(), goes)
            count = len(ERRORS[kind.version]) * 3
            tap.equal((lab.stats(1)["in_packets"], lab.stats(1)["connections"], lab.drops()),
                      (count, 0, {}), f"{kind}, {protocol}: counted as packets")


def check_requests():
    for kind in TRANSLATING:
        for protocol in PROTOCOLS:
            way = established(kind, protocol)
            router = backend_address(77, kind.version)
            for name in ERRORS[kind.version]:
                for size in sizes(kind.version):
                    for source in (None, router):
                        comes, goes = about_request(way, name, size=size, source=source)
                        lab.check(f"{kind}, {protocol}: {name} from "
                                  f"{'a router' if source else 'the backend'}, quoting "
                                  f"{size or 'all'}: to the client", comes, way.sent(), goes,
                                  link="right")
            tap.equal(lab.stats(1)["out_packets"], len(ERRORS[kind.version]) * 6,
                      f"{kind}, {protocol}: counted as packets")


def check_no_sum():
    """UDP without a checksum (RFC 768) is quoted without one."""
    for kind in TRANSLATING:
        if kind.version == 6:
            continue
        way = established(kind, "udp")
        lab.check(f"{kind}: a quote without a checksum, to the backend",
                  *with_verdict(way, about_answer(way, "port unreachable", checksum=0)))
        lab.check(f"{kind}: and to the client",
                  *with_verdict(way, about_request(way, "port unreachable", checksum=0)),
                  link="right")


def turned(fields):
    """Those of an answer."""
    return fields | {"source": fields["destination"], "destination": fields["source"],
                     "sport": fields["dport"], "dport": fields["sport"]}


def with_verdict(way, frames):
    return frames[0], way.sent(), frames[1]


def check_shapes():
    """Options and extension headers, of the error and of what it quotes; VLAN tags."""
    route = IPOption_RR(routers=["0.0.0.0"] * 2)
    for kind in KINDS:
        way = established(kind)
        if kind.version == 4:
            lab.check(f"{kind}: an error with options",
                      *with_verdict(way, about_answer(way, "time exceeded", own=[route])))
            fields = {"options": [route]}
        else:
            fields = {"extensions": [IPv6ExtHdrDestOpt()], "fragment": {"m": 1, "id": 9}}
        lab.check(f"{kind}: about a packet with options, extension headers or fragmented",
                  *with_verdict(way, about_answer(way, "parameter problem", **fields)))
    for kind in KINDS:
        for tags in TAGS[1:]:
            way = established(kind, link="left")
            comes, goes = about_answer(way, "time exceeded")
            comes, goes = tagged(comes, tags), tagged(goes, tags)
            lab.check(f"{kind}: {len(tags)} VLAN tags", comes, TX, goes)


def tagged(data, tags):
    packet = Ether(data)
    head = Ether(src=packet.src, dst=packet.dst)
    for tag in tags:
        head /= tag.copy()
    return bytes(head / packet.payload)


def check_nobodys():
    """What is not about a flow of ours passes."""
    for version in VERSIONS:
        way = established(Kind("dnat", version, version))
        name = f"IPv{version}: "
        cases = {
            "about a packet of another port": way.back() | {"sport": 81},
            "about a packet of another address": way.back() | {"source": ROUTERS[version]},
            "about another protocol": way.back() | {"protocol": "udp"},
        }
        first = next(iter(ERRORS[version]))
        for what, fields in cases.items():
            data = error(first, packet_of(frame(**fields)), fields["source"])
            lab.check(name + what, data, PASS)
        quoted = packet_of(frame(**way.back()))
        lab.check(name + "to somebody else than wrote the packet",
                  error(first, quoted, ROUTERS[version], source=way.client), PASS)
        for size in range(HEADER[version] + LEAST):
            data = error(first, quoted, way.vip, size=size)
            if lab.run(data) != (PASS, data):
                tap.ok(False, name + f"a quote of {size} bytes is too little")
                break
        else:
            tap.ok(True, name + "a quote without the ports is too little")
        later = {4: {"header": {"frag": 100}}, 6: {"fragment": {"offset": 100, "id": 9}}}[version]
        lab.check(name + "about a later fragment",
                  error(first, packet_of(frame(**way.back() | later)), way.vip), PASS)
        others = {4: (ICMP(type=5, code=1, gw=ROUTERS[4]), ICMP(type=4), ICMP(type=0)),
                  6: (ICMPv6ND_Redirect(), ICMPv6EchoReply(), ICMPv6DestUnreach(type=5))}
        for message in others[version]:
            lab.check(name + f"type {message.type} is no error",
                      error(message, quoted, way.vip), PASS)
        lab.maps["xlb_config"].set(0, {})
        lab.check(name + "where nothing is configured", error(first, quoted, way.vip), PASS)


def check_faults():
    """An error is a packet, and may be as wrong as one."""
    for version in VERSIONS:
        way = established(Kind("dnat", version, version))
        first = next(iter(ERRORS[version]))
        quoted = packet_of(frame(**way.back()))
        odd = {4: "127.0.0.1", 6: "::1"}[version]
        lab.check_drop(f"IPv{version}: from a loopback address",
                       error(first, quoted, way.vip, source=odd), "bad_source")
        lab.check_drop(f"IPv{version}: from the VIP itself",
                       error(first, quoted, way.vip, source=way.vip), "land")
        lab.check_drop(f"IPv{version}: a TTL of 1", error(first, quoted, way.vip, ttl=1), "ttl")
        whole = error(first, quoted, way.vip)
        lab.check_drop(f"IPv{version}: cut short", whole[:-1], "bad_length")
        comes, goes = about_answer(way, first)
        at = 14 + HEADER[version] + 2
        got = lab.run(comes[:at] + b"\x12\x34" + comes[at + 2:])[1]
        tap.ok(got[at:at + 2] != goes[at:at + 2] and got[at + 2:] == goes[at + 2:],
               f"IPv{version}: a wrong checksum is not made right")


def check_big():
    """No error about an error (RFC 1122, 3.2.2)."""
    for kind in KINDS:
        way = established(kind)
        quoted = packet_of(frame(**way.back(), payload=bytes(1400)))
        size = 1501 - kind.overhead() - HEADER[kind.version] - 8
        comes = error(next(iter(ERRORS[kind.version])), quoted.ljust(1500, b"x"), way.vip,
                      size=size)
        lab.redirects("left", mtu=9000)
        lab.check_drop(f"{kind}: an error too big for its way", comes, "too_big")


def check_marked():
    """In a marked slot an error follows the flow, but leaves no trace of itself."""
    for version in VERSIONS:
        lab.reset()
        for number in (1, 2):
            lab.backend(number, version)
        lab.service(VIPS[version], 80, current=2, previous=1)
        fields = {"source": VIPS[version], "destination": CLIENTS[version], "sport": 80,
                  "dport": 40000, "protocol": "tcp"}
        asked = {"source": CLIENTS[version], "destination": VIPS[version], "sport": 40000,
                 "dport": 80, "protocol": "tcp"}
        first = next(iter(ERRORS[version]))
        data = error(first, packet_of(frame(**fields)), VIPS[version])
        tap.equal(lab.run(data)[1][5], 1, f"IPv{version}: to the slot's previous owner")
        tap.equal(lab.records(asked), (None, None), f"IPv{version}: and no record is made")
        lab.record(asked, 2, age=STALE)
        tap.equal(lab.run(data)[1][5], 2, f"IPv{version}: to where the record leads")
        age = lab.jiffies() - lab.records(asked)[0]["seen"] & 0xffffffff
        tap.ok(age >= STALE * lab.hz, f"IPv{version}: which it does not renew", age)


def check_records():
    """Where a record decides, an error follows it, or passes; it never makes one."""
    for kind in TRANSLATING:
        if kind.mode != "nat":
            continue
        way = start(lab, kind)
        for data, link in ((about_answer(way, "time exceeded")[0], "left"),
                           (about_request(way, "time exceeded")[0], "right")):
            lab.check(f"{kind}: an error of no flow from the {link}", data, PASS, link=link)
        tap.ok(lab.quiet(), f"{kind}: leaves no trace")
        lab.run(way.asks(flags="S"))
        before = lab.records(way.asked), lab.records(way.answered)
        lab.run(about_answer(way, "time exceeded")[0])
        lab.run(about_request(way, "time exceeded")[0], "right")
        tap.equal((lab.records(way.asked), lab.records(way.answered)), before,
                  f"{kind}: an error confirms no record")
        lab.run(way.asks())
        before = lab.records(way.asked), lab.records(way.answered)
        for flags in ENDING:
            lab.run(about_answer(way, "time exceeded", flags=flags)[0])
            lab.run(about_request(way, "time exceeded", flags=flags)[0], "right")
        tap.equal((lab.records(way.asked), lab.records(way.answered)), before,
                  f"{kind}: nor does one end a record by the FIN or RST that it quotes")
        held = lab.records(way.asked)[0]
        lab.by_family("xlb_flows", way.vip).set(
            lab.tuple(way.asked), held | {"seen": held["seen"] - STALE * lab.hz & 0xffffffff})
        before = lab.records(way.asked)
        lab.check(f"{kind}: an error after a silence", *with_verdict(
            way, about_answer(way, "time exceeded")))
        tap.equal(lab.records(way.asked), before, f"{kind}: does not end it")


def check_any_address(version, sport):
    name = f"IPv{version}, from port {sport}: "
    lab.reset(**{"needs": {f"any_address{version}": 1}})
    address = lab.backend(1, version)
    lab.service(ANY[version], 80, current=1)
    lab.replies(address, 8080, ANY[version], 80, 1, by_flow=1)
    asked = {"source": CLIENTS[version], "destination": VIPS[version], "sport": sport,
             "dport": 80, "protocol": "tcp"}
    data = error("time exceeded", packet_of(frame(**turned(asked))), VIPS[version])
    tap.equal(lab.run(data)[0], REDIRECT, name + "to a service on any address")
    tap.equal(len(lab.by_family("xlb_embryos", address).items()), 0,
              name + "makes no record there either")
    lab.run(frame(**asked))
    sent = frame(**asked | {"destination": address, "dport": 8080})
    data = error("time exceeded", packet_of(sent), CLIENTS[version], source=address,
                 smac=backend_mac(1), dmac=MACS["right"])
    wanted = error("time exceeded", packet_of(frame(**asked)), CLIENTS[version],
                   source=VIPS[version], ttl=63, smac=MACS["left"], dmac=ROUTER_MAC)
    lab.check(name + "of a service on any address", data, REDIRECT, wanted, link="right")


check_answers()
check_requests()
check_no_sum()
check_shapes()
check_nobodys()
check_faults()
check_big()
check_marked()
check_records()
for each in VERSIONS:
    for port in (40000, 80):    # the service's own, too
        check_any_address(each, port)
tap.done()
