#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""Which backend a flow reaches while its slot changes hands, and what is remembered."""

from typing import NamedTuple

import tap
from frame import frame
from lab import CLIENTS, DROP, PASS, REDIRECT, VERSIONS, VIPS, Lab, backend_address, backend_mac

lab = Lab()
DELETED = lab.numbers["DELETED"]
BACKENDS = (1, 2, 3)
MACS = {backend_mac(number): number for number in BACKENDS}
ANY = {4: "0.0.0.0", 6: "::"}
NONE = (None, None)
SYN, ACK = "S", "A"
NEVER = 2 ** 63                 # jiffies: the settle time goes on


class Case(NamedTuple):
    """One packet: what slot and record it meets, where it goes, what it leaves.

    A slot is (current, previous); a record is fields of Lab.record(); what is left
    are the backends of the flow's (established, embryonic) record.
    """
    description: str
    slot: tuple
    packet: str             # TCP flags, or "udp"
    reached: int            # 0: dropped
    left: tuple
    record: dict = {}
    dead: tuple = ()
    settle: int = 0         # seconds from now


def record(backend, **fields):
    return {"backend": backend} | fields


UNMARKED, MARKED, ORPHANED, NOBODY = (1, 0), (2, 1), (2, DELETED), (0, 1)

TCP_CASES = (
    Case("a slot that has not changed makes no record", UNMARKED, ACK, 1, NONE),
    Case("nor does a SYN", UNMARKED, SYN, 1, NONE),
    Case("and asks for none", UNMARKED, ACK, 1, (3, None), record(3)),
    Case("nor for an embryonic one", UNMARKED, ACK, 1, (None, 3), record(3, embryonic=True)),

    Case("a SYN goes to the current owner", MARKED, SYN, 2, (None, 2)),
    Case("a SYN with other flags too", MARKED, "SEC", 2, (None, 2)),
    Case("other packets go to the previous owner", MARKED, ACK, 1, (1, None)),
    Case("a SYN with ACK opens nothing", MARKED, "SA", 1, (1, None)),
    Case("a FIN", MARKED, "FA", 1, (1, None)),
    Case("a RST", MARKED, "R", 1, (1, None)),
    Case("the previous owner is down", MARKED, ACK, 2, (2, None), dead=(1,)),
    Case("a SYN while it is down", MARKED, SYN, 2, (None, 2), dead=(1,)),
    Case("the settle time is no matter of TCP's", MARKED, ACK, 1, (1, None), settle=-30),
    Case("nor is it to a SYN", MARKED, SYN, 2, (None, 2), settle=30),

    Case("the previous owner is deleted", ORPHANED, ACK, 2, (2, None)),
    Case("a SYN when it is deleted", ORPHANED, SYN, 2, (None, 2)),
    Case("a record when it is deleted", ORPHANED, ACK, 3, (3, None), record(3)),
    Case("the current owner is gone, older flows stay", NOBODY, ACK, 1, (1, None)),
    Case("the current owner is gone, records count", NOBODY, ACK, 3, (3, None), record(3)),
    Case("nobody for a new flow", NOBODY, SYN, 0, NONE),
    Case("nobody at all", NOBODY, ACK, 0, NONE, dead=(1,)),
    Case("nobody in an unmarked slot", (0, 0), ACK, 0, NONE),

    Case("a record is followed", MARKED, ACK, 3, (3, None), record(3)),
    Case("however old it is", MARKED, ACK, 3, (3, None), record(3, age=3600)),
    Case("also to the current owner", MARKED, ACK, 2, (2, None), record(2)),
    Case("an embryonic record is followed and confirmed", MARKED, ACK, 3, (3, None),
         record(3, embryonic=True)),
    Case("a record of a backend that is down is not", MARKED, ACK, 1, (1, None), record(3), (3,)),
    Case("an embryonic one of it neither", MARKED, ACK, 1, (1, None),
         record(3, embryonic=True), (3,)),
    Case("a record of an earlier holder of the id is not", MARKED, ACK, 1, (1, None),
         record(3, generation=7)),
    Case("neither by a SYN", MARKED, SYN, 2, (None, 2), record(3, generation=7)),
    Case("nor when it is embryonic", MARKED, ACK, 1, (1, None),
         record(3, generation=7, embryonic=True)),
    Case("a record of an id beyond all is not", MARKED, ACK, 1, (1, None), record(65000)),
    Case("a reply's record is not", MARKED, ACK, 1, (1, None), record(3, direction="reply")),

    Case("a retransmitted SYN follows its record", MARKED, SYN, 3, (None, 3),
         record(3, embryonic=True, age=2.5)),
    Case("or the one its flow has since", MARKED, SYN, 3, (3, None), record(3, age=2.5)),
    Case("a SYN 3 seconds later begins anew", MARKED, SYN, 2, (None, 2),
         record(3, embryonic=True, age=3.5)),
    Case("and the older flow's record goes", MARKED, SYN, 2, (None, 2), record(3, age=3.5)),
    Case("also where it leads to the current owner", MARKED, SYN, 2, (None, 2),
         record(2, age=3.5)),
)

