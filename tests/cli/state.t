#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What each change leaves in the maps: owners and marks, ids, times, what packets need."""

import json
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import world  # noqa: E402
from world import ABI, DELETED, World, maps_make, maps_remove, xlb  # noqa: E402
from bpf import Clock  # noqa: E402
import tap  # noqa: E402

WEB = "192.0.2.1:80/tcp"
HZ = round(1 / time.clock_getres(6))  # CLOCK_MONOTONIC_COARSE
UP, DRAIN, DOWN = 1, 2, 3


def fresh(text, sizes=None):
    maps_remove()
    maps_make(sizes=sizes)
    xlb("-batch", "-", text=text, status=0)
    return World(sizes=sizes)


def three(seen_sizes=None):
    return fresh(f"service add {WEB} table 251 settle 7\n"
                 + "".join(f"backend add 10.0.0.{n}\n" for n in (1, 2, 3)), seen_sizes)


def service(seen):
    return seen.services()[0][1]


def table(seen):
    return seen.table(service(seen))


def tables(seen):
    """Of all services, by the last byte of their address."""
    return {key["address"][-1]: seen.table(value) for key, value in seen.services()}


def pairs(before, after):
    """(what a slot was, what it is) -> how many."""
    count = {}
    for pair in zip(before, after):
        count[pair] = count.get(pair, 0) + 1
    return count


def step(seen, *words):
    """The table before a change and after."""
    before = table(seen)
    xlb(*words, status=0)
    return before, table(seen)


def armed(seen, started):
    """Does the settle time run, counted from this change?"""
    value = service(seen)
    return started <= value["settle_until"] - value["settle"] * HZ <= CLOCK.jiffies()


def check_up_and_down():
    seen = three()
    tap.equal({mark for _, mark in table(seen)}, {0}, "a new service has no mark")
    tap.equal(service(seen)["settle_until"], 0, "and nothing to settle")
    config = seen.maps["xlb_config"].get(0)
    tap.equal((config["abi"], config["hz"]), (ABI, HZ), "the first writer fills xlb_config")

    begun = CLOCK.jiffies()
    before, after = step(seen, "backend", "change", "10.0.0.2", "state", "down")
    tap.ok(all(old == new if old[0] != 2 else new[0] in (1, 3) and new[1] == 0
               for old, new in zip(before, after)), "down: only its slots move, unmarked")
    tap.equal(service(seen)["settle_until"], 0, "which has nothing to settle")
    tap.ok(begun <= service(seen)["changed"] <= CLOCK.jiffies(), "but is a change")
    tap.equal([seen.targets()[n]["live"] for n in (1, 2, 3)], [1, 0, 1], "it lives no more")

    begun = CLOCK.jiffies()
    down, again = step(seen, "backend", "change", "10.0.0.2", "state", "up")
    tap.equal([owner for owner, _ in again], [owner for owner, _ in before],
              "up: every slot has the owner it had")
    tap.ok(all(new[1] == (old[0] if new[0] == 2 else 0) for old, new in zip(down, again)),
           "and its own are marked with whom they were handed to")
    tap.ok(armed(seen, begun), "the settle time runs")
    tap.equal(seen.targets()[2]["live"], 1, "it lives")
    tap.equal((service(seen)["updating"], seen.targets()[2]["generation"]), (0, 1),
              "as the same generation, and the update is over")

    marks = {slot: mark for slot, (_, mark) in enumerate(again) if mark}
    _, third = step(seen, "backend", "change", "10.0.0.1", "weight", "9")
    tap.ok(all(third[slot][1] == mark for slot, mark in marks.items()),
           "a slot that changes again keeps its mark")


def lives(seen):
    return [number for number in (1, 2, 3) if seen.targets()[number]["live"]]


def owners(seen):
    return [owner for owner, _ in table(seen)]


def change(*lines, verb="backend change"):
    xlb("-batch", "-", text="".join(f"{verb} {line}\n" for line in lines), status=0)


