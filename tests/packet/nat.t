#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""Mode nat: which source a flow gets, what is recorded of it, and what is not translated."""

import struct

from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

import tap
from lab import PASS, REDIRECT, VERSIONS, Lab, backend_address, packed
from nat import (BACKEND, BOTH, CLIENT, CLOSED, EMBRYONIC, ESTABLISHED, IDLE, NONE, OWN_PORT,
                 PORT_MIN, RESET, both, found, nat, send, stranger, taken)

lab = Lab()
PROTOCOLS = ("tcp", "udp")
# Where in a packed tuple: the destination's port.
DESTINATION_PORT = {4: 10, 6: 34}
SPREAD = 60                     # clients


def check_records():
    for version in VERSIONS:
        for protocol in PROTOCOLS:
            name = f"{protocol} over IPv{version}: "
            way = nat(lab, version, protocol)
            for _ in range(2 if protocol == "tcp" else 1):
                way.check(name + "what opens", flags="S")
                tap.equal(both(way), (EMBRYONIC, EMBRYONIC), name + "two embryonic records")
            common = {"backend": 1, "generation": 1, "closing": 0, "reserved": bytes(2)}
            wanted = (common | {"direction": lab.numbers["XLB_NAT_FORWARD"], "port": OWN_PORT,
                                "slot": lab.lookup(way.asks())["slot"], "client_port": 0,
                                "address": packed(way.source).ljust(16, b"\0"),
                                "client": bytes(16)},
                      common | {"direction": lab.numbers["XLB_NAT_REPLY"], "port": 80, "slot": 0,
                                "address": packed(way.vip).ljust(16, b"\0"),
                                "client": packed(way.client).ljust(16, b"\0"),
                                "client_port": OWN_PORT})
            for fields, expected in zip((way.asked, way.answered), wanted):
                held = found(way, fields)
                age = lab.jiffies() - held.pop("seen") & 0xffffffff
                tap.equal(held, expected, name + "all that is remembered")
                tap.ok(age <= lab.hz, name + "and when", age)
            way.check(name + "the next packet")
            tap.equal(both(way), (ESTABLISHED, ESTABLISHED), name + "confirms both")
            way.check_both(name + "and they count")
            tap.equal(lab.stats(1)["connections"], 1, name + "one connection")
            tap.equal(len(lab.by_family("xlb_flows", way.vip).items()), 2,
                      name + "nothing else is recorded")


def check_replies():
    for version in VERSIONS:
        for protocol in PROTOCOLS:
            name = f"{protocol} over IPv{version}: "
            way = nat(lab, version, protocol)
            lab.check(name + "from the backend, from another port", way.answers(sport=9), PASS,
                      link="right")
            tap.ok(lab.quiet(), name + "which leaves no trace")
            for what, fields in (("before anybody asked", {}), ("to another port", {"dport": 9})):
                lab.check_drop(name + f"from the backend, {what}", way.answers(**fields), "no_port",
                               link="right")
            lab.check(name + "to who is no source of nat", way.answers(destination=way.client), PASS,
                      link="right")
            way.reached(flags="S")
            way.check_both(name + "afterwards")
            lab.record(way.answered, 1, direction="forward")
            lab.check_drop(name + "a record of another direction tells no client", way.answers(),
                           "no_port", link="right")
            lab.record(way.answered, 1, direction="nat_reply", age=600, address=packed(way.vip),
                       port=80, client=packed(way.client), client_port=OWN_PORT)
            lab.run(way.answers(), "right")
            age = lab.jiffies() - found(way, way.answered)["seen"] & 0xffffffff
            tap.ok(age <= lab.hz, name + "a reply is seen", age)


def check_ports():
    for version in VERSIONS:
        for protocol in PROTOCOLS:
            name = f"{protocol} over IPv{version}: "
            way = nat(lab, version, protocol)
            way.reached(flags="S")
            others = [stranger(way, number) for number in range(1, 10)]
            ports = [send(way, source=other, flags="S") for other in others]
            tap.equal(len({OWN_PORT, *ports}), 10, name + "the same port of ten clients")
            tap.ok(min(ports) >= PORT_MIN, name + "becomes others, none of them privileged", ports)
            tap.equal([send(way, source=other) for other in others], ports, name + "and stays so")
            for other, port in zip(others[:2], ports):
                its = way.of(other)
                lab.check(name + "its packet", its.asks(), REDIRECT, its.forwarded(port=port))
                lab.check(name + "its reply", its.answers(dport=port), REDIRECT, its.restored(),
                          link="right")
            way.check_both(name + "the first client keeps its own")


