#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""What a packet looks like once its destination, or a reply's source, is rewritten."""

import random

from scapy.layers.inet import IP, TCP, UDP, IPOption_NOP, IPOption_Router_Alert
from scapy.layers.l2 import Ether

import tap
from bpf import Program, pinned
from frame import CLIENT_MAC, TAGS, XLB_MAC, frame, with_header_sum, with_sum
from lab import CLIENTS, MACS, PASS, PINS, REDIRECT, TX, VERSIONS, VIPS, Lab, backend_mac
from modes import ANY, CONFIG, Kind, start

lab = Lab()
PROTOCOLS = ("tcp", "udp")
# In either byte order: sums of swapped words are the swapped sums.
NEAR_ZERO = (1, 0x0100, 0xfffc, 0xfcff, 0xfffd, 0xfdff, 0xfffe, 0xfeff)
UNTOUCHED = {"ttl": 64, "smac": CLIENT_MAC, "dmac": XLB_MAC}


def check_both_ways(name, path, **fields):
    """The path's packets with these fields on top: forwarded, and restored."""
    lab.check(f"{name}: to the backend", frame(**path.asked | fields), path.sent(),
              frame(**path.forwarded | fields))
    lab.check(f"{name}: to the client", frame(**path.answered | fields), path.sent(),
              frame(**path.restored | fields), link=path.link)


def check_every_kind():
    for version in VERSIONS:
        for protocol in PROTOCOLS:
            for link, way in (("left", "bounced"), ("right", "redirected")):
                lab.reset()
                path = lab.balanced(version, protocol, link)
                name = f"{protocol} over IPv{version}, {way}"
                check_both_ways(name, path)
                check_both_ways(f"{name}, no payload, padded", path, payload=b"", pad=60)
                check_both_ways(f"{name}, odd length", path, payload=b"odd")
                check_both_ways(f"{name}, 1400 bytes", path, payload=bytes(range(200)) * 7)
                tap.equal(lab.drops(), {}, f"{name}: no drops")


def check_tags():
    """Tags stay as they are, so a tagged frame may only go back where it came from."""
    for version in VERSIONS:
        for protocol in PROTOCOLS:
            for tags in TAGS[1:]:
                name = f"{protocol} over IPv{version}, {len(tags)} VLAN tags"
                lab.reset()
                path = lab.balanced(version, protocol, "left")
                check_both_ways(f"{name}, bounced", path, tags=tags)
                lab.reset()
                path = lab.balanced(version, protocol, "right")
                lab.check(f"{name}: passed finished where another interface leads",
                          frame(**path.asked, tags=tags), PASS,
                          frame(**path.forwarded | UNTOUCHED, tags=tags))


def check_headers():
    lab.reset()
    path = lab.balanced(4, "tcp")
    check_both_ways("IPv4 options", path, options=(IPOption_Router_Alert(), IPOption_NOP()))
    check_both_ways("the longest IPv4 header", path, options=[IPOption_NOP()] * 40)
    check_both_ways("type of service and don't fragment", path,
                    header={"tos": 0xb9, "flags": "DF"})
    check_both_ways("every TCP flag", path, flags="FSRPAUEC")
    lab.reset()
    path = lab.balanced(4, "udp")
    check_both_ways("UDP with IPv4 options", path, options=(IPOption_NOP(),) * 4)
    lab.reset()
    path = lab.balanced(6, "tcp")
    check_both_ways("traffic class and flow label", path, header={"tc": 0xb9, "fl": 0xabcde})


def check_sum(name, layer, path, wanted, craft):
    """Packets that have this sum in each of their forms."""
    for form in (path.asked, path.forwarded, path.answered, path.restored):
        crafted = craft(form, wanted)
        tap.equal(Ether(frame(**crafted))[layer].chksum, wanted, f"{name}: a sum of {wanted:#x}")
        check_both_ways(f"{name}: a sum of {wanted:#x}", path,
                        **{key: crafted[key] for key in ("payload", "header") if key in crafted})


def check_checksums():
    """Where a sum carries into zero; UDP then sends 0xffff (RFC 768), all others zero."""
    for version in VERSIONS:
        for protocol, layer, zero in (("tcp", TCP, 0), ("udp", UDP, 0xffff)):
            lab.reset()
            path = lab.balanced(version, protocol)
            for wanted in (zero, *NEAR_ZERO):
                check_sum(f"{protocol} over IPv{version}", layer, path, wanted, with_sum)
    lab.reset()
    path = lab.balanced()
    for wanted in (0, *NEAR_ZERO):
        check_sum("the IPv4 header", IP, path, wanted, with_header_sum)

    lab.reset()
    check_both_ways("UDP over IPv4 without a checksum", lab.balanced(4, "udp"), checksum=0)

    lab.reset()
    path = lab.balanced(4, "tcp")
    wrong = Ether(frame(**path.asked))[TCP].chksum ^ 0x0101
    right = Ether(frame(**path.forwarded))[TCP].chksum
    _, out = lab.run(frame(**path.asked, checksum=wrong))
    tap.ok(Ether(out)[TCP].chksum != right, "a wrong checksum stays wrong")


