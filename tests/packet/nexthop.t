#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""Where finished packets go: what the kernel's routes and neighbours say, and when it counts."""

import socket
import time

import tap
from frame import CLIENT_MAC, XLB_MAC, frame
from lab import (MACS, OWN, PASS, REDIRECT, TX, VERSIONS, Lab, backend_address, backend_mac, ip,
                 sh, sysctl)
from modes import ANY

lab = Lab()
NEW_MAC = "02:00:00:00:03:01"
UNTOUCHED = {"ttl": 64, "smac": CLIENT_MAC, "dmac": XLB_MAC}
FOLLOWED_WITHIN = 2             # seconds
PREFIX = {4: 32, 6: 128}
ETH_P_ALL = 3


def check_passed(name, path):
    lab.check(f"{name}: the stack gets it, finished but for the hop", frame(**path.asked), PASS,
              frame(**path.forwarded | UNTOUCHED))


def cached(age):
    """Every next hop and route that is cached becomes so many seconds old."""
    stamp = {"stamp": lab.jiffies() - round(age * lab.hz) & 0xffffffff}
    for name in ("xlb_nexthops", "xlb_routes"):
        for number, (_, value) in enumerate(lab.maps[name].dump().items()):
            if any(value):
                lab.maps[name].set(number, lab.maps[name].parts(value)[0] | stamp)


def check_cache():
    for version in VERSIONS:
        name = f"IPv{version}: "
        lab.reset()
        path = lab.balanced(version)
        lab.run(frame(**path.asked))
        hop = lab.maps["xlb_nexthops"].get(1)
        age = lab.jiffies() - hop.pop("stamp") & 0xffffffff
        tap.equal(hop, {"destination": bytes.fromhex(backend_mac(1).replace(":", "")),
                        "source": bytes.fromhex(MACS["right"].replace(":", "")),
                        "ifindex": lab.ifindex["right"], "redirect": 1, "veth": 0,
                        "generation": 1, "mtu": 1500},
                  name + "what is cached of a next hop")
        tap.ok(age <= lab.hz, name + "and when", age)

        changed = frame(**path.forwarded | {"dmac": NEW_MAC})
        lab.neighbour(path.forwarded["destination"], NEW_MAC, "right")
        cached(0.5)
        lab.check(name + "within the second the cache counts", frame(**path.asked), REDIRECT,
                  frame(**path.forwarded))
        cached(1.1)
        lab.check(name + "later the neighbour's new address", frame(**path.asked), REDIRECT,
                  changed)

        lab.neighbour(path.forwarded["destination"], backend_mac(1), "right")
        lab.backend(1, version, generation=2)
        lab.check(name + "an id given out again asks at once", frame(**path.asked), REDIRECT,
                  frame(**path.forwarded))

        lab.neighbour(path.forwarded["destination"], NEW_MAC, "right")
        cached(0)
        begin = time.monotonic()
        while lab.run(frame(**path.asked))[1] != changed and time.monotonic() < begin + 5:
            time.sleep(0.01)
        took = time.monotonic() - begin
        tap.ok(0.5 < took < FOLLOWED_WITHIN, name + "a packet every 10 ms does not keep it", took)


def check_lo():
    """What comes in by lo has no next hop, and leaves those of other links as they are."""
    for version in VERSIONS:
        lab.reset()
        path = lab.balanced(version)
        lab.run(frame(**path.asked))
        cached(1.1)
        before = lab.maps["xlb_nexthops"].dump()
        tap.equal((lab.run(frame(**path.asked), "lo")[0], lab.maps["xlb_nexthops"].dump()),
                  (PASS, before), f"IPv{version}: lo takes no next hop of others")


