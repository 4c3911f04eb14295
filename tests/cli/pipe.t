#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""A batch through a pipe that stays open: what has come is written, and others may write."""

import json
import os
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import world  # noqa: E402
from world import maps_make, xlb  # noqa: E402
import tap  # noqa: E402

WEB = "192.0.2.1:80/tcp"
PATIENCE = 10


def backends():
    """Address and port of each, as one line."""
    return " ".join(line.split()[0] for line in xlb("backend", "show").stdout.splitlines())


def becomes(wanted, description):
    """The maps have these backends sooner or later, without another line or an end."""
    deadline = time.monotonic() + PATIENCE
    while backends() != wanted and time.monotonic() < deadline:
        time.sleep(0.01)
    tap.equal(backends(), wanted, description)


class Pipe:
    def __init__(self, *options):
        self.xlb = subprocess.Popen([world.XLB, *options, "-batch", "-"], text=True,
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE)

    def write(self, text):
        self.xlb.stdin.write(text)
        self.xlb.stdin.flush()

    def end(self):
        """Status and errors, after closing the pipe."""
        _, errors = self.xlb.communicate(timeout=PATIENCE)
        return self.xlb.returncode, errors


def check_written():
    pipe = Pipe()
    pipe.write(f"service add {WEB} table 251\nbackend add 10.0.0.1\n")
    becomes("10.0.0.1:80", "lines that came together are written while the pipe is open")
    done = subprocess.run(["timeout", str(PATIENCE), world.XLB, "backend", "add", "10.0.0.2"],
                          check=False)
    tap.equal((done.returncode, backends()), (0, "10.0.0.1:80 10.0.0.2:80"),
              "somebody else can write meanwhile")
    pipe.write("backend add 10.0.0.3\n")
    becomes("10.0.0.1:80 10.0.0.2:80 10.0.0.3:80", "the next line goes by what stands then")
    pipe.write("backend del 10.0.0.1\nback")
    becomes("10.0.0.2:80 10.0.0.3:80", "a line that has begun does not keep those before it")
    pipe.write("end del 10.0.0.2\n")
    becomes("10.0.0.3:80", "and is whole when its rest has come")
    tap.equal(pipe.end(), (0, ""), "the end of the pipe is the end of the batch")


def check_errors():
    pipe = Pipe()
    pipe.write("backend add 10.0.0.4\n")
    becomes("10.0.0.3:80 10.0.0.4:80", "a line is written")
    pipe.write("backend add 10.0.0.5\nbackend add 10.0.0.6 weight x\nbackend add 10.0.0.7\n")
    status, errors = pipe.end()
    tap.ok(status == 1 and errors.startswith("xlb: -:3: backend add 10.0.0.6: weight x: not a"),
           "an error ends the batch", status, errors)
    tap.equal(backends(), "10.0.0.3:80 10.0.0.4:80",
              "what had been written stays, what came with the error is not")

    pipe = Pipe("-force")
    pipe.write("backend del 10.0.0.9\nbackend del 10.0.0.4\n")
    becomes("10.0.0.3:80", "with -force what is right of them is written")
    pipe.write("backend add 10.0.0.8\n")
    becomes("10.0.0.3:80 10.0.0.8:80", "and the batch goes on")
    status, errors = pipe.end()
    tap.ok(status == 2 and errors.startswith("xlb: -:1: backend del 10.0.0.9: service"),
           "its status is that of the error", status, errors)


def check_warmup():
    """What the pipe brings up warms up while it is open, though nothing more comes."""
    def warm():
        return json.loads(xlb("-j", "-s", "backend", "show", "10.0.0.3").stdout)[0]["warm"]

    xlb("service", "change", WEB, "warmup", "4", status=0)
    xlb("backend", "change", "10.0.0.3", "health", "down", status=0)
    pipe = Pipe()
    pipe.write("backend change 10.0.0.3 health up\n")
    deadline = time.monotonic() + PATIENCE
    seen = [100]
    while (len(seen) < 2 or seen[-1] != 100) and time.monotonic() < deadline:
        if warm() != seen[-1]:
            seen.append(warm())
    tap.ok(seen[-1] == 100 and len(seen) > 3 and seen[1:] == sorted(seen[1:]), "steps are taken",
           seen)
    xlb("backend", "change", "10.0.0.3", "health", "down", status=0)
    pipe.write("backend change 10.0.0.3 health up\n")
    tap.equal(pipe.end(), (0, ""), "the end does not wait for them")
    tap.ok(warm() < 100, "which are left for others")
    xlb("service", "change", WEB, "warmup", "0", status=0)


