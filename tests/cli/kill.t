#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""kill -9 of xlb at every write: packets find no fault, the next call repairs."""

import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import world  # noqa: E402
from logical import Logical  # noqa: E402
from world import World, maps_make, maps_remove, xlb  # noqa: E402
from bpf import Clock  # noqa: E402
import tap  # noqa: E402

WEB = "192.0.2.1:80/tcp"
STATE = f"""\
service add {WEB} table 251
service add 192.0.2.2:*/udp table 251
backend add 10.0.0.1:8080 service {WEB}
backend add 10.0.0.2:8080 service {WEB} weight 2
backend add 10.0.0.3:8080 service {WEB}
backend add 10.0.0.9 service 192.0.2.2:*/udp
"""
MARKED = STATE + f"# committed apart\nbackend add 10.0.0.4:8080 service {WEB}\n"

# One backend is healthy, and none is; the service fails open.
FAILING = STATE + f"""\
service change {WEB} fail open
backend change 10.0.0.1:8080 service {WEB} health down
backend change 10.0.0.2:8080 service {WEB} health down
"""
FAILED = FAILING + f"""\
# committed apart
backend change 10.0.0.3:8080 service {WEB} health down
"""

# Every one of the 15 ids has been given out once; 10.0.0.2 is down, and in no slot.
MORE = [f"10.0.1.{i}:8080 service {WEB}\n" for i in range(8)]
ROUND = "# committed apart\n".join(
    [STATE, *("".join(f"backend {verb} {each}" for each in MORE[:count])
              for count in (8, 3) for verb in ("add", "del")),
     f"flow flush\nbackend change 10.0.0.2:8080 service {WEB} state down\n"])

# Sources for every mode, and a service whose backends fit all of them.
MODES = STATE + """\
config set tunnel4 10.0.0.100 nat4 10.0.0.101
service add 192.0.2.4:80/tcp table 251
backend add 10.0.2.1 service 192.0.2.4:80/tcp
backend add 10.0.2.2 service 192.0.2.4:80/tcp
service add *:81/tcp table 251
backend add 10.0.2.1 service *:81/tcp
"""

DIRECT = STATE + """\
service add 192.0.2.3:80/tcp table 251 mode dr
backend add 10.0.0.5 service 192.0.2.3:80/tcp
"""

# Backends that several services have; committed apart, so that one of them is the first.
OTHER, PORTS = "192.0.2.3:80/tcp", "192.0.2.4:*/tcp"
ALONE = STATE + f"config set nat4 10.0.9.1\nservice add {OTHER} table 251\n"
SHARED = ALONE + f"# committed apart\nbackend add 10.0.0.1:8080 service {OTHER}\n"
MIXED = SHARED + f"# committed apart\nservice change {OTHER} mode nat\n"
PORT = ALONE + f"service add {PORTS} table 251\n"
OVERLAPPING = PORT + f"# committed apart\nbackend add 10.0.0.1 service {PORTS}\n"

# All of it otherwise: services gone, new, of another mode or table; backends gone, new,
# moved; what is not named has no source any more.
RESTORED = f"""\
config set settle 9 tunnel6 fd00::9
service add {WEB} table 251
backend add 10.0.0.1:8080 service {WEB} weight 5
backend add 10.0.0.4:8080 service {WEB}
service add 192.0.2.3:80/tcp table 251 mode ipip
backend add [fd00::5] service 192.0.2.3:80/tcp
service add 192.0.2.4:80/tcp table 251 mode dr
backend add 10.0.2.1 service 192.0.2.4:80/tcp state down
backend add 10.0.2.2 service 192.0.2.4:80/tcp
service add *:81/tcp table 257
backend add 10.0.0.2:8080 service *:81/tcp
"""
FILE = tempfile.NamedTemporaryFile("w")
FILE.write(RESTORED)
FILE.flush()

