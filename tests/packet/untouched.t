#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""What is not for a service passes as it came, byte for byte, and leaves no trace."""

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6ND_NS, IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

import tap
from bpf import SHORTEST_FRAME
from frame import CLIENT_MAC, TAGS, XLB_MAC, frame
from lab import CLIENTS, DROP, PASS, VERSIONS, VIPS, Lab

lab = Lab()
OTHERS = {4: "192.0.2.11", 6: "2001:db8::11"}
PORT_OF_4_WORDS = 0x020b        # a header cut to 4 words ends before the address 192.0.2.11


def strangers():
    """Frames that no service wants, with VIPS[4]:80/tcp and VIPS[6]:80/tcp served."""
    ethernet = Ether(src=CLIENT_MAC, dst=XLB_MAC)
    ip4 = ethernet / IP(src=CLIENTS[4], dst=VIPS[4])
    ip6 = ethernet / IPv6(src=CLIENTS[6], dst=VIPS[6])
    other6 = ethernet / IPv6(src=CLIENTS[6], dst=OTHERS[6])
    served = TCP(dport=80) / Raw(b"payload")
    three = ethernet / Dot1Q(vlan=1) / Dot1Q(vlan=2) / Dot1Q(vlan=3)
    return {
        "ARP": Ether(src=CLIENT_MAC, dst="ff:ff:ff:ff:ff:ff") / ARP(hwsrc=CLIENT_MAC, pdst=VIPS[4]),
        "a neighbour solicitation": ip6 / ICMPv6ND_NS(tgt=VIPS[6]),
        "ICMP": ip4 / ICMP(),
        "ICMPv6": ip6 / ICMPv6EchoRequest(),
        "another port": ip4 / TCP(dport=81),
        "another port over IPv6": ip6 / TCP(dport=81),
        "another address": ethernet / IP(src=CLIENTS[4], dst=OTHERS[4]) / served,
        "another protocol on the port": ip4 / UDP(dport=80),
        "GRE": ethernet / IP(src=CLIENTS[4], dst=VIPS[4], proto=47) / Raw(bytes(40)),
        "an unknown ethertype": Ether(src=CLIENT_MAC, dst=XLB_MAC, type=0x88cc) / Raw(bytes(60)),
        "a length for an ethertype": Ether(src=CLIENT_MAC, dst=XLB_MAC, type=46) / Raw(bytes(46)),
        "three VLAN tags": three / IP(src=CLIENTS[4], dst=VIPS[4]) / served,
        "a later fragment": ethernet / IP(src=CLIENTS[4], dst=OTHERS[4], frag=100) / served,
        "a later fragment over IPv6": other6 / IPv6ExtHdrFragment(offset=100, m=1) / served,
        "IPv4 of another version": ethernet / IP(version=5, dst=OTHERS[4]) / served,
        "IPv6 of another version": ethernet / IPv6(version=4, dst=OTHERS[6]) / served,
        "a header length of 4 words": ethernet / IP(ihl=4, dst=OTHERS[4]) / served,
        "zeroes": Raw(bytes(60)),
    }


def check_strangers():
    lab.reset(needs={f"any_port{version}": 1 for version in VERSIONS})
    paths = [lab.balanced(version, number=version) for version in VERSIONS]
    lab.service(VIPS[4], PORT_OF_4_WORDS, current=4)
    for name, packet in strangers().items():
        lab.check(f"{name} passes", bytes(packet), PASS)
    for path in paths:
        other = path.answered | {"sport": 8081}
        lab.check("a backend's other port passes", frame(**other), PASS, link="right")
    tap.ok(lab.quiet(), "strangers leave no trace in any map")


def check_runts():
    """Cut inside the IP header it is no packet of ours; after that its lengths lie."""
    for version in VERSIONS:
        for protocol in ("tcp", "udp"):
            for tags in TAGS:
                lab.reset()
                path = lab.balanced(version, protocol, "left")
                whole = frame(**path.asked, tags=tags)
                headers = 14 + 4 * len(tags) + (20 if version == 4 else 40)
                runts = [whole[:length] for length in range(SHORTEST_FRAME, len(whole))]
                got = [lab.run(runt) for runt in runts]
                wanted = [(PASS if len(runt) < headers else DROP, runt) for runt in runts]
                tap.equal([len(runts[at]) for at in range(len(runts)) if got[at] != wanted[at]], [],
                          f"{protocol} over IPv{version}, {len(tags)} VLAN tags, cut at every byte")
                tap.equal(lab.drops(),
                          {"bad_length": len(whole) - max(headers, SHORTEST_FRAME)},
                          "and counted if dropped")


def check_version():
    for abi in (0, lab.numbers["ABI"] + 1, 0xffffffff):
        lab.reset(abi=abi)
        for version in VERSIONS:
            path = lab.balanced(version, number=version)
            lab.check(f"ABI {abi}: a service's packet passes", frame(**path.asked), PASS)
            lab.check(f"ABI {abi}: a reply passes", frame(**path.answered), PASS, link="right")
        tap.ok(lab.quiet(), f"ABI {abi}: nothing is written")


check_strangers()
check_runts()
check_version()
tap.done()