def check_health():
    seen = three()
    whole = owners(seen)
    change("10.0.0.2 state down")
    without = owners(seen)
    change("10.0.0.2 health down")
    change("10.0.0.2 state up")
    tap.equal((owners(seen), lives(seen)), (without, [1, 3]),
              "health down: the operator's up raises nothing")
    change("10.0.0.2 state down")
    change("10.0.0.2 health up")
    tap.equal((owners(seen), lives(seen)), (without, [1, 3]),
              "health up does not raise what the operator took down")
    change("10.0.0.2 state up")
    tap.equal((owners(seen), lives(seen)), (whole, [1, 2, 3]), "with both up it is back")
    seen = three()
    change("10.0.0.2 health down")
    tap.equal(table(seen), [(owner, 0) for owner in without],
              "health down: what it owned is handed over as with state down, unmarked")
    change("10.0.0.2 state drain")
    tap.equal(lives(seen), [1, 3], "who drains lives only while it is healthy")
    xlb("backend", "add", "10.0.0.4", "health", "down", status=0)
    tap.equal((4 in owners(seen), seen.targets()[4]["live"]), (False, 0),
              "added as one whose health is down")


def failed_open():
    shown = json.loads(xlb("-j", "-s", "service", "show", status=0).stdout)
    return [service["failed_open"] for service in shown]


def check_fail():
    fails = [f"10.0.0.{n} health down" for n in (1, 2, 3)]
    seen = three()
    whole = owners(seen)
    change(*fails)
    tap.equal((set(table(seen)), lives(seen)), ({(0, 0)}, []), "fail closed: nobody serves")
    change(f"{WEB} fail open", verb="service change")
    tap.equal((owners(seen), lives(seen), failed_open()), (whole, [1, 2, 3], [True]),
              "fail open: all serve as if nothing had failed, which is said")
    change("10.0.0.2 state down")
    without = owners(seen)
    tap.equal((set(without), lives(seen)), ({1, 3}, [1, 3]),
              "but whom the operator took down does not")
    change("10.0.0.2 state drain")
    tap.equal((owners(seen), lives(seen)), (without, [1, 2, 3]),
              "and who drains keeps what it has and gets nothing new")
    change("10.0.0.2 state up")
    before, after = step(seen, "backend", "change", "10.0.0.3", "health", "up")
    tap.equal((set(owner for owner, _ in after), lives(seen), failed_open()), ({3}, [3], [False]),
              "who is healthy again has all, and alone")
    before, after = step(seen, "backend", "change", "10.0.0.3", "health", "down")
    tap.ok(owners(seen) == whole and all(new[1] == old[1] or old[0] == new[1] == 3
                                         for old, new in zip(before, after)),
           "the last one's flows stay with it when it fails, too")
    change(f"{WEB} fail closed", verb="service change")
    tap.equal((set(owners(seen)), lives(seen)), ({0}, []), "and closed again")

    seen = three()
    change(f"{WEB} fail open", verb="service change")
    for line in reversed(fails):
        change(line)
    tap.equal(owners(seen), whole, "the order in which they fail does not matter")
    change("10.0.0.1 weight 0 health up")
    tap.equal(set(owners(seen)), {2, 3}, "one of no weight is nobody to wait for")
    change("10.0.0.2 state down", "10.0.0.3 state down")
    tap.equal((set(owners(seen)), lives(seen), failed_open()), ({0}, [1], [False]),
              "what the operator took down is down, though nobody is left: that is not open")
    change("10.0.0.2 state up weight 0")
    tap.equal((set(owners(seen)), failed_open()), ({0}, [False]),
              "nor is it with one of no weight")
    change("10.0.0.2 weight 1")
    tap.equal((set(owners(seen)), failed_open()), ({2}, [True]), "but with one that serves")


def warming(seen, number, **fields):
    """(steps not taken, since when) of a backend, after its fields are set."""
    backends = seen.maps["xlb_backends"]
    key, value = next((key, value) for key, value in backends.items()
                      if value["id"] == number)
    if fields:
        backends.set(key, dict(value, **fields))
        xlb("service", "warm", status=0)
        value = backends.get(key)
    return value["cold"], value["recovered"]