# Of all services and of one, where a client finds several.
RULES = STATE + f"""\
acl add 10.0.0.0/8 deny
acl add 10.1.0.0/16 allow service {WEB}
acl add 11.0.0.0/8 deny service {WEB}
acl add 2001:db8::/32 deny
"""

# Slots for no third service: one that is added again gets those of the old one.
CROWDED = "services added again where there is no room for both"
FULL = "".join(f"service add {vip} table 1021\nbackend add 10.0.0.1 service {vip}\n"
               f"acl add 10.0.0.0/8 deny service {vip}\n" for vip in (WEB, OTHER))

# What runs before, and the lines of the call that is killed.
CASES = (
    ("backend add", STATE, [f"backend add 10.0.0.4:8080 service {WEB}"]),
    ("change of weight", STATE, [f"backend change 10.0.0.1:8080 service {WEB} weight 9"]),
    ("down", STATE, [f"backend change 10.0.0.2:8080 service {WEB} state down"]),
    ("down, of a marked service", MARKED,
     [f"backend change 10.0.0.2:8080 service {WEB} state down"]),
    ("up", STATE + f"backend change 10.0.0.2:8080 service {WEB} state down\n",
     [f"backend change 10.0.0.2:8080 service {WEB} state up"]),
    ("drain", STATE, [f"backend change 10.0.0.3:8080 service {WEB} state drain"]),
    ("health down", STATE, [f"backend change 10.0.0.2:8080 service {WEB} health down"]),
    ("the last one's health down, fail open", FAILING,
     [f"backend change 10.0.0.3:8080 service {WEB} health down"]),
    ("the first one's health up, fail open", FAILED,
     [f"backend change 10.0.0.1:8080 service {WEB} health up"]),
    ("fail closed while all have failed", FAILED, [f"service change {WEB} fail closed"]),
    ("fail open while all have failed",
     FAILED + f"# committed apart\nservice change {WEB} fail closed\n",
     [f"service change {WEB} fail open"]),
    ("up, with a warmup", STATE + f"service change {WEB} warmup 60000\n# committed apart\n"
     f"backend change 10.0.0.2:8080 service {WEB} state down\n",
     [f"backend change 10.0.0.2:8080 service {WEB} state up"]),
    ("a warmup that ends", STATE + f"service change {WEB} warmup 60000\n# committed apart\n"
     f"backend change 10.0.0.2:8080 service {WEB} state down\n# committed apart\n"
     f"backend change 10.0.0.2:8080 service {WEB} state up\n",
     [f"service change {WEB} warmup 0"]),
    ("backend del", STATE, [f"backend del 10.0.0.2:8080 service {WEB}"]),
    ("backend del, of a marked service", MARKED, [f"backend del 10.0.0.1:8080 service {WEB}"]),
    ("the first service ever", "", [f"service add {WEB} table 251"]),
    ("service add, on any address", STATE, ["service add *:8080/tcp table 251"]),
    ("service add with backends", STATE,
     ["service add 192.0.2.3:80/tcp table 251", "backend add 10.0.0.5:1 service 192.0.2.3:80/tcp",
      "backend add 10.0.0.5:2 service 192.0.2.3:80/tcp"]),
    ("service del", STATE, [f"service del {WEB}"]),
    ("service change", STATE + "service add 192.0.2.3:80/tcp table 251\n",
     ["service change 192.0.2.3:80/tcp table 257 hash source settle 1",
      "backend add 10.0.0.5 service 192.0.2.3:80/tcp"]),
    ("a backend replaced", STATE, [f"backend del 10.0.0.1:8080 service {WEB}",
                                   f"backend add 10.0.0.1:8080 service {WEB} weight 3"]),
    ("a service replaced", STATE, [f"service del {WEB}", f"service add {WEB} table 257",
                                   f"backend add 10.0.0.1:8080 service {WEB}"]),
    ("a backend moved", STATE + "service add 192.0.2.3:80/tcp table 251\n",
     [f"backend del 10.0.0.1:8080 service {WEB}",
      "backend add 10.0.0.1:8080 service 192.0.2.3:80/tcp"]),
    ("a backend that was down replaced, its id being next", ROUND,
     [f"backend del 10.0.0.2:8080 service {WEB}", f"backend add 10.0.0.7:8080 service {WEB}"]),
    ("a table changed between backends", STATE,
     [*(f"backend del 10.0.0.{i}:8080 service {WEB}" for i in (1, 2, 3)),
      f"service change {WEB} table 257", f"backend add 10.0.0.1:8080 service {WEB}"]),
    ("another seed", STATE,
     [f"service del {WEB}", "service del 192.0.2.2:*/udp", "config set seed 5",
      f"service add {WEB} table 251", f"backend add 10.0.0.1:8080 service {WEB}"]),
    ("flow flush", MARKED, ["flow flush"]),
    ("mode dnat to nat", MODES, ["service change 192.0.2.4:80/tcp mode nat"]),
    ("mode nat to dnat", MODES + "service change 192.0.2.4:80/tcp mode nat\n",
     ["service change 192.0.2.4:80/tcp mode dnat"]),
    ("mode dnat to dr", MODES, ["service change 192.0.2.4:80/tcp mode dr"]),
    ("mode ipip to nat", MODES + "service change 192.0.2.4:80/tcp mode ipip\n",
     ["service change 192.0.2.4:80/tcp mode nat"]),
    ("mode gue to dnat, on any address", MODES + "service change *:81/tcp mode gue\n",
     ["service change *:81/tcp mode dnat"]),
    ("mode dnat to ipip, on any address", MODES, ["service change *:81/tcp mode ipip"]),
    ("mode and backends", MODES,
     ["service change 192.0.2.4:80/tcp mode dr", "backend add 10.0.2.3 service 192.0.2.4:80/tcp",
      "backend del 10.0.2.1 service 192.0.2.4:80/tcp"]),
    ("service add, the second of its address", STATE, ["service add 192.0.2.1:81/tcp table 251"]),
    ("service del, one of two of its address",
     STATE + "service add 192.0.2.1:81/tcp table 251\n", [f"service del {WEB}"]),
    ("services of other modes", STATE,
     ["config set nat4 10.0.9.1 tunnel6 fd00::9",
      "service add 192.0.2.3:80/tcp table 251 mode nat",
      "service add 192.0.2.4:80/tcp table 251 mode ipip",
      "backend add 10.0.0.5 service 192.0.2.3:80/tcp",
      "backend add [fd00::5] service 192.0.2.4:80/tcp"]),
    ("a service replaced by one of another mode", DIRECT.replace("mode dr", "mode dnat"),
     ["service del 192.0.2.3:80/tcp", "service add 192.0.2.3:80/tcp table 251 mode dr",
      "backend add 10.0.0.5 service 192.0.2.3:80/tcp"]),
    ("and back", DIRECT,
     ["service del 192.0.2.3:80/tcp", "service add 192.0.2.3:80/tcp table 251",
      "backend add 10.0.0.5 service 192.0.2.3:80/tcp"]),
    ("a backend moved to a service of another mode",
     DIRECT + "service add 192.0.2.4:80/tcp table 251\n",
     ["backend del 10.0.0.5 service 192.0.2.3:80/tcp",
      "backend add 10.0.0.5 service 192.0.2.4:80/tcp"]),
    ("mode", DIRECT, ["backend del 10.0.0.5 service 192.0.2.3:80/tcp",
                      "service change 192.0.2.3:80/tcp mode dnat",
                      "backend add 10.0.0.5 service 192.0.2.3:80/tcp"]),
    ("a backend shared", ALONE, [f"backend add 10.0.0.1:8080 service {OTHER}"]),
    ("by three, one of them new", SHARED,
     ["service add 192.0.2.4:80/tcp table 251",
      "backend add 10.0.0.1:8080 service 192.0.2.4:80/tcp"]),
    ("and not any more, the second leaves", SHARED, [f"backend del 10.0.0.1:8080 service {OTHER}"]),
    ("the first leaves", SHARED, [f"backend del 10.0.0.1:8080 service {WEB}"]),
    ("the first service goes", SHARED, [f"service del {WEB}"]),
    ("the second becomes nat", SHARED, [f"service change {OTHER} mode nat"]),
    ("and dnat again", MIXED, [f"service change {OTHER} mode dnat"]),
    ("the first becomes nat", SHARED, [f"service change {WEB} mode nat"]),
    ("a backend of any port shared", PORT, [f"backend add 10.0.0.1 service {PORTS}"]),
    ("and the other leaves", OVERLAPPING, [f"backend del 10.0.0.1:8080 service {WEB}"]),
    ("one port of a backend shared", PORT, [f"backend add 10.0.0.6 service {PORTS}",
                                            f"backend add 10.0.0.6:81 service {OTHER}"]),
    ("a backend passed on", SHARED,
     [f"backend del 10.0.0.1:8080 service {OTHER}", "service add *:81/tcp table 251",
      "backend add 10.0.0.1:8080 service *:81/tcp"]),
    ("nat to dnat, and no source any more", MODES + "service change 192.0.2.4:80/tcp mode nat\n",
     ["service change 192.0.2.4:80/tcp mode dnat", "config set nat4 none"]),
    ("ipip to dr, and no source any more", MODES + "service change 192.0.2.4:80/tcp mode ipip\n",
     ["service change 192.0.2.4:80/tcp mode dr", "config set tunnel4 none"]),
    ("the first rule", STATE, ["acl add 10.0.0.0/8 deny"]),
    ("rules of all and of one", STATE,
     ["acl add 0.0.0.0/0 deny", "acl add 10.0.0.0/8 allow", "acl add 11.0.0.0/8 allow",
      f"acl add 10.1.0.0/16 deny service {WEB}", f"acl add 0.0.0.0/0 allow service {WEB}"]),
    ("rules turned over", RULES,
     ["acl del 10.0.0.0/8", "acl add 0.0.0.0/0 deny", "acl del 2001:db8::/32",
      f"acl change 10.1.0.0/16 deny service {WEB}", f"acl add 10.0.0.0/8 allow service {WEB}",
      f"acl del 11.0.0.0/8 service {WEB}"]),
    ("the last rules of a service", RULES,
     [f"acl del {prefix} service {WEB}" for prefix in ("10.1.0.0/16", "11.0.0.0/8")]),
    ("a service with rules deleted", RULES, [f"service del {WEB}"]),
    ("a service with rules replaced", RULES,
     [f"service del {WEB}", f"service add {WEB} table 251", f"acl add 10.0.0.0/8 deny service {WEB}",
      f"backend add 10.0.0.1:80 service {WEB}"]),
    ("a service deleted and added again", MARKED,
     [f"service del {WEB}", f"service add {WEB} table 257 hash source",
      f"backend add 10.0.0.1:8080 service {WEB}", f"backend add 10.0.0.5:8080 service {WEB}"]),
    ("without backends", STATE, [f"service del {WEB}", f"service add {WEB} table 251"]),
    ("in mode nat", MODES,
     ["service del 192.0.2.4:80/tcp", "service add 192.0.2.4:80/tcp table 251 mode nat",
      "backend add 10.0.2.1 service 192.0.2.4:80/tcp"]),
    ("with a backend that the old mode does not fit", MODES,
     ["config set tunnel6 fd00::1", "service del 192.0.2.4:80/tcp", "service add 192.0.2.4:80/tcp table 251 mode ipip",
      "backend add 10.0.2.1 service 192.0.2.4:80/tcp",
      "backend add [fd00::5] service 192.0.2.4:80/tcp"]),
    ("with its first rules", STATE,
     [f"service del {WEB}", f"service add {WEB} table 251", "acl add 10.1.0.0/16 deny",
      f"acl add 10.0.0.0/8 deny service {WEB}", f"backend add 10.0.0.1:80 service {WEB}"]),
    (CROWDED, FULL,
     [f"service del {WEB}", f"service del {OTHER}",
      *(line for vip in (WEB, OTHER) for line in (
          f"service add {vip} table 1019 mode dr", f"backend add 10.0.0.1 service {vip}",
          f"acl add 10.0.0.0/9 deny service {vip}"))]),
    ("a limit", STATE, [f"service change {WEB} limit 5 burst 9"]),
    ("a restore", MODES, ["# of many changes", f"restore {FILE.name}"]),
)


