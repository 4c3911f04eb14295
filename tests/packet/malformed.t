#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""Packets that should not be: each is dropped under a reason of its own, in every mode."""

import tap
from frame import frame
from lab import CLIENTS, PASS, VERSIONS, VIPS, Lab, packed

lab = Lab()
MODES = ("dnat", "nat", "dr", "ipip", "gue")
IP_AT = 14
ODD = {4: ("127.0.0.1", "224.0.0.1", "255.255.255.255", "0.0.0.0", "240.0.0.1"),
       6: ("::1", "ff02::1", "::")}


def prepare(mode, version, protocol="tcp", address=None):
    lab.reset(tunnel4=packed("10.0.0.254"), tunnel6=packed("2001:db8:2::254"), gue_port=6080,
              nat4=[packed("10.0.0.254")] + [bytes(4)] * 7, nat4_count=1,
              nat6=[packed("2001:db8:2::254")] + [bytes(16)] * 7, nat6_count=1,
              needs={f"any_address{version}": int(address is not None)})
    lab.backend(1, version, port=80)
    lab.service(address or VIPS[version], 80, protocol, current=1, mode=mode)
    return {"source": CLIENTS[version], "destination": VIPS[version], "sport": 40000,
            "dport": 80, "protocol": protocol}


def byte(data, at, value):
    return data[:at] + bytes([value]) + data[at + 1:]


def check_headers(mode, version):
    name = f"{mode}, IPv{version}: "
    fields = prepare(mode, version)
    whole = frame(**fields)
    transport = IP_AT + (20 if version == 4 else 40)
    lab.check_drop(name + "another version", byte(whole, IP_AT, 0x15 if version == 4 else 0x10),
                   "bad_header")
    if version == 4:
        for words in range(5):
            lab.check_drop(name + f"a header of {words} words", byte(whole, IP_AT, 0x40 | words),
                           "bad_header")
        lab.check_drop(name + "a header longer than the packet", byte(whole, IP_AT, 0x4f),
                       "bad_length")
    for words in (0, 4, 8, 15):
        lab.check_drop(name + f"a TCP header of {words} words",
                       byte(whole, transport + 12, words << 4), "bad_length")
    for ttl in (0, 1):
        lab.check_drop(name + f"TTL {ttl}", frame(**fields, ttl=ttl), "ttl")
    for source in ODD[version]:
        lab.check_drop(name + f"from {source}", frame(**fields | {"source": source}), "bad_source")
    lab.check_drop(name + "from itself", frame(**fields | {"source": VIPS[version]}), "land")

    fields = prepare(mode, version, "udp")
    whole = frame(**fields)
    for length in (0, 7, len(b"payload") + 9, 0xffff):
        at = transport + 4
        lab.check_drop(name + f"a UDP length of {length}",
                       whole[:at] + length.to_bytes(2, "big") + whole[at + 2:], "bad_length")


def check_destinations(version):
    """A service on any address does not have these."""
    fields = prepare("dnat", version, address="0.0.0.0" if version == 4 else "::")
    for destination in ODD[version]:
        lab.check_drop(f"IPv{version}: to {destination}",
                       frame(**fields | {"destination": destination}), "bad_destination")


def check_loopback(version):
    """On lo such addresses are in order."""
    fields = prepare("dnat", version)
    data = frame(**fields | {"source": ODD[version][0]})
    verdict = lab.run(data, "lo")[0]
    tap.equal((verdict, lab.drops()), (PASS, {}), f"IPv{version}: from loopback, on lo")


for version in VERSIONS:
    for mode in MODES:
        check_headers(mode, version)
    check_destinations(version)
    check_loopback(version)
tap.done()