def check_random():
    """Sums carry in every way that random packets make them."""
    random.seed(1)
    for version in VERSIONS:
        for protocol in PROTOCOLS:
            lab.reset()
            path = lab.balanced(version, protocol)
            wrong = []
            for _ in range(150):
                fields = {"payload": random.randbytes(random.randrange(40)),
                          "sport": random.randrange(1, 65536)}
                got = lab.run(frame(**path.asked | fields))
                if got != (REDIRECT, frame(**path.forwarded | fields)):
                    wrong.append(fields)
            tap.equal(wrong, [], f"150 random packets of {protocol} over IPv{version}")


def check_stack():
    """Where XDP cannot send, the kernel gets the finished frame, its TTL untouched."""
    for version in VERSIONS:
        lab.reset()
        lab.redirects("right", 0)
        path = lab.balanced(version)
        lab.check(f"IPv{version}: a link that takes no redirected frames", frame(**path.asked),
                  PASS, frame(**path.forwarded | UNTOUCHED))
        lab.reset()
        lab.redirects("left", 0)
        path = lab.balanced(version)
        lab.check(f"IPv{version}: a reply for a link that takes none", frame(**path.answered), PASS,
                  frame(**path.restored | {"ttl": 64, "smac": path.answered["smac"],
                                           "dmac": path.answered["dmac"]}), link="right")
        lab.reset()
        lab.redirects("left", 0)
        path = lab.balanced(version, link="left")
        check_both_ways(f"IPv{version}: bouncing asks no link", path)


def check_wildcards():
    for version in VERSIONS:
        lab.reset(needs={f"any_port{version}": 1, f"any_address{version}": 1})
        exact = lab.balanced(version, number=1)
        vip, client = VIPS[version], CLIENTS[version]
        address = lab.backend(2, version, port=0)
        lab.service(vip, 0, current=2)
        lab.replies(address, 0, vip, 0, 2)
        lab.service(ANY[version], 80, current=3)
        anywhere = lab.backend(3, version, port=8080)
        lab.replies(anywhere, 8080, ANY[version], 80, 3, by_flow=1)

        hop = {"ttl": 63, "smac": MACS["right"]}
        check_both_ways(f"IPv{version}: address and port come first", exact)
        asked = exact.asked | {"dport": 443}
        lab.check(f"IPv{version}: any port, which stays", frame(**asked), REDIRECT,
                  frame(**asked | {"destination": address, "dmac": backend_mac(2)} | hop))
        answered = exact.answered | {"source": address, "sport": 443}
        lab.check(f"IPv{version}: any port: to the client", frame(**answered), REDIRECT,
                  frame(**exact.restored | {"sport": 443}), link="right")
        asked = exact.asked | {"destination": client[:-1] + "8"}
        lab.check(f"IPv{version}: any address", frame(**asked), REDIRECT,
                  frame(**asked | {"destination": anywhere, "dport": 8080,
                                   "dmac": backend_mac(3)} | hop))
        answered = exact.answered | {"source": anywhere, "sport": 8080}
        lab.check(f"IPv{version}: any address: to the client from the one it asked",
                  frame(**answered), REDIRECT,
                  frame(**exact.restored | {"source": asked["destination"]}), link="right")
        stranger = frame(**answered | {"dport": 40001})
        lab.check(f"IPv{version}: any address: a reply that nobody asked for", stranger, PASS,
                  link="right")

        lab.config()
        for asked in (exact.asked | {"dport": 443}, asked):
            lab.check(f"IPv{version}: a look-up that no service needs is not made",
                      frame(**asked), PASS)
        answered = exact.answered | {"source": address, "sport": 443}
        lab.check(f"IPv{version}: nor is that of its reply", frame(**answered), PASS, link="right")


