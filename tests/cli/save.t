#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""xlb save prints all that can be configured, and that makes the same again."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import world  # noqa: E402
from keywords import COMMANDS, batches  # noqa: E402
from world import World, maps_make, maps_remove, xlb  # noqa: E402
import tap  # noqa: E402

SIZES = dict(world.SIZES, xlb_services4=8)
HEADER = "# printed by xlb save\n"
CONFIG = ("config set seed 0x786c622d73656564 settle 30 idle 900 table 16381 "
          f"records {world.records(SIZES['xlb_flows4'])} gue 6080\n")

# Everything in its place, and the same in an order of its own.
USUAL = "echo on fail closed warmup 0 limit off"
SAVED = HEADER + f"""\
config set seed 0x5 settle 7 idle 60 table 251 records 0 tunnel4 10.0.9.1 tunnel6 fd00:9::1 \
nat4 10.0.9.2,10.0.9.3 nat6 fd00:9::2 gue 6081
acl add 0.0.0.0/0 deny
acl add 10.0.0.0/8 allow
acl add 10.0.0.0/16 deny
acl add ::/0 allow
service add *:8080/tcp mode dnat hash flow table 251 settle 7 {USUAL}
backend add 127.0.0.1:8080 service *:8080/tcp weight 1 state up
backend add 127.0.0.2:8080 service *:8080/tcp weight 65535 state down
service add 192.0.2.1:*/tcp mode nat hash flow table 257 settle 0 {USUAL}
backend add 10.0.0.1 service 192.0.2.1:*/tcp weight 1 state drain
service add 192.0.2.1:80/tcp mode dnat hash source table 251 settle 7 {USUAL}
backend add 10.0.0.2:80 service 192.0.2.1:80/tcp weight 0 state up
backend add 10.0.0.2:81 service 192.0.2.1:80/tcp weight 7 state up
backend add 10.0.0.3:80 service 192.0.2.1:80/tcp weight 1 state up
acl add 10.0.0.0/8 deny service 192.0.2.1:80/tcp
acl add 10.0.0.1/32 allow service 192.0.2.1:80/tcp
service add 192.0.2.1:53/udp mode ipip hash flow table 251 settle 7 {USUAL}
backend add 10.0.0.2:53 service 192.0.2.1:53/udp weight 1 state up
backend add [fd00::a:1]:53 service 192.0.2.1:53/udp weight 1 state up
service add 192.0.2.9:80/tcp mode dr hash flow table 251 settle 7 {USUAL}
service add [2001:db8::1]:443/tcp mode gue hash flow table 263 settle 5 echo on fail closed \
warmup 0 limit 9 burst 90
backend add [fd00::a:1]:443 service [2001:db8::1]:443/tcp weight 2 state up
acl add 2001:db8::/32 deny service [2001:db8::1]:443/tcp
"""
ELSEWISE = """\
config set gue 6081 nat6 fd00:9::2 nat4 10.0.9.2,10.0.9.3
config set tunnel6 fd00:9::1 tunnel4 10.0.9.1 records 0 idle 60 table 251 settle 7 seed 5
service add [2001:db8::1]:443/tcp table 263 settle 5 mode gue
service add 192.0.2.9:80/tcp mode dnat
service add 192.0.2.1:53/udp mode ipip
backend add [fd00::a:1] service 192.0.2.1:53/udp
backend add 10.0.0.2 service 192.0.2.1:53/udp
service change 192.0.2.9:80/tcp mode dr
service add 192.0.2.1:80/tcp hash source
acl add 10.0.0.1 allow service 192.0.2.1:80/tcp
acl add 10.0.0.0/16 deny
acl add 10.0.0.0/8 allow
backend add 10.0.0.3 service 192.0.2.1:80/tcp
backend add 10.0.0.9 service 192.0.2.1:80/tcp
service add 192.0.2.1:*/tcp mode nat settle 0 table 257
backend add 10.0.0.2:81 service 192.0.2.1:80/tcp weight 7
backend add 10.0.0.2:80 service 192.0.2.1:80/tcp weight 0
backend add 10.0.0.1 service 192.0.2.1:*/tcp
service add 0.0.0.0:8080/tcp
backend add 127.0.0.2 service *:8080/tcp weight 65535
backend add 127.0.0.1 service *:8080/tcp
backend del 10.0.0.9 service 192.0.2.1:80/tcp
backend change 127.0.0.2 service *:8080/tcp state down
backend change 10.0.0.1 service 192.0.2.1:*/tcp state drain
backend add [fd00::a:1]:443 weight 2 service [2001:db8::1]:443/tcp
acl add 2001:db8::/32 allow service [2001:db8::1]:443/tcp
acl add 172.16.0.0/12 deny
acl add 0:0::/0 allow
acl add 0.0.0.0/0 deny
acl add 10.0.0.0/8 deny service 192.0.2.1:80/tcp
acl del 172.16.0.0/12
acl change 2001:db8::/32 deny service [2001:db8::1]:443/tcp
service change [2001:db8::1]:443/tcp limit 9 burst 90
"""


