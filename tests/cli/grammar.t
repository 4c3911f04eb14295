#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What commands take, what they show, that the two are the same, and batches."""

import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import world  # noqa: E402
from world import DELETED, World, maps_make, maps_remove, xlb  # noqa: E402
import tap  # noqa: E402

WEB = "192.0.2.1:80/tcp"
OBJECTS = ("service", "backend", "config", "flow", "stats", "monitor", "lookup", "load", "unload",
           "link", "decap", "save", "restore")

# As `show` prints it, one line each, in its order.
SERVICES = """\
*:8080/tcp mode dnat hash source table 251 settle 0
192.0.2.1:*/tcp mode dnat hash flow table 251 settle 30
192.0.2.1:80/tcp mode dnat hash flow table 257 settle 86400
192.0.2.1:53/udp mode dnat hash flow table 251 settle 30 echo off
[*]:8080/tcp mode dnat hash flow table 251 settle 30 warmup 65535
[2001:db8::1]:443/tcp mode dnat hash source table 263 settle 5 fail open
"""
BACKENDS = """\
127.0.0.1:8080 service *:8080/tcp weight 1 state up
127.0.0.2:8080 service *:8080/tcp weight 65535 state down
10.0.0.1 service 192.0.2.1:*/tcp weight 1 state drain
10.0.0.2:80 service 192.0.2.1:80/tcp weight 0 state up
10.0.0.2:81 service 192.0.2.1:80/tcp weight 7 state up
10.0.0.2:80 service 192.0.2.1:53/udp weight 1 state up
[::1]:8080 service [*]:8080/tcp weight 1 state up health down
[fd00::a:1]:443 service [2001:db8::1]:443/tcp weight 2 state up
"""
SIZES = dict(world.SIZES, xlb_services4=8)


def lines(verb, text):
    return "".join(f"{verb} {line}\n" for line in text.splitlines())


def fresh(**sizes):
    maps_remove()
    maps_make(sizes=SIZES | sizes)
    return World(sizes=SIZES | sizes)


def shown(*words):
    return xlb(*words, status=0).stdout


def document(*words, **options):
    """The one JSON document that a command prints, as jq reads it."""
    done = xlb(*words, **options)
    read = subprocess.run(["jq", "-c", "-s", "."], input=done.stdout, capture_output=True,
                          text=True, check=True)
    documents = json.loads(read.stdout)
    tap.equal(len(documents), 1, f"one JSON document: xlb {' '.join(words)}")
    return documents[0]


def check_help():
    for words in (["help"], ["-h"], ["--help"]):
        done = xlb(*words)
        tap.ok(done.returncode == 0 and done.stdout.startswith("Usage: xlb ") and not done.stderr
               and all(f" {name} " in done.stdout for name in OBJECTS), f"xlb {words[0]}")
    for name in OBJECTS:
        done = xlb(name, "help")
        tap.ok(done.returncode == 0 and done.stdout.startswith(f"Usage: xlb {name}")
               and not done.stderr, f"xlb {name} help")
        tap.equal(xlb("-j", name, "-h").stdout, done.stdout, f"xlb -j {name} -h is the same")
        tap.equal(xlb(name, "--help").stdout, done.stdout, f"xlb {name} --help is the same")
    for words in ("service add help", "backend show help", "flow gc help", "config set help"):
        done = xlb(*words.split())
        tap.equal((done.returncode, done.stdout), (0, xlb(words.split()[0], "help").stdout),
                  f"xlb {words}")
    done = xlb("-V")
    tap.ok(done.returncode == 0 and done.stdout.startswith("xlb ") and not done.stderr, "xlb -V")


