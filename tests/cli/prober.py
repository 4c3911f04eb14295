# SPDX-License-Identifier: GPL-2.0-only
"""What the tests of xlb-probe share: it runs once or for long, with maps of its own."""

import os
import signal
import subprocess
import tempfile
import time

import world
from world import ROOT, maps_make, maps_remove, xlb
import tap

PROBE = os.environ.get("XLB_PROBE", os.path.join(ROOT, "loader", "xlb-probe"))
PATIENCE = 10
SIZES = dict(world.SIZES, xlb_backends=64, xlb_targets=64, xlb_replies4=64, xlb_nexthops=64,
             xlb_stats=64)


def run(*checks):
    """Each of them, in a folder that is gone afterwards."""
    world.enter()
    maps_make()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for check in checks:
            check()
        os.chdir("/")
    tap.done()


def wait_for(condition, description):
    """True once the condition is, within reason."""
    deadline = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return tap.ok(condition(), description)


def fresh(lines):
    maps_remove()
    maps_make(sizes=SIZES)
    xlb("-batch", "-", text=lines, status=0)


def write(name, text):
    with open(name, "w", encoding="utf-8") as file:
        file.write(text)
    return name


def read(name):
    with open(name, encoding="utf-8") as file:
        return file.read()


def changes(lines):
    """Commands for the helper as {backend: health}; what is none is kept as it is."""
    found = {}
    for line in lines.splitlines():
        words = line.split()
        right = (len(words) == 7 and words[:2] == ["backend", "change"] and
                 words[3] == "service" and words[5] == "health")
        found[words[2] if right else line] = words[6] if right else None
    return found


def once(config, *options):
    done = subprocess.run([PROBE, "-once", *options, write("once.conf", config)],
                          capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        tap.ok(False, "xlb-probe -once", done.returncode, done.stderr)
    return changes(done.stdout), done.stderr


class Running:
    """xlb-probe at work; what it says goes to files."""

    def __init__(self, config):
        write("running.conf", config)
        with open("said.out", "wb") as out, open("said.err", "wb") as err:
            self.process = subprocess.Popen([PROBE, "running.conf"], stdout=out, stderr=err)

    def change(self, config):
        write("running.conf", config)
        self.process.send_signal(signal.SIGHUP)

    def end(self):
        self.process.terminate()
        return self.process.wait(timeout=PATIENCE)
