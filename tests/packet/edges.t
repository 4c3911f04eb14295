#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""At their limits: hops, ports, headers, and packets that end before their frame does.
tests/fuzz found what is here."""

from scapy.layers.inet import ICMP, IP, IPOption_RR
from scapy.layers.inet6 import (ICMPv6EchoRequest, ICMPv6PacketTooBig, IPv6, IPv6ExtHdrDestOpt,
                                IPv6ExtHdrFragment)
from scapy.layers.l2 import Ether
from scapy.packet import Raw

import tap
from errors import HEADER, error, packet_of
from frame import CLIENT_MAC, XLB_MAC, frame
from lab import (CLIENTS, MACS, PASS, REDIRECT, ROUTER_MAC, VERSIONS, VIPS, Lab, backend_address,
                 backend_mac, ip, mapped)
from modes import KINDS, SOURCES, TRANSLATED, TUNNELS, Kind, start

lab = Lab()
PROTOCOLS = ("tcp", "udp")
TRAILER = bytes(range(1, 41))   # what a device may leave behind a packet


def unresolved(address):
    """The kernel knows no MAC for it."""
    ip(f"neighbour del {address} dev right")
    lab.maps["xlb_nexthops"].clear()


def check_hops():
    """Into a tunnel is a hop, even if the kernel is to send the outer packet."""
    for kind in (kind for kind in KINDS if kind.mode in TUNNELS):
        for protocol in PROTOCOLS:
            way = start(lab, kind, protocol)
            unresolved(way.backend)
            for ttl in (0, 1):
                lab.check_drop(f"{kind}, {protocol}: TTL {ttl}", way.asks(ttl=ttl), "ttl")
            lab.check(f"{kind}, {protocol}: TTL 2", way.asks(ttl=2), PASS, way.finished(ttl=2))


def check_connections():
    """Mode nat: what is dropped is no connection, though it is recorded."""
    for version in VERSIONS:
        for protocol in PROTOCOLS:
            way = start(lab, Kind("nat", version, version), protocol)
            lab.check_drop(f"nat, IPv{version}, {protocol}: TTL 1", way.asks(flags="S", ttl=1),
                           "ttl")
            way = start(lab, Kind("nat", version, version), protocol)
            for _ in range(2):
                way.check(f"nat, IPv{version}, {protocol}", flags="S")
            tap.equal(lab.stats(1)["connections"], 1,
                      f"nat, IPv{version}, {protocol}: one connection, repeated")


def check_no_port():
    """UDP without a source port, which wants no answer (RFC 768), gets one."""
    for version in VERSIONS:
        way = start(lab, Kind("nat", version, version), "udp")
        verdict, out = lab.run(way.asks(sport=0))
        port = int.from_bytes(out[14 + HEADER[version]:][:2], "big")
        tap.ok(verdict == REDIRECT and port >= 1024, f"nat, IPv{version}: no source port",
               f"verdict {verdict}, port {port}")


def check_extensions():
    """Seven extension headers are walked, whatever the eighth is."""
    way = start(lab, Kind("dnat", 6, 6), "udp")
    lab.vip(way.vip)
    for name, eighth in (("an eighth", IPv6ExtHdrDestOpt()),
                         ("a fragment", IPv6ExtHdrFragment(offset=100, m=1))):
        lab.check(f"seven extension headers and {name}: passed up",
                  way.asks(extensions=[IPv6ExtHdrDestOpt()] * 7 + [eighth]), PASS)


def shortened(data, length):
    """The frame with an IP packet that ends after so many bytes, and its checksums right."""
    packet = Ether(data)
    layer = IP if IP in packet else IPv6
    whole = packet_of(data)
    inner = layer(whole[:length])
    if layer is IP:
        inner.len = length
        del inner.chksum
    else:
        inner.plen = length - 40
    return data[:14] + bytes(inner) + whole[length:]


def check_echo():
    for version in VERSIONS:
        lab.reset()
        lab.maps["xlb_vips"].set({"address": mapped(VIPS[version])}, {"services": 1, "echo": 1})
        head = Ether(src=CLIENT_MAC, dst=XLB_MAC)
        head /= (IP if version == 4 else IPv6)(src=CLIENTS[version], dst=VIPS[version])
        whole = bytes(head / (ICMP() if version == 4 else ICMPv6EchoRequest()) / Raw(b"payload"))
        for beyond in (1, 8):
            lab.check(f"IPv{version}: an echo request cut within its header passes",
                      shortened(whole, HEADER[version] + 8 - beyond), PASS)


def check_echo_rules():
    """Nor is it for a rule, where its own IP header has options."""
    lab.reset(rules4=1)
    lab.maps["xlb_vips"].set({"address": mapped(VIPS[4])}, {"services": 1, "echo": 1})
    lab.maps["xlb_acl4"].set({"bits": 32, "service": 0, "address": bytes(4)},
                             {"action": lab.numbers["XLB_DENY"], "length": 0})
    head = Ether(src=CLIENT_MAC, dst=XLB_MAC)
    head /= IP(src=CLIENTS[4], dst=VIPS[4], options=[IPOption_RR()])
    whole = bytes(head / ICMP() / Raw(b"payload"))
    lab.check_drop("an echo request with options is denied", whole, "denied")
    lab.check("one that is cut within its header passes", shortened(whole, (whole[14] & 15) * 4 + 8 - 1), PASS)


def about(kind, protocol, size):
    """A way, and a packet to its backend, quoted in an error of this size."""
    way = start(lab, kind, protocol)
    for _ in range(2):
        lab.run(way.asks())
    quoted = packet_of(frame(**way.translated()))
    whole = error("port unreachable", quoted, way.source, source=way.backend,
                  smac=backend_mac(1), dmac=MACS["right"], size=size)
    goes = error("port unreachable", packet_of(way.asks()), way.client, source=way.vip, ttl=63,
                 smac=MACS["left"], dmac=ROUTER_MAC, size=size)
    return whole, goes


def check_errors():
    """What stands behind an error is neither read nor changed."""
    for kind in (kind for kind in KINDS if kind.mode in TRANSLATED):
        for protocol in PROTOCOLS:
            least = HEADER[kind.version] + (20 if protocol == "tcp" else 8)
            whole, goes = about(kind, protocol, least)
            lab.check(f"{kind}, {protocol}: an error, and a trailer", whole + TRAILER, REDIRECT,
                      goes + TRAILER, "right")
            packet = len(packet_of(whole))
            for beyond in (1, least):
                lab.check(f"{kind}, {protocol}: an error that ends {beyond} bytes early",
                          shortened(whole, packet - beyond), PASS, link="right")


def check_relay():
    """Nor is it of what a tunnel's error quotes."""
    for kind in (kind for kind in KINDS if kind.mode in TUNNELS):
        way = start(lab, kind)
        least = HEADER[kind.version] + 8
        asked = ICMP(type=3, code=4, nexthopmtu=9000) if kind.outer == 4 \
            else ICMPv6PacketTooBig(mtu=9000)
        told = ICMP(type=3, code=4, nexthopmtu=9000 - kind.overhead()) if kind.version == 4 \
            else ICMPv6PacketTooBig(mtu=9000 - kind.overhead())
        outer = packet_of(way.forwarded())
        whole = error(asked, outer, SOURCES[kind.outer], size=kind.overhead() + least,
                      source=backend_address(77, kind.outer), smac=backend_mac(1),
                      dmac=MACS["right"])
        goes = error(told, outer[kind.overhead():], way.client, source=way.vip, size=least,
                     smac=MACS["left"], dmac=ROUTER_MAC)
        if kind.version == 4:
            packet = Ether(goes)
            packet[IP].flags, packet[IP].id = "DF", 0
            del packet[IP].chksum
            goes = bytes(packet)
        lab.check(f"{kind}: an error, and a trailer", whole + TRAILER, REDIRECT, goes + TRAILER,
                  "right")
        lab.check(f"{kind}: an error that ends early",
                  shortened(whole, len(packet_of(whole)) - 1), PASS, link="right")


check_hops()
check_connections()
check_no_port()
check_extensions()
check_echo()
check_echo_rules()
check_errors()
check_relay()
tap.done()