def prepare(text):
    maps_remove()
    maps_make()
    for part in text.split("# committed apart\n"):
        xlb("-batch", "-", text=part, status=0)
    return World()


def traced(words, text, *options):
    with tempfile.NamedTemporaryFile() as log:
        done = subprocess.run(["strace", "-o", log.name, "-e", "trace=bpf,membarrier", *options,
                               world.XLB, *words], input=text, capture_output=True, text=True)
        return done, log.read().decode()


def writes(log):
    """(system call, how manieth) of each write and of each grace period."""
    count = {"bpf": 0, "membarrier": 0}
    found = []
    for line in log.splitlines():
        call = re.match(r"(bpf|membarrier)\((\w+)", line)
        if not call:
            continue
        count[call[1]] += 1
        if call[2] in ("BPF_MAP_UPDATE_ELEM", "BPF_MAP_DELETE_ELEM") or call[1] == "membarrier":
            found.append((call[1], count[call[1]]))
    return found


def kill_at(case, place, before, after):
    """Kills the case's call there; returns what is wrong then, or after the next call."""
    name, text, lines = case
    seen = prepare(text)
    started = Logical(seen)
    jiffies = CLOCK.jiffies()
    batch = "\n".join(lines) + "\n"
    done, _ = traced(("-batch", "-"), batch, "-e",
                     f"inject={place[0]}:signal=KILL:when={place[1]}")
    if done.returncode != -9:
        return [f"was not killed at {place}: {done.returncode} {done.stderr}"]
    killed = Logical(seen)
    faults = (killed.faults() + killed.unarmed(started, jiffies) + killed.unrecorded(started)
              + killed.misjudged(before, after))
    if name != CROWDED:
        faults += killed.missing(before, after)
    return faults + repaired(seen, started, jiffies, batch, before, after)


