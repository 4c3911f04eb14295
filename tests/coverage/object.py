#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Which arms of which branches of the packet programs the packet tests take:

    object.py FOLDER

Prints those that no test takes.  Fails if one of them is not in the file `argued`, or one
that is there has been taken.
"""

import os
import re
import subprocess
import sys

from arms import arms, argued
from instrument import ROOT, Instrumented, counted

ARGUED = os.path.join(ROOT, "tests", "coverage", "argued")
# Judges arithmetic over 400,000 flows, whose ways others take; is of probe.o, most of which
# is other objects' headers; looks at the objects alone.
LEFT_OUT = ("hash", "probe", "verifier")


def tests(name):
    """Those of a program, by name."""
    for file in sorted(os.listdir(os.path.join(ROOT, "tests", "packet"))):
        test, suffix = os.path.splitext(file)
        if suffix == ".t" and test not in LEFT_OUT and \
                (name == "decap") == test.startswith("decap"):
            yield os.path.join("tests", "packet", file)


def run(test, variables):
    """With an instrumented object; whether it passes."""
    done = subprocess.run([test], cwd=ROOT, env=dict(os.environ, **variables), text=True,
                          stdout=subprocess.PIPE)
    if done.returncode:
        print(re.sub(r"^ok .*\n", "", done.stdout, flags=re.M) + f"{test} fails")
    return not done.returncode


def measure(name, folder):
    """Whether all tests pass, how many arms there are, and those not taken."""
    program = Instrumented(name, folder)
    counts = os.path.join(folder, f"{name}.counts")
    os.mkdir(counts)
    variables = {f"{name.upper()}_OBJECT": program.object, "XLB_COUNTERS": counts}
    passed = [run(test, variables) for test in tests(name)]
    export = program.export(counted(counts), folder)
    return all(passed), *arms(export, os.path.join(folder, "bpf"))


def main():
    folder, right, missing = sys.argv[1], True, set()
    for name in ("xlb", "decap"):
        passed, count, found = measure(name, folder)
        print(f"bpf/{name}.bpf.c and its headers: {count - len(found)} of {count} arms of "
              "branches are taken by packet tests")
        right &= passed
        missing |= set(found)
    reasons = argued(ARGUED)
    for arm in sorted(missing):
        print(f"{'argued' if arm in reasons else 'NOT TAKEN'}: {arm}")
    for arm in sorted(set(reasons) - missing):
        print(f"tests/coverage/argued:{reasons[arm]}: is taken, or is not there: {arm}")
    sys.exit(not right or missing != set(reasons))


main()