def check_warmup():
    seen = three()
    whole = owners(seen)
    change(f"{WEB} warmup 9000", verb="service change")
    xlb("backend", "add", "10.0.0.4", status=0)
    tap.equal(warming(seen, 4), (0, 0), "who is new is not cold")
    xlb("backend", "del", "10.0.0.4", status=0)
    for leave, back in (("state down", "state up"), ("health down", "health up"),
                        ("state drain", "state up")):
        change(f"10.0.0.2 {leave}")
        tap.equal(warming(seen, 2), (0, 0), f"{leave}: warms nobody")
        without, begun = owners(seen), CLOCK.jiffies()
        change(f"10.0.0.2 {back}")
        cold, since = warming(seen, 2)
        tap.ok(cold == 9 and begun <= since <= CLOCK.jiffies(), f"{back}: warms up from now on")
        share = owners(seen).count(2)
        tap.ok(0 < share < 45 and all(new == old or new == 2 == wanted for old, new, wanted
                                      in zip(without, owners(seen), whole)),
               "and has some of its own slots", share)
    check_steps(seen, whole, since)
    change("10.0.0.2 state down")
    change("10.0.0.2 state up")
    change(f"{WEB} warmup 0", verb="service change")
    tap.equal((warming(seen, 2), owners(seen)), ((0, 0), whole), "without a warmup it is warm")
    change("10.0.0.2 state down")
    change("10.0.0.2 state up")
    tap.equal((warming(seen, 2), owners(seen)), ((0, 0), whole), "and so is who comes back")


def check_steps(seen, whole, since):
    second = HZ
    before = owners(seen)
    tap.equal(warming(seen, 2), (9, since), "nothing is due")
    for tenths in range(2, 10):
        tap.equal(warming(seen, 2, recovered=since - (1000 * tenths - 1100) * second)[0],
                  11 - tenths, f"before the time the step to {tenths} is not due")
        tap.equal(warming(seen, 2, recovered=since - (1000 * tenths - 1000) * second)[0],
                  10 - tenths, f"{tenths} tenths")
        tap.ok(all(new == old or new == 2 == wanted for old, new, wanted
                   in zip(before, owners(seen), whole)), "its own slots come back to it")
        before = owners(seen)
    told = [each for each in json.loads(xlb("-j", "-s", "backend").stdout)
            if each["backend"] == "10.0.0.2:80"][0]
    tap.equal((told["weight"], told["warm"], told["slots"]), (1, 90, before.count(2)),
              "show: the weight is what it was, and how much of it counts")
    tap.ok("    id 2 warm 90 slots " in xlb("-s", "backend").stdout, "also as text")
    change("10.0.0.1 weight 1")
    tap.equal(owners(seen), before, "a change that changes nothing takes no step")
    seen.maps["xlb_backends"].set(*[(key, dict(value, recovered=since - 9000 * second))
                                    for key, value in seen.backends() if value["id"] == 2][0])
    xlb("config", "set", "records", "4096", status=0)
    tap.equal((warming(seen, 2), owners(seen)), ((0, 0), whole),
              "any change takes what is due, to the end: warm, and all as it was")


def check_drain_and_delete():
    seen = three()
    begun = CLOCK.jiffies()
    before, after = step(seen, "backend", "change", "10.0.0.3", "state", "drain")
    tap.ok(all(old == new if old[0] != 3 else new[0] in (1, 2) and new[1] == 3
               for old, new in zip(before, after)),
           "drain: its slots move and are marked with it, no other does")
    tap.equal(seen.targets()[3]["live"], 1, "it lives on")
    tap.ok(armed(seen, begun), "the settle time runs")
    before, after = step(seen, "backend", "del", "10.0.0.3")
    tap.ok(all(new[1] == (DELETED if old[1] == 3 else old[0] if new[0] != old[0] else 0)
               for old, new in zip(before, after)),
           "del: its marks become those of a deleted backend")
    tap.equal((seen.targets()[3]["live"], len(seen.backends()),
               len(seen.maps["xlb_replies4"].items())), (0, 2, 2), "it is gone from all maps")
    before, after = step(seen, "backend", "del", "10.0.0.1")
    tap.ok(all(new == (2, DELETED if old[1] == 1 else old[1])
               for old, new in zip(before, after)),
           "del: what it owned, the last one has")
    before, after = step(seen, "backend", "del", "10.0.0.2")
    tap.ok(all(new == (0, DELETED if old[1] == 2 else old[1])
               for old, new in zip(before, after)),
           "without backends, slots are nobody's")
    before, after = step(seen, "backend", "add", "10.0.0.7", "weight", "0")
    tap.equal(after, before, "weight 0 has no slot")
    xlb("backend", "change", "10.0.0.7", "weight", "1", "state", "down", status=0)
    tap.equal(table(seen), before, "nor has who is down")
    xlb("backend", "change", "10.0.0.7", "state", "up", status=0)
    tap.ok(all(new == (4, old[1]) for old, new in zip(before, table(seen))),
           "a slot that was nobody's has nothing to be marked for")