def check_warned():
    """Steps are on nobody's command, who would have to be told again what stands in the way."""
    def warm():
        return json.loads(xlb("-j", "-s", "backend", "show", "10.9.1.1").stdout)[0]["warm"]

    world.router()
    xlb("-batch", "-", text="service add 192.0.2.5:80/tcp table 251 mode dr warmup 3\n"
        "backend add 10.9.1.1 service 192.0.2.5:80/tcp health down\n", status=0)
    pipe = Pipe()
    pipe.write("backend change 10.9.1.1 service 192.0.2.5:80/tcp health up\n")
    deadline = time.monotonic() + PATIENCE
    seen = [warm()]
    while (len(set(seen)) < 3 or seen[-1] != 100) and time.monotonic() < deadline:
        time.sleep(0.01)
        seen.append(warm())
    pipe.write("backend change 10.9.1.1 service 192.0.2.5:80/tcp weight 2\n")
    status, errors = pipe.end()
    told = [line.partition(" behind a router ")[0] for line in errors.splitlines()]
    tap.equal((seen[-1], status, told), (100, 0, ["xlb: warning: backend 10.9.1.1:80:"] * 2),
              "each command is told what stands in the way, no step is")
    world.sh("ip", "link", "del", "left")
    xlb("service", "del", "192.0.2.5:80/tcp", status=0)

class Writer(threading.Thread):
    """Lines in a row, up to a number or until it is stopped."""

    def __init__(self, pipe, lines, count=None):
        super().__init__()
        self.pipe, self.lines, self.count = pipe, lines, count
        self.stopped = threading.Event()
        self.longest = self.took = 0
        self.start()

    def run(self):
        first = last = time.monotonic()
        number = 0
        while not self.stopped.is_set() and number != self.count:
            self.pipe.write(self.lines(number))
            number += 1
            time.sleep(0.02)
            now = time.monotonic()
            self.longest, last = max(self.longest, now - last), now
        self.took = last - first

    def end(self):
        """Was it never so late that xlb could take it for a pause?"""
        self.stopped.set()
        self.join()
        return self.longest < 0.09


def gapless(attempt):
    """What an attempt comes to whose writer never paused; on a busy machine it takes several."""
    for _ in range(20):
        smooth, *result = attempt()
        if smooth:
            break
    return result


def check_gaps():
    """A pause is counted from the last line, but not for ever."""
    before = backends()

    def bad_end():
        pipe = Pipe()
        writer = Writer(pipe, lambda number: f"backend add 10.0.1.{number}\n", 8)
        writer.join()
        pipe.write("backend add bogus\n")
        smooth = writer.end() and writer.took < 1.5
        status, _ = pipe.end()
        left = backends()
        for end in set(left.split()) - set(before.split()):
            xlb("backend", "del", end, status=0)
        return smooth, status, left

    def endless():
        pipe = Pipe()
        writer = Writer(pipe, lambda number: f"backend change 10.0.0.8 weight {number + 2}\n")
        deadline = time.monotonic() + PATIENCE
        while weight() == 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        seen = weight() != 1
        smooth = writer.end()
        status, _ = pipe.end()
        xlb("backend", "change", "10.0.0.8", "weight", "1", status=0)
        return smooth, status, seen

    def weight():
        return json.loads(xlb("-j", "backend", "show", "10.0.0.8").stdout)[0]["weight"]

    tap.equal(gapless(bad_end), [1, before], "lines with small gaps between them are one batch")
    tap.equal(gapless(endless), [0, True], "those of who never pauses are written all the same")


def check_quotes():
    done = xlb("-batch", "-", text='"service" add "192.0.2.2:80/tcp" table "251" # "\n')
    tap.equal((done.returncode, done.stderr), (0, ""), "words may stand in quotes")
    for line, why in (('service add "192.0.2.3:80/tcp', "a quote without its second"),
                      ('service add "192.0.2.3:80"/tcp', "a blank is to follow the second quote")):
        done = xlb("-batch", "-", text=f"{line}\n")
        tap.ok(done.returncode == 1 and done.stderr.startswith(f"xlb: -:1: {why}"), line,
               done.stderr)


def main():
    world.enter()
    maps_make()
    check_written()
    check_errors()
    check_warmup()
    check_warned()

    check_gaps()
    check_quotes()
    tap.done()


main()
