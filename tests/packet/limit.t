#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""What one source may open at a service: a token bucket, filled by a clock.

Buckets are put where the clock cannot get within a check, or judged by how much of it
has gone by.
"""

import ipaddress
import time

from scapy.layers.inet6 import IPv6ExtHdrDestOpt
from scapy.layers.inet import IPOption_NOP

import tap
from errors import error, packet_of
from frame import TAGS, fragments, frame
from lab import DROP, VERSIONS, VIPS, Lab, mapped
from modes import KINDS, Kind, start

lab = Lab()
SECOND = 10 ** 9
NUMBER = 5
# Of a limit of 1, more than any test takes.
FAR = 10 ** 6


def limited(kind, protocol="tcp", limit=1, burst=4, **more):
    way = start(lab, kind, protocol)
    lab.guard(way.service, number=NUMBER, limit=limit, burst=burst, **more)
    return way


def source_of(client):
    """As it is remembered: of IPv6 the first half."""
    address = mapped(client)
    return {"address": address if ":" not in client else address[:8] + bytes(8),
            "service": NUMBER}


def bucket(client):
    found = lab.maps["xlb_limits"].get(source_of(client))
    return found and found["full_at"]


def fill(client, seconds):
    """The bucket is full again so far from now."""
    full_at = max(time.monotonic_ns() + round(seconds * SECOND), 1)
    lab.maps["xlb_limits"].set(source_of(client), {"full_at": full_at})
    return full_at


def passes(data):
    """Whether it passes, or is limited: nothing else."""
    lab.maps["xlb_drops"].clear()
    verdict, _ = lab.run(data)
    counted = lab.drops()
    assert counted == ({"limited": 1} if verdict == DROP else {}), counted
    return verdict != DROP


def refused(name, way, data):
    """By a bucket that is empty; once it has dropped, a second fills enough of it."""
    fill(way.client, FAR)
    lab.check_drop(name, data, "limited")


def how_many(data, most=50):
    """How many pass until one does not."""
    for count in range(most):
        if not passes(data):
            return count
    return most


def check_burst(kind):
    """A bucket that nobody has used is full."""
    name = str(kind)
    way = limited(kind, burst=FAR)
    before = time.monotonic_ns()
    way.check(f"{name}: a SYN", flags="S")
    after = time.monotonic_ns()
    tap.ok(before + SECOND <= bucket(way.client) <= after + SECOND,
           f"{name}: takes a second's worth of one", before, bucket(way.client), after)
    for burst in (1, 2, 7):
        way = limited(kind, burst=burst)
        fill(way.client, -FAR)
        begun = time.monotonic_ns()
        count = how_many(way.asks(flags="S"))
        more = (time.monotonic_ns() - begun) // SECOND + 1
        tap.ok(burst <= count <= burst + more, f"{name}: a burst of {burst}", count)
    refused(f"{name}: one too many", way, way.asks(flags="S"))


def check_raised(kind):
    """What is missing of a lower limit's burst does not keep the source out for longer."""
    way = limited(kind, limit=1000, burst=3000)
    fill(way.client, FAR)
    before = time.monotonic_ns()
    lab.check_drop(f"{kind}: a bucket from before the limit was raised", way.asks(flags="S"),
                   "limited")
    tap.ok(before <= bucket(way.client) - 3 * SECOND <= time.monotonic_ns(),
           f"{kind}: is full again in three seconds", before, bucket(way.client))


def check_kinds(kind):
    """Only what opens a connection counts."""
    name = str(kind)
    way = limited(kind)
    lab.run(way.asks(flags="S"))
    lab.run(way.asks(flags="A"))
    full_at = fill(way.client, FAR)
    for flags in ("SA", "A", "PA", "FA", "R"):
        tap.ok(passes(way.asks(flags=flags)), f"{name}: {flags} passes at any time")
    about = error("port unreachable", packet_of(frame(**way.back())), way.vip)
    tap.ok(passes(about), f"{name}: an error about an answer passes")
    tap.equal(bucket(way.client), full_at, f"{name}: and none of these takes anything")
    for flags in ("S", "SEC", "SP"):
        refused(f"{name}: {flags} does not", way, way.asks(flags=flags))
    odd = {"options": [IPOption_NOP()]} if kind.version == 4 \
        else {"extensions": [IPv6ExtHdrDestOpt()]}
    refused(f"{name}: nor with options", way, way.asks(flags="S", **odd))
    refused(f"{name}: nor with a VLAN tag", way, way.asks(flags="S", tags=TAGS[1]))


