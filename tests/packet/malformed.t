#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""Packets that should not be: each is dropped under its reason if for a service, and never sent."""

import random

from scapy.layers.inet import IPOption_NOP
from scapy.layers.inet6 import IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop

import tap
from bpf import SHORTEST_FRAME
from frame import TAGS, fragments, network
from lab import DROP, PASS, REDIRECT, TX, VERDICTS, VERSIONS, Lab, backend_mac
from modes import ANY, CONFIG, IP_HEADER, KINDS, TRANSLATED, Kind, Way, start

lab = Lab()
PROTOCOLS = ("tcp", "udp")
TRANSPORT = {"tcp": 20, "udp": 8}
LENGTH_AT = {4: 2, 6: 4}        # in the IP header
OTHERS = {4: "192.0.2.11", 6: "2001:db8::11"}
ODD = {4: ("0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.254", "224.0.0.1", "239.1.2.3",
           "240.0.0.1", "255.255.255.255"),
       6: ("::", "::1", "ff02::1", "ff0e::1:2")}
EVEN = {4: ("1.0.0.1", "126.255.255.255", "128.0.0.1", "223.255.255.254"),
        6: ("::2", "1::", "fe00::1", "2002::1")}
MUTATIONS = 1000


def put(data, at, value):
    """The frame with other bytes in one place."""
    return data[:at] + value + data[at + len(value):]


def broken(version, protocol, data):
    """Name -> (frame, reason): what can be wrong with the lengths and headers of a frame."""
    ip, wrong = network(data), {}
    length_at, transport = ip + LENGTH_AT[version], ip + IP_HEADER[version]
    counted = IP_HEADER[4] if version == 4 else 0       # by IP's length, before the transport
    whole = int.from_bytes(data[length_at:length_at + 2], "big")
    for value in (0, 1, counted, counted + TRANSPORT[protocol] - 1, whole + 1, 0xffff):
        wrong[f"an IP length of {value}"] = (put(data, length_at, value.to_bytes(2, "big")),
                                            "bad_length")
    for nibble in (0, 10 - version, 15):
        first = bytes([nibble << 4 | data[ip] & 15])
        wrong[f"a version of {nibble}"] = put(data, ip, first), "bad_header"
    if version == 4:
        for words in range(5):
            wrong[f"an IP header of {words} words"] = (put(data, ip, bytes([0x40 | words])),
                                                      "bad_header")
        wrong["an IP header of 15 words"] = put(data, ip, b"\x4f"), "bad_length"
    if protocol == "tcp":
        for words in (0, 1, 4, 15):
            wrong[f"a TCP header of {words} words"] = (
                put(data, transport + 12, bytes([words << 4])), "bad_length")
    else:
        for value in (0, 7, whole - counted + 1, 0xffff):
            wrong[f"a UDP length of {value}"] = (
                put(data, transport + 4, value.to_bytes(2, "big")), "bad_length")
    return wrong


def check_lengths():
    for kind in KINDS:
        for protocol in PROTOCOLS:
            for tags in TAGS[::2]:
                way = start(lab, kind, protocol, "left")
                name = f"{kind}, {protocol}, {len(tags)} tags: "
                for what, (data, reason) in broken(kind.version, protocol,
                                                   way.asks(tags=tags)).items():
                    lab.check_drop(name + what, data, reason)
                way.check(name + "what is right", tags=tags)


def check_replies():
    """Of a backend's packets only the lengths matter: the version says whose they are."""
    for kind in (kind for kind in KINDS if kind.mode in TRANSLATED):
        for protocol in PROTOCOLS:
            way = start(lab, kind, protocol)
            way.reached()
            name = f"{kind}, {protocol}, reply: "
            for what, (data, reason) in broken(kind.version, protocol, way.answers()).items():
                if reason == "bad_length" and "IP header" not in what:
                    lab.check_drop(name + what, data, reason, "right")
                else:
                    tap.ok(lab.run(data, "right")[0] in (PASS, DROP), name + what)
            way.check_both(name + "what is right")


def check_strangers():
    """It is not our affair how the packets of others look."""
    for version in VERSIONS:
        for protocol in PROTOCOLS:
            way = start(lab, Kind("dnat", version, version), protocol)
            asked = way.asks(destination=OTHERS[version])
            for name, (data, _) in broken(version, protocol, asked).items():
                lab.check(f"{protocol} over IPv{version}, not for a service: {name}", data, PASS)
            for source in ODD[version]:
                lab.check(f"{protocol} over IPv{version}, not for a service: from {source}",
                          way.asks(source=source, destination=OTHERS[version]), PASS)
            tap.ok(lab.quiet(), f"{protocol} over IPv{version}: which leaves no trace")


