#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""What a client or a backend that means no good can do, and what it cannot: the claims of
README.md's section on security that no other packet test is about."""

import itertools
import random

import tap
from frame import frame
from lab import PASS, TCP, TX, UDP, VERSIONS, VIPS, Lab, backend_mac
from modes import CONFIG, KINDS, TRANSLATED, Way, start
from nat import ESTABLISHED, both, nat, stranger

lab = Lab()
FLAGS = ("S", "A", "FA", "R", "SA", "", "FSRPAUEC")
FORGED_MAC = "02:00:00:00:66:66"
FLOOD = 3000
LEARNED = ("xlb_nexthops", "xlb_routes")
RECORDS = ("xlb_flows4", "xlb_flows6", "xlb_embryos4", "xlb_embryos6", "xlb_fragments")


def held(*names):
    """All bytes of these maps."""
    return {name: {bytes(key): lab.maps[name].raw(bytes(key))
                   for key in list(lab.maps[name].keys())} for name in names}


def learned():
    """Which MAC is used for whom, without when that was looked up."""
    return {name: [(key, {field: value for field, value in entry.items() if field != "stamp"})
                   for key, entry in lab.maps[name].items()] for name in LEARNED}


def check_macs():
    """Where frames go is the kernel's to say: no packet tells."""
    for kind in KINDS:
        way = start(lab, kind)
        way.check_both(f"{kind}: a way is known", flags="A")
        before = learned()
        lab.run(way.asks(smac=FORGED_MAC))
        if kind.mode in TRANSLATED:
            lab.run(way.answers(smac=FORGED_MAC), "right")
        tap.equal(learned(), before, f"{kind}: a forged source MAC teaches nothing")
        way.check_both(f"{kind}: and nobody is sent elsewhere", flags="A")


def check_syn_flood():
    """SYNs of random sources leave nothing where nothing changes."""
    for kind in KINDS:
        if kind.mode == "nat":
            continue
        way = start(lab, kind)
        way.check(f"{kind}: a flow", flags="A")
        before = held(*RECORDS)
        for number in range(FLOOD // len(KINDS)):
            way.lab.run(frame(**way.asked | {
                "source": forged(kind.version, number), "flags": "S",
                "sport": 1 + number * 21 % 65535}))
        tap.equal(held(*RECORDS), before, f"{kind}: a flood of SYNs leaves no record")
        way.check(f"{kind}: the flow goes on", flags="A")


def forged(version, number):
    return (f"198.51.{number >> 8 & 255}.{1 + number % 250}" if version == 4
            else f"2001:db8:{number + 1:x}::7")


def check_flood_of_nat():
    """In mode nat each new flow has two records: embryonic, and apart from the others."""
    for version in VERSIONS:
        way = nat(lab, version)
        for flags in ("S", "A"):
            lab.run(way.asks(flags=flags))
        lab.run(way.answers(), "right")
        tap.equal(both(way), (ESTABLISHED, ESTABLISHED), f"nat, IPv{version}: an established flow")
        name = f"xlb_flows{version}"
        before = set(held(name)[name])
        for number in range(FLOOD):
            lab.run(frame(**way.asked | {"source": forged(version, number), "flags": "S"}))
        tap.equal(set(held(name)[name]), before,
                  f"nat, IPv{version}: {FLOOD} SYNs get no place among established flows")
        way.check_both(f"nat, IPv{version}: which goes on")


def check_backend_records():
    """What a backend sends makes no record, and touches none that is not of its own flow."""
    randomly = random.Random(1)
    for kind in KINDS:
        if kind.mode not in TRANSLATED:
            continue
        for protocol in (TCP, UDP):
            way = start(lab, kind, protocol)
            for flags in ("S", "A"):
                lab.run(way.asks(flags=flags))
            evil = lab.backend(2, kind.outer)
            lab.replies(evil, 8080, VIPS[kind.version], 80, 2, protocol,
                        by_flow=int(kind.mode == "nat"))
            before = held(*RECORDS)
            for flags, sport, dport in itertools.product(FLAGS, (8080, 80, 1), (40000, 80, 7)):
                lab.run(frame(**way.answered | {"source": evil, "smac": backend_mac(2),
                                                "sport": sport, "dport": dport, "flags": flags}),
                        "right")
                lab.run(frame(**way.answered | {
                    "source": evil, "smac": backend_mac(2), "sport": sport, "flags": flags,
                    "dport": randomly.randrange(1, 65536),
                    "destination": stranger(way, randomly.randrange(1, 9))}), "right")
            tap.equal(held(*RECORDS), before,
                      f"{kind}, {protocol}: another backend's packets leave all records alone")
            way.check(f"{kind}, {protocol}: and the flow of the first", flags="A")


def check_backend_voice():
    """For whom a backend can speak through xlb: the VIP of its own service, and its port."""
    for version in VERSIONS:
        lab.reset(**CONFIG)
        mine = lab.balanced(version, number=1)
        other = VIPS[version][:-1] + "1"
        lab.service(other, 443, current=2)
        lab.replies(lab.backend(2, version), 8443, other, 443, 2)
        spoken = set()
        for port in (80, 443, 8080, 8443, 40000):
            for protocol in (TCP, UDP):
                verdict, out = lab.run(frame(**mine.answered | {"sport": port,
                                                                "protocol": protocol}), "right")
                if (verdict, out) != (PASS, frame(**mine.answered | {"sport": port,
                                                                     "protocol": protocol})):
                    spoken.add((port, protocol))
        tap.equal(spoken, {(8080, TCP)}, f"IPv{version}: from its own port alone")
        lab.check(f"IPv{version}: as its service, to whomever: also who never asked",
                  frame(**mine.answered | {"dport": 7}), mine.sent(),
                  frame(**mine.restored | {"dport": 7}), link="right")
        lab.check(f"IPv{version}: nor does xlb know which interface a backend is at",
                  frame(**mine.answered), TX, frame(**mine.restored))
        way = nat(lab, version)
        lab.check_drop(f"nat, IPv{version}: to nobody who never asked", way.answers(dport=7),
                       "no_port", link="right")


check_macs()
check_syn_flood()
check_flood_of_nat()
check_backend_records()
check_backend_voice()
tap.done()
