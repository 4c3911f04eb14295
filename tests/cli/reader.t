#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Who may read the maps, but neither write to them nor take the lock: all rules are seen, and
no others, also while they change; and a program of one's own is no such reader."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import world  # noqa: E402
from world import PINS, World, maps_make, xlb  # noqa: E402
import bpf  # noqa: E402
import tap  # noqa: E402

READER = "12346"                # of no user or group
WEB = "192.0.2.1:80/tcp"
# The first that is come upon, another beside it, and one that both are within.
FIRST, SECOND, ALL = "10.0.0.0/8", "11.0.0.0/8", "0.0.0.0/0"
KERNEL = tuple(int(re.match(r"\d+", each)[0]) for each in os.uname().release.split(".")[:2])
# Before Linux 5.19 kernel.unprivileged_bpf_disabled forbids opening pins, too.
LOOK = "-all" if KERNEL >= (5, 19) else "-all,+bpf"
MOMENT = 0.3                    # seconds
LEFT = 0x4242                   # what a program leaves in a map

# Opens the map of argv[1] to be read alone, and runs a program with it that writes there.
PROGRAM = f"""
import ctypes, sys
from bpf import LIBBPF, LOOPBACK, Program, checked, instruction

class Options(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("flags", ctypes.c_uint32), ("folder", ctypes.c_int)]

BPF_F_RDONLY, SOCKET_FILTER = 8, 1
options = Options(ctypes.sizeof(Options), BPF_F_RDONLY)
map = checked(LIBBPF.bpf_obj_get_opts(sys.argv[1].encode(), ctypes.byref(options)), "open")
code = b"".join((
    instruction(0x62, 10, offset=-4),           # *(u32 *)(r10 - 4) = 0
    instruction(0xbf, 2, 10),                   # r2 = r10
    instruction(0x07, 2, immediate=-4),         # r2 -= 4
    instruction(0x18, 1, 1, immediate=map),     # r1 = map
    instruction(0),
    instruction(0x85, immediate=1),             # r0 = map_lookup_elem(r1, r2)
    instruction(0x15, 0, offset=1),             # if !r0 goto exit
    instruction(0x62, 0, immediate={LEFT}),     # *(u32 *)r0 = LEFT
    instruction(0xb7, 0),                       # exit: r0 = 0
    instruction(0x95)))
program = checked(LIBBPF.bpf_prog_load(SOCKET_FILTER, b"writes", b"GPL", code,
                                       ctypes.c_size_t(len(code) // 8), None), "load")
Program(program).run(bytes(64), LOOPBACK)
"""


class Reader:
    """A copy of xlb where an ordinary user gets at it, and such a user."""

    def __init__(self, folder):
        os.chmod(folder, 0o755)
        self.program = shutil.copy(world.XLB, folder)
        self.log = os.path.join(folder, "trace")
        shutil.copy(bpf.__file__, folder)
        self.folder = folder

    def start(self, *tracer):
        return subprocess.Popen([*tracer, *becomes(LOOK), self.program, "acl", "show"],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def runs_own(self, given):
        """Its own program, with these capabilities."""
        return subprocess.run([*becomes(given), "/usr/bin/python3", "-c", PROGRAM,
                               f"{PINS}/xlb_config"], cwd=self.folder, capture_output=True,
                              text=True, check=False)

    def shown(self, *tracer):
        return ended(self.start(*tracer))

    def delayed(self, number):
        """Starts it; its bpf() of that number waits for two moments."""
        return self.start("strace", "-qq", "-o", self.log, "-e", "trace=bpf", "-e",
                          f"inject=bpf:delay_enter={round(2e6 * MOMENT)}:when={number}")

    def walk(self):
        """The number of the call of bpf() that looks at the first rule of all."""
        self.shown("strace", "-qq", "-o", self.log, "-e", "trace=bpf")
        with open(self.log, encoding="ascii") as log:
            calls = re.findall(r"^bpf\((\w+)", log.read(), re.M)
        return next(number for number, call in enumerate(calls, 1)
                    if call == "BPF_MAP_LOOKUP_ELEM" and calls[number - 2] ==
                    "BPF_MAP_GET_NEXT_KEY" and calls[number] == "BPF_MAP_GET_NEXT_KEY")


def becomes(given):
    return ["setpriv", f"--reuid={READER}", f"--regid={READER}", "--clear-groups",
            f"--inh-caps={given}", f"--ambient-caps={given}"]


def ended(process):
    said, why = process.communicate()
    return process.returncode, said or why


def configure(*rules):
    xlb("restore", "-", text=f"service add {WEB} table 251\n" + "".join(
        f"acl add {each}\n" for each in rules), status=0)


def roots():
    return 0, xlb("acl", "show", status=0).stdout


def check_all(reader):
    configure(f"{ALL} deny", f"{FIRST} allow", f"{SECOND} deny", f"{FIRST} deny service {WEB}",
              "2001:db8::/32 deny")
    got = reader.shown()
    tap.equal(got, roots(), "a reader sees all rules, as root does")
    tap.equal(got[1].count("\n"), 5, "which are those that were added")


def check_missing(reader):
    """A rule that is counted is on its way."""
    configure(f"{FIRST} deny")
    maps = World().maps
    rule = next(iter(maps["xlb_acl4"].items()))
    config = maps["xlb_config"].get(0)
    maps["xlb_config"].set(0, config | {"rules4": config["rules4"] + 1})
    process = reader.start()
    time.sleep(MOMENT)
    tap.equal(process.poll(), None, "where one is missing the reader looks again")
    maps["xlb_acl4"].set(rule[0] | {"address": bytes((11, 0, 0, 0))}, rule[1])
    tap.equal(ended(process), roots(), "until it is there")
    maps["xlb_config"].set(0, config | {"rules4": 3, "rules_updating": 1})
    tap.equal(reader.shown(), roots(), "but not for ever: who writes may have died")


def check_gone(reader):
    """A rule is deleted between being come upon and being looked at."""
    if not shutil.which("strace"):
        return
    for rules in ((f"{FIRST} allow", f"{SECOND} deny"),
                  (f"{FIRST} allow", f"{SECOND} deny", f"{ALL} deny")):
        configure(*rules)
        process = reader.delayed(reader.walk())
        time.sleep(MOMENT)
        xlb("acl", "del", FIRST, status=0)
        tap.equal(ended(process), roots(), f"of {len(rules)} one is deleted under a reader")


def check_program(reader):
    """The kernel asks who writes by a call how the map was opened, but no program."""
    config = World().maps["xlb_config"]
    before = config.get(0)
    with open("/proc/sys/kernel/unprivileged_bpf_disabled", encoding="ascii") as disabled:
        if int(disabled.read()):
            done = reader.runs_own("-all")
            tap.ok(done.returncode and "not permitted" in done.stderr,
                   "a reader without CAP_BPF runs no program", done.returncode, done.stderr)
            tap.equal(config.get(0), before, "and writes nothing")
    done = reader.runs_own("-all,+bpf")
    tap.equal((done.returncode, config.get(0)["abi"]), (0, LEFT),
              "with it, one that writes to what the reader may not")


def main():
    if not shutil.which("setpriv"):
        world.skip_all("needs setpriv")
    world.enter()
    os.chmod("/sys/fs/bpf", 0o755)
    maps_make()
    os.chmod(PINS, 0o711)
    for name in os.listdir(PINS):
        os.chmod(f"{PINS}/{name}", 0o644)
    with tempfile.TemporaryDirectory() as folder:
        reader = Reader(folder)
        check_all(reader)
        check_missing(reader)
        check_gone(reader)
        check_program(reader)
    tap.done()


main()
