#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""Services that share a backend's address and port: records tell whose a reply is.

The helper fills the maps here, so that what it says of such backends is what is tested.
"""

import tap
from lab import PASS, VERSIONS, VIPS, Lab, packed, text
from modes import CONFIG, Kind, Way
from nat import OWN_PORT, found, send

lab = Lab()
PROTOCOLS = ("tcp", "udp")
REUSED = 3.5                    # seconds of silence after which a port may be used again
OTHER_PORT = 40001


def service(way, port=80):
    return f"{text(way.vip)}:{port}/{way.asked['protocol']}"


def backend(way, port=None):
    """As `xlb backend` wants it."""
    return f"{text(way.backend)}:{port or way.port} service {service(way)}"


def pair(version, protocol, *modes):
    """Two services of these modes, whose backends 1 and 2 are one and the same."""
    lab.reset(**CONFIG)
    vips = VIPS[version], VIPS[version][:-1] + "1"
    ways = [Way(lab, Kind(mode, version, version), protocol, vip=vip, number=number)
            for number, (mode, vip) in enumerate(zip(modes, vips), 1)]
    lab.reset(**CONFIG)
    for way in ways:
        lab.xlb(f"service add {service(way)} mode {way.kind.mode} table 251",
            f"backend add {backend(way)}")
    return ways


def with_port(way, sport):
    """The same from another port of the client."""
    way = way.of(way.client)
    way.asked = way.asked | {"sport": sport}
    way.answered = way.answered | {"dport": sport}
    return way


def at_port(way, port):
    """The same through a service on any port."""
    way = way.of(way.client)
    way.port = port
    way.asked = way.asked | {"dport": port}
    way.answered = way.answered | {"sport": port}
    way.back = lambda **fields: way.answered | fields | {"source": way.vip}
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
            lab.record(way.answered, 9, direction="reply", port=80, address=packed(way.vip))
            way.check_both(name + "a record by an id that the backend had before")
            tap.equal(found(way, way.answered)["backend"], 2, name + "gets the one it has")


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
            lab.check_drop(name + "a reply of no recorded flow", first.answers(dport=50000),
                           "no_port", link="right")


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
            dnat, other = pair(version, "tcp", "dnat", mode)
            lab.xlb(f"service del {service(dnat)}",
                f"service add {text(dnat.vip)}:80/tcp table 251", f"backend add {backend(dnat)}")
            check_each(f"dnat and {mode} over IPv{version}: ", (dnat, other))
            tap.equal((lab.records(dnat.answered), lab.records(other.asked)), ((None, None),) * 2,
                      f"dnat and {mode} over IPv{version}: no records")


def check_beginning_and_end():
    """Flows that are open when sharing begins and ends."""
    for version in VERSIONS:
        for protocol in PROTOCOLS:
            name = f"dnat twice, {protocol} over IPv{version}: "
            first, second = pair(version, protocol, "dnat", "dnat")
            other = with_port(second, OTHER_PORT)
            lab.xlb(f"backend del {backend(second)}")
            first.check_both(name + "the first alone")
            tap.equal(lab.records(first.answered), (None, None), name + "which has no record")
            lab.xlb(f"backend add {backend(second)}")
            lab.check(name + "its reply once there are two", first.answers(), first.sent(),
                      first.restored(), link="right")
            check_each(name + "open before and after, ", (first, other))
            lab.xlb(f"backend del {backend(second)}")
            tap.equal((lab.records(first.answered), lab.records(other.answered)),
                      ((None, None),) * 2, name + "no record is left of either")
            first.check_both(name + "the first alone again")
            tap.equal(lab.records(first.answered), (None, None), name + "without a record")

            lab.xlb(f"backend add {backend(second)}")
            check_each(name + "again, ", (first, other))
            lab.xlb(f"service del {service(first)}")
            lab.check(name + "the first goes: a reply of the second", other.answers(),
                      other.sent(), other.restored(), link="right")
            other.check_both(name + "which goes on")
            tap.equal(lab.records(other.answered), (None, None), name + "without a record")


def check_any_port():
    """A service on any port has the port that is the other's backend."""
    for version in VERSIONS:
        for protocol in PROTOCOLS:
            name = f"any port and one, {protocol} over IPv{version}: "
            every, one = pair(version, protocol, "dnat", "dnat")
            lab.xlb(f"service del {service(every)}",
                f"service add {service(every, '*')} table 251",
                f"backend add {text(every.backend)} service {service(every, '*')}")
            check_each(name, (at_port(every, one.port), with_port(one, OTHER_PORT)))
            lab.check_drop(name + "the client's port is in use there", one.asks(),
                           "record_conflict")
            at_port(every, 9000).check_both(name + "another port")
            lab.xlb(f"service del {service(one)}")
            at_port(every, one.port).check_both(name + "the one goes")
            tap.equal(lab.records(every.answered), (None, None), name + "and no record is left")


check_dnat()
check_nat()
check_both_modes()
check_unlike()
check_beginning_and_end()
check_any_port()
tap.done()