def check_ids():
    sizes = dict(world.SIZES, xlb_targets=6, xlb_nexthops=6, xlb_stats=6)
    seen = three(sizes)

    def identifier():
        return [value["id"] for key, value in seen.backends() if key["address"][-1] == 9][0]

    given = []
    for _ in range(4):
        xlb("backend", "add", "10.0.0.9", status=0)
        given.append((identifier(), seen.targets()[identifier()]["generation"]))
        xlb("backend", "del", "10.0.0.9", status=0)
    tap.equal(given, [(4, 1), (5, 1), (4, 2), (5, 2)],
              "an id comes back after all others, of another generation")
    stats = {"connections": 1, "in_packets": 2, "in_bytes": 3, "out_packets": 4, "out_bytes": 5}
    seen.maps["xlb_stats"].set(4, stats)
    seen.maps["xlb_nexthops"].set(4, {"ifindex": 9, "generation": 2})
    xlb("backend", "add", "10.0.0.9", status=0)
    tap.equal((identifier(), set(seen.maps["xlb_stats"].get(4).values()),
               seen.maps["xlb_nexthops"].get(4)["ifindex"]), (4, {0}, 0),
              "what its last owner left is cleared")
    tap.equal(bytes(seen.targets()[4]["address"][:4]), bytes((10, 0, 0, 9)), "the target is new")
    tap.equal(xlb("backend", "add", "10.0.0.10").returncode, 0, "the last id can be used")


def check_keys():
    """What packets look for, byte for byte."""
    seen = fresh("service add *:8080/tcp table 251\nservice add [2001:db8::1]:*/udp table 251\n"
                 "backend add 127.0.0.1 service *:8080/tcp\n"
                 "backend add [fd00::1] service [2001:db8::1]:*/udp\n")
    tap.equal([key["address"] for key, _ in seen.services()],
              [bytes(4), bytes.fromhex("20010db8" + "00" * 11 + "01")], "keys of services")
    tap.equal(seen.maps["xlb_replies4"].items(),
              [({"address": bytes((127, 0, 0, 1)), "port": 8080, "protocol": 6, "reserved": 0},
                {"address": bytes(16), "port": 8080, "backend": 1, "by_flow": 1,
                 "reserved": bytes(3)})], "replies of any address are told by flow")
    tap.equal(seen.maps["xlb_replies6"].items(),
              [({"address": bytes.fromhex("fd" + "00" * 14 + "01"), "port": 0, "protocol": 17,
                 "reserved": 0},
                {"address": bytes.fromhex("20010db8" + "00" * 11 + "01"), "port": 0,
                 "backend": 2, "by_flow": 0, "reserved": bytes(3)})],
              "replies of any port have the packet's")
    tap.equal([seen.targets()[n]["port"] for n in (1, 2)], [8080, 0], "as targets have")
    needs = seen.maps["xlb_config"].get(0)["needs"]
    tap.equal([name for name, value in needs.items() if value], ["any_address4", "any_port6"],
              "the look-ups that are needed")
    xlb("service", "del", "*:8080/tcp", status=0)
    needs = seen.maps["xlb_config"].get(0)["needs"]
    tap.equal([name for name, value in needs.items() if value], ["any_port6"],
              "and are not any more")