UDP_CASES = (
    Case("a slot that has not changed makes no record", UNMARKED, "udp", 1, NONE, settle=30),
    Case("and asks for none", UNMARKED, "udp", 1, (3, None), record(3), settle=30),
    Case("before the settle time is over: the previous owner", MARKED, "udp", 1, (1, None),
         settle=30),
    Case("in its last second", MARKED, "udp", 1, (1, None), settle=1),
    Case("afterwards: the current one", MARKED, "udp", 2, (2, None), settle=-1),
    Case("before, but the previous owner is down", MARKED, "udp", 2, (2, None), dead=(1,),
         settle=30),
    Case("before, but it is deleted", ORPHANED, "udp", 2, (2, None), settle=30),
    Case("a record is followed before", MARKED, "udp", 3, (3, None), record(3), settle=30),
    Case("and afterwards", MARKED, "udp", 1, (1, None), record(1, age=60), settle=-1),
    Case("a record of another generation is not", MARKED, "udp", 1, (1, None),
         record(3, generation=7), settle=30),
    Case("nor one of a backend that is down", MARKED, "udp", 2, (2, None), record(3), (3,),
         settle=-1),
    Case("nobody after the settle time", NOBODY, "udp", 0, NONE, settle=-1),
    Case("the previous owner until then", NOBODY, "udp", 1, (1, None), settle=30),
)


def flow(version, protocol="tcp", sport=40000):
    return {"source": CLIENTS[version], "destination": VIPS[version], "sport": sport, "dport": 80,
            "protocol": protocol}


def start(version, protocol="tcp", slot=UNMARKED, settle=0, dead=(), **config):
    """Three backends, and a service all of whose slots are alike."""
    lab.reset(**config)
    for number in BACKENDS:
        lab.backend(number, version, live=number not in dead)
    return lab.service(VIPS[version], 80, protocol, current=slot[0], previous=slot[1],
                       settle_until=max(0, lab.jiffies() + settle * lab.hz))


def send(fields, flags=ACK):
    """The backend that the packet is sent to, by its MAC; 0 when dropped."""
    verdict, out = lab.run(frame(**fields, flags=flags))
    if verdict == DROP:
        return 0
    assert verdict == REDIRECT, verdict
    return MACS[":".join(f"{byte:02x}" for byte in out[:6])]


def remembered(fields):
    return tuple(found and found["backend"] for found in lab.records(fields))


def check_cases(protocol, cases):
    for version in VERSIONS:
        for case in cases:
            start(version, protocol, case.slot, case.settle, case.dead)
            fields = flow(version, protocol)
            if case.record:
                lab.record(fields, **case.record)
            tap.equal((send(fields, case.packet), remembered(fields)), (case.reached, case.left),
                      f"{protocol} over IPv{version}: {case.description}")


