#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""Mode nat: how the ends of a connection are recorded, and records that are not to be
followed: of another mode, another connection, another holder of an id."""

import tap
from frame import frame, hop
from lab import (MACS, PASS, ROUTER_MAC, VERSIONS, Lab, backend_address, ip, packed, sysctl)
from modes import ANY
from nat import (BACKEND, BOTH, CLIENT, EMBRYONIC, ESTABLISHED, NONE, OWN_PORT, RESET, both, found,
                 nat, send, stranger, taken)

lab = Lab()
# Who sends which flags, and what is recorded then.
ENDS = {"the client first": (("client", "FA", CLIENT), ("backend", "FA", BOTH)),
        "the backend first": (("backend", "FA", BACKEND), ("client", "FA", BOTH)),
        "reset by the client": (("client", "R", RESET),),
        "reset by the backend": (("backend", "RA", RESET),),
        "FIN, then reset": (("client", "FA", CLIENT), ("client", "R", CLIENT | RESET))}
OTHERS = {4: "203.0.113.99", 6: "2001:db8:9::99"}       # clients
STALE = 2                       # seconds: too old to be trusted, not too old for a SYN again
USED_UP = 5                     # a SYN begins another connection


def established(version, **more):
    way = nat(lab, version, **more)
    for flags in "SA":
        lab.run(way.asks(flags=flags))
    return way


def age(way, fields, seconds):
    """The flow's record, wherever it is, was last seen so long ago."""
    for name in ("xlb_flows", "xlb_embryos"):
        records, key = lab.by_family(name, way.vip), lab.tuple(fields)
        held = records.get(key)
        if held:
            records.set(key, held | {"seen": lab.jiffies() - seconds * lab.hz & 0xffffffff})


def forget(way, fields):
    for name in ("xlb_flows", "xlb_embryos"):
        records, key = lab.by_family(name, way.vip), lab.tuple(fields)
        if records.get(key):
            records.delete(key)


def closings(way):
    return [found(way, fields)["closing"] for fields in (way.asked, way.answered)]


def check_ends():
    """FIN and RST, of either: both records know, and what comes after still arrives."""
    for version in VERSIONS:
        for name, ends in ENDS.items():
            way = established(version)
            for who, flags, closing in ends:
                what = f"IPv{version}, {name}: {flags} of the {who}"
                if who == "client":
                    way.check(what, flags=flags)
                else:
                    lab.check(what, way.answers(flags=flags), way.sent(),
                              way.restored(flags=flags), link="right")
                tap.equal(closings(way), [closing, closing], f"{what} is recorded, both ways")
            way.check_both(f"IPv{version}, {name}: what is still under way")
            tap.equal(both(way), (ESTABLISHED, ESTABLISHED),
                      f"IPv{version}, {name}: no record more")
        way = nat(lab, version)
        lab.run(way.asks(flags="S"))
        way.check(f"IPv{version}: a FIN that comes first", flags="FA")
        tap.equal((both(way), closings(way)), ((ESTABLISHED, ESTABLISHED), [CLIENT, CLIENT]),
                  f"IPv{version}: confirms, and is recorded")
        way = established(version)
        forget(way, way.asked)
        lab.check(f"IPv{version}: the backend's FIN, the way there washed out",
                  way.answers(flags="FA"), way.sent(), way.restored(flags="FA"), link="right")
        lab.record(way.asked, 1, direction="forward")
        lab.run(way.answers(flags="FA"), "right")
        tap.equal(found(way, way.asked)["closing"], 0,
                  f"IPv{version}: a record of another mode is not closed")


def check_again():
    """A SYN once more, and a way back that has to be made again."""
    for version in VERSIONS:
        way = nat(lab, version)
        lab.run(way.asks(flags="S"))
        age(way, way.asked, STALE)
        way.check(f"IPv{version}: a SYN again", flags="S")
        tap.equal(both(way), (EMBRYONIC, EMBRYONIC), f"IPv{version}: confirms nothing")
        age(way, way.asked, STALE)
        forget(way, way.answered)
        way.check(f"IPv{version}: and again, the way back washed out", flags="S")
        tap.equal(both(way), (EMBRYONIC, EMBRYONIC), f"IPv{version}: makes that again, embryonic")
        way = established(version)
        age(way, way.asked, STALE)
        forget(way, way.answered)
        way.check(f"IPv{version}: a connection's packet, the way back washed out")
        tap.equal(both(way), (ESTABLISHED, ESTABLISHED), f"IPv{version}: makes that again")
        age(way, way.asked, STALE)
        taken(way)
        port = send(way)
        tap.ok(port not in (0, OWN_PORT), f"IPv{version}: its source is another flow's by now: "
               "it gets one of its own", port)
        tap.equal(found(way, way.answered)["client"], packed(stranger(way)).ljust(16, b"\0"),
                  f"IPv{version}: and leaves that one alone")
        way = established(version)
        age(way, way.asked, USED_UP)
        way.check(f"IPv{version}: a SYN after a silence begins another", flags="S")