def check_round_trip():
    seen = fresh()
    xlb("-batch", "-", text=lines("service add", SERVICES) + lines("backend add", BACKENDS),
        status=0)
    tap.equal(shown("service", "show"), SERVICES, "service show prints what was added")
    tap.equal(shown("backend", "show"), BACKENDS, "backend show prints what was added")
    tap.equal(shown("service"), SERVICES, "show is what no verb means")
    tap.equal({key["family"] + str(key["port"]) + "/" + str(key["protocol"])
               for key, _ in seen.services()},
              {"48080/6", "40/6", "480/6", "453/17", "68080/6", "6443/6"}, "keys of services")
    tap.equal(seen.maps["xlb_config"].get(0)["needs"],
              {"any_address4": 1, "any_port4": 1, "any_address6": 1, "any_port6": 0},
              "the optional look-ups that are needed")
    tap.equal(shown("service", "show", WEB), SERVICES.splitlines(True)[2], "of one service")
    tap.equal(shown("backend", "show", "10.0.0.2"), "".join(BACKENDS.splitlines(True)[3:6]),
              "of one host")
    tap.equal(shown("backend", "show", "10.0.0.2:81", "service", WEB),
              BACKENDS.splitlines(True)[4], "of one backend")
    tap.equal(shown("backend", "show", "service", "[::]:8080/tcp"),
              BACKENDS.splitlines(True)[6], "[::] is [*]")
    tap.equal(shown("service", "show", "0.0.0.0:8080/tcp"), SERVICES.splitlines(True)[0],
              "0.0.0.0 is *")


def check_config():
    for flows in (2 ** 20, 1600 * os.cpu_count(), 1):
        fresh(xlb_flows4=flows)
        tap.equal(document("-j", "config")["records"], world.records(flows),
                  f"how many of {flows} records a CPU may make in a second")
    seen = fresh()
    defaults = ("seed 0x786c622d73656564 settle 30 idle 900 table 16381 "
                f"records {world.records(world.SIZES['xlb_flows4'])} gue 6080\n")
    tap.equal(shown("config"), defaults, "defaults, while nobody has written")
    tap.equal(seen.maps["xlb_config"].get(0)["abi"], 0, "and showing them writes nothing")
    other = "seed 0xffffffffffffffff settle 1 idle 2 table 251 records 0 gue 6080"
    xlb("config", "set", *other.split(), status=0)
    tap.equal(shown("config", "show"), other + "\n", "config show prints what set takes")
    config = seen.maps["xlb_config"].get(0)
    tap.equal((config["abi"], config["seed"], config["hz"]),
              (world.ABI, 2 ** 64 - 1, round(1 / __import__("time").clock_getres(6))),
              "in xlb_config")
    sources = (" tunnel4 10.0.9.1 tunnel6 fd00:9::1 nat4 10.0.9.2,10.0.9.3 nat6 "
               + ",".join(f"fd00:9::{n}" for n in range(1, 9)) + " gue 6081")
    xlb("config", "set", *sources.split(), status=0)
    tap.equal(shown("config"), other.replace(" gue 6080", sources) + "\n", "sources of modes, too")
    xlb("config", "set", *"tunnel4 none tunnel6 none nat4 none nat6 none gue 6080".split(),
        status=0)
    tap.equal(shown("config"), other + "\n", "and none of them")
    xlb("service", "add", WEB, status=0)
    tap.equal(shown("service"), f"{WEB} mode dnat hash flow table 251 settle 1\n",
              "a new service has them")
    done = xlb("config", "set", "seed", "18446744073709551615", "settle", "9")
    tap.equal(done.returncode, 0, "the seed that is set may be given again")
    xlb("service", "change", WEB, "hash", "source", "table", "509", "settle", "3", status=0)
    tap.equal(shown("service"), f"{WEB} mode dnat hash source table 509 settle 3\n",
              "service change")
    for mode in ("nat", "dr", "ipip", "gue", "dnat"):
        xlb("service", "change", WEB, "mode", mode, status=0)
        tap.equal(shown("service"), f"{WEB} mode {mode} hash source table 509 settle 3\n",
                  f"mode {mode}")
    fields = document("-j", "config")
    tap.equal((fields["seed"], fields["records"], fields["pin"]),
              ("0xffffffffffffffff", 0, world.PINS), "config in JSON")