def check_places():
    """Slots of services that come and go."""
    seen = fresh("".join(f"service add 192.0.2.{n}:80/tcp table 251\n" for n in (1, 2, 3))
                 + "backend add 10.0.0.1 service 192.0.2.3:80/tcp\n")

    def firsts():
        return {key["address"][-1]: value["table"]["first"] for key, value in seen.services()}

    tap.equal(firsts(), {1: 0, 2: 256, 3: 512}, "services side by side")
    xlb("service", "del", "192.0.2.2:80/tcp", status=0)
    xlb("service", "add", "192.0.2.4:80/tcp", "table", "257", status=0)
    tap.equal(firsts(), {1: 0, 3: 512, 4: 768}, "too large for the gap")
    xlb("service", "add", "192.0.2.5:80/udp", "table", "251", status=0)
    tap.equal(firsts(), {1: 0, 5: 256, 3: 512, 4: 768}, "the first gap that fits")
    xlb("-batch", "-", text="service del 192.0.2.3:80/tcp\nservice change 192.0.2.1:80/tcp table "
                            "257\nservice change 192.0.2.5:80/udp table 263\n", status=0)
    tap.equal(firsts(), {1: 1040, 5: 1312, 4: 768},
              "moved, but not to where another service was until this call")

    seen = fresh(f"service add {WEB} table 1019\nservice add 192.0.2.2:80/tcp table 509\n")
    again = f"service del {WEB}\nservice add {WEB} table "
    for size, first in ((251, 1536), (1021, 0), (509, 1024 + 512), (1019, 0)):
        done = xlb("-batch", "-", text=f"{again}{size}\n")
        tap.equal((done.returncode, done.stderr, firsts().get(1)), (0, "", first),
                  f"added again: elsewhere if there is room, table {size}")
    xlb("-batch", "-", text=f"{again}1009\nservice del 192.0.2.2:80/tcp\n", status=0)
    tap.equal(firsts(), {1: 0}, "where it stood if there is none")
    xlb("-batch", "-", text=f"{again}1019\nservice add 192.0.2.2:80/tcp table 1021\n", status=0)
    tap.equal(firsts(), {1: 1024, 2: 0}, "others need the slots more than who is added again")
    done = xlb("-batch", "-", text=f"{again}1031\n")
    tap.ok(done.returncode == 2 and "slots" in done.stderr, "but nobody has those of others",
           done.stderr)

    for line in ("service change 192.0.2.2:80/tcp table 251", "service add 192.0.2.3:80/tcp"):
        seen = fresh("config set table 251\nservice add 192.0.2.1:80/tcp\n"
                     "backend add 10.0.0.1\nservice add 192.0.2.2:80/tcp table 257\n")
        # Marks, too.
        xlb("backend", "add", "10.0.0.2", "service", "192.0.2.1:80/tcp", status=0)
        xlb("service", "del", "192.0.2.1:80/tcp", status=0)
        xlb(*line.split(), status=0)
        tap.equal({owner for _, value in seen.services() for owner in seen.table(value)},
                  {(0, 0)}, f"nobody's, whoever had them before: {line}")


def check_modes():
    """A live service changes its mode: what packets then find."""
    seen = fresh(f"config set tunnel4 10.0.0.100 nat4 10.0.0.101\nservice add {WEB} table 251\n"
                 "backend add 10.0.0.1\n")
    before = table(seen)
    vip = bytes((192, 0, 2, 1)) + bytes(12)
    for mode, number, replies in (("nat", 2, [(bytes(16), 0, 1)]), ("dnat", 1, [(vip, 80, 0)]),
                                  ("gue", 5, []), ("dr", 3, []), ("nat", 2, [(bytes(16), 0, 1)]),
                                  ("ipip", 4, []), ("dnat", 1, [(vip, 80, 0)])):
        xlb("service", "change", WEB, "mode", mode, status=0)
        tap.equal((service(seen)["mode"], service(seen)["updating"], table(seen) == before,
                   [(each["address"], each["port"], each["by_flow"])
                    for _, each in seen.maps["xlb_replies4"].items()]),
                  (number, 0, True, replies), f"mode {mode}: the same slots, replies as it has")
    xlb("-batch", "-", text=f"service del {WEB}\nservice add {WEB} mode dr table 251\n"
                            "backend add 10.0.0.1\n", status=0)
    tap.equal(seen.maps["xlb_replies4"].items(), [], "replaced by one that replies for itself")

    seen = fresh("service add *:81/tcp table 251\nbackend add 10.0.0.1\n")
    for mode, by_flow in (("dr", 0), ("dnat", 1)):
        xlb("service", "change", "*:81/tcp", "mode", mode, status=0)
        tap.equal(seen.targets()[1]["by_flow"], by_flow, f"any address, mode {mode}")
    seen = fresh("config set tunnel4 10.0.0.100 tunnel6 fd00::100\n"
                 f"service add {WEB} mode ipip table 251\nbackend add [fd00::1]\n"
                 "backend add 10.0.0.1\n")
    tap.equal([seen.targets()[n]["v6"] for n in (1, 2)], [1, 0], "either family in a tunnel")
    tap.equal([(bytes(key["address"]), value["services"])
               for key, value in seen.maps["xlb_vips"].items()],
              [(bytes(10) + b"\xff\xff" + bytes((192, 0, 2, 1)), 1)], "its address is a VIP")


