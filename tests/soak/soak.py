#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Changes without end under traffic, the maps compared with a model after each; and what
is left when all is over.  Run by soak.t, which has made the network and sends traffic:

    soak.py SEED { STEPS | 0 } { SECONDS | 0 } FOLDER LOG

Runs until so many steps are done, or so long.
"""

import array
import collections
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import termios
import time

HERE = os.path.dirname(os.path.abspath(__file__))
for place in ("cli", "packet", "unit"):
    sys.path.insert(0, os.path.join(HERE, "..", place))

import tap  # noqa: E402
from bpf import Clock  # noqa: E402
from churn import BACKENDS_MAX, TRAFFIC, Churn  # noqa: E402
from standing import Change, Seen, Standing  # noqa: E402
from world import PINS, XLB, World, records, xlb  # noqa: E402

INTERFACES = ("client", "b1", "b2", "b3", "b4")
FLOWS = 4               # of a group that is opened
GROUPS = 3              # of each service, before the oldest is closed
OPENED, LOOKED = 15, 8  # steps between groups that are opened, and between looks at them
PATIENCE = 20           # seconds for what takes its time
STUCK = 90              # seconds after which a step is taken to have no end
GROWTH_MAX = 256       # KiB that the process of the pipe may have grown


class Failed(Exception):
    """What was found, as lines."""


def stuck(_number, _frame):
    raise Failed(f"it has not come to an end in {STUCK} s")


def bpftool(*words):
    return json.loads(subprocess.run(["bpftool", "-j", *words], check=True, text=True,
                                     capture_output=True).stdout)


def wait_until(true):
    """Whether it came true."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def attached():
    """Program ids, by interface."""
    links = json.loads(subprocess.run(["ip", "-j", "link"], check=True, text=True,
                                      capture_output=True).stdout)
    return {link["ifname"]: link["xdp"]["prog"]["id"] for link in links if "xdp" in link}


def pinned_maps():
    return [name for name in os.listdir(PINS) if not name.startswith("xlb_program_")]