def check_json():
    fresh()
    for words in ("service show", "backend show", "acl show", "flow show", "link show"):
        tap.equal(document("-j", *words.split()), [], f"nothing is []: {words}")
    tap.equal(document("-j", "stats", "show")["services"], [], "nothing is []: services of stats")
    tap.equal(document("-j", "service", "add", "[2001:db8::1]:80/tcp", "table", "251"), [],
              "what shows nothing prints []")
    xlb("backend", "add", "[fd00::1]:8080", status=0)
    service = document("-j", "service", "show")[0]
    tap.equal(service, {"service": "[2001:db8::1]:80/tcp", "address": "2001:db8::1", "port": 80,
                        "protocol": "tcp", "mode": "dnat", "hash": "flow", "table": 251,
                        "settle": 30, "echo": True, "fail": "closed", "warmup": 0, "limit": None,
                        "burst": None},
              "a service")
    backend = document("-p", "backend", "show")[0]
    tap.equal(backend, {"backend": "[fd00::1]:8080", "address": "fd00::1", "port": 8080,
                        "service": "[2001:db8::1]:80/tcp", "weight": 1, "state": "up",
                        "health": "up", "id": 1}, "a backend")
    counters = {"connections": 0, "in_packets": 0, "in_bytes": 0, "out_packets": 0,
                "out_bytes": 0}
    tap.equal(document("-j", "-s", "service", "show")[0],
              dict(service, backends=1, marked=0, rules=0, failed_open=False, **counters),
              "-s: a service")
    tap.equal(document("-j", "-s", "backend", "show")[0],
              dict(backend, warm=100, slots=251, nexthop=None, **counters), "-s: a backend")
    tap.equal(document("-j", "backend", "show", "[fd00::9]"), [], "an error leaves a document")
    tap.equal(document("-j", "service", "add", "nonsense"), [], "so does a bad command line")
    tap.equal(document("-j", "flow", "count"),
              {"records": 0, "embryonic": 0, "reply": 0, "gone": 0, "marked": 0, "refused": 0},
              "flow count")
    stats = document("-j", "stats")
    tap.equal(stats["services"], [dict(counters, service="[2001:db8::1]:80/tcp",
                                       backends=[dict(counters, backend="[fd00::1]:8080")])],
              "stats of services")
    tap.equal(stats["drops"], dict.fromkeys(World(sizes=SIZES).maps["xlb_drops"].get(0), 0),
              "drops by the names in BTF")
    tap.equal(document("-j", "-batch", "-", text="service\nconfig set idle 9\nbackend\n"),
              [[service], [backend]], "a batch is the list of what its commands show")
    tap.equal(document("-j", "-batch", "-", text=""), [], "an empty batch")


def check_namespace():
    """-n: the namespace of another network, but the mounts of this process."""
    fresh()
    world.sh("mount", "-t", "tmpfs", "tmpfs", "/run")
    world.sh("ip", "netns", "add", "other")
    world.sh("nsenter", "--net=/run/netns/other", "ip", "link", "add", "veth9", "type", "veth")
    done = xlb("-n", "other", "service", "add", WEB, "table", "251")
    tap.equal((done.returncode, shown("service")),
              (0, f"{WEB} mode dnat hash flow table 251 settle 30\n"),
              "-n: the pins are where they were")
    tap.equal([xlb(*where, "link", "show", "dev", "veth9").returncode
               for where in (("-n", "other"), ())], [0, 2], "the interfaces are that one's")
    world.sh("ip", "netns", "del", "other")