def check_port_kinds():
    """A port is free unless the same backend, port and protocol has it."""
    for version in VERSIONS:
        way = nat(lab, version)
        taken(way, protocol="udp")
        tap.equal(send(way, flags="S"), OWN_PORT, f"IPv{version}: UDP's ports are others")
        way = nat(lab, version)
        lab.record(way.answered | {"source": lab.backend(2, version)}, 2, direction="nat_reply")
        lab.record(way.answered | {"sport": 81}, 1, direction="nat_reply")
        tap.equal(send(way, flags="S"), OWN_PORT,
                  f"IPv{version}: so are another backend's, and of another port of this one")


def check_expiry():
    """When a port of somebody's is free again."""
    cases = (("in use", False, {}), ("in use, by another CPU's clock", False, {"age": -1}), ("silent for long", False, {"age": IDLE - 2}),
             ("silent too long", True, {"age": IDLE + 2}),
             ("closed", False, {"closing": BOTH, "age": CLOSED - 2}),
             ("closed for long", True, {"closing": BOTH, "age": CLOSED + 2}),
             ("reset", False, {"closing": RESET, "age": CLOSED - 2}),
             ("reset long ago", True, {"closing": RESET, "age": CLOSED + 2}),
             ("half closed", False, {"closing": CLIENT, "age": CLOSED + 2}),
             ("half closed by the backend", False, {"closing": BACKEND, "age": CLOSED + 2}),
             ("never confirmed", False, {"embryonic": True, "age": CLOSED - 2}),
             ("never confirmed, long ago", True, {"embryonic": True, "age": CLOSED + 2}),
             ("of an earlier holder of the id", True, {"generation": 7}))
    for version in VERSIONS:
        for name, free, fields in cases:
            way = nat(lab, version)
            taken(way, **fields)
            port = send(way, flags="S")
            tap.equal(port == OWN_PORT, free, f"IPv{version}: a port {name} is "
                      + ("free" if free else "not"))
            tap.ok(port >= PORT_MIN, f"IPv{version}: a port {name}: one is found", port)


def check_oneway():
    """A flow that nobody answers keeps its port, too."""
    for version in VERSIONS:
        way = nat(lab, version, "udp")
        for _ in range(2):
            way.reached()
        flows = lab.by_family("xlb_flows", way.vip)
        for fields, age in ((way.asked, 2), (way.answered, IDLE - 1)):
            held = flows.get(lab.tuple(fields))
            flows.set(lab.tuple(fields), held | {"seen": lab.jiffies() - age * lab.hz & 0xffffffff})
        way.reached()
        age = lab.jiffies() - found(way, way.answered)["seen"] & 0xffffffff
        tap.ok(age <= lab.hz, f"IPv{version}: its way back is known to be used", age)


def check_reuse():
    """A SYN after the end of its connection begins another, even at once."""
    for version in VERSIONS:
        for closing in (BOTH, RESET):
            way = nat(lab, version)
            way.reached(flags="S")
            way.check(f"IPv{version}: a connection")
            for fields in (way.asked, way.answered):
                held = found(way, fields)
                lab.by_family("xlb_flows", way.vip).set(lab.tuple(fields),
                                                        held | {"closing": closing})
            way.check(f"IPv{version}: closed by {closing}, opened again", flags="S")
            tap.equal([found(way, fields)["closing"] for fields in (way.asked, way.answered)],
                      [0, 0], f"IPv{version}: and not closed any more")


def check_reset():
    """After an RST that was none, as a forged one, the connection goes on, and is not closed."""
    for version in VERSIONS:
        way = nat(lab, version)
        way.reached(flags="S")
        way.reached(flags="A")
        way.reached(flags="R")
        tap.equal([found(way, fields)["closing"] for fields in (way.asked, way.answered)],
                  [RESET, RESET], f"IPv{version}: an RST")
        flows = lab.by_family("xlb_flows", way.vip)
        way.reached(flags="FA")
        tap.equal([found(way, fields)["closing"] for fields in (way.asked, way.answered)],
                  [RESET | CLIENT, RESET | CLIENT], f"IPv{version}: a FIN may cross it")
        for fields in (way.asked, way.answered):
            held = flows.get(lab.tuple(fields))
            flows.set(lab.tuple(fields), held | {"closing": RESET})
        held = flows.get(lab.tuple(way.asked))
        flows.set(lab.tuple(way.asked), held | {"seen": lab.jiffies() - 2 * lab.hz & 0xffffffff})
        way.check(f"IPv{version}: the client goes on", flags="A")
        tap.equal([found(way, fields)["closing"] for fields in (way.asked, way.answered)],
                  [0, 0], f"IPv{version}: its connection is not closed")