def check_echo():
    """A VIP answers while one of its services that want it has a backend for new flows."""
    seen = fresh(f"service add {WEB} table 251\nservice add 192.0.2.1:443/tcp table 251\n"
                 "service add 192.0.2.2:80/tcp table 251 echo off\n"
                 "backend add 10.0.0.2 service 192.0.2.2:80/tcp\n")

    def answering():
        return sorted((bytes(key["address"])[12:], value["services"], value["echo"])
                      for key, value in seen.maps["xlb_vips"].items())

    one, two = bytes((192, 0, 2, 1)), bytes((192, 0, 2, 2))
    tap.equal(answering(), [(one, 2, 0), (two, 1, 0)], "echo: no backend, or switched off")
    for words, wanted in (
            (f"backend add 10.0.0.1 service {WEB}", 1),
            ("backend add 10.0.0.1 service 192.0.2.1:443/tcp", 2),
            (f"backend change 10.0.0.1 service {WEB} state drain", 1),
            (f"backend change 10.0.0.1 service {WEB} state down", 1),
            (f"backend change 10.0.0.1 service {WEB} state up weight 0", 1),
            (f"backend change 10.0.0.1 service {WEB} weight 1", 2),
            (f"service change {WEB} echo off", 1),
            ("service del 192.0.2.1:443/tcp", 0)):
        xlb(*words.split(), status=0)
        tap.equal(answering()[0][2], wanted, f"echo: {words}")
    tap.ok("echo off" in xlb("service", "show", WEB, status=0).stdout, "echo: off is shown")
    xlb("service", "change", WEB, "echo", "on", status=0)
    tap.ok("echo" not in xlb("service", "show", WEB, status=0).stdout, "echo: on is what is usual")


def check_shared():
    """Backends of several services: whose a reply is, and which flows are recorded."""
    first, second, third = (f"192.0.2.{n}:80/tcp" for n in (1, 2, 3))
    seen = fresh("config set nat4 10.0.0.101\n"
                 + "".join(f"service add {each} table 251\n" for each in (first, second, third))
                 + f"backend add 10.0.0.1 service {second}\n")

    def told(*ids):
        """The VIP of unrecorded replies, if these are told by records, and by_flow of targets."""
        replies = [(key["port"], value["address"][3], value["port"], value["by_flow"])
                   for key, value in seen.maps["xlb_replies4"].items()]
        return sorted(replies), [seen.targets()[number]["by_flow"] for number in ids]

    def step_told(words, *ids):
        xlb(*words.split(), status=0)
        return told(*ids)

    tap.equal(told(1), ([(80, 2, 80, 0)], [0]), "one service alone needs no records")
    before = tables(seen)[2]
    tap.equal(step_told(f"backend add 10.0.0.1 service {first}", 1, 2),
              ([(80, 2, 80, 1)], [1, 1]), "two do; the VIP is still that of the first")
    tap.equal(tables(seen)[2], before, "no slot of the first has changed")
    tap.equal(step_told(f"backend add 10.0.0.1 service {third}", 1, 2, 3),
              ([(80, 2, 80, 1)], [1, 1, 1]), "and three")
    tap.equal(step_told(f"backend change 10.0.0.1 service {second} state down", 1, 2, 3),
              ([(80, 2, 80, 1)], [1, 1, 1]), "one that is down keeps its part")
    tap.equal(step_told(f"backend del 10.0.0.1 service {second}", 2, 3),
              ([(80, 1, 80, 1)], [1, 1]), "the first leaves: another one is")
    tap.equal(step_told(f"service change {first} mode dr", 2, 3), ([(80, 3, 80, 0)], [0, 0]),
              "mode dr has no replies, so the other is alone again")
    tap.equal(step_told(f"service change {first} mode nat", 2, 3), ([(80, 3, 80, 1)], [0, 1]),
              "beside mode nat flows of mode dnat are recorded, too")
    tap.equal(step_told(f"service change {third} mode nat", 2, 3), ([(80, 0, 0, 1)], [0, 0]),
              "nat twice: each flow has its records anyway")
    tap.equal(step_told(f"service change {first} mode dnat", 2, 3), ([(80, 1, 80, 1)], [1, 0]),
              "and dnat again")
    tap.equal(step_told(f"service del {third}", 2), ([(80, 1, 80, 0)], [0]),
              "a service goes: the other is alone")


