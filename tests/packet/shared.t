#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""Services that share a backend's address and port: records tell whose a reply is."""

import tap
from lab import PASS, VERSIONS, VIPS, Lab, packed
from modes import ANY, CONFIG, Kind, Way
from nat import OWN_PORT, found, send

lab = Lab()
PROTOCOLS = ("tcp", "udp")
REUSED = 3.5                    # seconds of silence after which a port may be used again
OTHER_PORT = 40001


def pair(version, protocol, *modes):
    """Two services of these modes, with backends 1 and 2 that are one and the same; what
    the tools say of its replies: that records decide, else the oldest of mode dnat."""
    lab.reset(**CONFIG)
    vips = VIPS[version], VIPS[version][:-1] + "1"
    ways = [Way(lab, Kind(mode, version, version), protocol, vip=vip, number=number)
            for number, (mode, vip) in enumerate(zip(modes, vips), 1)]
    dnat = modes.index("dnat") if "dnat" in modes else None
    lab.replies(ways[0].backend, ways[0].port, ANY[version] if dnat is None else vips[dnat],
                0 if dnat is None else 80, 0 if dnat is None else dnat + 1, protocol, by_flow=0)
    reply = lab.by_family("xlb_replies", vips[0])
    key = lab.endpoint(ways[0].backend, ways[0].port, protocol)
    reply.set(key, reply.get(key) | {"by_flow": 1})
    for number in (1, 2):
        lab.by_flow(number)
    return ways


def with_port(way, sport):
    """The same from another port of the client."""
    way = way.of(way.client)
    way.asked = way.asked | {"sport": sport}
    way.answered = way.answered | {"dport": sport}
    return way


def check_each(name, ways):
    """Each service's flow, both ways, in turn."""
    for flags in ("S", "A"):
        for number, way in enumerate(ways, 1):
            way.check(name + f"service {number}, {flags}", flags=flags)
    for number, way in enumerate(ways, 1):
        way.check_both(name + f"service {number}")


def check_dnat():
    for version in VERSIONS:
        for protocol in PROTOCOLS:
            name = f"dnat twice, {protocol} over IPv{version}: "
            first, second = pair(version, protocol, "dnat", "dnat")
            check_each(name, (first, with_port(second, OTHER_PORT)))
            counted = [(lab.stats(number)["in_packets"], lab.stats(number)["out_packets"])
                       for number in (1, 2)]
            tap.equal(counted, [(3, 1), (3, 1)], name + "each counts its own")

            lab.check_drop(name + "the client's port is in use there", second.asks(),
                           "record_conflict")
            way = with_port(second, OTHER_PORT)
            fresh = first.answered | {"dport": 50000}
            lab.check(name + "a reply of no recorded flow is of the oldest",
                      first.answers(dport=50000), first.sent(), first.restored(dport=50000),
                      link="right")
            tap.equal(lab.records(fresh), (None, None), name + "which records nothing")

            lab.record(first.answered, 1, direction="reply", age=REUSED, port=80,
                       address=packed(first.vip))
            second.check_both(name + "in silence the port comes free")
            held = found(second, second.answered)
            tap.equal((held["backend"], held["address"].rstrip(b"\0")), (2, packed(second.vip)),
                      name + "and has the other's record")
            for place in ("xlb_flows", "xlb_embryos"):
                lab.by_family(place, way.vip).clear()
            way.check_both(name + "a lost record is back with the next packet")


def check_nat():
    for version in VERSIONS:
        for protocol in PROTOCOLS:
            name = f"nat twice, {protocol} over IPv{version}: "
            first, second = pair(version, protocol, "nat", "nat")
            check_each(name, (first, with_port(second, OTHER_PORT)))
            port = send(second, flags="S")
            tap.ok(port not in (0, OWN_PORT, OTHER_PORT), name + "a port in use becomes another",
                   port)
            lab.check(name + "its reply", second.answers(dport=port), second.sent(),
                      second.restored(), link="right")
            first.check_both(name + "the first still has its own")
            lab.check(name + "a reply of no recorded flow", first.answers(dport=50000), PASS,
                      link="right")


def check_both_modes():
    for version in VERSIONS:
        for protocol in PROTOCOLS:
            for modes in (("dnat", "nat"), ("nat", "dnat")):
                name = f"{modes[0]} and {modes[1]}, {protocol} over IPv{version}: "
                ways = pair(version, protocol, *modes)
                check_each(name, ways)
                dnat = ways[modes.index("dnat")]
                lab.check(name + "a reply of no recorded flow is the dnat service's",
                          dnat.answers(dport=50000), dnat.sent(), dnat.restored(dport=50000),
                          link="right")


def check_unlike():
    """dr and tunnels have no replies to tell apart."""
    for version in VERSIONS:
        for mode in ("dr", "ipip", "gue"):
            lab.reset(**CONFIG)
            dnat = Way(lab, Kind("dnat", version, version))
            other = Way(lab, Kind(mode, version, version), number=2, vip=VIPS[version][:-1] + "1")
            lab.target(1, dnat.backend, 8080)
            check_each(f"dnat and {mode} over IPv{version}: ", (dnat, other))
            tap.equal((lab.records(dnat.answered), lab.records(other.asked)), ((None, None),) * 2,
                      f"dnat and {mode} over IPv{version}: no records")


check_dnat()
check_nat()
check_both_modes()
check_unlike()
tap.done()
