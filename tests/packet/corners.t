#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""Arms of branches that no other test takes: found by `make coverage`."""

import struct

from scapy.layers.inet import ICMP, IP, IPOption_RR
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6EchoRequest, IPv6, IPv6ExtHdrDestOpt
from scapy.layers.l2 import Ether

import tap
from errors import error, packet_of
from frame import fragments, frame, with_sum
from lab import (CLIENTS, MACS, PASS, REDIRECT, TX, VERSIONS, VIPS, Lab, backend_mac, ip)
from modes import Kind, SOURCES, start

lab = Lab()
NEIGHBOURS = {4: "198.51.100.7", 6: "2001:db8:1::7"}    # clients on `left` that never answer
LOOPBACK = {4: "127.0.0.5", 6: "::1"}
ANY = {4: "0.0.0.0", 6: "::"}
TRANSPORT = {4: 14 + 20, 6: 14 + 40}
TOO_BIG = {4: "fragmentation needed", 6: "packet too big"}


def check_lo():
    """What comes in by lo is for this machine, whatever its address."""
    for version in VERSIONS:
        way = start(lab, Kind("dr", version, version))
        lab.check(f"IPv{version}: dr on lo", way.asks(), PASS, link="lo")
        lab.reset(needs={f"any_address{version}": 1})
        lab.service(ANY[version], 80, current=1)
        lab.target(1, LOOPBACK[version], 8080)
        lab.by_flow(1)
        asked = {"source": LOOPBACK[version], "destination": LOOPBACK[version], "sport": 40000,
                 "dport": 80}
        lab.check(f"IPv{version}: any address on lo, a loopback one too", frame(**asked), PASS,
                  frame(**asked | {"dport": 8080}), link="lo")


def check_direct():
    for version in VERSIONS:
        name = f"dr, IPv{version}: "
        way = start(lab, Kind("dr", version, version))
        lab.redirects("right", takes=0)
        lab.check_drop(name + "on a link that takes no frames", way.asks(), "off_link")
        way = start(lab, Kind("dr", version, version))
        ip(f"neighbour del {way.backend} dev right")
        first, later = fragments(way.asks(payload=bytes(64)), 48, 9)
        lab.run(first)
        lab.check_drop(name + "no neighbour, a later fragment", later, "no_neighbour")
        lab.check_drop(name + "no neighbour, an error",
                       error(TOO_BIG[version], packet_of(frame(**way.back())), way.vip),
                       "no_neighbour")
        # The checksum that resolving makes of this one would say that there is none.
        to_backend = way.asked | {"destination": way.backend}
        payload = with_sum(to_backend, 0x5555)["payload"]
        verdict, out = lab.run(way.asks(payload=payload))
        tap.equal((verdict, struct.unpack_from("!H", out, TRANSPORT[version] + 16)[0]),
                  (PASS, 0xaaaa), name + "no neighbour, and a checksum of its own")
        lab.neighbour(way.backend, backend_mac(1), "right")


def check_records():
    """Records for replies of a service on any address."""
    for version in VERSIONS:
        lab.reset(needs={f"any_address{version}": 1})
        path = lab.balanced(version)
        lab.service(ANY[version], 80, current=1)
        lab.by_flow(1)
        lab.replies(path.answered["source"], 8080, ANY[version], 80, 1, by_flow=1)
        for turn in ("once", "twice"):
            lab.check(f"IPv{version}, any address: a SYN, {turn}", frame(**path.asked, flags="S"),
                      path.sent(), frame(**path.forwarded, flags="S"))
            tap.equal([record is not None for record in lab.records(path.answered)],
                      [False, True], f"IPv{version}, any address: its record is embryonic")
        lab.reset(needs={f"any_address{version}": 1})
        path = lab.balanced(version)
        lab.service(ANY[version], 80, current=1)
        lab.by_flow(1)
        lab.record(path.answered, 1, direction="nat_reply")
        lab.check_drop(f"IPv{version}, any address: the way back is one of mode nat",
                       frame(**path.asked), "record_conflict")