def repaired(seen, started, jiffies, batch, before, after):
    done = xlb("flow", "gc")
    now = Logical(seen)
    faults = (now.faults() + now.leftovers() + now.unarmed(started, jiffies)
              + now.unrecorded(started))
    if done.returncode:
        faults.append(done.stderr)
    if now.meaning() != before and now.meaning() != after and batch.count("\n") == 1:
        faults.append("neither as before nor as after")
    # Lines that were done already may be refused, but in the end all are.
    xlb("-force", "-batch", "-", text=batch)
    now = Logical(seen)
    faults += now.faults() + now.leftovers() + now.unrecorded(started)
    if now.meaning() != after:
        faults.append("not what an unkilled call comes to")
    return faults


def fail_at(case, place, before, after):
    """The kernel refuses that write: xlb says so, and the next call goes on."""
    _, text, lines = case
    seen = prepare(text)
    started = Logical(seen)
    jiffies = CLOCK.jiffies()
    batch = "\n".join(lines) + "\n"
    done, _ = traced(("-batch", "-"), batch, "-e",
                     f"inject={place[0]}:error=ENOMEM:when={place[1]}")
    faults = Logical(seen).faults()
    if done.returncode != 2 or done.stderr != ("xlb: writing the maps: Cannot allocate memory: "
                                               "stopped half-way, run it again\n"):
        faults.append(f"{done.returncode} {done.stderr}")
    return faults + repaired(seen, started, jiffies, batch, before, after)


