#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Records and marks: what is shown, what gc drops and what it must not, flush, lookup."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import world  # noqa: E402
from world import World, maps_make, maps_remove, xlb  # noqa: E402
from bpf import Clock  # noqa: E402
import tap  # noqa: E402

WEB = "192.0.2.1:80/tcp"
HZ = round(1 / time.clock_getres(6))  # CLOCK_MONOTONIC_COARSE
IDLE, SETTLE = 100, 10
PATIENCE = 10
FORWARD, REPLY, NAT_FORWARD, NAT_REPLY = 1, 2, 3, 4
CLIENT_FIN, BACKEND_FIN, RESET = 1, 2, 4
SILENT, BUSY = 1001, 1002          # client ports
CLIENT, VIP = bytes((203, 0, 113, 9)), bytes((192, 0, 2, 1))


class Flows:
    """A service of two, the second added later: about half of its slots are marked."""

    def __init__(self, *keywords):
        maps_remove()
        maps_make()
        xlb("config", "set", "idle", str(IDLE), "settle", str(SETTLE), "nat4", "10.0.9.1",
            status=0)
        xlb("service", "add", WEB, "table", "251", *keywords, status=0)
        xlb("backend", "add", "10.0.0.1", status=0)
        xlb("backend", "add", "10.0.0.2", status=0)
        self.seen = World()
        self.settled()

    def value(self):
        return [(key, value) for key, value in self.seen.services()
                if key["address"] == VIP][0]

    def settled(self, seconds=IDLE + SETTLE + 1):
        """As if the last change had been so long ago."""
        key, value = self.value()
        key.pop("family")
        self.seen.maps["xlb_services4"].set(
            key, dict(value, changed=CLOCK.jiffies() - seconds * HZ, settle_until=1))

    def table(self):
        return self.seen.table(self.value()[1])

    def marked(self):
        return [slot for slot, (_, mark) in enumerate(self.table()) if mark]

    def record(self, slot, backend, silent=0, port=None, name="xlb_flows4", generation=1):
        """A record; flows are told apart by the client's port, the slot's number."""
        self.seen.maps[name].set(
            {"source": CLIENT, "destination": VIP, "source_port": port or slot + 1,
             "destination_port": 80, "protocol": 6},
            {"seen": (CLOCK.jiffies() - silent * HZ) % 2 ** 32, "slot": slot,
             "backend": backend, "generation": generation, "direction": FORWARD})

    def ports(self, name="xlb_flows4"):
        return sorted(key["source_port"] for key, _ in self.seen.maps[name].items())


def check_marks():
    """A mark goes when no record disagrees with its slot's owner."""
    flows = Flows()
    marked = flows.marked()
    tap.ok(100 < len(marked) < 151 and {flows.table()[slot] for slot in marked} == {(2, 1)},
           f"{len(marked)} slots are marked")
    disagrees, agrees, silent, gone, embryo = marked[:5]
    flows.record(disagrees, 1)
    flows.record(agrees, 2)
    flows.record(silent, 1, silent=IDLE + 1)
    flows.record(gone, 1, generation=0)
    flows.record(embryo, 1, name="xlb_embryos4")
    changed = flows.value()[1]["changed"]
    xlb("flow", "gc", status=0)
    tap.equal(flows.marked(), [disagrees, embryo],
              "gc clears all marks but those that a record of another backend needs")
    tap.equal((flows.ports(), flows.ports("xlb_embryos4")), ([disagrees + 1], [embryo + 1]),
              "and drops the records that are needed no more")
    tap.equal((flows.value()[1]["changed"], flows.value()[1]["updating"]), (changed, 0),
              "which is no change")
    flows.record(disagrees, 2)
    xlb("flow", "gc", status=0)
    tap.equal((flows.marked(), flows.ports()), ([embryo], []), "the flow is another's now")
    flows.record(agrees, 1)
    flows.record(embryo, 1)
    xlb("flow", "gc", status=0)
    tap.equal(flows.ports(), [embryo + 1], "an unmarked slot has no records")


def traced(command, log, *options):
    return subprocess.Popen(["strace", "-o", log, "-e", "trace=bpf", *options, world.XLB, "flow",
                             command])


