#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""xlb monitor: changes by whoever makes them, its filters and forms, and how it ends."""

import json
import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import world  # noqa: E402
from world import PINS, World, maps_make, maps_remove, sh, xlb  # noqa: E402
import tap  # noqa: E402
from monitor import Monitor, until  # noqa: E402

WEB, DNS, SIX = "192.0.2.1:80/tcp", "192.0.2.1:53/udp", "[2001:db8::1]:443/tcp"
USUAL = f"service {WEB} weight 1 state up"
# Who changes a backend, how, and what is to be told of it.
CHANGES = (
    ("xlb", "backend add 10.0.0.2:80 service " + WEB, [f"backend added 10.0.0.2:80 {USUAL}"]),
    ("xlb", f"backend change 10.0.0.2:80 service {WEB} weight 7",
     [f"backend changed 10.0.0.2:80 service {WEB} weight 7 state up was weight 1"]),
    ("xlb", f"backend change 10.0.0.2:80 service {WEB} weight 1 state drain health down",
     [f"backend changed 10.0.0.2:80 service {WEB} weight 1 state drain health down "
      "was weight 7 state up health up"]),
    ("xlb-backend", f"up 10.0.0.2:80 service {WEB}",
     [f"backend changed 10.0.0.2:80 {USUAL} health down was state drain"]),
    ("xlb", f"backend change 10.0.0.2:80 service {WEB} health up",
     [f"backend changed 10.0.0.2:80 {USUAL} was health down"]),
    ("xlb", f"backend del 10.0.0.2:80 service {WEB}", [f"backend deleted 10.0.0.2:80 {USUAL}"]),
    ("xlb", f"service add {SIX} table 251 mode ipip",
     [f"service added {SIX} mode ipip hash flow table 251 settle 30"]),
    ("xlb", f"service change {SIX} mode dnat settle 5 fail open echo off warmup 9",
     [f"service changed {SIX} mode dnat hash flow table 251 settle 5 echo off fail open warmup 9 "
      "was mode ipip settle 30 echo on fail closed warmup 0"]),
    ("xlb", f"service change {SIX} limit 100 burst 20",
     [f"service changed {SIX} mode dnat hash flow table 251 settle 5 echo off fail open warmup 9 "
      "limit 100 burst 20 was limit none burst none"]),
    ("xlb", f"service change {SIX} limit off",
     [f"service changed {SIX} mode dnat hash flow table 251 settle 5 echo off fail open warmup 9 "
      "was limit 100 burst 20"]),
    ("xlb", f"backend add [fd00::1] service {SIX}",
     [f"backend added [fd00::1]:443 service {SIX} weight 1 state up"]),
    ("xlb", f"service del {SIX}",
     [f"backend deleted [fd00::1]:443 service {SIX} weight 1 state up",
      f"service deleted {SIX} mode dnat hash flow table 251 settle 5 echo off fail open warmup 9"]),
)


def xlb_run(tool, line):
    path = os.path.join(world.ROOT, "loader" if tool == "xlb" else "scripts", tool)
    subprocess.run([path, *line.split()], check=True, capture_output=True)


def check_changes():
    monitor = Monitor("change")
    for tool, line, wanted in CHANGES:
        xlb_run(tool, line)
        tap.equal(monitor.take(len(wanted)), wanted, f"{tool} {line}")
    xlb("backend", "change", "10.0.0.1:80", "service", WEB, "weight", "1", status=0)
    xlb("-batch", "-", text=f"backend add 10.0.0.2:80 service {WEB} weight 2\n"
                            f"service add {SIX} table 251\n", status=0)
    tap.equal(monitor.take(2), [f"backend added 10.0.0.2:80 service {WEB} weight 2 state up",
                                f"service added {SIX} mode dnat hash flow table 251 settle 30"],
              "a batch, after a change that changes nothing")
    xlb("-batch", "-", text=f"backend del 10.0.0.2:80 service {WEB}\nservice del {SIX}\n",
        status=0)
    tap.equal(len(monitor.take(2)), 2, "and all of it undone")
    xlb("-batch", "-", text=f"backend del 10.0.0.1:80 service {WEB}\n"
                            f"backend add 10.0.0.1:80 service {WEB} weight 3\n", status=0)
    tap.equal(monitor.take(2), [f"backend deleted 10.0.0.1:80 {USUAL}",
                                f"backend added 10.0.0.1:80 service {WEB} weight 3 state up"],
              "who is deleted and added again at once is another")
    xlb("backend", "change", "10.0.0.1:80", "service", WEB, "weight", "1", status=0)
    tap.equal(len(monitor.take(1)), 1, "and that one is changed")
    tap.equal(monitor.end(), ([], 0, ""), "SIGTERM ends it, and there was nothing more")