def check_shared_ports():
    """A service on any port has all ports of its backends."""
    ports, more, web = "192.0.2.2:*/tcp", "192.0.2.1:*/tcp", "192.0.2.3:80/tcp"
    seen = fresh(f"service add {ports} table 251\nservice add {web} table 251\n"
                 f"backend add 10.0.0.1 service {ports}\n")

    def replies():
        return sorted((key["port"], value["address"][3], value["port"], value["by_flow"])
                      for key, value in seen.maps["xlb_replies4"].items())

    xlb("backend", "add", "10.0.0.1:81", "service", web, status=0)
    tap.equal((replies(), [seen.targets()[n]["by_flow"] for n in (1, 2)]),
              ([(0, 2, 0, 0), (81, 2, 0, 1)], [1, 1]),
              "of one port of a backend records tell, of others its address")
    xlb("-batch", "-", text=f"service add {more} table 251\n"
                            f"backend add 10.0.0.1 service {more}\n", status=0)
    xlb("backend", "add", "10.0.0.1:82", "service", web, status=0)
    tap.equal(replies(), [(0, 2, 0, 1), (81, 2, 0, 1), (82, 2, 0, 1)],
              "who was first at all ports is so at each")
    xlb("service", "del", ports, status=0)
    tap.equal([(port, by_flow) for port, _, _, by_flow in replies()],
              [(0, 0), (81, 1), (82, 1)], "it goes: the others still share")
    xlb("service", "del", more, status=0)
    tap.equal((replies(), [seen.targets()[n]["by_flow"] for n in (2, 4)]),
              ([(81, 3, 80, 0), (82, 3, 80, 0)], [0, 0]), "each port is one service's again")

    seen = fresh("service add *:80/tcp table 251\nservice add 192.0.2.1:80/tcp table 251\n"
                 "service add 192.0.2.1:80/udp table 251\n"
                 "backend add 10.0.0.1 service 192.0.2.1:80/udp\n"
                 "backend add 10.0.0.1 service *:80/tcp\n"
                 "backend add 10.0.0.1 service 192.0.2.1:80/tcp\n")
    tap.equal([(value["address"][3], value["by_flow"]) for key, value in
               sorted(seen.maps["xlb_replies4"].items(), key=lambda each: each[0]["protocol"])],
              [(1, 1), (1, 0)], "any address and one; by another protocol it is another backend")


def check_port_of_any():
    """A service on any port, and one on a port of the same address, which takes its packets."""
    ports, web = "192.0.2.1:*/tcp", WEB
    every = (f"service add {ports} table 251", f"backend add 10.0.0.1 service {ports}")
    one = (f"service add {web} table 251", f"backend add 10.0.0.1 service {web}")
    other = ("service add 192.0.2.2:80/tcp table 251",
             "backend add 10.0.0.1 service 192.0.2.2:80/tcp")

    def told(seen):
        """Which service each reply is counted for, and from which VIP it is."""
        service = {value["id"]: (key["service_address"][-1], key["service_port"])
                   for key, value in seen.backends()}
        return sorted((key["port"], service[value["backend"]],
                       (value["address"][3], value["port"]), value["by_flow"])
                      for key, value in seen.maps["xlb_replies4"].items())

    alone = (0, (1, 0), (1, 0), 0)
    for name, first, second in (("the one on a port comes later", every, one),
                                ("the one on a port is older", one, every)):
        seen = fresh("")
        for words in first + second:
            xlb(*words.split(), status=0)
        tap.equal(told(seen), [alone, (80, (1, 80), (1, 80), 0)],
                  f"{name}: replies from there are its own, and counted so")
        tap.equal([seen.targets()[n]["by_flow"] for n in (1, 2)], [0, 0],
                  f"{name}: the address is enough to tell")
        for words in other:
            xlb(*words.split(), status=0)
        tap.equal(told(seen), [alone, (80, (1, 80), (1, 80), 1)],
                  f"{name}: a third shares: what has no record is its own still")
        xlb("service", "del", web, status=0)
        tap.equal(told(seen), [alone, (80, (1, 0), (1, 0), 1)],
                  f"{name}: it goes: that is of the one on any port")
    seen = fresh("\n".join(every + one))
    (key, value), = [each for each in seen.maps["xlb_replies4"].items() if each[0]["port"] == 80]
    wrong, = [each["id"] for at, each in seen.backends() if not at["service_port"]]
    seen.maps["xlb_replies4"].set(key, dict(value, backend=wrong, port=0))
    xlb("flow", "gc", "service", web, status=0)
    tap.equal(told(seen), [alone, (80, (1, 80), (1, 80), 0)], "what an older xlb left is mended")