def check_same_port():
    """A client asks from the very port that a service on any address has."""
    for version in VERSIONS:
        needs = {"needs": {f"any_address{version}": 1}}
        for protocol in PROTOCOLS:
            name = f"{protocol} over IPv{version}, from the port of a service on any address"
            lab.reset(**CONFIG | needs)
            path = lab.balanced(version, protocol)
            lab.service(ANY[version], 123, protocol, current=3)
            hosts = [lab.backend(number, version, port=123) for number in (3, 4)]
            for host in hosts:
                lab.replies(host, 123, ANY[version], 123, 3, protocol, by_flow=1)
            there = {"dmac": backend_mac(3), "smac": MACS["right"], "ttl": 63,
                     "destination": hosts[0]}

            asked = path.asked | {"sport": 123, "dport": 123}
            answered = path.answered | {"source": hosts[0], "sport": 123, "dport": 123}
            lab.check(f"{name}: an answer to nothing is a packet for it", frame(**answered), TX,
                      frame(**answered | there), link="right")
            lab.maps[f"xlb_embryos{version}"].clear()
            lab.check(f"{name}: to its backend", frame(**asked), REDIRECT, frame(**asked | there))
            lab.check(f"{name}: and to the client", frame(**answered), REDIRECT,
                      frame(**path.restored | {"sport": 123, "dport": 123}), link="right")
            asked = answered | {"source": hosts[1], "smac": backend_mac(4)}
            for turn in ("asks", "asks, and has a record of that"):
                lab.check(f"{name}: a backend that {turn}", frame(**asked), TX,
                          frame(**asked | there), link="right")
                lab.record(asked, 3)

            lab.check(f"{name}: dnat, to the backend", frame(**path.asked | {"sport": 123}),
                      REDIRECT, frame(**path.forwarded | {"sport": 123}))
            lab.check(f"{name}: dnat, to the client", frame(**path.answered | {"dport": 123}),
                      REDIRECT, frame(**path.restored | {"dport": 123}), link="right")

            way = start(lab, Kind("nat", version, version), protocol, config=needs)
            lab.service(ANY[version], 123, protocol, current=3)
            way.asked["sport"] = way.answered["dport"] = 123
            way.check_both(f"{name}: nat")


def check_source_hash():
    for version in VERSIONS:
        lab.reset()
        path = lab.balanced(version, hash="source")
        lab.backend(2, version)
        service = lab.service(VIPS[version], 80, hash="source")
        lab.owners(service, [(1 + slot % 2, 0) for slot in range(service.size)])
        reached = {lab.run(frame(**path.asked | {"sport": port}))[1][:6]
                   for port in range(1000, 1040)}
        tap.equal(len(reached), 1, f"IPv{version}: every port of a client reaches one backend")
        clients = [path.asked["source"][:-1] + str(last) for last in range(10)]
        reached = {lab.run(frame(**path.asked | {"source": client}))[1][:6] for client in clients}
        tap.equal(len(reached), 2, f"IPv{version}: ten clients reach both")


def check_programs():
    """`ip link set ... xdp obj` loads the one, everything else the other."""
    lab.reset()
    path = lab.balanced()
    program = Program(pinned(f"{PINS}/programs/xlb_prog"))
    tap.equal(program.run(frame(**path.asked), lab.ifindex["left"]),
              (REDIRECT, frame(**path.forwarded)), "the section that ip loads does the same")


def check_counters():
    for version in VERSIONS:
        lab.reset()
        path = lab.balanced(version)
        asked = [frame(**path.asked, flags=flags, payload=payload)
                 for flags, payload in (("S", b""), ("S", b""), ("A", b""), ("PA", b"GET"),
                                        ("FA", b""))]
        answered = [frame(**path.answered, flags="SA", payload=b""),
                    frame(**path.answered, flags="PA", payload=bytes(1000))]
        for data in asked:
            lab.run(data)
        for data in answered:
            lab.run(data, "right")
        tap.equal(lab.stats(1), {"connections": 2, "in_packets": 5, "out_packets": 2,
                                 "in_bytes": sum(map(len, asked)),
                                 "out_bytes": sum(map(len, answered))},
                  f"IPv{version}: counters of TCP")

        lab.reset()
        path = lab.balanced(version, "udp", previous=2)
        for port in (1000, 1000, 1001):
            lab.run(frame(**path.asked | {"sport": port}))
        counted = lab.stats(1)
        tap.equal((counted["connections"], counted["in_packets"]), (2, 3),
                  f"IPv{version}: UDP connections are the flows recorded")

        lab.reset(needs={f"any_address{version}": 1})
        path = lab.balanced(version, "udp")
        lab.service(ANY[version], 81, "udp", current=1)
        lab.by_flow(1)
        for port in (1000, 1000, 1001):
            lab.run(frame(**path.asked | {"sport": port, "dport": 81}))
        counted = lab.stats(1)
        tap.equal((counted["connections"], counted["in_packets"]), (2, 3),
                  f"IPv{version}: any address: UDP connections are the flows recorded")


check_every_kind()
check_tags()
check_headers()
check_checksums()
check_random()
check_stack()
check_wildcards()
check_same_port()
check_source_hash()
check_programs()
check_counters()
tap.done()