def raw(key, value):
    """As bpftool takes bytes."""
    return ("key", "hex", *key.hex(" ").split(), "value", "hex", *value.hex(" ").split())


def check_raw():
    """Written past xlb, whose lock says nothing then."""
    maps = World().maps
    monitor = Monitor("change", options=("-j",))
    content = maps["xlb_backends"]
    key, = content.keys()
    value = content.parts(content.raw(key))[0]
    started = time.time()
    sh("bpftool", "map", "update", "pinned", f"{PINS}/xlb_backends",
       *raw(key, content.btf.pack(content.value, value | {"weight": 9})))
    event, = monitor.take(1)
    tap.ok(started - 1 < event.pop("time") < time.time() + 1, "JSON has the time")
    tap.equal(event, {"event": "backend", "action": "changed", "backend": "10.0.0.1:80",
                      "address": "10.0.0.1", "port": 80, "service": WEB, "weight": 9,
                      "state": "up", "health": "up", "was": {"weight": 1}},
              "bpftool changes a weight")
    sh("bpftool", "map", "update", "pinned", f"{PINS}/xlb_backends",
       *raw(key, content.btf.pack(content.value, value)))
    tap.equal([event["was"] for event in monitor.take(1)], [{"weight": 9}], "and back")
    tap.equal(monitor.end(signal.SIGINT), ([], 0, ""), "SIGINT ends it as well")


def wanted(words, end, service):
    """Whether a monitor that was asked for by these words is to tell of this backend."""
    given = dict(zip(words.split(), words.split()[1:]))
    address = given.get("backend", end)
    return ("change" in words.split() and given.get("service", service) == service and
            address in (end, end.split(":")[0]))


def check_filters():
    xlb("service", "add", DNS, "table", "251", status=0)
    monitors = {words: Monitor(*words.split()) for words in (
        "change", f"change service {WEB}", f"service {DNS} change", "change backend 10.0.0.8",
        "change backend 10.0.0.8:53", f"change backend 10.0.0.8 service {WEB}", "link")}
    seen = dict.fromkeys(monitors, 0)
    for end, service in (("10.0.0.8:80", WEB), ("10.0.0.8:53", DNS), ("10.0.0.9:53", DNS)):
        xlb("backend", "add", end, "service", service, status=0)
        # The next one is another event for all of them.
        for words, monitor in monitors.items():
            seen[words] += wanted(words, end, service)
            until(lambda m=monitor, n=seen[words]: len(m.lines) >= n)
    said = {words: [line.split()[2] for line in monitor.end()[0]]
            for words, monitor in monitors.items()}
    tap.equal(said, {
        "change": ["10.0.0.8:80", "10.0.0.8:53", "10.0.0.9:53"],
        f"change service {WEB}": ["10.0.0.8:80"],
        f"service {DNS} change": ["10.0.0.8:53", "10.0.0.9:53"],
        "change backend 10.0.0.8": ["10.0.0.8:80", "10.0.0.8:53"],
        "change backend 10.0.0.8:53": ["10.0.0.8:53"],
        f"change backend 10.0.0.8 service {WEB}": ["10.0.0.8:80"],
        "link": []}, "each says what it was asked for")
    xlb("service", "del", DNS, status=0)
    xlb("backend", "del", "10.0.0.8:80", "service", WEB, status=0)


def watched():
    return World().maps["xlb_watch"].get(0)["kinds"]


