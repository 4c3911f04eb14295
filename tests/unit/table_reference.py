#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Says once more, in its own words, who owns which slot (see loader/table.c).

Prints the tables that the unit test expects:
    tests/unit/table_reference.py > tests/unit/table_golden.h
"""

import ipaddress
from math import log2
from struct import unpack

SIZE = 251
LARGE = 16381
WORD = 2**64 - 1
STRIDE = 0x9E3779B97F4A7C15

# address, port, weight, in the order in which their ids are 1, 2, ...
BACKENDS = [
    ("10.0.0.10", 80, 1),
    ("10.0.0.9", 80, 1),
    ("10.0.0.9", 8080, 3),
    ("192.0.2.255", 65535, 10),
    ("10.0.0.10", 0, 2),
    ("2001:db8::1", 443, 7),
    ("2001:db8::ff00:1", 443, 0),
    ("fe80::1", 1, 1),
    ("10.0.0.200", 256, 5),
    ("10.0.1.0", 255, 1),
]
NOT_UP = {3: "XLB_DOWN", 4: "XLB_DRAIN", 7: "XLB_DOWN", 9: "XLB_DOWN"}
# Tenths of their weights that do not count, in golden_warming.
COLD = {2: 9, 3: 5, 6: 3, 10: 1}


def mix(x):
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & WORD
    x = (x ^ x >> 27) * 0x94D049BB133111EB & WORD
    return x ^ x >> 31


def packed(address):
    address = ipaddress.ip_address(address)
    prefix = bytes(10) + b"\xff\xff" if address.version == 4 else b""
    return prefix + address.packed


def key(address, port):
    high, low = unpack(">QQ", packed(address))
    return mix(mix(mix(high) ^ low) ^ port)


def walk(key, size):
    position = mix(key + STRIDE & WORD) % size
    skip = mix(key + 2 * STRIDE & WORD) % (size - 1) + 1
    while True:
        yield position
        position = (position + skip) % size


def maglev(members, size):
    """Owners by id; members are (id, key, weight) in order."""
    bounds = [0]
    for _, _, weight in members:
        bounds.append(bounds[-1] + weight)
    shares = [bound * size // bounds[-1] for bound in bounds]
    walks = [walk(key, size) for _, key, _ in members]
    claimed = [0] * len(members)
    rounds = size // len(members) + 1
    owners = {}
    for turn in range(1, rounds + 1):
        for i, (name, _, _) in enumerate(members):
            quota = shares[i + 1] - shares[i]
            due = (2 * quota * turn + rounds) // (2 * rounds)
            for _ in range(due - claimed[i]):
                owners[next(p for p in walks[i] if p not in owners)] = name
            claimed[i] = due
    return [owners[slot] for slot in range(size)]


def heir(members, cold, slot):
    def lot(member):
        name, key, weight = member
        lots = weight * (10 - cold.get(name, 0))
        return -log2(((mix(key ^ mix(slot)) >> 32) + 1) / 2**32) / lots
    return min(members, key=lot)[0]


def keeps(key, cold, slot):
    return (mix(key ^ mix(slot)) % 2**32) / 2**32 < 1 - cold / 10


def table(not_up, cold, size, backends=BACKENDS):
    """Owners by id, from 1 in the order of the backends; 0 where nobody is up."""
    members = [(name, key(address, port), weight)
               for _, port, address, weight, name in
               sorted((packed(address), port, address, weight, name)
                      for name, (address, port, weight) in enumerate(backends, 1))
               if weight]
    up = [member for member in members if member[0] not in not_up]
    if not up:
        return [0] * size
    keys = {name: key for name, key, _ in up}
    return [owner if owner in keys and keeps(keys[owner], cold.get(owner, 0), slot)
            else heir(up, cold, slot)
            for slot, owner in enumerate(maglev(members, size))]


def digest(owners):
    """FNV-1a, 32 bits, one step an owner."""
    value = 0x811C9DC5
    for owner in owners:
        value = (value ^ owner) * 0x01000193 & 0xFFFFFFFF
    return value


def print_owners(name, owners):
    print(f"\nstatic const __u16 {name}[GOLDEN_SIZE] = {{")
    for start in range(0, len(owners), 24):
        print("\t" + " ".join(f"{owner}," for owner in owners[start:start + 24]))
    print("};")


def main():
    print("/* SPDX-License-Identifier: GPL-2.0-only */")
    print("/* Tables as table_reference.py, which printed this, has them. */")
    print(f"#define GOLDEN_SIZE {SIZE}")
    print(f"#define GOLDEN_LARGE {LARGE}")
    print(f"#define GOLDEN_LARGE_UP {digest(table({}, {}, LARGE)):#010x}")
    print(f"#define GOLDEN_LARGE_HANDED {digest(table(NOT_UP, {}, LARGE)):#010x}")
    print(f"#define GOLDEN_LARGE_WARMING {digest(table(NOT_UP, COLD, LARGE)):#010x}")
    print("\n/* States are those of golden_handed and golden_warming; in golden_up all are up.")
    print(" * All are warm but in golden_warming. */")
    print("static const struct table_backend golden_backends[] = {")
    for name, (address, port, weight) in enumerate(BACKENDS, 1):
        print("\t{ { %s },\n\t  %d, %d, %d, %s, 0 },\t/* %s */" % (
            ", ".join(map(str, packed(address))), port, name, weight,
            NOT_UP.get(name, "XLB_UP"), address))
    print("};")
    print("static const __u8 golden_cold[] = { %s };" %
          ", ".join(str(COLD.get(name, 0)) for name in range(1, len(BACKENDS) + 1)))
    print_owners("golden_up", table({}, {}, SIZE))
    print_owners("golden_handed", table(NOT_UP, {}, SIZE))
    print_owners("golden_warming", table(NOT_UP, COLD, SIZE))


if __name__ == "__main__":
    main()