def check_batch():
    seen = fresh()
    text = f"service add {WEB} table 251\nbackend add 10.0.0.1\nbackend add 10.0.0.2\n"
    wrong = "backend add 10.0.0.1\nbackend add 10.0.0.3\n"
    done = xlb("-batch", "-", text=text + wrong)
    tap.equal((done.returncode, done.stderr),
              (2, f"xlb: -:4: backend add 10.0.0.1: service {WEB}: exists already\n"),
              "an error names its line")
    tap.equal(len(seen.services()), 0, "and nothing is changed")
    xlb("-batch", "-", text=text + "service show\n" + wrong)
    tap.equal(len(seen.backends()), 2, "but for what stands before a show")
    tap.equal({slot[1] for slot in seen.table(seen.services()[0][1])}, {0},
              "the table is built once: no slot is marked")
    done = xlb("-force", "-batch", "-", text="backend add 10.0.0.1 weight x\nbackend add 10.0.0.1"
                                             "\nbackend add 10.0.0.3\n")
    tap.equal((done.returncode, done.stderr.count("\n"), len(seen.backends())), (1, 2, 3),
              "-force goes on, and the status is the first failure's")
    done = xlb("-batch", "-", text="backend change 10.0.0.1 weight 5\nbackend show 10.0.0.1\n"
                                   "backend change 10.0.0.1 weight 6\n")
    tap.equal(done.stdout, f"10.0.0.1:80 service {WEB} weight 5 state up\n",
              "show sees what stands before it")
    tap.equal(shown("backend", "show", "10.0.0.1"),
              f"10.0.0.1:80 service {WEB} weight 6 state up\n", "and what follows is done")
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("\tbackend  del 10.0.0.1 # leaves\n#\n\n  # nothing\nbackend del 10.0.0.9")
        file.flush()
        done = xlb("-force", "-batch", file.name)
    tap.equal((done.returncode, done.stderr, len(seen.backends())),
              (2, f"xlb: {file.name}:5: backend del 10.0.0.9: service {WEB}: no such backend\n",
               2), "blanks, comments, no newline at the end, FILE:LINE")


def check_batch_replaces():
    """Deleted and added again in one batch: the same names, but not the same."""
    seen = fresh()
    text = f"service add {WEB} table 251\nbackend add 10.0.0.1\nbackend add 10.0.0.2\n"
    xlb("-batch", "-", text=text, status=0)
    before = shown("service") + shown("backend")
    xlb("-batch", "-", text="backend del 10.0.0.1\nbackend add 10.0.0.1\n", status=0)
    tap.equal(shown("service") + shown("backend"), before, "a backend is replaced")
    tap.equal({value["id"] for _, value in seen.backends()}, {2, 3}, "by one of another id")
    tap.equal({slot for slot in seen.table(seen.services()[0][1])}, {(3, 0), (2, 0)},
              "which has its slots, and no mark tells of the old one")
    tap.equal([seen.targets()[n]["live"] for n in (1, 2, 3)], [0, 1, 1], "and only it lives")
    tap.equal(sorted(value["backend"] for _, value in seen.maps["xlb_replies4"].items()), [2, 3],
              "and is whom replies are taken to be from")
    xlb("-batch", "-", text=f"service del {WEB}\n{text}", status=0)
    tap.equal(shown("service") + shown("backend"), before, "a service is replaced")
    tap.equal({value["id"] for _, value in seen.backends()}, {4, 5}, "with its backends")
    xlb("-batch", "-", text=f"service add 192.0.2.9:80/tcp table 251\nservice del {WEB}\n"
                            "backend add 10.0.0.1\n", status=0)
    tap.equal([(key["service_address"][-1], value["id"]) for key, value in seen.backends()],
              [(9, 6)], "a backend goes over to another service")
    tap.equal([value["address"][:4] for _, value in seen.maps["xlb_replies4"].items()],
              [bytes((192, 0, 2, 9))], "and its replies do")
    tap.ok(DELETED not in {slot[0] for slot in seen.table(seen.services()[0][1])},
           "nobody that is deleted owns a slot")
    xlb("-batch", "-", text="service del 192.0.2.9:80/tcp\n", status=0)
    tap.equal([each.dump() for name, each in seen.maps.items()
               if name[:11] in ("xlb_service", "xlb_backend", "xlb_replies")], [{}] * 5,
              "a service goes with its backends")


def main():
    world.enter()
    maps_make(sizes=SIZES)
    check_help()
    check_round_trip()
    check_config()
    check_json()
    check_namespace()
    check_batch()
    check_batch_replaces()
    tap.done()


main()