def fresh(*texts):
    """Maps in which these batches have been run."""
    maps_remove()
    maps_make(sizes=SIZES)
    for text in texts:
        xlb("-batch", "-", text=text, status=0)


def saved():
    return xlb("save", status=0).stdout


def shown():
    """All that is configured, as JSON has it, but what depends on the order of commands."""
    return {name: [{key: value for key, value in each.items() if key not in ("id", "pin")}
                   for each in objects]
            for name in (*COMMANDS, "acl")
            for objects in [json.loads(f"[{xlb('-j', name, status=0).stdout}]")]
            for objects in [objects[0] if isinstance(objects[0], list) else objects]}


def check_order():
    fresh()
    tap.equal(saved(), HEADER + CONFIG, "what has not been configured has its defaults")
    tap.equal(World(sizes=SIZES).maps["xlb_config"].get(0)["abi"], 0, "and saving writes nothing")
    for name, text in (("as it is printed", SAVED), ("in another order", ELSEWISE)):
        fresh(text)
        before = World(sizes=SIZES).snapshot()
        tap.equal(saved(), SAVED, f"made {name}, it is saved the same")
        tap.ok(World(sizes=SIZES).snapshot() == before, "and saving writes nothing")


def check_json():
    fresh(SAVED)
    document = json.loads(xlb("-j", "save", status=0).stdout)
    lines = SAVED.splitlines()[1:]
    tap.equal(list(document), ["config", "rules", "services"], "JSON is an object")
    tap.equal((document["config"]["seed"], document["config"]["nat4"]),
              ("0x5", "10.0.9.2,10.0.9.3"), "with the settings")
    tap.equal([service["service"] for service in document["services"]],
              [line.split()[2] for line in lines if line.startswith("service")], "the services")
    tap.equal([(backend["backend"], backend["service"], backend["weight"], backend["state"])
               for service in document["services"] for backend in service["backends"]],
              [(words[2], words[4], int(words[6]), words[8])
               for words in map(str.split, lines) if words[0] == "backend"], "and backends")
    tap.equal([(rule["prefix"], rule["action"]) for rules in
               [document["rules"]] + [service["rules"] for service in document["services"]]
               for rule in rules],
              [(words[2], words[3]) for words in map(str.split, lines) if words[0] == "acl"],
              "and rules")


def check_keywords(name):
    """Whatever a command takes is saved, and comes back."""
    plain, given = batches(name)
    fresh(plain)
    unchanged, changing = saved(), set()
    for keyword, batch in given:
        fresh(batch)
        text, meaning = saved(), shown()
        fresh(text)
        tap.equal((saved(), shown()), (text, meaning), f"{batch.splitlines()[-1]}: survives")
        if text != unchanged:
            changing.add(keyword)
    keywords = {keyword for keyword, _ in given}
    tap.equal(changing, keywords, f"every keyword of {name} is saved")
    return keywords


def main():
    world.enter()
    maps_make(sizes=SIZES)
    check_order()
    check_json()
    tap.ok(check_keywords("config") >= {"seed", "table", "tunnel6", "nat4", "gue"} and
           check_keywords("service") >= {"mode", "hash", "table", "settle"} and
           check_keywords("backend") >= {"weight", "state"}, "of usages that can be read")
    tap.done()


main()
