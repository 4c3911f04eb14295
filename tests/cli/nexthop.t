#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Next hops: what is told of those that packets have cached, by backend and by link."""

import json
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import world  # noqa: E402
from world import World, maps_make, sh, xlb  # noqa: E402
from bpf import Clock  # noqa: E402
import tap  # noqa: E402

HZ = round(1 / time.clock_getres(6))  # CLOCK_MONOTONIC_COARSE
WEB, WEB6 = "192.0.2.1:80/tcp", "[2001:db8::1]:80/tcp"
SETUP = f"""service add {WEB} table 251
service add {WEB6} table 251
backend add 10.0.0.2 service {WEB}
backend add 10.0.0.1:8080 service {WEB}
backend add [fd00::1] service {WEB6}
"""


def said(*words):
    return xlb("-s", *words, status=0).stdout


def shown(*words):
    return json.loads(xlb("-s", "-j", *words, status=0).stdout)


def ids():
    return {each["backend"]: each["id"] for each in shown("backend")}


def cache(backend, link, age=0, generation=None, last=1, mtu=1500):
    """What the packet path leaves behind, so many seconds ago."""
    own = SEEN.targets()[ids()[backend]]["generation"]
    SEEN.maps["xlb_nexthops"].set(ids()[backend], {
        "destination": bytes((2, 0, 0, 0, 0xab, last)), "ifindex": link,
        "source": bytes((2, 0, 0, 0, 0, 9)), "redirect": 1,
        "stamp": (CLOCK.jiffies() - age * HZ) % 2 ** 32,
        "generation": own if generation is None else generation, "mtu": mtu})


def nexthops():
    return {each["backend"]: each["nexthop"] for each in shown("backend")}


def is_aged(least, age):
    """A next hop that was so old as the test began, in seconds."""
    return least <= age <= least + time.monotonic() - BEGUN + 1


def check_nexthop(backend, least, dev, lladdr, mtu, description):
    found = nexthops()[backend]
    age = found.pop("age")
    tap.ok(found == {"dev": dev, "lladdr": lladdr, "mtu": mtu} and is_aged(least, age),
           description, found, age)


def check_line(lines, start, least, description):
    """One of these lines is this one, and an age."""
    ages = [int(line[len(start):]) for line in lines.splitlines() if line.startswith(start)]
    tap.ok(len(ages) == 1 and is_aged(least, ages[0]), description, lines)


def test_none():
    tap.equal(set(nexthops().values()), {None}, "at first no backend has a next hop")
    tap.ok("nexthop" not in said("backend"), "nor says text that it has one")
    tap.equal(shown("link"), [], "nor has a link any")


def test_backend():
    cache("10.0.0.1:8080", LEFT, age=3)
    cache("[fd00::1]:80", RIGHT, mtu=65535, last=2)
    check_nexthop("10.0.0.1:8080", 3, "left", "02:00:00:00:ab:01", 1500, "a backend's next hop")
    check_line(said("backend", "show", "10.0.0.1:8080"),
               "    nexthop dev left lladdr 02:00:00:00:ab:01 mtu 1500 age ", 3, "as text")
    check_nexthop("[fd00::1]:80", 0, "right", "02:00:00:00:ab:02", None, "one of unknown MTU")
    check_line(said("backend"), "    nexthop dev right lladdr 02:00:00:00:ab:02 age ", 0,
               "as text")
    tap.equal(nexthops()["10.0.0.2:80"], None, "the others have none")
    tap.ok("nexthop" not in json.loads(xlb("-j", "backend", status=0).stdout)[0],
           "without -s nothing is told")


def test_stale():
    cache("10.0.0.2:80", LEFT, generation=77)
    tap.equal(nexthops()["10.0.0.2:80"], None, "what a former owner of the id left is not told")
    cache("10.0.0.2:80", 0)
    tap.equal(nexthops()["10.0.0.2:80"], None, "nor what a failed look-up left")
    cache("10.0.0.2:80", 999, age=100000)
    check_nexthop("10.0.0.2:80", 100000, "if999", "02:00:00:00:ab:01", 1500,
                  "a link that is gone has a number, and an old one its age")


def test_link():
    cache("10.0.0.2:80", LEFT, last=7)
    xlb("load", "dev", "right", "mode", "generic", status=0)
    left, right = shown("link")
    tap.equal((left["dev"], left["mode"], left["id"], left["pin"]), ("left", None, None, None),
              "a link that has next hops only")
    tap.equal([{key: value for key, value in each.items() if key != "age"}
               for each in left["nexthops"]],
              [{"backend": "10.0.0.1:8080", "service": WEB, "lladdr": "02:00:00:00:ab:01",
                "mtu": 1500},
               {"backend": "10.0.0.2:80", "service": WEB, "lladdr": "02:00:00:00:ab:07",
                "mtu": 1500}], "its next hops, in the order of backends")
    tap.equal((right["dev"], right["mode"], [each["backend"] for each in right["nexthops"]]),
              ("right", "generic", ["[fd00::1]:80"]), "a link that runs xlb, too")
    cache("[fd00::1]:80", RIGHT)
    lines = said("link", "show", "dev", "right")
    tap.ok(lines.count("\n") == 2 and lines.startswith("dev right mode generic id "),
           "one link", lines)
    check_line(lines, f"    backend [fd00::1]:80 service {WEB6} lladdr 02:00:00:00:ab:01 mtu 1500 "
               "age ", 0, "and how its text looks")
    tap.equal([each["dev"] for each in json.loads(xlb("-j", "link", status=0).stdout)], ["right"],
              "without -s only links that run xlb are told")


def index(dev):
    return json.loads(sh("ip", "-j", "link", "show", "dev", dev))[0]["ifindex"]


world.enter()
for name in ("left", "right"):
    sh("ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}-peer")
LEFT, RIGHT = index("left"), index("right")
maps_make()
xlb("-batch", "-", text=SETUP, status=0)
SEEN = World()
CLOCK = Clock()
BEGUN = time.monotonic()
test_none()
test_backend()
test_stale()
test_link()
tap.done()