def check_addresses():
    for kind in KINDS:
        for fields in ({}, {"tags": TAGS[1]}, {"ttl": 1}):
            way = start(lab, kind, link="left")
            for source in ODD[kind.version]:
                lab.check_drop(f"{kind}: from {source}, {fields or 'plain'}",
                               way.asks(source=source, **fields), "bad_source")
            lab.check_drop(f"{kind}: from the VIP itself, {fields or 'plain'}",
                           way.asks(source=way.vip, **fields), "land")
        for source in EVEN[kind.version]:
            way = start(lab, kind).of(source)
            way.check(f"{kind}: from {source}")


def check_destinations():
    """A service on any address does not have these."""
    for kind in KINDS:
        version = kind.version
        lab.reset(**CONFIG | {"needs": {f"any_address{version}": 1}})
        way = Way(lab, kind, vip=ANY[version])
        for destination in ODD[version]:
            lab.check_drop(f"{kind}: to {destination}", way.asks(destination=destination),
                           "bad_destination")
        reached = [lab.run(way.asks(destination=each))[1][:6].hex(":") for each in EVEN[version]]
        tap.equal(reached, [backend_mac(1)] * len(reached), f"{kind}: but all others")


def check_loopback():
    """What comes in by lo may be from and to any address."""
    for kind in (kind for kind in KINDS if kind.mode in TRANSLATED):
        way = start(lab, kind).of({4: "127.0.0.1", 6: "::1"}[kind.version])
        lab.check(f"{kind}: on lo, from it", way.asks(), PASS, way.finished(), link="lo")
        tap.equal(lab.drops(), {}, f"{kind}: which is in order there")


def cut(way, data):
    """Its beginnings, from the shortest frame on; none may be sent or changed.  Those
    that still show for which VIP they are count as `bad_length`."""
    lab.maps["xlb_drops"].clear()
    runts = [data[:length] for length in range(SHORTEST_FRAME, len(data))]
    shown = network(data) + IP_HEADER[way.kind.version]
    wanted = [(PASS if len(runt) < shown else DROP, runt) for runt in runts]
    got = [lab.run(runt) for runt in runts]
    return ([len(runt) for runt, *both in zip(runts, got, wanted) if both[0] != both[1]],
            lab.drops() == {"bad_length": len(data) - shown})


def check_runts():
    """Cut at every byte."""
    for kind in KINDS:
        sorts = {"plain": {}, "one tag": {"tags": TAGS[1]}, "two tags": {"tags": TAGS[2]}}
        if kind.version == 4:
            sorts["options"] = {"options": [IPOption_NOP()] * 12}
        else:
            sorts["extension headers"] = {"extensions": [IPv6ExtHdrHopByHop(), IPv6ExtHdrDestOpt()]}
            sorts["an atomic fragment"] = {"fragment": {"id": 9}}
        for protocol in PROTOCOLS:
            for name, fields in sorts.items():
                way = start(lab, kind, protocol, "left")
                tap.equal(cut(way, way.asks(**fields)), ([], True),
                          f"{kind}, {protocol}, {name}: cut at every byte")
            way = start(lab, kind, protocol, "left")
            first, later = fragments(way.asks(payload=bytes(90)), 64, 5)
            tap.equal(cut(way, first), ([], True), f"{kind}, {protocol}: a first fragment")
            lab.run(first)
            tap.equal(cut(way, later), ([], True), f"{kind}, {protocol}: a later fragment")


def check_mutations():
    """Any byte may be anything: a drop has one reason, and what is sent is no longer than
    its headers make it."""
    random.seed(3)
    for kind in KINDS:
        way = start(lab, kind, random.choice(PROTOCOLS), "left")
        wrong = []
        sound = [way.asks(), way.asks(tags=TAGS[1]), way.asks(options=[IPOption_NOP()] * 4)
                 if kind.version == 4 else way.asks(extensions=[IPv6ExtHdrHopByHop()]),
                 *fragments(way.asks(payload=bytes(90)), 64, 5)]
        for _ in range(MUTATIONS):
            data = bytearray(random.choice(sound))
            for _ in range(random.choice((1, 1, 1, 2, 4))):
                data[random.randrange(12, len(data))] = random.choice((0, 1, 0x7f, 0x80, 0xff,
                                                                       random.randrange(256)))
            lab.maps["xlb_drops"].clear()
            verdict, out = lab.run(bytes(data))
            dropped = sum(lab.drops().values())
            fine = verdict in (PASS, TX, REDIRECT) and not dropped
            if verdict == DROP:
                fine = dropped == 1 and out == data
            if verdict in (TX, REDIRECT):
                fine = fine and len(out) == len(data) + kind.overhead()
            if not fine:
                wrong.append((VERDICTS[verdict], lab.drops(), bytes(data).hex()))
        tap.equal(wrong[:3], [], f"{kind}: {MUTATIONS} mutations")


check_lengths()
check_replies()
check_strangers()
check_addresses()
check_destinations()
check_loopback()
check_runts()
check_mutations()
tap.done()