def stopped(process, log):
    """The process that this strace(1) runs, once it has been stopped."""
    deadline = time.monotonic() + PATIENCE
    while "--- stopped by SIGSTOP ---" not in open(log, encoding="ascii").read():
        if time.monotonic() > deadline:
            process.kill()
            raise AssertionError("was not stopped")
        time.sleep(0.01)
    with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as file:
        return int(file.read())


def revived(command, log):
    """Which flows have records still, of SILENT and BUSY, if a packet of SILENT comes after
    the command has read that it has been silent for long."""
    def silent():
        flows = Flows()
        flows.record(flows.marked()[0], 1, silent=IDLE + 1, port=SILENT)
        flows.record(flows.marked()[0], 1, port=BUSY)
        return flows

    flows = silent()
    traced(command, log.name).wait()
    calls = re.findall(r"^bpf\((\w+)", log.read(), re.M)
    tap.ok(SILENT not in flows.ports(), f"{command} drops a record that is silent for long")
    last_read = max(number for number, call in enumerate(calls, 1)
                    if "BATCH" in call and number < calls.index("BPF_MAP_DELETE_ELEM"))
    flows = silent()
    slot = flows.marked()[0]
    with traced(command, log.name, "-e", f"inject=bpf:signal=STOP:when={last_read}") as process:
        child = stopped(process, log.name)
        flows.record(slot, 1, port=SILENT)
        os.kill(child, signal.SIGCONT)
    tap.equal(process.returncode, 0, f"{command}, while a packet comes")
    return flows.ports()


def check_revived():
    if not shutil.which("strace"):
        tap.ok(True, "records that come to life again # SKIP needs strace")
        return
    with tempfile.NamedTemporaryFile("r") as log:
        tap.equal(revived("gc", log), [SILENT, BUSY], "leaves its record")
    with tempfile.NamedTemporaryFile("r") as log:
        tap.equal(revived("flush", log), [], "drops its record all the same")


def check_too_early():
    flows = Flows()
    marked = flows.marked()
    flows.record(marked[0], 2, silent=IDLE + 1)
    flows.record(marked[1], 1, silent=IDLE - 20)
    flows.settled(IDLE + SETTLE - 20)
    before = flows.seen.maps["xlb_services4"].dump()
    xlb("flow", "gc", status=0)
    tap.equal((flows.marked(), flows.ports()), (marked, [marked[1] + 1]),
              "before settle and idle time are over, gc drops only what is idle")
    tap.equal(flows.seen.maps["xlb_services4"].dump(), before, "and writes nothing else")
    flows.settled()
    budget = flows.seen.maps["xlb_budget"]
    budget.set(0, {"refused": 3, "refused_at": CLOCK.jiffies() - (IDLE - 20) * HZ})
    xlb("flow", "gc", status=0)
    tap.equal(flows.marked(), marked, "nor while a flow was refused its record lately")
    budget.set(0, {"refused": 3, "refused_at": CLOCK.jiffies() - (IDLE + 1) * HZ})
    xlb("flow", "gc", status=0)
    tap.equal(flows.marked(), [marked[1]], "but later")


def check_writers():
    """Every writer collects for what it touches, and for nothing else."""
    flows = Flows()
    marked = flows.marked()
    xlb("service", "add", "192.0.2.2:80/tcp", "table", "251", status=0)
    xlb("backend", "add", "10.0.0.8", "service", "192.0.2.2:80/tcp", status=0)
    flows.record(marked[0], 1)
    flows.record(marked[1], 1, silent=IDLE + 1)
    xlb("backend", "add", "10.0.0.9", "service", "192.0.2.2:80/tcp", status=0)
    xlb("flow", "gc", "service", "192.0.2.2:80/tcp", status=0)
    tap.equal((flows.marked(), flows.ports()), (marked, [port + 1 for port in marked[:2]]),
              "a change of another service clears no mark and drops no record")
    xlb("backend", "change", "10.0.0.1", "service", WEB, "weight", "1", status=0)
    tap.equal((flows.marked(), flows.ports()), ([marked[0]], [marked[0] + 1]),
              "a change of this one does")
    flows.settled()
    before = flows.table()
    xlb("backend", "add", "10.0.0.3", "service", WEB, status=0)
    tap.ok(all(new[1] == (old[1] or (old[0] if new[0] != old[0] else 0))
               for old, new in zip(before, flows.table())), "and marks anew what it moves")
    flows.record(marked[0], 1)
    xlb("service", "del", WEB, status=0)
    tap.equal(flows.ports(), [], "the records of a service go with it")