def check_foreign():
    """Records that a packet must not follow: it gets what a new flow does."""
    for version in VERSIONS:
        for name, fields in (("of mode dnat", {"direction": "forward"}),
                             ("of an earlier holder of the id", {"generation": 7}),
                             ("of a backend that is down", {"backend": 2})):
            way = nat(lab, version)
            lab.backend(2, version, live=0)
            fields = {"backend": 1, "direction": "nat_forward", "port": 7,
                      "address": packed(way.source)} | fields
            lab.record(way.asked, **fields)
            way.check(f"IPv{version}: a record {name} is not followed")
        for name, free, fields in (("of mode dnat", False, {"direction": "reply"}),
                                   ("to another port of the VIP", False, {"port": 81}),
                                   ("another's, of an id that there is not", True,
                                    {"backend": 65000, "client": packed(OTHERS[version])}),
                                   ("its own, of an earlier holder of the id", True,
                                    {"generation": 7})):
            for flags in "SA":
                way = nat(lab, version)
                lab.record(way.answered, **{"backend": 1, "direction": "nat_reply", "port": 80,
                                            "address": packed(way.vip), "client_port": OWN_PORT,
                                            "client": packed(way.client)} | fields)
                port = send(way, flags=flags)
                tap.equal((port == OWN_PORT, port > 0), (free, True),
                          f"IPv{version}, {flags}: a way back {name} "
                          + ("is free" if free else "is somebody's"))


def check_owners():
    """Who gets a flow that has no record."""
    for version in VERSIONS:
        way = nat(lab, version)
        lab.backend(2, version)
        lab.mark(way.service, 2, 1)
        way.check(f"IPv{version}: an older connection goes to the previous owner")
        way.asked["sport"] += 1
        tap.equal(way.reached(flags="S"), 2, f"IPv{version}: a new one to the present one")
        lab.target(1, way.backend, live=0)
        way.asked["sport"] += 1
        tap.equal(way.reached(), 2, f"IPv{version}: and an older one, once the previous is down")
        lab.mark(way.service, 0, 0)
        way.asked["sport"] += 1
        lab.check_drop(f"IPv{version}: nobody", way.asks(flags="S"), "no_backend")
        tap.equal(lab.records(way.asked), NONE, f"IPv{version}: and nothing is recorded")
        port_kept(version)


def port_kept(version):
    """A service on any port: its backends have the client's."""
    way = nat(lab, version, config={"needs": {f"any_port{version}": 1}})
    lab.target(1, way.backend, 0)
    lab.service(way.vip, 0, current=1, mode="nat")
    lab.replies(way.backend, 0, ANY[version], 0, 1, by_flow=1)
    asked, answered = {"dport": 443}, {"sport": 443}
    fields = way.translated() | way.macs() | {"ttl": 63, "dport": 443}
    for flags in "SA":
        lab.check(f"IPv{version}, any port, {flags}: the port stays",
                  way.asks(flags=flags, **asked), way.sent(), frame(**fields | {"flags": flags}))
    back = way.back(**answered) | {"sport": 443}
    lab.check(f"IPv{version}, any port: and comes back", way.answers(**answered), way.sent(),
              frame(**back | hop(MACS["left"], ROUTER_MAC)), link="right")


def check_ways():
    """Whatever keeps XDP from sending on what has a record."""
    for version in VERSIONS:
        name = f"IPv{version}: "
        way = established(version)
        lab.redirects("right", takes=0)
        lab.maps["xlb_nexthops"].clear()
        lab.check(name + "a link that takes no frames", way.asks(), PASS, way.finished())
        for link in ("left", "right"):
            sysctl(f"net/ipv{version}/conf/{link}/forwarding", 0)
        for content in ("xlb_nexthops", "xlb_routes"):
            lab.maps[content].clear()
        lab.check_drop(name + "no forwarding", way.asks(), "forwarding_disabled")
        lab.check_drop(name + "nor back", way.answers(), "forwarding_disabled", link="right")
        for link in ("left", "right"):
            sysctl(f"net/ipv{version}/conf/{link}/forwarding", 1)
        lab.maps["xlb_nexthops"].clear()
        ip(f"-{version} route add blackhole {backend_address(1, version)}")
        lab.check_drop(name + "no route", way.asks(), "no_route")
        ip(f"-{version} route del blackhole {backend_address(1, version)}")


check_ends()
check_again()
check_foreign()
check_owners()
check_ways()
tap.done()
