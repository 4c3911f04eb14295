#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""The dry run tells what a packet would meet, and leaves every map as it is."""

import random

import tap
from frame import frame
from lab import CLIENTS, DROP, PASS, VERSIONS, VIPS, Lab, backend_mac
from modes import ANY
from nat import RESET

lab = Lab()
DELETED = lab.numbers["DELETED"]
NO_SERVICE, NO_BACKEND, TABLE, PREVIOUS, RECORD = (
    lab.numbers[f"XLB_CHOICE_{name}"]
    for name in ("NO_SERVICE", "NO_BACKEND", "TABLE", "PREVIOUS", "RECORD"))
LIVE, DOWN = range(1, 7), 7
MACS = {bytes.fromhex(backend_mac(number).replace(":", "")): number for number in LIVE}
MACS[bytes.fromhex(backend_mac(DOWN).replace(":", ""))] = DOWN
FLOWS = 150
ASKED = ("choice", "backend", "record", "record_usable")


def everything():
    return {name: content.snapshot() for name, content in lab.maps.items()}


def random_slot():
    current = random.choice((0, *LIVE))
    return current, random.choice((0, 0, *LIVE, DOWN, DELETED))


def random_flow(version, protocol):
    fields = {"source": CLIENTS[version], "destination": VIPS[version], "protocol": protocol,
              "sport": random.randrange(1, 65536), "dport": 80}
    kind = random.randrange(4)
    if kind:
        lab.record(fields, random.choice((*LIVE, DOWN)), generation=random.choice((1, 1, 2)),
                   age=random.choice((0, 60)), embryonic=kind == 1)
    return frame(**fields, flags=random.choice("SA"))


def start(version, protocol, settle=60):
    lab.reset()
    for number in LIVE:
        lab.backend(number, version)
    lab.backend(DOWN, version, live=0)
    service = lab.service(VIPS[version], 80, protocol,
                          settle_until=lab.jiffies() + settle * lab.hz)
    slots = [random_slot() for _ in range(service.size)]
    lab.owners(service, slots)
    return slots


def reached(data):
    verdict, out = lab.run(data)
    return 0 if verdict == DROP else MACS[out[:6]]


def check_random(version, protocol, settle, ways):
    name = f"{FLOWS} flows of {protocol} over IPv{version}, {settle} s to settle"
    slots = start(version, protocol, settle)
    frames = list({random_flow(version, protocol) for _ in range(FLOWS)})
    before = everything()
    told = [lab.lookup(data) for data in frames]
    after = everything()
    tap.equal([map_name for map_name in before if before[map_name] != after[map_name]], [],
              f"{name}: nothing has changed in any map")
    tap.equal([answer["owner"] for answer in told],
              [dict(zip(("current", "previous"), slots[answer["slot"]])) for answer in told],
              f"{name}: the slot's owners are the table's")
    again = [(lab.lookup(data)["backend"], reached(data)) for data in frames]
    tap.equal([pair for pair in again if pair[0] != pair[1]], [],
              f"{name}: packets reach the backend told")
    tap.equal({answer["choice"] for answer in told}, ways, f"{name}: in every way there is")


def check_answers():
    """The whole answer, case by case."""
    for version in VERSIONS:
        start(version, "tcp")
        service = lab.service(VIPS[version], 80)
        fields = {"source": CLIENTS[version], "destination": VIPS[version], "protocol": "tcp",
                  "sport": 40000, "dport": 80}
        data = frame(**fields)

        def told(slot, wanted, name, data=data):
            lab.owners(service, [slot] * service.size)
            answer = lab.lookup(data)
            tap.equal(tuple(answer[key] for key in ASKED), wanted, f"IPv{version}: {name}")

        told((1, 0), (TABLE, 1, 0, 0), "the table")
        told((0, 0), (NO_BACKEND, 0, 0, 0), "nobody")
        told((2, 1), (PREVIOUS, 1, 0, 0), "the previous owner")
        told((2, 1), (TABLE, 2, 0, 0), "the table, for a SYN", frame(**fields, flags="S"))
        told((0, 1), (NO_BACKEND, 0, 0, 0), "nobody for a SYN", frame(**fields, flags="S"))
        lab.record(fields, 3)
        told((2, 1), (RECORD, 3, 3, 1), "a record")
        told((1, 0), (TABLE, 1, 0, 0), "a record is not asked for where the slot has not changed")
        lab.record(fields, 3, generation=2)
        told((2, 1), (PREVIOUS, 1, 3, 0), "a record that is of no use")
        told((1, 0), (NO_SERVICE, 0, 0, 0), "another port", frame(**fields | {"dport": 81}))
        told((1, 0), (NO_SERVICE, 0, 0, 0), "no TCP or UDP", bytes(60))
        lab.config(abi=0)
        told((1, 0), (NO_SERVICE, 0, 0, 0), "nothing is configured")