def check_client_cache():
    for version in VERSIONS:
        name = f"IPv{version}, to a client: "
        lab.reset()
        path = lab.balanced(version)
        lab.run(frame(**path.answered), "right")
        ip(f"-{version} route add {path.asked['source']} via {backend_address(1, version)}")
        cached(0.5)
        lab.check(name + "within the second the cache counts", frame(**path.answered), REDIRECT,
                  frame(**path.restored), link="right")
        cached(0)
        begin = time.monotonic()
        verdict = REDIRECT
        while verdict == REDIRECT and time.monotonic() < begin + 5:
            time.sleep(0.01)
            verdict, out = lab.run(frame(**path.answered), "right")
        took = time.monotonic() - begin
        tap.ok(verdict == TX and 0.5 < took < FOLLOWED_WITHIN, name + "then the new route", took)
        tap.equal(out, frame(**path.restored | {"smac": MACS["right"], "dmac": backend_mac(1)}),
                  name + "by its next hop")
        ip(f"-{version} route del {path.asked['source']}")

        lab.reset()
        path = lab.balanced(version)
        lab.run(frame(**path.answered), "right")
        ip(f"-{version} route add blackhole default table 100")
        rule = f"-{version} rule {{}} iif left lookup 100"
        ip(rule.format("add"))
        cached(0)
        lab.check_drop(name + "what is cached is of one interface", frame(**path.answered),
                       "no_route")
        ip(rule.format("del"))

        other = path.answered | {"source": lab.backend(2, version)}
        lab.replies(other["source"], 8080, path.asked["destination"][:-1] + "1", 80, 2)
        rule = f"-{version} rule {{}} from {path.asked['destination'][:-1]}1 lookup 100"
        ip(rule.format("add"))
        cached(0)
        lab.check_drop(name + "and of one backend, whose VIP it goes from", frame(**other),
                       "no_route", link="right")
        ip(rule.format("del"))

        lab.reset(needs={f"any_address{version}": 1})
        path = lab.balanced(version)
        lab.service(ANY[version], 8080, current=1)
        lab.replies(path.answered["source"], 8080, ANY[version], 8080, 1, by_flow=1)
        vip = path.asked["destination"]
        for sport, address in ((40000, vip), (40001, vip[:-1] + "1")):
            asked = path.asked | {"destination": address, "sport": sport, "dport": 8080}
            lab.run(frame(**asked))
        ip(rule.format("add"))
        answered = path.answered | {"dport": 40000}
        lab.check(name + "of several VIPs, one", frame(**answered), REDIRECT,
                  frame(**path.restored | {"sport": 8080}), link="right")
        cached(0)
        lab.check_drop(name + "has its way, and another its own",
                       frame(**path.answered | {"dport": 40001}), "no_route", link="right")
        ip(rule.format("del"))
        ip(f"-{version} route flush table 100")


def check_routes():
    for version in VERSIONS:
        for kind in ("blackhole", "unreachable", "prohibit"):
            lab.reset()
            path = lab.balanced(version)
            address = path.forwarded["destination"]
            lab.run(frame(**path.asked))
            ip(f"-{version} route add {kind} {address}/{PREFIX[version]}")
            cached(1.1)
            lab.check_drop(f"IPv{version}: {kind}", frame(**path.asked), "no_route")
            ip(f"-{version} route del {kind} {address}/{PREFIX[version]}")
            lab.check(f"IPv{version}: {kind} no more, followed at once", frame(**path.asked),
                      REDIRECT, frame(**path.forwarded))
            client = path.asked["source"]
            ip(f"-{version} route add {kind} {client}/{PREFIX[version]}")
            lab.check_drop(f"IPv{version}: {kind} to the client", frame(**path.answered),
                           "no_route", link="right")
            ip(f"-{version} route del {kind} {client}/{PREFIX[version]}")

        lab.reset()
        path = lab.balanced(version)
        lab.run(frame(**path.asked))
        router = backend_address(9, version, "left")
        lab.neighbour(router, NEW_MAC, "left")
        ip(f"-{version} route add {path.forwarded['destination']} via {router}")
        cached(1.1)
        lab.check(f"IPv{version}: a new route, to another interface", frame(**path.asked), TX,
                  frame(**path.forwarded | {"smac": MACS["left"], "dmac": NEW_MAC}))
        ip(f"-{version} route del {path.forwarded['destination']}")


def check_no_neighbour():
    for version in VERSIONS:
        lab.reset()
        path = lab.balanced(version)
        address = path.forwarded["destination"]
        lab.run(frame(**path.asked))
        ip(f"neighbour del {address} dev right")
        cached(1.1)
        check_passed(f"IPv{version}, no neighbour", path)
        tap.equal(lab.maps["xlb_nexthops"].get(1)["ifindex"], 0, "and nothing is cached")
        tap.equal(lab.stats(1)["in_packets"], 2, "it counts all the same")
        lab.neighbour(address, backend_mac(1), "right")
        lab.check(f"IPv{version}: a neighbour that appears is followed at once",
                  frame(**path.asked), REDIRECT, frame(**path.forwarded))
        lab.neighbour(address, "00:00:00:00:00:00", "right")
        cached(1.1)
        check_passed(f"IPv{version}, a neighbour without an address", path)


def check_wide_ifindex():
    """An ifindex that the cache has no room for, whose low bits are those of another link."""
    number = 0x10000 + lab.ifindex["right"]
    ip(f"link add wide index {number} type veth peer name wide-peer")
    for link in ("wide", "wide-peer"):
        ip(f"link set {link} up")
    ip("address add 10.9.0.254/24 dev wide")
    ip("address add 2001:db8:f::fe/64 dev wide nodad")
    lab.ifindex["wide"] = number
    for version, address in ((4, "10.9.0.1"), (6, "2001:db8:f::1")):
        lab.reset()
        lab.redirects("wide")
        path = lab.balanced(version)
        lab.neighbour(address, NEW_MAC, "wide")
        lab.target(1, address)
        wide = path._replace(forwarded=path.forwarded | {"destination": address})
        check_passed(f"IPv{version}, an ifindex of 17 bits", wide)
        check_passed(f"IPv{version}, and again", wide)
    ip("link del wide")


