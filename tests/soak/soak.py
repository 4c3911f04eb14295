#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Changes without end under traffic, the maps compared with a model after each; and what
is left when all is over.  Run by soak.t, which has made the network and sends traffic:

    soak.py SEED { STEPS | 0 } { SECONDS | 0 } FOLDER LOG

Runs until so many steps are done, or so long.
"""

import collections
import json
import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
for place in ("cli", "packet", "unit"):
    sys.path.insert(0, os.path.join(HERE, "..", place))

import tap  # noqa: E402
from bpf import Clock  # noqa: E402
from churn import DNS, OTHERS, STRAIGHT, TRAFFIC, WEB, WEB6, Churn  # noqa: E402
from configuration import BACKEND_FIELDS, SERVICE_FIELDS, Service, fields  # noqa: E402
from standing import Seen, Standing  # noqa: E402
from watched import Monitor, Pipe, Prober, differences, measure, wait_until  # noqa: E402
from world import PINS, World, records, xlb  # noqa: E402

INTERFACES = ("client", "b1", "b2", "b3", "b4")
FLOWS = 4               # of a group that is opened
GROUPS = 3              # of each service, before the oldest is closed
OPENED, LOOKED = 15, 8  # steps between groups that are opened, and between looks at them
# How backends are probed, so that all answer: on port 80 by lines, on 8000 by HTTP.
PROBES = {Service(*each).name: "tcp port 80" for each in OTHERS}
PROBES.update(dict.fromkeys(TRAFFIC, "tcp"))
PROBES.update({WEB: "http port 8000", WEB6: "http port 8000", DNS: "exec command true",
               STRAIGHT: "tcp via vip"})
WARM = 30               # steps after which processes have all that they need
STUCK = 90              # seconds after which a step is taken to have no end


class Failed(Exception):
    """What was found, as lines."""


def stuck(_number, _frame):
    raise Failed(f"it has not come to an end in {STUCK} s")


def bpftool(*words):
    return json.loads(subprocess.run(["bpftool", "-j", *words], check=True, text=True,
                                     capture_output=True).stdout)


def attached():
    """Program ids, by interface."""
    links = json.loads(subprocess.run(["ip", "-j", "link"], check=True, text=True,
                                      capture_output=True).stdout)
    return {link["ifname"]: link["xdp"]["prog"]["id"] for link in links if "xdp" in link}


def dropped():
    return sum(json.loads(xlb("-j", "stats", status=0).stdout)["drops"].values())


def saved():
    """What `xlb save` shows, as the model's shown() and shown_rules() have it."""
    document = json.loads(xlb("-j", "save", status=0).stdout)
    services = {each["service"]: each for each in document["services"]}
    return ({name: fields(each, SERVICE_FIELDS) for name, each in services.items()},
            {(name, backend["backend"]): fields(backend, BACKEND_FIELDS)
             for name, each in services.items() for backend in each["backends"]},
            {name: {rule["prefix"]: rule["action"] for rule in each["rules"]}
             for name, each in [("all", document), *services.items()]})


def pinned_maps():
    return [name for name in os.listdir(PINS) if not name.startswith("xlb_program_")]


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
        self.pipe, self.monitor = Pipe(folder), Monitor(folder)
        self.prober = Prober(folder, PROBES)
        self.watched = self.pipe, self.monitor, self.prober
        self.loaded = set()     # interfaces whose programs were replaced
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
            self.loaded.add(step.lines[0].split()[-1])

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
            raise Failed("the pipe's changes do not come about", self.pipe.errors.read())
        self.seen = Seen(self.world)
        self.follow(step.wanted, begun, step.adds, step.collected)

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
        wrong = list(differences(saved(), (*wanted.shown(), wanted.shown_rules())))
        if wrong:
            raise Failed("xlb save", *wrong)
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
            if self.steps >= WARM and self.pipe.steps >= 3 and not self.pipe.first:
                measure(self.watched)
        self.traffic.look_at_all()

    def end(self):
        self.traffic.end()
        for each in self.watched:
            each.end()

    def check_watched(self):
        """Backends go down here that the model has up."""
        wanted, programs = self.standing.configuration, attached()
        for each in self.watched:
            each.check()
        self.monitor.check_told(wanted, {name: programs[name] for name in self.loaded}, dropped)
        healthy = [pair for pair in wanted.pairs() if pair[1].health == "up"]
        lines = "".join(f"{backend.line(service, 'change')} health down\n"
                        for service, backend in healthy)
        self.prober.check_told(lambda: xlb("-batch", self.file("batch", lines), status=0),
                               [(service.name, backend.name(service))
                                for service, backend in healthy])
        for each in self.watched:
            each.close()

    def finish(self):
        self.check_watched()
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