def check_failures(case):
    name, text, lines = case
    seen = prepare(text)
    before = Logical(seen).meaning()
    _, log = traced(("-batch", "-"), "\n".join(lines) + "\n")
    after = Logical(seen).meaning()
    places = [place for place in writes(log) if place[0] == "bpf"]
    wrong = [f"{place}: {fault}" for place in places
             for fault in fail_at(case, place, before, after)]
    tap.equal(wrong[:12], [], f"{name}: each of {len(places)} writes refused by the kernel")


def check_without_membarrier():
    """As with nohz_full: another way to wait."""
    _, text, lines = CASES[6]
    seen = prepare(text)
    done, log = traced(("-batch", "-"), lines[0] + "\n", "-e",
                       "inject=membarrier:error=EINVAL")
    tap.ok(done.returncode == 0 and "EINVAL" in log and "ARRAY_OF_MAPS" in log
           and not Logical(seen).leftovers(), "without membarrier", done.stderr)


def check_writes(case):
    name, text, lines = case
    seen = prepare(text)
    before = Logical(seen).meaning()
    batch = "\n".join(lines) + "\n"
    done, log = traced(("-batch", "-"), batch)
    after = Logical(seen)
    places = writes(log)
    wrong = [f"{place}: {fault}" for place in places
             for fault in kill_at(case, place, before, after.meaning())]
    tap.ok(done.returncode == 0 and places and not wrong and not after.leftovers(),
           f"{name}: killed at each of {len(places)} places", done.stderr,
           *after.leftovers(), *wrong[:12])


