#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""Every reason to drop a packet, and that it alone is counted."""

import tap
from frame import frame
from lab import VERSIONS, Lab, ip, sysctl

lab = Lab()
# The kernel fails a look-up only where the call itself is wrong.
UNREACHABLE = {"fib_failed"}
# Other tests' matter.
ELSEWHERE = {"fragment", "bad_header", "bad_source", "bad_destination", "land", "too_big",
             "no_neighbour", "off_link", "no_headroom", "no_port", "no_source", "denied", "limited"}
LENGTH_FIELD = {4: 14 + 2, 6: 14 + 4}           # after Ethernet
HEADER = {4: 20, 6: 0}                          # what that length counts before TCP or UDP
LEAST = {"tcp": 20, "udp": 8}
seen = set()


def drop(description, data, reason, link="left"):
    seen.add(reason)
    lab.check_drop(description, data, reason, link)


def with_length(data, version, length):
    """The frame with another length in its IP header."""
    at = LENGTH_FIELD[version]
    return data[:at] + length.to_bytes(2, "big") + data[at + 2:]


def check_malformed(version, protocol):
    name = f"{protocol} over IPv{version}"
    lab.reset()
    path = lab.balanced(version, protocol)
    whole = frame(**path.asked)
    reply = frame(**path.answered)
    least = HEADER[version] + LEAST[protocol]
    whole_length = least + len(b"payload")
    for length in (0, 1, HEADER[version], least - 1, whole_length + 1, 0xffff):
        drop(f"{name}: a length of {length}", with_length(whole, version, length), "bad_length")
        drop(f"{name}: a reply's length of {length}", with_length(reply, version, length),
             "bad_length", "right")
    # UDP has a length of its own, which must fit.
    for length in (least, whole_length) if protocol == "tcp" else (whole_length,):
        lab.maps["xlb_drops"].clear()
        lab.run(with_length(whole, version, length))
        tap.equal(lab.drops(), {}, f"{name}: a length of {length} is possible")


def check_no_backend(version, protocol):
    name = f"{protocol} over IPv{version}"
    lab.reset()
    path = lab.balanced(version, protocol)
    service = lab.service(path.asked["destination"], 80, protocol)
    drop(f"{name}: nobody", frame(**path.asked), "no_backend")
    lab.mark(service, 0, 1)
    lab.target(1, path.forwarded["destination"], live=0)
    drop(f"{name}: nobody any more", frame(**path.asked, flags="S"), "no_backend")
    lab.mark(service, 65000, 0)
    drop(f"{name}: an id beyond the targets", frame(**path.asked), "no_backend")


def check_ways(version, protocol):
    name = f"{protocol} over IPv{version}"
    lab.reset()
    path = lab.balanced(version, protocol)
    drop(f"{name}: TTL 1", frame(**path.asked | {"ttl": 1}), "ttl")
    sysctl(f"net/ipv{version}/conf/left/forwarding", 0)
    lab.maps["xlb_nexthops"].clear()
    drop(f"{name}: no forwarding", frame(**path.asked), "forwarding_disabled")
    sysctl(f"net/ipv{version}/conf/left/forwarding", 1)
    ip(f"-{version} route add blackhole {path.forwarded['destination']}")
    drop(f"{name}: no route", frame(**path.asked), "no_route")
    ip(f"-{version} route del blackhole {path.forwarded['destination']}")


def check_conflict(version, protocol):
    lab.reset(needs={f"any_address{version}": 1})
    path = lab.balanced(version, protocol)
    lab.service("0.0.0.0" if version == 4 else "::", 80, protocol, current=1)
    lab.by_flow(1)
    asked = path.asked | {"destination": path.asked["destination"][:-1] + "1"}
    other = path.asked | {"destination": path.asked["destination"][:-1] + "2"}
    lab.run(frame(**asked))
    drop(f"{protocol} over IPv{version}: a client's port towards two addresses", frame(**other),
         "record_conflict")


for version in VERSIONS:
    for protocol in ("tcp", "udp"):
        check_malformed(version, protocol)
        check_no_backend(version, protocol)
        check_ways(version, protocol)
        check_conflict(version, protocol)
reasons = {member["name"] for member in lab.btf.struct("xlb_drops")["members"]}
tap.equal(reasons - seen, UNREACHABLE | ELSEWHERE, "every reason has been reached")
tap.done()