def check_flush():
    flows = Flows()
    flows.record(flows.marked()[0], 1)
    flows.record(flows.marked()[1], 2, name="xlb_embryos4")
    flows.settled(0)
    xlb("service", "add", "192.0.2.2:80/tcp", "table", "251", status=0)
    xlb("flow", "flush", "service", "192.0.2.2:80/tcp", status=0)
    tap.equal(len(flows.ports()), 1, "flush of another service")
    xlb("flow", "flush", status=0)
    tap.equal((flows.marked(), flows.ports(), flows.ports("xlb_embryos4")), ([], [], []),
              "flush drops all records and marks")


def check_any_address():
    """Records of where replies seem to come from, in slots that are not marked."""
    maps_remove()
    maps_make()
    seen = World()
    xlb("config", "set", "idle", str(IDLE), status=0)
    xlb("service", "add", "*:80/tcp", "table", "251", status=0)
    xlb("backend", "add", "10.0.0.1", status=0)
    for port, silent, generation in ((1, 0, 1), (2, IDLE + 1, 1), (3, 0, 9)):
        seen.maps["xlb_flows4"].set(
            {"source": bytes((10, 0, 0, 1)), "destination": CLIENT, "source_port": 80,
             "destination_port": port, "protocol": 6},
            {"seen": (CLOCK.jiffies() - silent * HZ) % 2 ** 32, "backend": 1,
             "generation": generation, "direction": REPLY, "port": 80, "address": VIP})
    tap.equal(xlb("flow", "show").stdout.count(" direction reply silent "), 3, "they are shown")
    shown = json.loads(xlb("-j", "flow", "show").stdout)
    tap.equal(sorted((each["client"], each["to"]) for each in shown),
              [(f"203.0.113.9:{port}", WEB) for port in (1, 2, 3)], "as the client sees the flow")
    xlb("flow", "gc", status=0)
    tap.equal([key["destination_port"] for key, _ in seen.maps["xlb_flows4"].items()], [1],
              "gc drops those of idle flows and of backends that are gone")


def check_nat():
    """Mode nat has records of every flow, which hold no mark and need none."""
    flows = Flows("mode", "nat")
    source = bytes((10, 0, 9, 1))

    def record(port, backend=1, silent=0, closing=0, generation=1, slot=0):
        """Both ways of a flow from this port, which has the port plus 4000 there."""
        flow = {"seen": (CLOCK.jiffies() - silent * HZ) % 2 ** 32, "backend": backend,
                "generation": generation, "closing": closing}
        flows.seen.maps["xlb_flows4"].set(
            {"source": CLIENT, "destination": VIP, "source_port": port, "destination_port": 80,
             "protocol": 6},
            dict(flow, direction=NAT_FORWARD, slot=slot, port=port + 4000, address=source))
        flows.seen.maps["xlb_flows4"].set(
            {"source": bytes((10, 0, 0, backend)), "destination": source, "source_port": 80,
             "destination_port": port + 4000, "protocol": 6},
            dict(flow, direction=NAT_REPLY, port=80, address=VIP, client=CLIENT,
                 client_port=port))

    record(1)
    tap.equal(sorted(re.sub(r"silent [01]\b", "silent 0", line) for line in
                     xlb("flow", "show").stdout.splitlines()),
              [f"203.0.113.9:1 to {WEB} backend 10.0.0.1:80 source 10.0.9.1:4001 direction "
               + way for way in ("forward slot 0 silent 0", "reply silent 0")],
              "both are shown as the client sees the flow")
    tap.equal(xlb("flow", "count").stdout,
              f"records 2 embryonic 0 reply 1 gone 0 marked {len(flows.marked())} refused 0\n",
              "and counted")
    record(2, silent=IDLE + 1)
    record(3, silent=IDLE - 5)
    record(4, silent=IDLE - 5, closing=CLIENT_FIN | BACKEND_FIN)
    record(5, silent=IDLE - 5, closing=CLIENT_FIN)
    record(6, silent=5, closing=RESET)
    record(7, silent=IDLE - 5, closing=RESET)
    record(8, generation=9)
    kept = flows.table().index(next(slot for slot in flows.table() if not slot[1]))
    record(9, slot=kept)
    record(10, slot=flows.marked()[0])
    xlb("flow", "gc", status=0)
    ports = [1, 3, 5, 6, 9, 10]
    tap.equal(flows.ports(), ports + [80] * len(ports),
              "gc drops what is idle, closed or of a backend that is gone, both ways")
    tap.equal(flows.marked(), [], "and they hold no mark")
    xlb("backend", "del", "10.0.0.1", status=0)
    tap.equal(flows.ports(), [], "records of a backend go with it")
    record(1, backend=2)
    xlb("-batch", "-", text="backend del 10.0.0.2\nservice change " + WEB + " mode dnat\n"
                            "backend add 10.0.0.2\n", status=0)
    tap.equal(flows.ports(), [], "and with the mode")


