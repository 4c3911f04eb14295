# SPDX-License-Identifier: GPL-2.0-only
"""Processes of xlb's that run all the while: one that changes what it is told to, one that
tells what changes, and one that probes.  At the end they must hold no more than they held
after a few steps, and what they said must be so."""

import array
import collections
import fcntl
import json
import os
import re
import signal
import subprocess
import termios
import time

import tap
from configuration import BACKEND_FIELDS, SERVICE_FIELDS, fields
from world import ROOT, XLB

PROBE = os.path.join(ROOT, "loader", "xlb-probe")
PATIENCE = 20           # seconds for what takes its time
GROWTH_MAX = 256        # KiB that a process may have grown


def wait_until(true):
    """Whether it came true."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


class Watched:
    """A process, what it says being in files."""

    def __init__(self, name, folder, *words, **more):
        self.name = name
        paths = [os.path.join(folder, f"{name}.{what}") for what in ("said", "errors")]
        with open(paths[0], "w", encoding="ascii") as said, \
                open(paths[1], "w", encoding="ascii") as errors:
            self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *words], text=True,
                                            stdout=said, stderr=errors, **more)
        self.said, self.errors = (open(path, encoding="ascii") for path in paths)
        self.rest = ""          # of a line that is not whole yet
        self.first = None       # what it held after a few steps

    def lines(self):
        """What it has said since that was asked for."""
        *lines, self.rest = (self.rest + self.said.read()).split("\n")
        return lines

    def holds(self):
        """(descriptors, mappings, KiB)"""
        folder = f"/proc/{self.process.pid}"
        with open(f"{folder}/maps", encoding="ascii") as mappings, \
                open(f"{folder}/status", encoding="ascii") as status:
            return (len(os.listdir(f"{folder}/fd")), len(mappings.readlines()),
                    int(re.search(r"VmData:\s*(\d+)", status.read()).group(1)))

    def sleeps_in(self, place):
        """Of the kernel's functions."""
        with open(f"/proc/{self.process.pid}/wchan", encoding="ascii") as file:
            return place in file.read()

    def rests(self):
        """It holds no descriptor or mapping more than it did."""
        now = self.holds()
        return now[0] <= self.first[0] and now[1] <= self.first[1]

    def check(self):
        if not tap.ok(self.first and self.process.poll() is None,
                      f"the {self.name} was measured, and runs", self.first,
                      self.process.poll(), self.errors.read()):
            return
        tap.ok(wait_until(self.rests), "it has no file descriptor or mapping more than it had",
               self.holds(), self.first)
        size = self.holds()[2] - self.first[2]
        tap.ok(size <= GROWTH_MAX, f"and has grown by {size} KiB, of {GROWTH_MAX} at most")

    def end(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        tap.equal(self.process.wait(PATIENCE), 0, f"the {self.name} ends well")


def measure(processes):
    """What each holds at rest: the least of a second, since each looks at something now and
    then."""
    held = collections.defaultdict(list)
    for _ in range(20):
        for each in processes:
            if each.process.poll() is None:
                held[each].append(each.holds())
        time.sleep(0.05)
    for each, looks in held.items():
        each.first = tuple(map(min, zip(*looks)))


class Pipe(Watched):
    """Changes what is written to it, as a checker's does."""

    def __init__(self, folder):
        super().__init__("pipe", folder, XLB, "-batch", "-", stdin=subprocess.PIPE)
        self.steps = 0

    def write(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()
        self.steps += 1

    def waits(self):
        """It has read all that was written, done it, and reads again."""
        left = array.array("i", [0])
        fcntl.ioctl(self.process.stdin, termios.FIONREAD, left)
        return not left[0] and self.sleeps_in("pipe_read")

    def maps(self):
        folder = f"/proc/{self.process.pid}/fd"
        return [name for name in os.listdir(folder)
                if "bpf-map" in os.readlink(os.path.join(folder, name))]

    def check(self):
        super().check()
        tap.equal(self.maps(), [], f"after {self.steps} changes by it, it has no map open")

    def close(self):
        self.process.stdin.close()
        tap.equal(self.process.wait(PATIENCE), 0, f"the {self.name} ends well")


class Monitor(Watched):
    """Tells of everything, from the beginning on: what there is is known from that alone."""

    def __init__(self, folder):
        super().__init__("monitor", folder, XLB, "-j", "monitor")
        self.services, self.backends = {}, {}   # as Configuration.shown() has them
        self.programs = {}                      # ids, of interfaces where they were replaced
        self.wrong = []                         # events that cannot be
        self.count = collections.Counter()
        # What is there when it looks for the first time it does not tell.
        wait_until(lambda: self.sleeps_in("poll"))

    def follow(self):
        for event in map(json.loads, self.lines()):
            kind, action = event["event"], event["action"]
            self.count[kind] += event["packets"] if action == "missed" else 1
            if kind == "service":
                self.keep(self.services, event["service"], event, SERVICE_FIELDS)
            elif kind == "backend":
                self.keep(self.backends, (event["service"], event["backend"]), event,
                          BACKEND_FIELDS)
            elif action == "replaced":
                self.programs[event["dev"]] = event["id"]

    def keep(self, known, name, event, names):
        if (name in known) == (event["action"] == "added"):
            self.wrong.append(event)
        known.pop(name, None)
        if event["action"] != "deleted":
            known[name] = fields(event, names)

    def knows(self, wanted, programs):
        self.follow()
        return (self.services, self.backends, self.programs) == (*wanted.shown(), programs)

    def check_told(self, wanted, programs, dropped):
        """programs: of the interfaces where they were replaced; dropped(): packets, ever."""
        tap.ok(wait_until(lambda: self.knows(wanted, programs)),
               "from what it told it is known which services, backends and programs there are",
               *differences((self.services, self.backends, self.programs),
                            (*wanted.shown(), programs)))
        tap.equal(self.wrong, [], "nothing was added that was there, or changed that was not")
        tap.ok(self.count["drop"] <= dropped(),
               f"it told of {self.count['drop']} drops, of {dropped()}, and of "
               f"{self.count['flow']} flows")


def differences(got, wanted):
    for known, right in zip(got, wanted):
        for name in sorted({*known, *right}):
            if known.get(name) != right.get(name):
                yield f"{name}: {known.get(name)}, not {right.get(name)}"


class Prober(Watched):
    """Says which backends answer.  Nobody does what it says: changes are the churn's."""

    def __init__(self, folder, probes):
        path = os.path.join(folder, "probe.conf")
        with open(path, "w", encoding="ascii") as file:
            file.writelines(f"probe {service} {how} interval 1 timeout 5\n"
                            for service, how in probes.items())
        super().__init__("prober", folder, PROBE, path)
        self.told = {}      # health, by a backend's service and name

    def follow(self):
        for line in self.lines():
            _, _, backend, _, service, _, health = line.split()
            self.told[service, backend] = health

    def contradicts(self, names):
        """Has it told that these are up?"""
        self.follow()
        return all(self.told.get(name) == "up" for name in names)

    def check_told(self, take_down, names):
        self.follow()
        self.told = {}
        take_down()
        tap.ok(wait_until(lambda: self.contradicts(names)),
               f"it finds that all of {len(names)} backends answer that are said to be down",
               *differences([self.told], [dict.fromkeys(names, "up")]))