def check_veth():
    """Back where it came from, but a veth could lose what XDP_TX sends."""
    for version in VERSIONS:
        lab.reset()
        lab.redirects("left", veth=1)
        path = lab.balanced(version, link="left")
        lab.check(f"IPv{version}: by a veth back to a backend", frame(**path.asked), REDIRECT,
                  frame(**path.forwarded))
        lab.check(f"IPv{version}: by a veth back to a client", frame(**path.answered), REDIRECT,
                  frame(**path.restored))


def check_hops_left():
    for version in VERSIONS:
        lab.reset()
        path = lab.balanced(version)
        for ttl in (0, 1):
            lab.check_drop(f"IPv{version}: a TTL of {ttl}", frame(**path.asked | {"ttl": ttl}),
                           "ttl")
            lab.check_drop(f"IPv{version}: a reply's TTL of {ttl}",
                           frame(**path.answered | {"ttl": ttl}), "ttl", link="right")
        for ttl in (2, 255):
            lab.check(f"IPv{version}: a TTL of {ttl}", frame(**path.asked | {"ttl": ttl}), REDIRECT,
                      frame(**path.forwarded | {"ttl": ttl - 1}))
        lab.redirects("right", 0)
        lab.maps["xlb_nexthops"].clear()
        lab.check(f"IPv{version}: a TTL of 1 is the stack's to judge where the stack sends",
                  frame(**path.asked | {"ttl": 1}), PASS,
                  frame(**path.forwarded | UNTOUCHED | {"ttl": 1}))


def check_forwarding_off():
    for version in VERSIONS:
        lab.reset()
        path = lab.balanced(version)
        setting = f"net/ipv{version}/conf/{{}}/forwarding"
        for link in ("left", "right"):
            sysctl(setting.format(link), 0)
        lab.check_drop(f"IPv{version}: forwarding is off where it came in", frame(**path.asked),
                       "forwarding_disabled")
        lab.check(f"IPv{version}: a reply then is this machine's own", frame(**path.answered), PASS,
                  link="right")
        for link in ("left", "right"):
            sysctl(setting.format(link), 1)
        lab.check(f"IPv{version}: and on again", frame(**path.asked), REDIRECT,
                  frame(**path.forwarded))


def check_own():
    """The balancer's own connections, and lo."""
    for version in VERSIONS:
        lab.reset()
        path = lab.balanced(version)
        for link in ("left", "right"):
            own = path.answered | {"destination": backend_address(OWN, version, link)}
            lab.check(f"IPv{version}: an answer to this machine itself, at {link}", frame(**own),
                      PASS, link="right")
        tap.equal(lab.stats(1)["out_packets"], 0, "is no reply of the service's")

        lab.reset()
        path = lab.balanced(version)
        client = {4: "127.0.0.1", 6: "::1"}[version]
        lab.target(1, client)
        lab.replies(client, 8080, path.asked["destination"], 80, 1)
        asked = path.asked | {"source": client}
        answered = path.answered | {"source": client, "destination": client}
        lab.check(f"IPv{version}: on lo it passes rewritten", frame(**asked), PASS,
                  frame(**asked | {"destination": client, "dport": 8080}), link="lo")
        lab.check(f"IPv{version}: and so does the reply", frame(**answered), PASS,
                  frame(**answered | {"source": path.asked["destination"], "sport": 80}), link="lo")

        lab.target(1, path.forwarded["destination"])
        lab.check(f"IPv{version}: a backend elsewhere", frame(**path.asked), REDIRECT,
                  frame(**path.forwarded))
        lab.check(f"IPv{version}: what comes in by lo stays, whatever is cached",
                  frame(**path.asked), PASS, frame(**path.forwarded | UNTOUCHED), link="lo")
        here = backend_address(OWN, version)
        lab.target(1, here)
        lab.maps["xlb_nexthops"].clear()
        lab.check(f"IPv{version}: a backend on this machine", frame(**path.asked), PASS,
                  frame(**path.forwarded | UNTOUCHED | {"destination": here}))


def listen(link):
    heard = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    heard.bind((link, 0))
    heard.settimeout(0.2)
    return heard


def arrives(heard, data):
    """Has this frame come, whatever else did?"""
    end = time.monotonic() + 2
    while time.monotonic() < end:
        try:
            if heard.recv(2048) == data:
                return True
        except TimeoutError:
            pass
    return False


def check_on_the_wire():
    """The verdicts carried out: frames leave by the interface that they should."""
    for link in ("left", "right"):
        sh("ethtool", "-K", f"{link}-peer", "gro", "on")
    for version in VERSIONS:
        for link in ("left", "right"):
            lab.reset()
            path = lab.balanced(version, link=link)
            for data, out, came, left in ((path.asked, path.forwarded, "left", link),
                                          (path.answered, path.restored, link, "left")):
                with listen(f"{left}-peer") as heard:
                    lab.program.run_live(frame(**data), lab.ifindex[came])
                    tap.ok(arrives(heard, frame(**out)),
                           f"IPv{version}: in by {came}, out by {left}, on the wire")


check_cache()
check_lo()
check_client_cache()
check_routes()
check_no_neighbour()
check_wide_ifindex()
check_veth()
check_hops_left()
check_forwarding_off()
check_own()
check_on_the_wire()
tap.done()
