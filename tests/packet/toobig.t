#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""A packet larger than the MTU of its way: the sender is told, by whom it sent it to."""

from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6
from scapy.layers.l2 import Ether

import tap
from frame import frame
from lab import (CLIENTS, MACS, PASS, REDIRECT, TX, VERSIONS, VIPS, Lab, ip, packed)

lab = Lab()
MODES = ("dnat", "nat", "dr", "ipip", "gue")
OVERHEAD = {("ipip", 4): 20, ("ipip", 6): 40, ("gue", 4): 32, ("gue", 6): 52}
MTU = 1400
ERRORS_MAX = 1000               # XLB_ERRORS_MAX
HEADERS = {4: 40, 6: 60}        # IP and TCP


def prepare(mode, version):
    lab.reset(tunnel4=packed("10.0.0.254"), tunnel6=packed("2001:db8:2::254"), gue_port=6080,
              nat4=[packed("10.0.0.254")] + [bytes(4)] * 7, nat4_count=1,
              nat6=[packed("2001:db8:2::254")] + [bytes(16)] * 7, nat6_count=1)
    lab.backend(1, version, port=80)
    lab.service(VIPS[version], 80, current=1, mode=mode)
    return {"source": CLIENTS[version], "destination": VIPS[version], "sport": 40000,
            "dport": 80, "protocol": "tcp"}


def sized(fields, version, length, dont_fragment=True):
    more = {"header": {"flags": "DF"}} if version == 4 and dont_fragment else {}
    return frame(**fields, payload=bytes(length - HEADERS[version]), **more)


def error(data, version):
    """What an ICMP error says, and whether Scapy finds its sums right."""
    packet = Ether(data)
    copy = packet.copy()
    if version == 4:
        del copy[IP].chksum, copy[ICMP].chksum
        told = (packet[ICMP].type, packet[ICMP].code, packet[ICMP].nexthopmtu)
    else:
        del copy[ICMPv6PacketTooBig].cksum
        told = (packet[ICMPv6PacketTooBig].type, packet[ICMPv6PacketTooBig].code,
                packet[ICMPv6PacketTooBig].mtu)
    layer = IP if version == 4 else IPv6
    return (packet.src, packet.dst, packet[layer].src, packet[layer].dst, *told,
            bytes(copy) == data)


def quote(data, version):
    return data[14 + (28 if version == 4 else 48):]


def check_mode(mode, version):
    name = f"{mode}, IPv{version}: "
    fields = prepare(mode, version)
    most = MTU - OVERHEAD.get((mode, version), 0)
    kind = (3, 4) if version == 4 else (2, 0)
    tap.equal(lab.run(sized(fields, version, most))[0], REDIRECT, name + f"{most} bytes fit")
    data = sized(fields, version, most + 1)
    verdict, got = lab.run(data)
    tap.equal((verdict, error(got, version)),
              (TX, (MACS["left"], Ether(data).src, VIPS[version], CLIENTS[version], *kind, most,
                    True)), name + "one more and the client is told")
    tap.equal(quote(got, version).hex(), data[14:14 + 512].hex(), name + "about that packet")
    tap.equal(lab.drops(), {"too_big": 1}, name + "and it is counted")
    lab.maps["xlb_budget"].set(0, {"errors": ERRORS_MAX, "errors_since": lab.jiffies() & 0xffffffff})
    lab.check_drop(name + "but not more often than is good", data, "too_big")
    if version == 6:
        return
    lab.maps["xlb_budget"].clear()
    free = sized(fields, version, most + 1, dont_fragment=False)
    if mode in ("dnat", "nat"):
        tap.equal(lab.run(free)[0], PASS, name + "the kernel fragments what may be fragmented")
    else:
        lab.check_drop(name + "what may be fragmented is dropped", free, "too_big")


def check_reply(version):
    """The way to the client is the narrow one."""
    lab.reset()
    path = lab.balanced(version)
    data = sized(path.answered, version, MTU + 1)
    verdict, got = lab.run(data, "right")
    tap.equal((verdict, error(got, version)[2:4] + error(got, version)[-2:]),
              (TX, (CLIENTS[version], path.answered["source"], MTU, True)),
              f"IPv{version}: a backend is told of its reply")


def check_merged():
    """Longer than what it came by takes: the kernel has put it together, and can part it."""
    fields = prepare("dnat", 4)
    tap.equal(lab.run(sized(fields, 4, 1501))[0], PASS, "what GRO merged is passed up")


ip(f"link set right mtu {MTU}")
for version in VERSIONS:
    for mode in MODES:
        check_mode(mode, version)
check_merged()
ip("link set right mtu 1500")
ip(f"link set left mtu {MTU}")
for version in VERSIONS:
    check_reply(version)
tap.done()
