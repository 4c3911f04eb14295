#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What xlb-top draws: top.jq gets messages with times and counters, and so exact rates;
then xlb-top itself, without a terminal."""

import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import world  # noqa: E402
from world import ROOT, maps_make, maps_remove, xlb  # noqa: E402
import tap  # noqa: E402

SCRIPTS = os.path.join(ROOT, "scripts")
WEB, DNS, NONE = "192.0.2.1:80/tcp", "192.0.2.2:53/udp", "192.0.2.3:80/tcp"
PATH = f"{SCRIPTS}:{os.path.join(ROOT, 'loader')}:{os.environ['PATH']}"
COUNTERS = ("in_packets", "in_bytes", "out_packets", "out_bytes", "connections")


def snapshot(at, counts, drops=None, **standing):
    """A message: counts is {service: {backend: (number of each of COUNTERS)}}."""
    backends = [{"service": service, "backend": backend, "state": "up", "health": "up",
                 "warm": 100, **standing, **dict(zip(COUNTERS, numbers))}
                for service, each in counts.items() for backend, numbers in each.items()]
    services = [{"service": service, "backends": [{"backend": backend} for backend in each]}
                for service, each in counts.items()]
    return {"at": at, "shown": [backends, {"services": services, "drops": drops or {}}]}


def draw(messages, plain=True, ascii_only=True, sort="packets", columns=80):
    """The screens, each a list of lines."""
    given = {"interval": 2, "columns": columns, "ascii": ascii_only, "plain": plain}
    words = [word for name, value in given.items()
             for word in ("--argjson", name, json.dumps(value))]
    done = subprocess.run(["jq", "-nj", "-L", SCRIPTS, "--arg", "sort", sort, *words,
                           "-f", os.path.join(SCRIPTS, "top.jq")],
                          input="".join(map(json.dumps, messages)), capture_output=True, text=True,
                          check=True)
    screens = done.stdout.split("\n\n" if plain else "\033[H")
    return [screen.splitlines() for screen in screens if screen]


def visible(line):
    return re.sub(r"\033\[[0-9;?]*[A-Za-z]", "", line)


def words(lines, name):
    """The words of the row of this name."""
    return next((visible(line).split()[1:] for line in lines
                 if visible(line).strip().startswith(name + " ")), None)


# In ten seconds: many small packets to WEB, few large ones to DNS.
BEFORE = {WEB: {"10.0.0.1:80": (1000, 10, 7, 7, 3), "10.0.0.2:80": (0, 0, 0, 0, 0)},
          DNS: {"10.0.0.3:53": (5, 5, 5, 5, 5)}, NONE: {}}
AFTER = {WEB: {"10.0.0.1:80": (1300, 40010, 107, 20007, 33),
               "10.0.0.2:80": (900, 90000, 300, 30000, 90)},
         DNS: {"10.0.0.3:53": (105, 150005, 5, 5, 5)}, NONE: {}}
DROPS = {"no_backend": 5, "ttl": 0, "land": 100}
BOTH = [snapshot(100, BEFORE, DROPS), snapshot(110, AFTER, {**DROPS, "ttl": 5, "land": 120})]


def check_rates():
    screens = draw(BOTH)
    tap.equal(len(screens), 1, "the first snapshot makes no plain text, since it has no rates")
    lines = screens[0]
    tap.equal(words(lines, WEB)[:3], ["160", "144k", "12"],
              "a service: packets, bits and connections of both directions per second")
    tap.equal(words(lines, "10.0.0.1:80")[:4], ["up", "40", "48k", "3"], "a backend")
    tap.equal(words(lines, DNS)[:3], ["10", "120k", "0"], "another service")
    tap.equal(words(lines, NONE)[:3], ["0", "0", "0"], "a service without backends")
    tap.ok(any("all: 170 packets/s, 264k bits/s, 12 connections/s, in and out" in line
               for line in lines), "all of them", *lines)
    tap.ok("dropped/s: land 2, ttl 0.5" in lines, "what is dropped, the most of it first", *lines)
    tap.equal([words(lines, name)[-2].count("#") for name in (WEB, DNS)], [10, 1],
              "a service's bar is its part of all")
    tap.equal([words(lines, name)[4].count("#") for name in ("10.0.0.1:80", "10.0.0.2:80")], [3, 8],
              "a backend's is its part of the service")
    again = draw([*BOTH, snapshot(120, {WEB: {"10.0.0.2:80": (10, 10, 0, 0, 0)}}, {"ttl": 1})])[1]
    tap.equal((words(again, WEB)[0], words(again, "10.0.0.1:80"), words(again, DNS)),
              ("1", None, None), "who is gone takes nothing away; what is less began anew")
    states = {"failed": {"health": "down", "state": "drain"}, "warming": {"warm": 30},
              "drain": {"state": "drain"}, "down": {"state": "down", "warm": 100}}
    for word, standing in states.items():
        shown = draw([snapshot(1, BEFORE, **standing), snapshot(2, BEFORE, **standing)])[0]
        tap.equal(words(shown, "10.0.0.1:80")[0], word, f"a backend that is {word}")


def order(lines):
    return [visible(line).split()[0] for line in lines
            if re.match(r" *\d+\.\d+\.\d+\.\d+:", visible(line))]


def check_keys():
    web, dns = [WEB, "10.0.0.2:80", "10.0.0.1:80"], [DNS, "10.0.0.3:53"]
    named = [WEB, "10.0.0.1:80", "10.0.0.2:80"]
    for sort, wanted in (("packets", web + dns), ("bits", web + dns), ("name", named + dns),
                         ("connections", web + dns)):
        tap.equal(order(draw(BOTH, sort=sort)[0]), [*wanted, NONE], f"in the order of {sort}")
    size = {"size": [24, 80]}
    for keys, wanted in (("b", web + dns), ("bd", dns + web), ("bdd", web + dns),
                         ("n", named + dns),
                         ("nddd", named + dns), ("bdp", web + dns), ("s", [WEB, DNS]),
                         ("ss", web + dns), ("x", web + dns)):
        screens = draw([size, *BOTH, *({"key": key} for key in keys)], plain=False)
        tap.equal((len(screens), order(screens[-1])), (2 + len(keys), [*wanted, NONE]),
                  f"keys {keys}: each draws the screen, sorted as asked")
    rate = draw([size, *BOTH, {"key": "d"}], plain=False)[-1]
    tap.equal(words(rate, WEB)[:3], ["120", "104k", "12"], "from clients alone")
    rate = draw([size, *BOTH, {"key": "d"}, {"key": "d"}], plain=False)[-1]
    tap.equal(words(rate, WEB)[:3], ["40", "40k", "12"], "to clients alone")
    first = draw([size, BOTH[0]], plain=False)[0]
    tap.equal(words(first, WEB)[:3], ["-", "-", "-"], "before there are rates there are none")


def many(count, packets=0):
    return {f"192.0.2.{number}:80/tcp": {"10.0.0.1:80": (packets * number,) * 5}
            for number in range(1, count + 1)}


def check_size():
    messages = [snapshot(1, many(50)), snapshot(2, many(50, 12345678901))]
    for rows, columns in ((24, 80), (10, 132), (60, 64), (3, 80), (1, 1), (200, 300)):
        size = {"size": [rows, columns]}
        lines = [visible(line) for line in draw([size, *messages], plain=False)[-1]]
        tap.ok(len(lines) <= rows and max(map(len, lines)) <= columns,
               f"it keeps to {columns}x{rows}", len(lines), *lines)
    size = {"size": [24, 80]}

    def shown(keys, height=24):
        return order(draw([{"size": [height, 80]}, *messages, {"key": "n"},
                           *({"key": key} for key in keys)], plain=False)[-1])

    everything = [name for number in range(1, 51)
                  for name in (f"192.0.2.{number}:80/tcp", "10.0.0.1:80")]
    for keys, first in (("", 0), ("j", 1), ("jjjk", 2), ("k", 0), ("f", 19), ("ffr", 19),
                        ("ffffffff", 81), ("ffffffffk", 80), ("ffjs", None)):
        wanted = everything[first:first + 19] if first is not None else everything[0:38:2]
        tap.equal(shown(keys), wanted, f"keys {keys or 'none'}: the right rows are there")
    lines = draw([size, *messages], plain=False)[-1]
    tap.ok("(81 more)" in lines[-1] and "q quit" in lines[-1], "the last line has the keys",
           lines[-1])
    long = {"[2001:db8:1111:2222:3333:4444:5555:6666]:65535/tcp": {
        "[2001:db8:1111:2222:3333:4444:5555:7777]:65535": (5,) * 5}}
    for columns in (80, 132):
        lines = draw([{"size": [24, columns]}, snapshot(1, long), snapshot(2, long)],
                     plain=False)[-1]
        tap.ok(max(len(visible(line)) for line in lines) <= columns and
               any(visible(line).startswith("[2001:db8:1111:2222:3333:") for line in lines),
               f"long names keep to {columns} columns", *lines)


def check_history():
    """One packet a second, none, ten: each for twenty seconds."""
    packets = 0
    messages = []
    for second in range(0, 62, 2):
        messages.append(snapshot(1000 + second, {WEB: {"10.0.0.1:80": (packets,) * 5}}))
        packets += 2 if second < 20 else 0 if second < 40 else 20
    for ascii_only, (one, none, ten) in ((False, "▂▁█"), (True, "._#")):
        last = draw(messages, ascii_only=ascii_only, columns=93)[-1]
        spark = next(line for line in last if line.startswith(WEB)).split()[-1]
        tap.ok(re.fullmatch(f"{one}+{none}+{ten}+", spark) and 15 <= len(spark) <= 20,
               "the last minute, in its three parts", *last)
        lengths = [spark.count(level) for level in (one, none, ten)]
        tap.ok(max(lengths) - min(lengths) <= 3, "which are as long as each other", lengths)
    young = draw(messages[:4], columns=93)[-1]
    spark = next(line for line in young if line.startswith(WEB))
    tap.ok(1 <= spark.split()[-1].count("#") <= 3, "what it has not seen is blank", spark)
    peak = {WEB: {"10.0.0.1:80": (10**9,) * 5}}
    past = draw([snapshot(900, BEFORE), snapshot(902, peak),
                 *(snapshot(902 + second, {WEB: {"10.0.0.1:80": (10**9 + second,) * 5}})
                   for second in range(2, 64, 2))])[-1]
    tap.ok(words(past, WEB)[-1] == "#" * 11, "what was before that minute is forgotten", *past)
    idle = draw([snapshot(1, BEFORE), snapshot(62, BEFORE)])[-1]
    tap.ok(words(idle, WEB)[-1] == "_" * 11, "silence is a line at the bottom", *idle)
    text = "\n".join(map("".join, draw(messages, plain=False)))
    tap.ok(text.isascii(), "ASCII is nothing but ASCII")


def run(*arguments, variables=None):
    return subprocess.run([os.path.join(SCRIPTS, "xlb-top"), *arguments], capture_output=True,
                          text=True, check=False, stdin=subprocess.DEVNULL,
                          env={**os.environ, "PATH": PATH, **(variables or {})})


ERRORS = (
    (1, "-x", "-x: unknown option, see xlb-top -h"),
    (1, "-b -d", "-d : not a number of seconds from 1 to 86400"),
    (1, "-b -d 0", "-d 0: not a number of seconds from 1 to 86400"),
    (1, "-b -d 0.5", "-d 0.5: not a number of seconds from 1 to 86400"),
    (1, "-b -n", "-n : not a number from 1 to 999999"),
    (1, "-b -n 0", "-n 0: not a number from 1 to 999999"),
    (1, "-b -n 1000000", "-n 1000000: not a number from 1 to 999999"),
    (1, "-b -o", "-o : not one of: packets, bits, connections, name"),
    (1, "-b -o bytes", "-o bytes: not one of: packets, bits, connections, name"),
    (1, "", "not on a terminal: -b prints plain text"),
    (1, "-n 3", "not on a terminal: -b prints plain text"),
    (1, "-b web", "web: unknown keyword, not one of: service"),
    (1, "-b service", "service: needs a value"),
    (2, "-b service 192.0.2.9:80/tcp", "service 192.0.2.9:80/tcp: no such service"),
)


def check_tool():
    maps_make()
    xlb("-batch", "-", text=f"service add {WEB} table 251\nservice add {DNS} table 251\n"
        f"backend add 10.0.0.1 service {WEB}\n", status=0)
    for status, arguments, message in ERRORS:
        done = run(*arguments.split())
        tap.ok(done.returncode == status and done.stderr.startswith("xlb-top: ") and not done.stdout
               and message in done.stderr and done.stderr.count("\n") == 1,
               f"refused: xlb-top {arguments}", done.returncode, done.stdout + done.stderr)
    done = run("-b", "-n", "2", "-d", "1", "-a")
    tap.ok(done.returncode == 0 and not done.stderr and done.stdout.count("xlb-top ") == 2 and
           words(done.stdout.splitlines(), WEB)[:3] == ["0", "0", "0"] and done.stdout.isascii(),
           "xlb-top -b -n 2 prints two screens", done.stdout, done.stderr)
    done = run("-b", "-n", "1", "-d", "1", "service", DNS)
    tap.ok(DNS in done.stdout and WEB not in done.stdout, "of one service alone", done.stdout)
    done = run("-b", "-n", "1", "-d", "1", variables={"LC_ALL": "C.UTF-8"})
    tap.ok("▁" in done.stdout, "with blocks where the locale has them", done.stdout)
    done = subprocess.run(["sh", "-c", "xlb-top -b -d 1 | head -n 1"], capture_output=True,
                          text=True, check=False, stdin=subprocess.DEVNULL,
                          env={**os.environ, "PATH": PATH})
    tap.ok(done.stdout.startswith("xlb-top ") and not done.stderr, "nobody reads on: it ends",
           done.stdout, done.stderr)
    maps_remove()
    done = run("-b")
    tap.ok(done.returncode == 2 and done.stderr.startswith("xlb-top: no maps of xlb") and
           done.stderr.count("\n") == 1, "without maps", done.stderr)


check_rates()
check_keys()
check_size()
check_history()
world.enter()
check_tool()
tap.done()
