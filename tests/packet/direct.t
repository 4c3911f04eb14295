#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""Direct return and tunnels: what becomes of a frame, byte for byte, by Scapy's reckoning."""

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw

import tap
from frame import frame
from lab import (CLIENTS, MACS, PASS, REDIRECT, TX, VERSIONS, VIPS, Lab,
                 backend_address, backend_mac, ip, packed)

lab = Lab()
SOURCES = {4: "10.0.0.254", 6: "2001:db8:2::254"}
GUE = bytes([0, 4, 0, 0]), bytes([0, 41, 0, 0])
TUNNELS = ("ipip", "gue")


def prepare(mode, version, family=None, link="right", **service):
    """A service of this mode with one backend; what its client's packets are."""
    lab.reset(tunnel4=packed(SOURCES[4]), tunnel6=packed(SOURCES[6]), gue_port=6080)
    lab.backend(1, family or version, link, port=80)
    lab.service(VIPS[version], 80, current=1, mode=mode, **service)
    return {"source": CLIENTS[version], "destination": VIPS[version], "sport": 40000,
            "dport": 80, "protocol": "tcp"}


def tos(version, value):
    return {"header": {"tos": value} if version == 4 else {"tc": value}}


def outer(mode, version, family, inner, traffic, port=0, tags=()):
    """The frame that is to leave: `inner` is an IP packet."""
    front = Ether(src=MACS["left" if tags else "right"], dst=backend_mac(1))
    for tag in tags:
        front /= tag.copy()
    kind = 41 if version == 6 else 4
    size = len(inner) + (12 if mode == "gue" else 0)
    protocol = 17 if mode == "gue" else kind
    if family == 4:
        header = IP(src=SOURCES[4], dst=backend_address(1, 4, "left" if tags else "right"), ttl=64,
                    tos=traffic, id=0, flags="DF", proto=protocol, len=20 + size)
    else:
        header = IPv6(src=SOURCES[6], dst=backend_address(1, 6, "left" if tags else "right"),
                      hlim=64, tc=traffic, nh=protocol, plen=size)
    if mode == "ipip":
        return bytes(front / header / Raw(inner))
    gue = UDP(sport=port, dport=6080, len=8 + 4 + len(inner), chksum=0)
    return bytes(front / header / gue / Raw(GUE[version == 6] + inner))


def without_label(data, family):
    """The frame with no flow label in its outer IPv6 header."""
    return data[:15] + bytes([data[15] & 0xf0, 0, 0]) + data[18:] if family == 6 else data


def check_tunnel(mode, version, family):
    name = f"{mode}, IPv{version} in IPv{family}"
    fields = prepare(mode, version, family)
    for traffic in (0, 0xb8, 0x03):             # plain, DSCP EF, ECN CE
        data = frame(**fields, **tos(version, traffic))
        verdict, got = lab.run(data)
        inner = frame(**fields, ttl=63, **tos(version, traffic))[14:]
        port = int.from_bytes(got[14 + (20 if family == 4 else 40):][:2], "big")
        wanted = outer(mode, version, family, inner, traffic, port)
        tap.equal((verdict, without_label(got, family).hex()),
                  (REDIRECT, without_label(wanted, family).hex()), f"{name}, TOS {traffic:#x}")
    if mode == "gue":
        ports = set()
        for sport in range(1000, 1064):
            got = lab.run(frame(**fields | {"sport": sport}))[1]
            ports.add(int.from_bytes(got[14 + (20 if family == 4 else 40):][:2], "big"))
        tap.ok(len(ports) > 48 and min(ports) >= 0xc000, f"{name}: flows have ports of their own",
               len(ports))
    tap.equal(lab.drops(), {}, f"{name}: no drops")

    lab.check_drop(f"{name}: TTL 1", frame(**fields, ttl=1), "ttl")
    lab.reset()
    lab.backend(1, family, port=80)
    lab.service(VIPS[version], 80, current=1, mode=mode)
    lab.check_drop(f"{name}: no source", frame(**fields), "no_source")


def check_tags(mode, version):
    fields = prepare(mode, version, link="left")
    for tags in ([Dot1Q(vlan=5)], [Dot1Q(vlan=5), Dot1Q(vlan=6)]):
        verdict, got = lab.run(frame(**fields, tags=tags))
        inner = frame(**fields, ttl=63)[14:]
        at = 14 + 4 * len(tags)
        port = int.from_bytes(got[at + (20 if version == 4 else 40):][:2], "big")
        wanted = outer(mode, version, version, inner, 0, port, tags)
        if version == 6:
            got = got[:at + 1] + bytes([got[at + 1] & 0xf0, 0, 0]) + got[at + 4:]
        tap.equal((verdict, got.hex()), (TX, wanted.hex()),
                  f"{mode}, IPv{version}, {len(tags)} tags are kept")


def check_direct(version):
    name = f"dr, IPv{version}"
    for link, verdict in (("left", TX), ("right", REDIRECT)):
        fields = prepare("dr", version, link=link)
        lab.check(f"{name}, {verdict}: only MAC addresses change", frame(**fields), verdict,
                  frame(**fields, smac=MACS[link], dmac=backend_mac(1)))
    lab.check_drop(f"{name}: TTL 1", frame(**fields, ttl=1), "ttl")

    address = backend_address(1, version)
    ip(f"neighbour del {address} dev right")
    for content in ("xlb_nexthops", "xlb_stats"):
        lab.maps[content].clear()
    verdict, got = lab.run(frame(**fields))
    packet = Ether(got)[1]
    right = Ether(frame(**fields | {"destination": address}))["TCP"].chksum
    tap.equal((verdict, packet.dst, lab.drops()), (PASS, address, {"ttl": 1, "no_neighbour": 1}),
              f"{name}: without a neighbour the kernel gets a packet to the backend")
    tap.ok(packet["TCP"].chksum != right, f"{name}: which the backend will not read")
    tap.equal(lab.stats(1)["in_packets"], 0, f"{name}: and is not counted to have got")

    lab.reset()
    via = "198.51.100.2" if version == 4 else "2001:db8:1::2"
    far = "10.9.9.9" if version == 4 else "2001:db8:99::9"
    ip(f"route add {far} via {via}")
    lab.target(1, far, 80)
    lab.service(VIPS[version], 80, current=1, mode="dr")
    lab.check_drop(f"{name}: a backend behind a router", frame(**fields), "off_link")
    ip(f"route del {far} via {via}")
    lab.target(1, "198.51.100.254" if version == 4 else "2001:db8:1::254", 80)
    lab.maps["xlb_nexthops"].clear()
    lab.check(f"{name}: a backend on the balancer gets it untouched", frame(**fields), PASS)


for version in VERSIONS:
    check_direct(version)
    for mode in TUNNELS:
        for family in VERSIONS:
            check_tunnel(mode, version, family)
        check_tags(mode, version)
tap.done()