def numbers(seen):
    """What rules and limits know each service by; none has another's."""
    found = [value["number"] for _, value in seen.services() if value["number"]]
    return len(found), len(set(found))


def check_numbers():
    """They go round, past those that are taken."""
    sizes = dict(world.SIZES, xlb_services4=8)
    come_and_go = f"service add {WEB} table 251 limit 5\nservice del {WEB}\n"

    def add(*hosts):
        return "".join(f"service add 10.9.0.{host}:80/tcp table 251 limit 5\n" for host in hosts)

    seen = fresh(add(1, 2) + come_and_go * 65532 + add(3), sizes)
    tap.equal(sorted(value["number"] for _, value in seen.services()), [1, 2, 65535],
              "the last number there is")
    xlb("-batch", "-", text="service del 10.9.0.1:80/tcp\n", status=0)
    xlb("-batch", "-", text=add(4, 5, 6), status=0)
    tap.equal(numbers(seen), (5, 5), "those after it are free ones")
    xlb("-batch", "-", text=come_and_go * 65536, status=0)
    tap.equal(numbers(seen), (5, 5), "as are those that came and went in one step")


def check_halves():
    """A line that is refused leaves nothing of it, though what else was right is written."""
    seen = three(dict(world.SIZES, xlb_slots=512))
    xlb("backend", "del", "10.0.0.1", status=0)
    for number in 2, 3:
        xlb("backend", "del", f"10.0.0.{number}", status=0)
    before = service(seen)
    done = xlb("-force", "-batch", "-", text=f"service change {WEB} mode dr limit 5 burst 9 "
               "warmup 7 table 65537\n")
    after = service(seen)
    tap.ok(done.returncode == 2 and "xlb_slots is full" in done.stderr, "a table without room",
           done.stderr)
    for field in "mode", "limit", "burst", "warmup":
        tap.equal(after[field], before[field], f"the service keeps its {field}")


def check_repair():
    """Only what a writer that died could leave, and the next call clears away."""
    seen = three()
    services = seen.maps["xlb_services4"]
    key, value = services.items()[0]
    target = seen.maps["xlb_targets"]
    services.set(key, dict(value, updating=1))
    target.set(9, {"address": bytes((10, 0, 0, 9)), "port": 80, "generation": 5, "live": 1})
    seen.maps["xlb_replies4"].set({"address": bytes((10, 0, 0, 9)), "port": 80, "protocol": 6},
                                  {"backend": 9})
    seen.maps["xlb_replies4"].delete(
        {"address": bytes((10, 0, 0, 1)), "port": 80, "protocol": 6})
    target.set(2, dict(target.get(2), live=0))
    seen.maps["xlb_backends"].set({"address": bytes(12) + bytes((10, 0, 0, 8)), "port": 1,
                                   "service_port": 99, "protocol": 6}, {"weight": 1, "id": 8})
    xlb("flow", "gc", "service", WEB, status=0)
    tap.equal((services.get(key)["updating"], target.get(9)["live"], target.get(2)["live"],
               len(seen.backends())), (0, 0, 1, 3), "what is left over is cleared away")
    tap.equal(sorted((each["address"][3], answer["backend"])
                     for each, answer in seen.maps["xlb_replies4"].items()),
              [(1, 1), (2, 2), (3, 3)], "and what is missing is added")


def main():
    world.enter()
    maps_make()
    check_up_and_down()
    check_health()
    check_fail()
    check_warmup()
    check_drain_and_delete()
    check_ids()
    check_keys()
    check_places()
    check_modes()
    check_echo()
    check_shared()
    check_shared_ports()
    check_port_of_any()
    check_numbers()
    check_halves()
    check_repair()
    tap.done()


CLOCK = Clock()
main()