def check_udp(version):
    way = limited(Kind("dnat", version, version), "udp", burst=FAR)
    full_at = fill(way.client, 1000)
    for count in range(1, 4):
        tap.ok(passes(way.asks()), f"IPv{version}: datagram {count} passes")
        tap.equal(bucket(way.client), full_at + count * SECOND, f"IPv{version}: and is counted")
    pieces = fragments(way.asks(payload=bytes(64)), 24, 5)
    for piece in pieces:
        tap.ok(passes(piece), f"IPv{version}: a fragment passes")
    tap.equal(bucket(way.client), full_at + (3 + len(pieces)) * SECOND,
              f"IPv{version}: each fragment is counted")
    way = limited(Kind("dnat", version, version), "udp")
    refused(f"IPv{version}: a datagram too many", way, way.asks())
    for piece in pieces:
        refused(f"IPv{version}: a fragment too many", way, piece)
    about = error("port unreachable", packet_of(frame(**way.back())), way.vip)
    tap.ok(passes(about), f"IPv{version}: an error about an answer is not counted")


def check_refill(version):
    """So much of a burst as the clock has filled."""
    way = limited(Kind("dnat", version, version), burst=1000)
    for missing, wanted in ((995.5, 4), (999.5, 0), (990.5, 9)):
        fill(way.client, missing)
        begun = time.monotonic_ns()
        count = how_many(way.asks(flags="S"))
        more = (time.monotonic_ns() - begun) // (SECOND // 2)
        tap.ok(wanted <= count <= wanted + more,
               f"IPv{version}: {wanted} of 1000, {missing} seconds before it is full", count)
    fill(way.client, -3600)
    before = time.monotonic_ns()
    tap.ok(passes(way.asks(flags="S")) and bucket(way.client) >= before + SECOND,
           f"IPv{version}: it never gets more than full")


def check_rates():
    """A packet takes a second divided by the limit."""
    for limit in (1, 2, 3, 7, 1000, 999999, 1000000):
        way = limited(Kind("dnat", 4, 4), limit=limit, burst=FAR)
        # No later than a bucket can be full again.
        full_at = fill(way.client, 900 if limit <= 1000 else 0.9)
        passes(way.asks(flags="S"))
        late = max(time.monotonic_ns() - full_at, 0)
        tap.ok(0 <= bucket(way.client) - full_at - SECOND // limit <= late,
               f"a limit of {limit}", bucket(way.client) - full_at, late)


def check_sources(version):
    """Who shares a bucket, and who does not."""
    way = limited(Kind("dnat", version, version))
    client = ipaddress.ip_address(way.client)
    fill(way.client, FAR)
    neighbour = way.of(str(client + 1))
    tap.equal(passes(neighbour.asks(flags="S")), version == 4,
              f"IPv{version}: a neighbour has {'its own' if version == 4 else 'the same'}")
    refused(f"IPv{version}: another port of the source has not", way,
            way.asks(flags="S", sport=40001))
    far = way.of(str(client + (1 << 64 if version == 6 else 256)))
    tap.ok(passes(far.asks(flags="S")), f"IPv{version}: another network has its own")
    other = lab.service(VIPS[version], 81, current=1)
    lab.guard(other, number=NUMBER + 1, limit=1, burst=4)
    tap.ok(passes(way.asks(flags="S", dport=81)), f"IPv{version}: and so has another service")
    lab.service(VIPS[version], 82, current=1)
    tap.ok(passes(way.asks(flags="S", dport=82)), f"IPv{version}: one without has none")


def check_order(version):
    """What is not let in for another reason takes nothing."""
    way = limited(Kind("dnat", version, version))
    full_at = fill(way.client, FAR)
    lab.check_drop(f"IPv{version}: cut short", way.asks(flags="S")[:-1], "bad_length")
    lab.rule("0.0.0.0/0" if version == 4 else "::/0", "deny")
    lab.check_drop(f"IPv{version}: denied", way.asks(flags="S"), "denied")
    tap.equal(bucket(way.client), full_at, f"IPv{version}: neither takes anything")
    lab.rule("0.0.0.0/0" if version == 4 else "::/0", "allow")
    refused(f"IPv{version}: allowed, and yet limited", way, way.asks(flags="S"))
    lab.config()
    before = lab.maps["xlb_limits"].dump()
    lab.guard(way.service, limit=0)
    way.check(f"IPv{version}: without a limit", flags="S")
    tap.equal(lab.maps["xlb_limits"].dump(), before, f"IPv{version}: nothing is remembered")


for kind in KINDS:
    check_burst(kind)
    check_raised(kind)
    check_kinds(kind)
for version in VERSIONS:
    check_udp(version)
    check_refill(version)
    check_sources(version)
    check_order(version)
check_rates()
tap.done()
