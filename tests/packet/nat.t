#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""Mode nat: both ends of a flow are rewritten, and its two records see to that."""

import tap
from frame import frame
from lab import (CLIENTS, MACS, PASS, REDIRECT, ROUTER_MAC, VERSIONS, VIPS, Lab, backend_mac,
                 packed)

lab = Lab()
SOURCES = {4: ("10.0.0.250", "10.0.0.251"), 6: ("2001:db8:2::250", "2001:db8:2::251")}
CLOSED = 61                     # seconds after which a closed connection's port is free


def prepare(version, protocol="tcp", sources=1):
    """A service with one backend; a client's packet, and the backend's address."""
    given = b"".join(packed(each) for each in SOURCES[version][:sources])
    size = 4 if version == 4 else 16
    lab.reset(**{f"nat{version}": [given[at:at + size].ljust(size, b"\0")
                                   for at in range(0, 8 * size, size)],
                 f"nat{version}_count": sources})
    address = lab.backend(1, version)
    lab.service(VIPS[version], 80, protocol, current=1, mode="nat")
    lab.replies(address, 8080, "0.0.0.0" if version == 4 else "::", 0, 1, protocol, by_flow=1)
    return {"source": CLIENTS[version], "destination": VIPS[version], "sport": 40000,
            "dport": 80, "protocol": protocol}, address


def forwarded(fields, version, address, port=None, source=0):
    return fields | {"source": SOURCES[version][source], "destination": address, "dport": 8080,
                     "sport": fields["sport"] if port is None else port, "ttl": 63,
                     "smac": MACS["right"], "dmac": backend_mac(1)}


def answered(fields, version, address, port=None):
    """The backend's packet, and what the client gets."""
    reply = {"source": address, "destination": SOURCES[version][0], "sport": 8080,
             "dport": fields["sport"] if port is None else port, "protocol": fields["protocol"],
             "smac": backend_mac(1), "dmac": MACS["right"]}
    return reply, reply | {"source": VIPS[version], "destination": fields["source"], "sport": 80,
                           "dport": fields["sport"], "ttl": 63, "smac": MACS["left"],
                           "dmac": ROUTER_MAC}


def there(fields):
    """Which of (established, embryonic) records there are."""
    return tuple(each is not None for each in lab.records(fields))


def check_way(version, protocol):
    name = f"{protocol} over IPv{version}: "
    fields, address = prepare(version, protocol)
    reply, restored = answered(fields, version, address)
    first = {"flags": "S"} if protocol == "tcp" else {}
    lab.check(name + "a reply that nobody asked for", frame(**reply), PASS, link="right")
    lab.check(name + "first packet: the client's port is kept", frame(**fields, **first), REDIRECT,
              frame(**forwarded(fields, version, address), **first))
    tap.equal((there(fields), there(reply)), ((False, True), (False, True)),
              name + "two embryonic records")
    lab.check(name + "reply", frame(**reply), REDIRECT, frame(**restored), link="right")
    lab.check(name + "second packet", frame(**fields), REDIRECT,
              frame(**forwarded(fields, version, address)))
    tap.equal((there(fields), there(reply)), ((True, False), (True, False)),
              name + "confirms both")
    lab.check(name + "reply to that", frame(**reply), REDIRECT, frame(**restored), link="right")
    tap.equal((lab.stats(1)["connections"], lab.stats(1)["in_packets"],
               lab.stats(1)["out_packets"], lab.drops()), (1, 2, 2, {}), name + "counted")


