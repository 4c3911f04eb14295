#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""Does to this kernel what record.py has written down of packet tests: replay.py TAPE...

Wants fresh mount and network namespaces with bpffs.  The network and the object, which
all tapes have in common, are set up for the first.  TAP: the number of frames and
counters compared, or each of a test's checks for which something came out otherwise.
"""

import ctypes
import os
import pickle
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "packet"))
from bpf import LIBBPF, LOOPBACK, Clock, Program, checked, pinned, possible_cpus  # noqa: E402
from wire import PATIENCE, Wire, cut_in_tag, too_long  # noqa: E402

VERDICTS = ("ABORTED", "DROP", "PASS", "TX", "REDIRECT")
PINS = "/sys/fs/bpf"
UNTIL = 5                       # seconds
SHOWN = 10
# Tests of what older kernels do not tell.
NEEDS = {name: ((5, 12), "the MTU of routes, since 5.12")
         for name in ("corners", "events", "monitor", "toobig")}
LINKS_SINCE = (5, 15)           # BPF_PROG_TEST_RUN with frames that come in by any link


class Kernel:
    """The running kernel, its pins opened by name when they are first asked for."""

    def __init__(self):
        self.clock, self.hz = Clock(), round(1 / time.clock_getres(6))
        self.cpus = possible_cpus()
        self.release = tuple(int(number) for number in os.uname().release.split(".")[:2])
        self.wires = None if self.release >= LINKS_SINCE else {}
        self.opened = {}
        self.checks = self.failed = 0
        self.begin("")

    def jiffies(self):
        """Never those of the future.  To read them each time would take longest of all."""
        return self.jiffies_then + int((time.monotonic() - self.then) * self.hz)

    def map(self, name):
        if name not in self.opened:
            self.opened[name] = pinned(f"{PINS}/{name}")
        return self.opened[name]

    def program(self, name):
        if name not in self.opened:
            self.opened[name] = Program(pinned(f"{PINS}/programs/{name}"))
        return self.opened[name]

    def begin(self, test):
        self.name = f"packet test {test}, frames as wanted"
        self.compared, self.wrong, self.faults, self.left_out = 0, [], 0, False
        self.jiffies_then, self.then = self.clock.jiffies(), time.monotonic()

    def skip(self, what):
        self.checks += 1
        print(f"ok - {self.name} # SKIP not on this kernel: {what}", flush=True)

    def end(self):
        self.ok("after its last check")
        if self.faults:
            print(f"#  {self.faults} checks in all")
        else:
            self.checks += 1
            print(f"ok - {self.name} = {self.compared}", flush=True)

    # What is done.

    def command(self, words):
        subprocess.run(words, check=True, capture_output=True)

    def sysctl(self, name, value):
        with open(f"/proc/sys/{name}", "w", encoding="ascii") as setting:
            setting.write(str(value))

    def sleep(self):
        pass

    def put(self, name, key, value, times):
        value = bytearray(value)
        for offset, size, seconds in times:
            number = self.hz if seconds is None else \
                self.jiffies() + round(seconds * self.hz)
            value[offset:offset + size] = (number & (1 << 8 * size) - 1).to_bytes(
                size, sys.byteorder)
        # Long enough for a map that has a value for each CPU.
        checked(LIBBPF.bpf_map_update_elem(self.map(name), key, bytes(value) * self.cpus,
                                           ctypes.c_uint64(0)), name)

    def delete(self, name, key):
        LIBBPF.bpf_map_delete_elem(self.map(name), key)

    def clear(self, name, keys, key_size, value_size):
        """Keys that are known to hold something, or all that are there."""
        if keys is not None:
            for key in keys:
                self.put(name, key, bytes(value_size), ())
            return
        key, found = None, []
        following = ctypes.create_string_buffer(key_size)
        while LIBBPF.bpf_map_get_next_key(self.map(name), key, following) == 0:
            key = following.raw
            found.append(key)
        for key in found:
            self.delete(name, key)

    # What is compared.

    def outcome(self, name, frame, ifindex, verdict, out):
        program = self.program(name)
        if self.wires is None or ifindex == LOOPBACK:
            return program.run(frame, ifindex)
        if name == "xlb_lookup" or cut_in_tag(frame):  # which asks for no link
            return program.run(frame, LOOPBACK)
        if ifindex not in self.wires:
            self.wires[ifindex] = Wire(ifindex)
        # Where much is wrong, all of it to come is not to be waited for.
        patience = PATIENCE if self.faults < SHOWN else 0
        return self.wires[ifindex].run(program.descriptor, frame, verdict, out, patience)

    def run(self, *step):
        # Nor is compared what the test asks about such a frame next.
        self.left_out = self.wires is not None and too_long(step[1])
        if not self.left_out:
            self.compare(step[-2:], self.outcome(*step))

    def until(self, *step):
        """The outcome that the test waited for."""
        end, got = time.monotonic() + UNTIL, None
        while got != step[-2:] and time.monotonic() < end:
            got = self.outcome(*step)
        self.compare(step[-2:], got)

    def count(self, name, key, expected):
        """Sums over the CPUs, of numbers of 64 bits."""
        size = len(expected)
        values = ctypes.create_string_buffer(size * self.cpus)
        checked(LIBBPF.bpf_map_lookup_elem(self.map(name), key, values), name)
        sums = [sum(column) for column in zip(*(
            memoryview(values.raw[at:at + size]).cast("Q") for at in range(0, len(values), size)))]
        self.compare((f"counted in {name}", list(memoryview(expected).cast("Q"))),
                     (f"counted in {name}", sums))

    def compare(self, expected, got):
        self.compared += not self.left_out
        if got != expected and not self.left_out:
            self.wrong.append((expected, got))

    def ok(self, description):
        """The end of one check of the test; the first that fail are told."""
        if self.wrong:
            self.failed += 1
            self.faults += 1
            if self.faults <= SHOWN:
                self.checks += 1
                print(f"not ok - {self.name}: {description}", flush=True)
                self.explain()
        self.wrong = []

    def explain(self):
        for outcomes in self.wrong[:SHOWN]:
            for name, (what, data) in zip(("wanted:", "got:   "), outcomes):
                print("# ", name, VERDICTS[what] if isinstance(what, int) else what,
                      data.hex() if isinstance(data, bytes) else data)


def setup_of(steps):
    """What comes first: all until the object is loaded."""
    return next(number for number, step in enumerate(steps)
                if step[0] == "command" and step[1][0] == "bpftool") + 1


def replay(kernel, tape, before):
    """Returns the setup, which is not done again where it was the same before."""
    test = os.path.basename(tape).removesuffix(".tape")
    kernel.begin(test)
    since, what = NEEDS.get(test, ((0, 0), ""))
    if kernel.release < since:
        kernel.skip(what)
        return before
    with open(tape, "rb") as file:
        steps = pickle.load(file)
    length = setup_of(steps)
    for action, *arguments in steps[length if steps[:length] == before else 0:]:
        getattr(kernel, action)(*arguments)
    kernel.end()
    return steps[:length]


def main(*tapes):
    kernel, setup = Kernel(), None
    for tape in tapes:
        setup = replay(kernel, tape, setup)
    print(f"1..{kernel.checks}")
    return kernel.failed > 0


sys.exit(main(*sys.argv[1:]))