def check_unconfigured():
    for version in VERSIONS:
        way = start(lab, Kind("dnat", version, version))
        told = error(TOO_BIG[version], packet_of(frame(**way.back())), way.vip)
        lab.maps["xlb_config"].clear()
        lab.check(f"IPv{version}: nothing is configured, and an error passes", told, PASS)
        lab.check(f"IPv{version}: so does an echo request", echo(version), PASS)


def echo(version):
    head = IP(src=CLIENTS[4], dst=VIPS[4]) / ICMP(type=8) if version == 4 else \
        IPv6(src=CLIENTS[6], dst=VIPS[6]) / ICMPv6EchoRequest()
    return bytes(Ether(src="02:00:00:00:01:00", dst=MACS["left"]) / head)


def check_clients():
    """A client whose MAC address the kernel does not know: it is asked each time."""
    for version in VERSIONS:
        lab.reset()
        path = lab.balanced(version)
        answered = path.answered | {"destination": NEIGHBOURS[version]}
        for turn in ("once", "again"):
            lab.check(f"IPv{version}: a client without a neighbour, {turn}", frame(**answered),
                      PASS, frame(**answered | {"source": VIPS[version], "sport": 80}),
                      link="right")


def sized(fields, version, length, **header):
    headers = 40 if version == 4 else 60
    return frame(**fields, payload=bytes(length - headers), header=header)


def check_too_big():
    """Who is told that a packet is too big, and how much of it."""
    ip("link set right mtu 1400")
    for mtu in (None, 0):
        way = start(lab, Kind("dnat", 4, 4))
        if mtu is None:
            lab.maps["xlb_links"].delete(lab.ifindex["left"])
        else:
            lab.redirects("left", mtu=0)
        tap.equal(lab.run(sized(way.asked, 4, 1401, flags="DF"))[0], TX,
                  f"told, by a link {'without an MTU' if mtu == 0 else 'that nobody knows'}")
    way = start(lab, Kind("dnat", 6, 6))
    lab.redirects("left", mtu=1280)
    tap.equal(lab.run(sized(way.asked, 6, 1401))[0], PASS, "IPv6: what GRO merged is passed up")
    way = start(lab, Kind("dr", 6, 6))
    first, later = fragments(sized(way.asked, 6, 4000), 1400, 9)[:2]
    lab.run(first)
    lab.check_drop("IPv6: nobody is told of a later fragment", later, "too_big")
    ip("link set right mtu 1500")
    ip("link set left mtu 1400")
    path = start(lab, Kind("dnat", 4, 4))
    tap.equal(lab.run(sized(path.answered, 4, 1401), "right")[0], PASS,
              "a reply that may be fragmented is passed up")
    ip("link set left mtu 1500")


def check_short():
    """Of what is too big and yet short; a link of such an MTU loses IPv6 and its addresses."""
    for mtu, length, quoted in ((300, 400, 128), (100, 120, 28)):
        ip(f"link set right mtu {mtu}")
        way = start(lab, Kind("dr", 4, 4))
        data = sized(way.asked, 4, length, flags="DF")
        verdict, out = lab.run(data)
        tap.equal((verdict, out[14 + 28:].hex()), (TX, data[14:14 + quoted].hex()),
                  f"of {length} bytes {quoted} are quoted")
        copy = Ether(out)
        del copy[IP].chksum, copy["ICMP"].chksum
        tap.equal(bytes(copy).hex(), out.hex(), f"of {length} bytes: the checksums are right")
    ip("link set right mtu 1500")
    ip(f"address add {SOURCES[6]}/64 dev right nodad")


def patched(told, version, first):
    """An error whose quote begins with this byte."""
    at = TRANSPORT[version] + 8
    return told[:at] + bytes([first]) + told[at + 1:]