def check_record():
    """What a record holds."""
    for version in VERSIONS:
        for protocol, flags, place in (("tcp", SYN, 1), ("tcp", ACK, 0), ("udp", "", 0)):
            start(version, protocol, MARKED)
            fields = flow(version, protocol)
            expected = {"slot": lab.lookup(frame(**fields))["slot"], "generation": 1,
                        "direction": lab.numbers["XLB_FORWARD"], "port": 0, "address": bytes(16),
                        "closing": 0, "client": bytes(16), "client_port": 0,
                        "reserved": bytes(2)}
            expected["backend"] = send(fields, flags)
            found = lab.records(fields)[place]
            age = lab.jiffies() - found.pop("seen") & 0xffffffff
            tap.equal(found, expected, f"{protocol} {flags} over IPv{version}: what a record holds")
            tap.ok(age <= lab.hz, "and it was seen now", age)

            lab.record(fields, 3, age=600)
            send(fields)
            age = lab.jiffies() - lab.records(fields)[0]["seen"] & 0xffffffff
            tap.ok(age <= lab.hz, "and again with the next packet", age)


def check_promotion():
    start(4, slot=MARKED)
    fields = flow(4)
    stages = [(send(fields, flags), remembered(fields)) for flags in (SYN, SYN, ACK, "PA", SYN)]
    tap.equal(stages, [(2, (None, 2))] * 2 + [(2, (2, None))] * 3,
              "a record is embryonic until its flow's next packet, and stays established")


def check_second_change():
    """Add 2 beside 1, then 3; delete 1; give its id and then 2's to others."""
    for version in VERSIONS:
        service = start(version)
        older, newer, newest, silent = (flow(version, sport=port) for port in range(1, 5))
        name = f"IPv{version}: "
        lab.mark(service, 2, 1)
        tap.equal((send(older), send(newer, SYN), send(newer)), (1, 2, 2),
                  name + "a change: an older flow stays, a new one goes to the new owner")
        lab.mark(service, 3, 1)
        tap.equal((send(older), send(newer), send(newest, SYN), send(newest), send(silent)),
                  (1, 2, 3, 3, 1),
                  name + "a second change: all three owners keep their flows")
        lab.target(1, backend_address(1, version), live=0)
        lab.mark(service, 3, DELETED)
        tap.equal((send(older), send(newer), send(silent)), (3, 2, 3),
                  name + "the first owner deleted: only its flows move")
        lab.backend(2, version, generation=2)
        tap.equal((send(newer), remembered(newer)), (3, (3, None)),
                  name + "an id given out again takes over none of its flows")
        tap.equal(send(newest), 3, name + "and the rest stay")


def check_budget():
    """Records of older flows are so many a second; a flow beyond goes without, as right."""
    for version in VERSIONS:
        for protocol in ("tcp", "udp"):
            service = start(version, protocol, MARKED, settle=30, records=5)
            flows = [flow(version, protocol, port) for port in range(1, 10)]
            tap.equal([send(fields) for fields in flows], [1] * 9,
                      f"{protocol} over IPv{version}: all go where they went")
            tap.equal([remembered(fields) for fields in flows], [(1, None)] * 5 + [NONE] * 4,
                      "records are made up to the budget")
            budget = lab.maps["xlb_budget"].items()[0][1]
            age = lab.jiffies() - budget["refused_at"]
            tap.ok((budget["made"], budget["refused"]) == (5, 4) and age <= lab.hz,
                   "what was refused is counted, with its time", budget, age)
            tap.equal(lab.drops(), {}, "and not as a drop")
            tap.equal((send(flows[0]), remembered(flows[0])), (1, (1, None)),
                      "a flow that has a record needs none")
            if protocol == "tcp":
                tap.equal((send(flows[8], SYN), remembered(flows[8])), (2, (None, 2)),
                          "a SYN is not under the budget")
            lab.maps["xlb_budget"].set(0, budget | {"since": lab.jiffies() - lab.hz & 0xffffffff})
            tap.equal((send(flows[7]), remembered(flows[7])), (1, (1, None)),
                      "a second later there is room again")
            lab.mark(service, 3, DELETED)
            tap.equal((send(flows[7]), send(flows[6])), (1, 3), "which those without do not have")


