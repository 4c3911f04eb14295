#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""What packets tell whoever watches: drops and recorded flows, and no more than is asked for.

That each drop is told of, with its frame, is seen wherever Lab.check_drop() is called.
"""


import tap
from frame import TAGS, frame
from lab import DROP, PASS, REDIRECT, TX, VERSIONS, Lab, ip
from modes import CONFIG, KINDS, Kind, Way

lab = Lab()
MOST = lab.numbers["EVENTS_MAX"]
LENGTH = lab.numbers["EVENT_FRAME"]
SIZE = lab.header.size(lab.header.struct("xlb_event"))
RING_HEADER = 8
ACTIONS = {DROP: 1, PASS: 2, TX: 3}
DROPPED, RECORDED = (lab.numbers[f"XLB_EVENT_{kind}"] for kind in ("DROP", "FLOW"))


def cut(data):
    """As much of a frame as an event has."""
    return data[:min(len(data) // 4 * 4, LENGTH)]


def flows():
    """(backend, frame) of the flows told of since."""
    events = lab.events()
    assert all(event["kind"] == RECORDED for event in events), events
    return [(event["backend"], event["frame"]) for event in events]


def missed(kind):
    return lab.maps["xlb_samples"].get(lab.numbers[f"XLB_EVENT_{kind.upper()}"])["missed"]


def nobody(way):
    """The service has nobody: what it gets is dropped."""
    lab.mark(way.service, 0, 0)
    return way.asks()


def check_marked(kind, protocol):
    """A marked slot records every flow, once."""
    lab.reset(**CONFIG)
    way = Way(lab, kind, protocol)
    lab.target(2, way.backend, way.port)
    lab.mark(way.service, 1, 2)
    lab.watch("flow")
    name = f"{kind}, {protocol}: "
    opening = {"flags": "S"} if protocol == "tcp" else {}
    data = way.asks(**opening)
    lab.run(data)
    tap.equal(flows(), [(1, cut(data))], name + "a recorded flow is told of, as it came")
    lab.run(way.asks(**opening))
    lab.run(way.asks())
    tap.equal(flows(), [], name + "once")
    if protocol == "tcp" and kind.mode != "nat":
        lab.run(way.asks(sport=40001))
        tap.equal([backend for backend, _ in flows()], [2], name + "an older one with its backend")
    lab.maps["xlb_flows4" if kind.version == 4 else "xlb_flows6"].clear()
    lab.maps["xlb_embryos4" if kind.version == 4 else "xlb_embryos6"].clear()
    for tags in TAGS[1:]:
        data = way.asks(sport=41000 + len(tags), tags=tags, **opening)
        lab.run(data)
        tap.equal(flows(), [(1, cut(data))], name + f"behind {len(tags)} tags")


def check_unmarked(version):
    lab.reset(**CONFIG)
    way = Way(lab, Kind("dnat", version, version))
    lab.watch("flow", "drop")
    lab.run(way.asks(flags="S"))
    lab.run(way.asks())
    lab.run(way.answers(), "right")
    tap.equal(lab.events(), [], f"IPv{version}: what needs no record tells nothing")


def check_by_flow(version):
    """Where replies need records, those are told of."""
    lab.reset(**CONFIG)
    way = Way(lab, Kind("dnat", version, version))
    lab.by_flow(1)
    lab.watch("flow")
    data = way.asks(flags="S")
    lab.run(data)
    tap.equal(flows(), [(1, cut(data))], f"IPv{version}: a flow whose replies need a record")
    lab.run(way.asks())
    tap.equal(flows(), [], f"IPv{version}: is told of once")
    lab.target(2, way.backend, way.port)
    lab.mark(way.service, 1, 2)
    lab.run(way.asks(flags="S", sport=40001))
    tap.equal([backend for backend, _ in flows()], [1],
              f"IPv{version}: one that needs records both ways, too")


def check_nat_dropped(version):
    lab.reset(**CONFIG | {f"nat{version}_count": 0})
    way = Way(lab, Kind("nat", version, version))
    lab.watch("flow", "drop")
    lab.run(way.asks(flags="S"))
    tap.equal([lab.reasons[event["reason"]] for event in lab.events()], ["no_source"],
              f"IPv{version}: a flow that could not be recorded is told of as dropped alone")


def check_fields():
    lab.reset(**CONFIG)
    data = nobody(Way(lab, Kind("dnat", 4, 4)))
    lab.watch("drop")
    before = lab.clock_nanoseconds()
    lab.run(data)
    event, = lab.events()
    tap.ok(before <= event["time"] <= lab.clock_nanoseconds(), "an event has its time", event)
    tap.equal((event["kind"], event["action"], event["backend"], any(event["reserved"])),
              (DROPPED, ACTIONS[DROP], 0, False), "and says that it is about a drop")


def check_lengths():
    """Frames of any length; what cannot be read of the last word is left out."""
    lab.reset(**CONFIG)
    way = Way(lab, Kind("dnat", 4, 4))
    whole = nobody(way)
    told = {}
    lab.watch("drop")
    for length in (*range(len(whole), len(whole) + 5), LENGTH - 1, LENGTH, LENGTH + 1, 1500):
        data = whole.ljust(length, b"\x55")
        lab.run(data)
        told[length] = [event["frame"] == cut(data) for event in lab.events()]
    tap.ok(all(same == [True] for same in told.values()), "frames of many lengths", told)


def check_made(version):
    """Where something was made of the dropped packet, that is what is told of."""
    lab.reset(**CONFIG)
    way = Way(lab, Kind("dr", version, version))
    lab.watch("drop")
    ip("link set right mtu 1400")
    big = way.asks(payload=bytes(1400), **{"header": {"flags": "DF"}} if version == 4 else {})
    verdict, out = lab.run(big)
    event, = lab.events()
    tap.equal((verdict, lab.reasons[event["reason"]], event["action"], event["frame"]),
              (TX, "too_big", ACTIONS[TX], cut(out)), f"IPv{version}: too big, and the answer")
    ip("link set right mtu 1500")
    ip(f"neighbour del {way.backend} dev right")
    lab.maps["xlb_nexthops"].clear()
    verdict, out = lab.run(way.asks())
    event, = lab.events()
    tap.equal((verdict, lab.reasons[event["reason"]], event["action"], event["frame"]),
              (PASS, "no_neighbour", ACTIONS[PASS], cut(out)),
              f"IPv{version}: no neighbour, and what makes the kernel look for it")


def check_asked():
    """Only what is asked for, and only as long."""
    lab.reset(**CONFIG)
    way = Way(lab, Kind("nat", 4, 4))
    lab.watch("drop")
    lab.run(way.asks(flags="S"))
    tap.equal(lab.events(), [], "no flow for who asks for drops")
    data = nobody(way)
    lab.watch("flow")
    lab.run(frame(**way.asked | {"sport": 40009}))
    tap.equal(lab.events(), [], "no drop for who asks for flows")
    lab.watch("flow", "drop", until=-0.1)
    lab.run(frame(**way.asked | {"sport": 40009}))
    tap.equal(lab.events(), [], "nothing for who asked once")
    lab.watch()
    lab.run(data)
    tap.equal((lab.events(), missed("drop")), ([], 0), "nothing, and nothing is counted as missed")
    lab.maps["xlb_watch"].clear()
    lab.run(frame(**way.asked | {"sport": 40009}))
    tap.equal((lab.events(), missed("drop"), lab.drops()["no_backend"]), ([], 0, 3),
              "nor where nobody ever asked, though drops are counted")


def check_rate():
    """A CPU tells so many of a kind in an interval, and how many more there were."""
    lab.reset(**CONFIG)
    way = Way(lab, Kind("nat", 4, 4))
    lab.watch("drop", "flow")
    lab.maps["xlb_watch"].set(0, lab.maps["xlb_watch"].get(0) | {"interval": 3600 * lab.hz})
    lab.maps["xlb_samples"].set(DROPPED, {"since": lab.jiffies() & 0xffffffff, "sent": MOST - 2})
    lab.run(way.asks(flags="S"))
    tap.equal(len(flows()), 1, "a flow is no matter of the drops'")
    data = nobody(way)
    lab.maps["xlb_embryos4"].clear()
    for _ in range(5):
        lab.run(data)
    tap.equal((len(lab.events()), missed("drop"), missed("flow")), (2, 3, 0),
              "more drops than are told of are counted")
    lab.maps["xlb_samples"].set(DROPPED, {"since": lab.jiffies() - 3600 * lab.hz & 0xffffffff,
                                          "sent": MOST})
    lab.run(data)
    tap.equal((len(lab.events()), missed("drop")), (1, 0), "until the interval is over")


def check_full():
    """A reader that has stopped: the ring fills, and what it has not is counted."""
    lab.reset(**CONFIG)
    data = nobody(Way(lab, Kind("dnat", 4, 4)))
    lab.watch("drop")
    room = lab.ring.size // (SIZE + RING_HEADER)
    for number in range(room + 10):
        if not number % 500:    # never so many that they are sampled
            lab.maps["xlb_samples"].clear()
        lab.run(data)
    told = len(lab.events())
    tap.ok(told in (room, room - 1) and told + missed("drop") == room + 10,
           "a ring that is full", told, missed("drop"), room)
    lab.maps["xlb_samples"].clear()
    lab.run(data)
    tap.equal(len(lab.events()), 1, "and read again")


for version in VERSIONS:
    check_unmarked(version)
    check_by_flow(version)
    check_nat_dropped(version)
    check_made(version)
for kind in KINDS:
    for protocol in ("tcp", "udp"):
        check_marked(kind, protocol)
check_fields()
check_lengths()
check_asked()
check_rate()
check_full()
tap.done()
