#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""Echo requests to a VIP: answered in place where its service wants it, else passed."""

from scapy.layers.inet import ICMP, IP, IPOption_RR
from scapy.layers.inet6 import (ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6ND_NS, IPv6,
                                IPv6ExtHdrDestOpt, IPv6ExtHdrFragment)
from scapy.layers.l2 import Ether
from scapy.packet import Raw

import tap
from frame import CLIENT_MAC, TAGS, XLB_MAC
from lab import CLIENTS, PASS, REDIRECT, TX, VERSIONS, VIPS, Lab, mapped

lab = Lab()
REQUESTS = {4: ICMP(type=8, id=77, seq=5), 6: ICMPv6EchoRequest(id=77, seq=5)}
REPLIES = {4: ICMP(type=0, id=77, seq=5), 6: ICMPv6EchoReply(id=77, seq=5)}
LINK = "left"


def message(version, packet, source, destination, smac, dmac, *, payload=b"ping", tags=(), ttl=64,
            extensions=(), **header):
    head = Ether(src=smac, dst=dmac)
    for tag in tags:
        head /= tag.copy()
    if version == 4:
        head /= IP(src=source, dst=destination, ttl=ttl, id=3, **header)
    else:
        head /= IPv6(src=source, dst=destination, hlim=ttl, **header)
        for extension in extensions:
            head /= extension.copy()
    return bytes(head / packet.copy() / Raw(payload))


def asks(version, packet=None, *, source=None, destination=None, smac=CLIENT_MAC, dmac=XLB_MAC,
         **fields):
    return message(version, packet or REQUESTS[version], source or CLIENTS[version],
                   destination or VIPS[version], smac, dmac, **fields)


def answers(version, **fields):
    return message(version, REPLIES[version], VIPS[version], CLIENTS[version], XLB_MAC,
                   CLIENT_MAC, **fields | {"ttl": 64})


def start(echo=1):
    lab.reset()
    for version in VERSIONS:
        lab.maps["xlb_vips"].set({"address": mapped(VIPS[version])},
                                 {"services": 2, "echo": echo})


def check_answers():
    start()
    for version in VERSIONS:
        for size in (0, 1, 55, 56, 1400):
            fields = {"payload": bytes(range(1, 201)) * 7 if size == 1400 else b"x" * size}
            lab.check(f"IPv{version}: {size} bytes come back", asks(version, **fields), TX,
                      answers(version, **fields))
        for ttl in (1, 2, 63, 255):
            lab.check(f"IPv{version}: with a TTL of its own, not {ttl}", asks(version, ttl=ttl), TX,
                      answers(version))
        for tags in TAGS[1:]:
            lab.check(f"IPv{version}: with {len(tags)} VLAN tags", asks(version, tags=tags), TX,
                      answers(version, tags=tags))
        traffic = {"tos": 0xb8} if version == 4 else {"tc": 0xb8}
        lab.check(f"IPv{version}: in the same class of traffic", asks(version, **traffic), TX,
                  answers(version, **traffic))
    for number in range(0, 65536, 4369):
        asked, answered = (asks(4, ICMP(type=8, id=number, seq=0xffff - number), payload=b""),
                           message(4, ICMP(type=0, id=number, seq=0xffff - number), VIPS[4],
                                   CLIENTS[4], XLB_MAC, CLIENT_MAC, payload=b""))
        lab.check(f"id {number}: every carry of the checksum", asked, TX, answered)
    lab.redirects(LINK, veth=1)
    lab.check("a veth takes it by redirection", asks(4), REDIRECT, answers(4))
    tap.equal(lab.drops(), {}, "nothing is counted as dropped")


def check_passes():
    start(echo=0)
    for version in VERSIONS:
        lab.check(f"IPv{version}: no service of the VIP answers", asks(version), PASS)
    start()
    other = {4: "192.0.2.11", 6: "2001:db8::11"}
    for version in VERSIONS:
        lab.check(f"IPv{version}: another address", asks(version, destination=other[version]), PASS)
        lab.check(f"IPv{version}: a reply", asks(version, REPLIES[version]), PASS)
        lab.check(f"IPv{version}: to all hosts of a segment", asks(version, dmac="ff:" * 5 + "ff"),
                  PASS)
        lab.check(f"IPv{version}: from the machine itself", asks(version), PASS, link="lo")
    lab.check("IPv4 options", asks(4, options=[IPOption_RR(routers=["0.0.0.0"])]), PASS)
    lab.check("extension headers", asks(6, extensions=[IPv6ExtHdrDestOpt()]), PASS)
    lab.check("a first fragment", asks(4, flags="MF"), PASS)
    lab.check("a later fragment", asks(4, frag=10), PASS)
    lab.check("a fragment over IPv6", asks(6, extensions=[IPv6ExtHdrFragment(m=1, id=4)]), PASS)
    lab.check("a neighbour solicitation",
              asks(6, ICMPv6ND_NS(tgt=VIPS[6]), ttl=255, payload=b""), PASS)
    for version in VERSIONS:
        whole = asks(version, payload=b"")
        for length in range(14, len(whole)):
            got = lab.run(whole[:length])
            if got[0] == TX:
                tap.ok(False, f"IPv{version}: cut to {length} bytes is not answered")
                break
        else:
            tap.ok(True, f"IPv{version}: cut at any byte is not answered")
    lab.maps["xlb_config"].set(0, {})
    lab.check("nothing is configured", asks(4), PASS)


def check_faults():
    start()
    odd = {4: ("127.0.0.1", "224.0.0.1", "255.255.255.255", "0.0.0.0"), 6: ("::1", "ff02::1", "::")}
    for version in VERSIONS:
        for source in odd[version]:
            lab.check_drop(f"from {source}", asks(version, source=source), "bad_source")
        lab.check_drop(f"IPv{version}: from the VIP itself", asks(version, source=VIPS[version]),
                       "land")
        lab.check_drop(f"IPv{version}: shorter than it says", asks(version)[:-1], "bad_length")


check_answers()
check_passes()
check_faults()
tap.done()