def wait_for(slots, place):
    """Returns once a slot changes."""
    words = memoryview(slots).cast("I")
    old = words[place]
    deadline = time.monotonic() + 10
    while words[place] == old and time.monotonic() < deadline:
        pass


def kill_in_slots(seen, first):
    """Kills a call among its stores to the slots, the first of which is known."""
    call = subprocess.Popen([world.XLB, "backend", "add", "10.0.0.3:8080"],
                            stderr=subprocess.DEVNULL)
    wait_for(seen.slots, first)
    time.sleep(random.random() / 2000)
    call.kill()
    return call.wait()


def check_slots():
    """Stores through the mapping are no system calls: kill when the first is seen."""
    sizes = dict(world.SIZES, xlb_slots=655376 // world.SLOTS_PER_VALUE)
    text = (f"service add {WEB} table 655373\nbackend add 10.0.0.1:8080\n"
            "backend add 10.0.0.2:8080\n")

    def prepare_large():
        maps_remove()
        maps_make(sizes=sizes)
        xlb("-batch", "-", text=text, status=0)
        return World(sizes=sizes)

    seen = prepare_large()
    before = Logical(seen)
    xlb("backend", "add", "10.0.0.3:8080", status=0)
    after = Logical(seen)
    changed = [slot for slot, (old, new) in enumerate(zip(before.services[0][2],
                                                          after.services[0][2])) if old != new]
    halfway, wrong = 0, []
    # When it is caught is luck; on a busy machine it takes many tries.
    for _ in range(400):
        seen = prepare_large()
        jiffies = CLOCK.jiffies()
        kill_in_slots(seen, changed[0])
        killed = Logical(seen)
        owners = {killed.services[0][2][slot] == before.services[0][2][slot] for slot in changed}
        if len(owners) == 1:
            continue
        halfway += 1
        wrong += killed.faults() + killed.unarmed(before, jiffies)
        wrong += repaired(seen, before, jiffies, "backend add 10.0.0.3:8080\n",
                          before.meaning(), after.meaning())
        if halfway == 3:
            break
    tap.equal(wrong, [], f"killed {halfway} times among {len(changed)} changes of slots")
    tap.ok(halfway, "some of the slots were changed, others not")


def main():
    if not shutil.which("strace"):
        world.skip_all("needs strace")
    world.enter()
    maps_make()
    for case in CASES:
        check_writes(case)
    for case in (CASES[0], CASES[6], CASES[14]):
        check_failures(case)
    check_without_membarrier()
    check_slots()
    tap.done()


CLOCK = Clock()
main()
