#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""A packet larger than the MTU of its way: the sender is told, by whom it sent it to."""

from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6
from scapy.layers.l2 import Ether

import tap
from frame import frame
from lab import (CLIENTS, MACS, PASS, REDIRECT, ROUTER_MAC, TX, VERSIONS, VIPS, Lab,
                 backend_address, ip, packed)

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


def most_of(mode, version):
    return MTU - OVERHEAD.get((mode, version), 0)


def check_mode(mode, version):
    name = f"{mode}, IPv{version}: "
    fields = prepare(mode, version)
    most = most_of(mode, version)
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


def no_frames():
    """A VLAN, a bridge, a bond: the kernel sends there."""
    lab.redirects("right", takes=0)


def no_neighbour(version):
    """The kernel asks for one, but not because of a packet that it finds too large."""
    lab.redirects("right", mtu=MTU)
    ip(f"neighbour del {backend_address(1, version)} dev right")


def no_mac(version):
    """As a tunnel's end has none."""
    ip(f"neighbour replace {backend_address(1, version)} lladdr 00:00:00:00:00:00 "
       "nud permanent dev right")


def check_stack(mode, version, way, prepares, *arguments):
    """The kernel is to send it: it would tell an address that nobody has asked from."""
    name = f"{mode}, IPv{version}, {way}: "
    most = most_of(mode, version)
    for length in (most, most + 1):
        fields = prepare(mode, version)
        prepares(*arguments)
        verdict, got = lab.run(sized(fields, version, length))
        if length > most:
            tap.equal((verdict, error(got, version)[2:4] + error(got, version)[-2:]),
                      (TX, (VIPS[version], CLIENTS[version], most, True)),
                      name + "the client is told of one more")
        elif mode != "dr":
            tap.equal(verdict, PASS, name + f"{most} bytes fit")
    if mode in ("dnat", "nat") and version == 4:
        tap.equal(lab.run(sized(fields, 4, most + 1, dont_fragment=False))[0], PASS,
                  name + "the kernel fragments what may be fragmented")


def check_lo():
    """Of the kernel's own, and longer than it is going to be; another has cached the way."""
    for version in VERSIONS:
        for mode in ("dnat", "nat"):
            fields = prepare(mode, version)
            lab.run(sized(fields, version, MTU))
            tap.equal(lab.run(sized(fields, version, MTU + 1), "lo")[0], PASS,
                      f"{mode}, IPv{version}: what comes in by lo is passed up")


def check_stack_reply(version):
    for takes, name in ((0, "takes no frames"), (1, "has no neighbour")):
        lab.reset()
        path = lab.balanced(version)
        lab.redirects("left", takes=takes, mtu=MTU)
        router = backend_address(2, version, "left")
        if takes:
            ip(f"neighbour del {router} dev left")
        verdict, _ = lab.run(sized(path.answered, version, MTU), "right")
        tap.equal(verdict, PASS, f"IPv{version}: a reply by what {name} fits")
        verdict, got = lab.run(sized(path.answered, version, MTU + 1), "right")
        tap.equal((verdict, error(got, version)[2:4] + error(got, version)[-2:]),
                  (TX, (CLIENTS[version], path.answered["source"], MTU, True)),
                  f"IPv{version}: and a backend is told of one more")
        lab.neighbour(router, ROUTER_MAC, "left")


def check_merged():
    """Longer than what it came by takes: the kernel has put it together, and can part it."""
    fields = prepare("dnat", 4)
    tap.equal(lab.run(sized(fields, 4, 1501))[0], PASS, "what GRO merged is passed up")


ip(f"link set right mtu {MTU}")
for version in VERSIONS:
    for mode in MODES:
        check_mode(mode, version)
        check_stack(mode, version, "takes no frames", no_frames)
        check_stack(mode, version, "no neighbour", no_neighbour, version)
        check_stack(mode, version, "no MAC", no_mac, version)
check_lo()
check_merged()
ip("link set right mtu 1500")
ip(f"link set left mtu {MTU}")
for version in VERSIONS:
    check_reply(version)
    check_stack_reply(version)
tap.done()