def check_eviction():
    """A record that was washed out is made again from the other, with the same port."""
    for version in VERSIONS:
        way = nat(lab, version)
        taken(way)
        port = send(way, flags="S")
        send(way)
        tap.ok(port != OWN_PORT, f"IPv{version}: a port of its own")
        flows = lab.by_family("xlb_flows", way.vip)
        flows.delete(lab.tuple(way.asked))
        flows.delete(lab.tuple(way.answered))   # the stranger's: the port is free now
        tap.equal(send(way), port, f"IPv{version}: the way there washed out, and it keeps it")
        flows.delete(lab.tuple(way.answered | {"dport": port}))
        lab.check_drop(f"IPv{version}: the way back washed out, a reply is dropped",
                       way.answers(dport=port), "no_port", link="right")
        for fields in (way.asked, way.answered | {"dport": port}):
            for name in ("xlb_flows", "xlb_embryos"):
                records, key = lab.by_family(name, way.vip), lab.tuple(fields)
                if records.get(key):
                    records.set(key, records.get(key) | {"seen": lab.jiffies() - 2 * lab.hz
                                                         & 0xffffffff})
        tap.equal(send(way), port, f"IPv{version}: until the client's next packet")
        lab.check(f"IPv{version}: which brings it back", way.answers(dport=port), REDIRECT,
                  way.restored(), link="right")
        taken(way)
        for fields in (way.asked, way.answered | {"dport": port}):
            for name in ("xlb_flows", "xlb_embryos"):
                if lab.by_family(name, way.vip).get(lab.tuple(fields)):
                    lab.by_family(name, way.vip).delete(lab.tuple(fields))
        tap.equal(send(way), port, f"IPv{version}: without both it has the first port that is free")


def fill(way, protocol):
    """Every port towards the backend is somebody's."""
    taken(way, 1, protocol=protocol)
    records = lab.by_family("xlb_flows", way.backend)
    key = bytearray(next(records.keys()))
    value = records.raw(bytes(key))
    for port in range(2, 65536):
        struct.pack_into("=H", key, DESTINATION_PORT[way.kind.version], port)
        records.put(bytes(key), value)


def check_exhaustion():
    for version, protocol in ((4, "tcp"), (6, "udp")):
        way = nat(lab, version, protocol)
        fill(way, protocol)
        for sport in (OWN_PORT, 1, 65535):
            for flags in ("S", "A"):
                lab.check_drop(f"{protocol} over IPv{version}: no port is free",
                               way.asks(sport=sport, flags=flags), "no_port")
        tap.equal(lab.records(way.asked), NONE, "and nothing is recorded")
        lab.backend(2, version)
        lab.service(way.vip, 81, protocol, current=2, mode="nat")
        tap.equal(send(way, dport=81), OWN_PORT, "another backend has ports of its own")
        taken(way, 7, protocol=protocol, age=IDLE + 2)
        tap.equal(send(way, sport=7), 7, "nor is one that has come free")


def check_addresses():
    """Several sources: a client keeps one, whatever its port and its VIP's."""
    for version in VERSIONS:
        for count in (1, 2, 8):
            sources = [packed(backend_address(100 + number, version)) for number in range(8)]
            way = nat(lab, version, config={f"nat{version}": sources, f"nat{version}_count": count})
            used = []
            for number in range(SPREAD):
                client = backend_address(number + 1, version, "left")
                outs = [lab.run(way.asks(source=client, sport=sport))[1] for sport in (1, 2, 40000)]
                ip = {Ether(out)[IP if version == 4 else IPv6].src for out in outs}
                tap.equal(len(ip), 1, f"IPv{version}, {count} addresses: client {number} keeps one")
                used += ip
            wanted = {backend_address(100 + number, version) for number in range(count)}
            tap.equal(set(used), wanted, f"IPv{version}, {count} addresses: all are used")


def check_no_source():
    for version in VERSIONS:
        way = nat(lab, version, config={f"nat{version}_count": 0})
        lab.check_drop(f"IPv{version}: no nat{version}", way.asks(), "no_source")
        tap.equal(lab.records(way.asked), NONE, f"IPv{version}: and nothing is recorded")


check_records()
check_replies()
check_ports()
check_port_kinds()
check_expiry()
check_oneway()
check_reuse()
check_reset()
check_eviction()
check_exhaustion()
check_addresses()
check_no_source()
tap.done()