def check_quotes():
    """Quotes that are none: such errors pass as they came."""
    way = start(lab, Kind("dnat", 4, 4))
    quoted = packet_of(frame(**way.back()))
    for name, first in (("version 6", 0x65), ("a header of 4 words", 0x44)):
        lab.check(f"quoted: {name}", patched(error("port unreachable", quoted, way.vip), 4, first),
                  PASS)
    # From the tunnels' own source, but with options: of another service then.
    way = start(lab, Kind("dnat", 4, 4), vip=SOURCES[4])
    inner = packet_of(frame(**way.back(), options=[IPOption_RR(routers=["0.0.0.0"])]))
    goes = packet_of(frame(**way.answered, options=[IPOption_RR(routers=["0.0.0.0"])]))
    lab.check("quoted: options, from the source of tunnels",
              error("port unreachable", inner, way.vip), REDIRECT,
              error("port unreachable", goes, way.backend, ttl=63, **way.macs()))

    way = start(lab, Kind("dnat", 6, 6))
    quoted = packet_of(frame(**way.back()))
    lab.check("quoted: version 4", patched(error("port unreachable", quoted, way.vip), 6, 0x45),
              PASS)
    many = [IPv6ExtHdrDestOpt()] * 9
    lab.check("quoted: too many headers",
              error("port unreachable", packet_of(frame(**way.back(), extensions=many)), way.vip),
              PASS)
    lab.check("ICMPv6 of type 0", error(ICMPv6DestUnreach(type=0), quoted, way.vip), PASS)


def check_errors():
    """Errors that the kernel is to send on, and of a service on any port."""
    for version in VERSIONS:
        way = start(lab, Kind("dnat", version, version))
        lab.redirects("right", takes=0)
        told = error("port unreachable", packet_of(frame(**way.back())), way.vip)
        lab.check(f"IPv{version}: an error by a link that takes no frames", told, PASS,
                  error("port unreachable", packet_of(way.answers()), way.backend))
        way = start(lab, Kind("dnat", version, version),
                    config={"needs": {f"any_port{version}": 1}})
        lab.target(1, way.backend, 0)
        lab.service(way.vip, 0, current=1)
        told = error("port unreachable", packet_of(frame(**way.back() | {"sport": 443})), way.vip)
        lab.check(f"IPv{version}: an error about any port", told, REDIRECT,
                  error("port unreachable", packet_of(way.answers(sport=443)), way.backend, ttl=63,
                        **way.macs()))


def check_encapsulating_route():
    """A route that puts packets in others (lwtunnel) is the kernel's."""
    for version, kind in ((4, "ip"), (6, "ip6")):
        way = start(lab, Kind("dnat", version, version))
        far = {4: "10.9.9.9", 6: "2001:db8:99::9"}[version]
        ip(f"route add {far} encap {kind} id 1 dst {way.backend} dev right")
        lab.target(1, far, 8080)
        lab.check(f"IPv{version}: a backend behind a route with a tunnel", way.asks(), PASS,
                  frame(**way.asked | {"destination": far, "dport": 8080}))
        ip(f"route del {far}")


def check_relay():
    """Errors about a tunnel: too short, or the client's way is unknown, or barred."""
    for version in VERSIONS:
        way = start(lab, Kind("ipip", version, version))
        short = packet_of(way.forwarded())[:TRANSPORT[version] - 14 + 8]
        lab.check(f"IPv{version}: an error that quotes 8 bytes of what is in a tunnel",
                  error(TOO_BIG[version], short, SOURCES[version], source=way.backend), PASS)
        near = way.of(NEIGHBOURS[version])
        for name, route, verdict in (("without a neighbour", None, PASS),
                                     ("behind a blackhole", "blackhole", "no_route")):
            told = error(TOO_BIG[version], packet_of(near.forwarded()), SOURCES[version],
                         source=way.backend, smac=backend_mac(1), dmac=MACS["right"])
            lab.maps["xlb_routes"].clear()
            if route:
                ip(f"-{version} route add {route} {near.client}")
                lab.run(told, "right")
                tap.equal(lab.drops(), {verdict: 1}, f"IPv{version}: a client {name}")
                ip(f"-{version} route del {route} {near.client}")
            else:
                tap.equal(lab.run(told, "right")[0], verdict, f"IPv{version}: a client {name}")


check_lo()
check_direct()
check_records()
check_unconfigured()
check_clients()
check_too_big()
check_quotes()
check_errors()
check_encapsulating_route()
check_relay()
check_short()
# Other tests follow in the same world where these are done again (tests/kernels/replay.py).
for name in ("left", "right"):
    lab.redirects(name)
tap.done()