def check_readers():
    """Of drops and flows there is one; of all else any number."""
    first = Monitor()
    tap.equal(watched(), 3, "drops and flows are asked for")
    done = xlb("monitor")
    tap.ok(done.returncode == 2 and "have one reader" in done.stderr and
           done.stderr.count("\n") == 1, "a second reader is refused", done.stderr)
    words = done.stderr.split("xlb monitor ")[1].split()
    other = Monitor(*words)
    tap.equal(watched(), 3, "the refused one has left the first one's wishes")
    xlb("backend", "change", "10.0.0.1:80", "service", WEB, "weight", "2", status=0)
    tap.equal((len(first.take(1)), len(other.take(1))), (1, 1),
              "what the message offers sees changes as well")
    tap.equal(other.end()[1:], (0, ""), "it ends")
    first.process.kill()
    first.process.wait()
    tap.equal(watched(), 3, "one that was killed leaves its wishes, for seconds")
    monitor = Monitor("drop")
    tap.equal(watched(), 1, "and its place")
    tap.equal(monitor.end()[1:] + (watched(),), (0, "", 0), "one that ends leaves nothing")
    xlb("backend", "change", "10.0.0.1:80", "service", WEB, "weight", "1", status=0)


def check_forms():
    monitor = Monitor("change", options=("-t",))
    xlb("backend", "change", "10.0.0.1:80", "service", WEB, "weight", "2", status=0)
    line, = monitor.take(1)
    stamp = time.strftime("%Y-%m-%dT%H:")
    tap.ok(re.match(rf"\[\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{6}}\] backend changed ", line) and
           (stamp in line or time.strftime("%M") == "00"), "-t begins with the time", line)
    monitor.end()
    done = subprocess.Popen([world.XLB, "-p", "monitor", "change"], stdout=subprocess.PIPE,
                            text=True)
    until(lambda: "poll" in open(f"/proc/{done.pid}/wchan", encoding="ascii").read())
    xlb("backend", "change", "10.0.0.1:80", "service", WEB, "weight", "1", status=0)
    pretty = "".join(iter(done.stdout.readline, "}\n")) + "}"
    done.terminate()
    tap.equal((json.loads(pretty)["weight"], done.stdout.read(), done.wait()), (1, "", 0),
              "-p prints whole objects, and nothing after the last")


def check_pipe():
    """Nobody reads any more."""
    monitor = Monitor("change")
    reader = subprocess.Popen([world.XLB, "monitor", "change"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
    until(lambda: "poll" in open(f"/proc/{reader.pid}/wchan", encoding="ascii").read())
    reader.stdout.close()
    tap.equal((reader.wait(20), reader.stderr.read()), (0, b""), "a closed pipe ends it at once")
    monitor.end()
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.Popen([world.XLB, "monitor", "change"], stdout=full,
                                stderr=subprocess.PIPE, text=True)
        until(lambda: "poll" in open(f"/proc/{done.pid}/wchan", encoding="ascii").read())
        xlb("backend", "change", "10.0.0.1:80", "service", WEB, "weight", "2", status=0)
        _, errors = done.communicate(timeout=20)
    tap.equal((done.returncode, errors), (2, "xlb: standard output: No space left on device\n"),
              "output that cannot be written is an error")


def check_gone():
    monitor = Monitor("change")
    maps_remove()
    rest, status, errors = monitor.end(None)
    tap.ok(not rest and status == 2 and errors.startswith("xlb: monitor: the maps in") and
           errors.count("\n") == 1, "pins that go", rest, status, errors)
    maps_make()
    monitor = Monitor("change")
    # It is not to see them gone.
    monitor.process.send_signal(signal.SIGSTOP)
    maps_remove()
    maps_make()
    monitor.process.send_signal(signal.SIGCONT)
    rest, status, errors = monitor.end(None)
    tap.ok(status == 2 and "others have taken their place" in errors, "other maps in their place",
           rest, status, errors)


world.enter()
maps_make()
xlb("service", "add", WEB, "table", "251", status=0)
xlb("backend", "add", "10.0.0.1:80", "service", WEB, status=0)
check_changes()
check_raw()
check_filters()
check_readers()
check_forms()
check_pipe()
check_gone()
tap.done()