class Pipe:
    """A process that changes what is written to it, as a checker's does."""

    def __init__(self):
        self.process = subprocess.Popen([XLB, "-batch", "-"], stdin=subprocess.PIPE, text=True,
                                        stdout=subprocess.DEVNULL)
        self.first = None       # (kB, descriptors, mappings) after a few changes
        self.steps = 0

    def write(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()
        self.steps += 1

    def holds(self):
        folder = f"/proc/{self.process.pid}"
        with open(f"{folder}/status", encoding="ascii") as status:
            size = int(re.search(r"VmData:\s*(\d+)", status.read()).group(1))
        with open(f"{folder}/maps", encoding="ascii") as mappings:
            return size, len(os.listdir(f"{folder}/fd")), len(mappings.readlines())

    def waits(self):
        """It has read all that was written, done it, and reads again."""
        left = array.array("i", [0])
        fcntl.ioctl(self.process.stdin, termios.FIONREAD, left)
        with open(f"/proc/{self.process.pid}/wchan", encoding="ascii") as place:
            return not left[0] and "pipe_read" in place.read()

    def rests(self):
        """Between changes it has no map open."""
        folder = f"/proc/{self.process.pid}/fd"
        return not any("bpf-map" in os.readlink(os.path.join(folder, name))
                       for name in os.listdir(folder))

    def measure(self):
        if self.steps == 3:
            wait_until(self.rests)
            self.first = self.holds()

    def check(self):
        if not self.first:
            return
        tap.ok(wait_until(self.rests), "the pipe's process leaves no map open")
        size, descriptors, mappings = (now - then for now, then
                                       in zip(self.holds(), self.first))
        tap.equal((descriptors, mappings), (0, 0),
                  f"after {self.steps} changes by a pipe its process has no file descriptor "
                  "or mapping more")
        tap.ok(size <= GROWTH_MAX, f"and has grown by {size} KiB, of {GROWTH_MAX} at most")

    def end(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        self.process.stdin.close()
        tap.equal(self.process.wait(PATIENCE), 0, "it ends well")


class Traffic:
    """Flows that are held (flows.py), and which of them may break."""

    FLOWS = os.path.join(HERE, "..", "net", "flows.py")

    def __init__(self, socket, services, random):
        self.socket, self.services, self.random = socket, services, random
        self.groups = {}        # name -> service
        self.excused = collections.defaultdict(set)     # service's and group's -> host names
        self.opened = self.looks = self.broken = 0
        self.asker = None

    def ask(self, *words):
        return subprocess.Popen([sys.executable, self.FLOWS, "ask", self.socket, *words],
                                stdout=subprocess.PIPE, text=True)

    def answer(self, *words):
        with self.ask(*words) as asker:
            return asker.communicate()[0]

    def excuse(self, ended):
        for service, name in ended:
            for group, of in self.groups.items():
                if of == service:
                    self.excused[group].add(name)

    def open(self, configuration):
        """Flows to a service that has somebody to serve it."""
        able = [name for name in self.services if configuration.services[name].takes()]
        if not able:
            return
        name = self.random.choice(able)
        service = configuration.services[name]
        group = f"{name}-{self.opened}"
        self.opened += FLOWS
        self.groups[group] = name
        self.answer("open", group, service.protocol, service.address, str(service.port),
                    str(FLOWS))
        self.judge(group, self.answer("check", group))
        same = [each for each, of in self.groups.items() if of == name]
        if len(same) > GROUPS:
            self.answer("close", same[0])
            del self.groups[same[0]]

    def judge(self, group, report):
        """No connection may break but those to backends that are gone, none may move."""
        self.looks += 1
        wrong = [f"{group}: {line}" for line in self.faults(group, report)]
        if wrong:
            raise Failed(*wrong, f"excused: {self.excused[group]}")

    def faults(self, group, report):
        for line in report.splitlines():
            what, *words = line.split()
            if what == "broken" and not {words[0], None} & self.excused[group]:
                yield line
            elif what == "moved" and "/tcp" in group and words != ["0"]:
                yield line

    def look(self, wait=False):
        """Judges the last report, if it has come, and asks for the next."""
        if self.asker and (wait or self.asker[1].poll() is not None):
            group, asker = self.asker
            with asker:
                report = asker.communicate()[0]
            self.asker = None
            if group in self.groups:
                self.judge(group, report)
        if not self.asker and self.groups:
            group = self.random.choice(sorted(self.groups))
            self.asker = group, self.ask("check", group)

    def look_at_all(self):
        self.look(wait=True)
        for group, asker in [(group, self.ask("check", group)) for group in sorted(self.groups)]:
            with asker:
                self.judge(group, asker.communicate()[0])

    def end(self):
        if self.asker:
            self.asker[1].kill()
            self.asker[1].communicate()

    def close(self):
        self.end()
        for group in self.groups:
            self.answer("close", group)


class Soak:
    def __init__(self, seed, folder, log):
        self.churn = Churn(seed)
        self.folder = folder
        self.log = open(log, "w", buffering=1, encoding="ascii")
        self.clock = Clock()
        self.world = World(sizes=self.sizes())
        self.hz = round(1 / time.clock_getres(6))
        self.seen = Seen(self.world)
        self.standing = Standing(self.seen, self.hz)
        self.pipe = Pipe()
        self.traffic = Traffic(os.path.join(folder, "flows.socket"), TRAFFIC,
                               self.churn.__class__(seed + 1).random)
        self.count = collections.Counter()
        self.programs, self.maps = set(), set()
        self.steps = 0
        self.remember()
        self.pins = sorted(pinned_maps())

    @staticmethod
    def sizes():
        return {name: bpftool("map", "show", "pinned", os.path.join(PINS, name))["max_entries"]
                for name in pinned_maps()}

    def remember(self):
        """Every program and map that there ever was."""
        for program in set(attached().values()) - self.programs:
            self.programs.add(program)
            self.maps.update(bpftool("prog", "show", "id", str(program))["map_ids"])

    # --- doing ---

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        return path

    def act(self, step):
        """Runs the lines; whether they may have changed something by now."""
        text = "".join(f"{line}\n" for line in step.lines)
        if step.how == "pipe":
            self.pipe.write(text)
        elif step.how == "batch":
            xlb("-batch", self.file("batch", text), status=2 if step.refused else 0)
        elif step.how == "restore":
            xlb("restore", os.path.join(self.folder, "saved"), status=0)
        elif step.how != "view":
            for line in step.lines:
                xlb(*line.split(), status=0)
        if step.how == "load":
            self.remember()

    def begin(self):
        wanted, lines = self.churn.begin(records(self.world.maps["xlb_flows4"].size))
        begun = self.clock.jiffies()
        xlb("-batch", self.file("batch", "".join(f"{line}\n" for line in lines)), status=0)
        self.seen = Seen(self.world)
        self.standing.configuration = wanted.copy()
        self.standing.configuration.services = {}
        self.follow(wanted, begun, len(wanted.pairs()), set())

    def follow(self, wanted, begun, adds, collected):
        self.standing, faults = self.standing.follow(wanted, self.seen, begun,
                                                     self.clock.jiffies(), adds, collected)
        if faults:
            raise Failed(*faults[:10])

    def step(self):
        self.steps += 1
        signal.alarm(STUCK)
        before = self.standing.configuration
        step = self.churn.next(before)
        self.log.write(f"# step {self.steps}: {step.how}\n"
                       + "".join(f"{line}\n" for line in step.lines))
        self.count[step.how] += 1
        self.traffic.excuse(step.ended)
        begun = self.clock.jiffies()
        self.act(step)
        if step.how == "pipe":
            self.await_pipe(step, begun)
        elif step.how in ("view", "load") or step.refused:
            self.check_nothing(step)
        else:
            self.seen = Seen(self.world)
            self.follow(step.wanted, begun, step.adds, step.collected)

    def await_pipe(self, step, begun):
        """It writes when nothing has come for a moment, and only then waits for more."""
        if not wait_until(self.pipe.waits):
            raise Failed("the pipe's changes do not come about")
        self.seen = Seen(self.world)
        self.follow(step.wanted, begun, step.adds, step.collected)
        self.pipe.measure()

    def check_nothing(self, step):
        """Nothing has changed."""
        seen = Seen(self.world)
        for name in vars(seen):
            if name not in ("records", "refused") and \
                    getattr(seen, name) != getattr(self.seen, name):
                raise Failed(f"{name} changed, and should not have")
        if step.how == "view":
            self.view(step.wanted)

    def view(self, wanted):
        """What xlb shows of the configuration, and what it saves."""
        saved = json.loads(xlb("-j", "save", status=0).stdout)
        got = {(each["service"], each["mode"], each["hash"], each["table"], each["settle"],
                each.get("echo", True), each.get("fail", "closed"), each.get("warmup", 0)):
               {(backend["backend"], backend["weight"], backend["state"],
                 backend.get("health", "up")) for backend in each["backends"]}
               for each in saved["services"]}
        right = {(each.name, each.mode, each.hash, each.table, each.settle, bool(each.echo),
                  each.fail, each.warmup):
                 {(backend.name(each), backend.weight, backend.state, backend.health)
                  for backend in each.backends.values()} for each in wanted.services.values()}
        if got != right:
            raise Failed("xlb save", f"got:    {got}", f"wanted: {right}")
        for each in json.loads(xlb("-j", "-s", "backend", status=0).stdout):
            service = wanted.services[each["service"]]
            slots = [current for current, _ in self.seen.slots[service.end]].count(each["id"])
            if each["slots"] != slots:
                raise Failed(f"xlb backend show: {each}", f"it has {slots} slots")
        if self.churn.saved is not None:
            self.save(wanted)

    def save(self, wanted):
        """The file is written when the generator keeps the configuration for a restore."""
        if self.churn.saved is not self.kept:
            self.kept = self.churn.saved
            self.file("saved", xlb("save", status=0).stdout)

    kept = None

    # --- the whole ---

    def run(self, steps, seconds):
        deadline = time.monotonic() + seconds
        self.begin()
        while not (steps and self.steps >= steps or seconds and time.monotonic() > deadline):
            if self.steps % OPENED == 0:
                self.traffic.open(self.standing.configuration)
            if self.steps % LOOKED == 0:
                self.traffic.look()
            self.step()
        self.traffic.look_at_all()

    def end(self):
        self.traffic.end()
        self.pipe.end()

    def finish(self):
        self.pipe.check()
        self.pipe.close()
        tap.equal(sorted(os.listdir(PINS)), sorted(self.pins + [
            f"xlb_program_{program}" for program in set(attached().values())]),
                  "the pins are the maps of the beginning, and the programs that run")
        self.check_programs(set(attached().values()))
        self.traffic.close()
        configuration = self.standing.configuration
        lines = [f"service del {name}" for name in configuration.services]
        lines += [f"acl del {prefix}" for prefix in configuration.rules]
        xlb("-batch", self.file("batch", "\n".join(lines + ["flow gc"]) + "\n"), status=0)
        self.check_empty()
        self.unload()

    def check_programs(self, running):
        tap.ok(wait_until(lambda: not self.alive("prog", self.programs - running)),
               f"of {len(self.programs)} programs only those that run are left",
               self.alive("prog", self.programs - running))
        used = {number for program in running
                for number in bpftool("prog", "show", "id", str(program))["map_ids"]}
        tap.ok(wait_until(lambda: not self.alive("map", self.maps - used)),
               f"and of their {len(self.maps)} maps only those that they use",
               self.alive("map", self.maps - used))

    @staticmethod
    def alive(kind, numbers):
        return numbers & {each["id"] for each in bpftool(kind, "show")}

    def check_empty(self):
        seen = Seen(self.world)
        left = {name: getattr(seen, name) for name in ("services", "backends", "replies", "vips",
                                                       "records", "rules")}
        for name in ("xlb_flows4", "xlb_flows6", "xlb_embryos4", "xlb_embryos6"):
            left[name] = self.world.maps[name].items()
        tap.equal({name: value for name, value in left.items() if value}, {},
                  "services deleted: no entry and no record is left in any map")
        tap.equal([number for number, target in seen.targets.items() if target["live"]], [],
                  "no target lives")
        tap.equal({name for name, value in seen.config["needs"].items() if value}, set(),
                  "nothing is looked for")

    def unload(self):
        for interface in INTERFACES:
            xlb("unload", "dev", interface, status=0)
        for name in os.listdir(PINS):
            os.unlink(os.path.join(PINS, name))
        self.world.maps.clear()
        self.world.slots.close()
        tap.ok(wait_until(lambda: not self.alive("prog", self.programs)
                          and not self.alive("map", self.maps)),
               "unloaded, and the pins removed: no program or map is left",
               self.alive("prog", self.programs), self.alive("map", self.maps))


def main():
    signal.signal(signal.SIGALRM, stuck)
    seed, steps, seconds, folder, log = *map(int, sys.argv[1:4]), *sys.argv[4:]
    print(f"# SEED={seed}", flush=True)
    soak = Soak(seed, folder, log)
    began = time.monotonic()
    try:
        soak.run(steps, seconds)
    except BaseException as failure:
        signal.alarm(0)
        soak.end()
        if not isinstance(failure, (Failed, AssertionError)):
            raise
        tap.ok(False, f"seed {seed}, step {soak.steps}: the maps, or the traffic", *failure.args)
        sys.stdout.flush()
        subprocess.run(["tail", "-n", "20", log], check=False)
        tap.done()
    signal.alarm(0)
    took = time.monotonic() - began
    tap.ok(True, f"{soak.steps} steps: after each the maps hold what they are to hold")
    tap.ok(True, f"{soak.traffic.opened} flows, looked at {soak.traffic.looks} times: those "
           "to backends that stay go on")
    print(f"# {took:.0f} s: {dict(soak.count)}; {soak.standing.marked} slots marked, "
          f"{soak.standing.cleared} marks cleared", flush=True)
    soak.finish()
    tap.done()


main()