def check_nat():
    """Mode nat goes by the flow's record, whatever the slot."""
    for version in VERSIONS:
        lab.reset()
        for number in (1, 2, 3):
            lab.backend(number, version)
        service = lab.service(VIPS[version], 80, mode="nat",
                              settle_until=lab.jiffies() + 60 * lab.hz)
        fields = {"source": CLIENTS[version], "destination": VIPS[version], "protocol": "tcp",
                  "sport": 40000, "dport": 80}

        def told(slot, flags, wanted, name):
            lab.owners(service, [slot] * service.size)
            answer = lab.lookup(frame(**fields, flags=flags))
            tap.equal(tuple(answer[key] for key in ASKED), wanted, f"IPv{version}, nat: {name}")

        told((2, 1), "A", (PREVIOUS, 1, 0, 0), "the previous owner")
        lab.record(fields, 3)
        told((2, 0), "A", (TABLE, 2, 0, 0), "a record that another mode has left")
        lab.record(fields, 3, direction="nat_forward")
        told((2, 1), "A", (RECORD, 3, 3, 1), "a record")
        told((1, 0), "A", (RECORD, 3, 3, 1), "where the slot has not changed, too")
        told((1, 0), "S", (RECORD, 3, 3, 1), "for a SYN that comes again")
        lab.record(fields, 3, direction="nat_forward", closing=RESET)
        told((1, 0), "A", (RECORD, 3, 3, 1), "one of a connection that is over, for its rest")
        told((1, 0), "S", (TABLE, 1, 3, 0), "but not for a new one")
        lab.record(fields, 3, direction="nat_forward", age=60)
        told((1, 0), "S", (TABLE, 1, 3, 0), "nor after a while")


def check_replies():
    """A reply reaches no backend, even to the port of a service on any address."""
    for version in VERSIONS:
        lab.reset(needs={f"any_address{version}": 1})
        lab.backend(1, version)
        lab.service(ANY[version], 123, "udp", current=1)
        asker = lab.backend(2, version)
        data = frame(source=asker, destination=CLIENTS[version], protocol="udp",
                     sport=123, dport=123)
        tap.equal(lab.lookup(data)["choice"], TABLE, f"IPv{version}: a service on any address")
        lab.replies(asker, 123, VIPS[version], 123, 2, "udp")
        tap.equal(lab.lookup(data)["choice"], NO_SERVICE,
                  f"IPv{version}: a reply to its port reaches no backend")


def check_room():
    answer = lab.header.struct("xlb_lookup")["size"]
    for length, verdict in ((answer - 1, DROP), (answer, PASS)):
        got, _ = lab.dry.run(bytes(length), lab.ifindex["left"])
        tap.equal(got, verdict, f"a frame of {length} bytes for an answer of {answer}")


random.seed(2)
for version in VERSIONS:
    check_random(version, "tcp", 60, {NO_BACKEND, TABLE, PREVIOUS, RECORD})
    check_random(version, "udp", 60, {NO_BACKEND, TABLE, PREVIOUS, RECORD})
    check_random(version, "udp", -1, {NO_BACKEND, TABLE, RECORD})
check_answers()
check_nat()
check_replies()
check_room()
tap.done()