def check_show():
    flows = Flows()
    marked = flows.marked()
    flows.record(marked[0], 1, silent=5)
    flows.record(marked[1], 2, name="xlb_embryos4", generation=7)
    shown = re.sub(r"silent [5-9]\b", "silent 5", xlb("flow", "show").stdout)
    tap.equal(re.sub(r"silent [0-4]\b", "silent 0", shown),
              f"203.0.113.9:{marked[0] + 1} to {WEB} backend 10.0.0.1:80 direction forward "
              f"slot {marked[0]} silent 5\n"
              f"203.0.113.9:{marked[1] + 1} to {WEB} direction forward slot {marked[1]} silent 0 "
              "embryonic gone\n", "flow show")
    tap.equal(xlb("flow", "count", "service", WEB).stdout,
              f"records 2 embryonic 1 reply 0 gone 1 marked {len(marked)} refused 0\n",
              "flow count")
    fields = json.loads(xlb("-j", "flow", "show").stdout)
    tap.equal([each["backend"] for each in fields], ["10.0.0.1:80", None], "flow show in JSON")


def lookup(port, *more):
    return json.loads(xlb("-j", "lookup", f"203.0.113.9:{port}", "to", WEB, *more,
                          status=0).stdout)


def check_lookup():
    """The program's own answer, for the slots that the maps name."""
    flows = Flows()
    answers = {port: lookup(port) for port in range(1, 40)}
    table = flows.table()
    names = {0: None, 1: "10.0.0.1:80", 2: "10.0.0.2:80"}
    tap.ok(all(each["backend"] == each["owner"] == names[table[each["slot"]][0]]
               and each["previous"] == names[table[each["slot"]][1]] and each["by"] == "table"
               for each in answers.values()), "a new flow goes to its slot's owner", answers)
    port = [port for port, each in answers.items() if each["previous"]][0]
    slot = answers[port]["slot"]
    tap.equal([lookup(port, "established")[name] for name in ("by", "backend")],
              ["previous", "10.0.0.1:80"], "an older one to the previous owner")
    tap.equal((flows.ports(), flows.ports("xlb_embryos4")), ([], []), "looking records nothing")
    flows.record(slot, 2, port=port)
    answer = lookup(port, "established")
    tap.equal([answer[name] for name in ("by", "backend", "record", "record_usable")],
              ["record", "10.0.0.2:80", "10.0.0.2:80", True], "one with a record follows it")
    flows.record(slot, 2, port=port, generation=4)
    answer = lookup(port, "established")
    tap.equal([answer[name] for name in ("by", "record_usable")], ["previous", False],
              "but not one of a backend that is gone")
    done = xlb("lookup", "203.0.113.9:1", "to", "192.0.2.1:81/tcp")
    tap.equal((done.returncode, done.stdout), (0, "by no_service\n"), "no service")
    for number in (1, 2):
        xlb("backend", "change", f"10.0.0.{number}", "state", "down", status=0)
    tap.equal([lookup(port)[name] for name in ("by", "backend")], ["no_backend", None],
              "nobody is up")
    xlb("-batch", "-", text="service add [2001:db8::1]:53/udp table 251\n"
                            "backend add [fd00::1] service [2001:db8::1]:53/udp\n", status=0)
    done = xlb("lookup", "[2001:db8:9::9]:7", "to", "[2001:db8::1]:53/udp", status=0)
    tap.ok(done.stdout.startswith("backend [fd00::1]:53 by table "), "IPv6, UDP", done.stdout)


def main():
    world.enter()
    maps_make()
    check_marks()
    check_revived()
    check_too_early()
    check_writers()
    check_flush()
    check_any_address()
    check_nat()
    check_show()
    check_lookup()
    tap.done()


CLOCK = Clock()
main()