def check_evicted(version):
    name = f"IPv{version}: "
    fields, address = prepare(version)
    reply, restored = answered(fields, version, address)
    for flags in "SA":
        lab.run(frame(**fields, flags=flags))
    record = lab.records(fields)[0]
    lab.by_family("xlb_flows", address).clear()
    lab.by_family("xlb_flows", address).set(lab.tuple(fields), record)
    lab.check(name + "a reply whose record is gone is passed up", frame(**reply), PASS,
              link="right")
    lab.by_family("xlb_flows", address).set(
        lab.tuple(fields), record | {"seen": lab.jiffies() - 2 * lab.hz & 0xffffffff})
    lab.run(frame(**fields))
    lab.check(name + "the flow's next packet has put it back", frame(**reply), REDIRECT,
              frame(**restored), link="right")

    back = lab.records(reply)[0]
    lab.by_family("xlb_flows", address).clear()
    lab.by_family("xlb_flows", address).set(lab.tuple(reply), back)
    lab.check(name + "a lost record of the way there is found again", frame(**fields), REDIRECT,
              frame(**forwarded(fields, version, address)))


def port_of(data, version):
    """Source address and port of a frame that goes to the backend."""
    at = 14 + (12 if version == 4 else 8)
    size = 4 if version == 4 else 16
    ports = 14 + (20 if version == 4 else 40)
    return data[at:at + size], int.from_bytes(data[ports:ports + 2], "big")


def check_ports(version):
    name = f"IPv{version}: "
    fields, address = prepare(version)
    lab.run(frame(**fields, flags="S"))
    other = fields | {"source": CLIENTS[version][:-1] + "8"}
    got = port_of(lab.run(frame(**other, flags="S"))[1], version)[1]
    tap.ok(got != 40000 and got >= 1024, name + "another client's same port becomes another", got)
    reply, restored = answered(other, version, address, got)
    lab.check(name + "and its replies go to that client", frame(**reply), REDIRECT,
              frame(**restored), link="right")

    lab.run(frame(**fields))
    for flags, closing in (("FA", 1), ("RA", 5)):
        lab.run(frame(**fields, flags=flags))
        tap.equal([lab.records(each)[0]["closing"]
                   for each in (fields, answered(fields, version, address)[0])], [closing] * 2,
                  name + f"both records know of {flags}")
    back = lab.records(answered(fields, version, address)[0])[0]
    third = fields | {"source": CLIENTS[version][:-1] + "7"}
    for age, kept in ((CLOSED - 3, False), (CLOSED, True)):
        lab.by_family("xlb_flows", address).set(
            lab.tuple(answered(fields, version, address)[0]),
            back | {"seen": lab.jiffies() - age * lab.hz & 0xffffffff})
        third["source"] = CLIENTS[version][:-1] + ("6" if kept else "7")
        got = port_of(lab.run(frame(**third, flags="S"))[1], version)[1]
        tap.equal(got == 40000, kept, name + f"closed for {age} seconds, the port is free: {kept}")

    fields, address = prepare(version)
    reply = answered(fields, version, address)[0]
    for port in range(1, 65536):
        lab.record(reply | {"dport": port}, 1, direction="nat_reply", port=80)
    lab.check_drop(name + "no port is free", frame(**fields, flags="S"), "no_port")
    lab.reset()
    lab.backend(1, version)
    lab.service(VIPS[version], 80, current=1, mode="nat")
    lab.check_drop(name + "no source is configured", frame(**fields, flags="S"), "no_source")


def check_sources(version):
    fields, _ = prepare(version, sources=2)
    seen = {}
    for client in range(1, 40):
        for sport in (1000, 2000):
            asked = fields | {"source": CLIENTS[version][:-1] + str(client), "sport": sport}
            seen.setdefault(client, set()).add(
                port_of(lab.run(frame(**asked, flags="S"))[1], version)[0])
    tap.equal({len(each) for each in seen.values()}, {1}, f"IPv{version}: a client keeps its source")
    tap.equal(set().union(*seen.values()), {packed(each) for each in SOURCES[version]},
              f"IPv{version}: all sources are used")


for version in VERSIONS:
    for protocol in ("tcp", "udp"):
        check_way(version, protocol)
    check_evicted(version)
    check_ports(version)
    check_sources(version)
tap.done()
