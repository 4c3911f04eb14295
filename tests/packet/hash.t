#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""How evenly flows fall on slots, by Pearson's chi-square, when they are anything but random."""

import math
import random
import socket
import struct
from collections import Counter

import tap
from flowhash import hash_of
from frame import frame
from lab import CLIENTS, VERSIONS, VIPS, Lab

lab = Lab()
FLOWS = 6000
SMALL, LARGE = 251, 16381
LARGE_FLOWS = 80000
SIGMAS = 4.5                    # by chance one run in 300,000 is beyond
SEEDS = (1, 0, 0x786c622d73656564, 0xffffffffffffffff)
# Where in an untagged frame: source address, its length, source port.
PLACES = {4: (26, 4, 34), 6: (22, 16, 54)}
SLOT = next(member["bits_offset"] // 8 for member in lab.header.struct("xlb_lookup")["members"]
            if member["name"] == "slot")
BASE = {4: int.from_bytes(socket.inet_aton("10.0.0.0")),
        6: int.from_bytes(socket.inet_pton(socket.AF_INET6, "2001:db8:7::"))}

# Name -> flow number -> (what is added to the first client's address, its port).
PATTERNS = {
    "one client, ports one after another": lambda n: (1, 1024 + n),
    "one client, every second port": lambda n: (1, 1024 + 2 * n),
    "clients one after another, one port": lambda n: (n, 40000),
    "clients 256 apart": lambda n: (n << 8, 40000),
    "clients 65536 apart": lambda n: (n << 16, 40000),
    "clients and ports together": lambda n: (n, 1024 + n),
    "clients up, ports down": lambda n: (n, 60000 - n),
    "ports 256 apart": lambda n: (n >> 8, n << 8 & 0xffff | 80),
    "64 clients with consecutive ports": lambda n: (n & 63, 40000 + (n >> 6)),
    "few clients far apart, consecutive ports": lambda n: ((n & 7) << 24, 1024 + (n >> 3)),
}
PREFIXES = {
    "networks one after another (/64)": lambda n: (n << 64 | 1, 40000),
    "networks one after another (/48)": lambda n: (n << 80 | 1, 40000),
    "network and host together": lambda n: (n << 64 | n, 40000),
}
# No more than the bits that an IPv4 address and a port have.
SOURCES = {
    "clients one after another": lambda n: (n, 40000),
    "clients 256 apart": lambda n: (n << 8, 40000),
    "clients of a /12, one of 16": lambda n: (n << 4, 40000),
}


def slots_of(version, pattern, flows):
    """How many of the flows fall on each slot."""
    address_at, width, port_at = PLACES[version]
    data = bytearray(frame(CLIENTS[version], VIPS[version], 1, 80).ljust(128, b"\0"))
    counts = Counter()
    for n in range(flows):
        address, port = pattern(n)
        data[address_at:address_at + width] = (BASE[version] + address).to_bytes(width)
        struct.pack_into(">H", data, port_at, port)
        out = lab.dry.run(bytes(data), lab.ifindex["left"])[1]
        counts[struct.unpack_from("=I", out, SLOT)[0]] += 1
    return counts


def deviation(counts, size):
    """Standard deviations by which chi-square is above what chance would give."""
    flows = counts.total()
    expected = flows / size
    square = sum(count * count for count in counts.values()) / expected - flows
    freedom = size - 1
    return (square - freedom) / math.sqrt(2 * freedom)


def check_even(name, version, pattern, size=SMALL, flows=FLOWS, **service):
    """More even than chance is welcome."""
    lab.reset(seed=service.pop("seed", SEEDS[0]))
    lab.service(VIPS[version], 80, current=1, size=size, **service)
    found = deviation(slots_of(version, pattern, flows), size)
    tap.ok(found < SIGMAS, f"IPv{version}, {size} slots: {name}", f"{found:.1f} deviations")


def check_format():
    generator = random.Random(11)
    for version in VERSIONS:
        start, width, port_at = PLACES[version]
        for kind in ("flow", "source"):
            wrong = []
            for seed in SEEDS:
                lab.reset(seed=seed)
                lab.service(VIPS[version], 80, current=1, size=LARGE, hash=kind)
                for _ in range(50):
                    # Of addresses that packets may come from.
                    source = bytes([generator.randrange(128, 224)]) + generator.randbytes(width - 1)
                    sport = generator.randrange(65536)
                    data = bytearray(frame(CLIENTS[version], VIPS[version], 1, 80))
                    data += bytes(128 - len(data))
                    data[start:start + width] = source
                    struct.pack_into(">H", data, port_at, sport)
                    out = lab.dry.run(bytes(data), lab.ifindex["left"])[1]
                    found = struct.unpack_from("=I", out, SLOT)[0]
                    family = socket.AF_INET if version == 4 else socket.AF_INET6
                    wanted = hash_of(source, socket.inet_pton(family, VIPS[version]), sport, 80, 6,
                                     seed, kind) * LARGE >> 32
                    if found != wanted:
                        wrong.append((seed, source.hex(), sport, found, wanted))
            tap.equal(wrong, [], f"IPv{version}, hash {kind}: the slot is that of the description")


def check_patterns():
    for version in VERSIONS:
        for name, pattern in (PATTERNS | (PREFIXES if version == 6 else {})).items():
            check_even(name, version, pattern)
        generator = random.Random(3)
        check_even("random clients and ports", version,
                   lambda n: (generator.getrandbits(24), generator.getrandbits(16)))
        for name, pattern in SOURCES.items():
            check_even(f"by source: {name}", version, pattern, hash="source")
        for seed in SEEDS[1:]:
            check_even(f"ports with seed {seed:#x}", version,
                       PATTERNS["one client, ports one after another"], seed=seed)
            check_even(f"clients with seed {seed:#x}", version,
                       PATTERNS["clients one after another, one port"], seed=seed)


def check_large():
    for version in VERSIONS:
        check_even("64 clients with consecutive ports", version,
                   lambda n: (n & 63, 1024 + (n >> 6)), LARGE, LARGE_FLOWS)


def check_affinity():
    for version in VERSIONS:
        lab.reset()
        lab.service(VIPS[version], 80, current=1, hash="source")
        tap.equal(len(slots_of(version, lambda n: (1, 1024 + n), 500)), 1,
                  f"IPv{version}: by source, every port of a client falls on one slot")


def check_keyed():
    """Another seed is another hash: flows meet again by chance alone."""
    for version in VERSIONS:
        maps = []
        for seed in SEEDS:
            lab.reset(seed=seed)
            lab.service(VIPS[version], 80, current=1)
            maps.append([next(iter(slots_of(version, lambda _, n=n: (n, 1024 + n), 1)))
                         for n in range(500)])
        for seed, slots in zip(SEEDS[1:], maps[1:]):
            same = sum(map(int.__eq__, slots, maps[0]))
            tap.ok(same < 15, f"IPv{version}: seed {seed:#x} spreads otherwise than {SEEDS[0]:#x}",
                   f"{same} of 500 on the same slot")


check_format()
check_patterns()
check_large()
check_affinity()
check_keyed()
tap.done()
