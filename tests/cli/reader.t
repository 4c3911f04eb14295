#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Rules as somebody sees them who may read the maps, but not take the lock: all that there
are and no other, also while they change."""

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
import tap  # noqa: E402

READER = "12346"                # of no user or group
WEB = "192.0.2.1:80/tcp"
# The first that is come upon, another beside it, and one that both are within.
FIRST, SECOND, ALL = "10.0.0.0/8", "11.0.0.0/8", "0.0.0.0/0"
MOMENT = 0.3                    # seconds


class Reader:
    """A copy of xlb where an ordinary user gets at it, and such a user."""

    def __init__(self, folder):
        os.chmod(folder, 0o755)
        self.program = shutil.copy(world.XLB, folder)
        self.log = os.path.join(folder, "trace")
        kernel = tuple(int(re.match(r"\d+", each)[0]) for each in os.uname().release.split(".")[:2])
        # Before Linux 5.19 kernel.unprivileged_bpf_disabled forbids opening pins, too.
        given = "-all" if kernel >= (5, 19) else "-all,+bpf"
        self.becomes = ["setpriv", f"--reuid={READER}", f"--regid={READER}", "--clear-groups",
                        f"--inh-caps={given}", f"--ambient-caps={given}"]

    def start(self, *tracer):
        return subprocess.Popen([*tracer, *self.becomes, self.program, "acl", "show"],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

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
    tap.done()


main()