def any_address(version, protocol):
    """A service on any address, and a flow to it as either side shows it."""
    lab.reset(needs={f"any_address{version}": 1})
    for number in BACKENDS:
        address = lab.backend(number, version)
        lab.replies(address, 8080, ANY[version], 80, number, protocol, by_flow=1)
    service = lab.service(ANY[version], 80, protocol, current=1, settle_until=NEVER)
    asked = flow(version, protocol)
    return service, asked, {"source": backend_address(1, version), "destination": asked["source"],
                            "sport": 8080, "dport": asked["sport"], "protocol": protocol}


def check_any_address(version, protocol):
    """A reply's record tells the address that was asked for."""
    name = f"any address, {protocol} over IPv{version}: "
    _, asked, answered = any_address(version, protocol)
    stages = [(send(asked, flags), remembered(answered)) for flags in (SYN, ACK)]
    tap.equal(stages, [(1, (None, 1)), (1, (1, None))],
              name + "embryonic at first, then established")
    found = lab.records(answered)[0]
    vip = lab.tuple(asked)["destination"].ljust(16, b"\0")
    tap.equal((found["address"], found["port"], found["direction"]),
              (vip, 80, lab.numbers["XLB_REPLY"]), name + "the record holds the VIP and its port")
    tap.equal(remembered(asked), NONE, name + "the way forth has none")
    for way, fields, link in (("asked", asked, "left"), ("answered", answered, "right")):
        lab.record(answered, 1, direction="reply", age=600, port=80, address=vip)
        lab.run(frame(**fields), link)
        age = lab.jiffies() - lab.records(answered)[0]["seen"] & 0xffffffff
        tap.ok(age <= lab.hz, name + f"seen again when {way}", age)
    lab.record(answered, 1, direction="forward")
    lab.check(name + "a record of the other direction tells no VIP", frame(**answered), PASS,
              link="right")


def check_conflict(version, protocol):
    """A backend sees the client's address and port alone, whichever VIP was asked."""
    name = f"any address, {protocol} over IPv{version}: "
    service, asked, answered = any_address(version, protocol)
    other = asked | {"destination": asked["destination"][:-1] + "1"}
    send(asked)
    send(asked)
    found = lab.records(answered)[0]
    for flags in (SYN, ACK):
        lab.check_drop(name + f"the client's port is in use ({flags})", frame(**other, flags=flags),
                       "record_conflict")
    tap.equal(lab.records(answered)[0]["address"], found["address"], name + "the record stays")
    tap.equal((send(other | {"sport": 40001}), send(asked)), (1, 1), name + "other ports are free")
    lab.mark(service, 2, 0)
    tap.equal(send(other), 2, name + "and so is this one at another backend")

    lab.mark(service, 1, 0)
    lab.record(answered, 1, direction="reply", age=3.5, port=80, address=found["address"])
    send(other, ACK)
    tap.equal(lab.records(answered)[0]["address"].rstrip(b"\0"), lab.tuple(other)["destination"],
              name + "3 seconds silent, the port may be used again")


def check_any_address_marked(version, protocol):
    name = f"any address, {protocol} over IPv{version}: "
    service, asked, answered = any_address(version, protocol)
    send(asked)
    lab.mark(service, 2, 1)
    tap.equal((send(asked), remembered(asked)), (1, (1, None)),
              name + "in a marked slot the way forth has a record as well")
    lab.backend(1, version, generation=2)
    lab.by_flow(1)
    lab.mark(service, 1, 0)
    send(asked)
    tap.equal(lab.records(answered)[0]["generation"], 2,
              name + "a record of an id given out again is replaced")


check_cases("tcp", TCP_CASES)
check_cases("udp", UDP_CASES)
check_record()
check_promotion()
check_second_change()
check_budget()
for each in VERSIONS:
    for kind in ("tcp", "udp"):
        check_any_address(each, kind)
        check_conflict(each, kind)
        check_any_address_marked(each, kind)
tap.done()
