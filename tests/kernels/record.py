#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""Runs a packet test here, and writes down what it does: record.py TEST TAPE

The tape has what the kernel is told (commands, settings, maps), each frame with the
verdict and the frame that came of it, and the counters that the test reads; replay.py
does the same to another kernel.  Scapy has judged all of it here.  What depends on the
clock is on the tape as seconds.
"""

import ctypes
import os
import pickle
import runpy
import subprocess
import sys
import time

PACKET = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "packet")
sys.path.insert(0, PACKET)
import bpf  # noqa: E402
import tap  # noqa: E402

COMMANDS = ("ip", "bpftool", "ethtool", "xlb")
COUNTERS = ("xlb_drops", "xlb_stats", "decap_stats")
# Members that are times, in jiffies, and the one that is their number per second.
TIMES = ("stamp", "seen", "since", "errors_since", "refused_at", "changed", "settle_until")
HZ = "hz"
LONG = 86400                    # seconds: what is further away is no time

tape = []
names = {}                      # file descriptor -> name of what is pinned
contents = []                   # every bpf.Map


def patched(holder, name):
    """Decorates a function that takes the place of another, which it gets first."""
    real = getattr(holder, name)

    def put(function):
        setattr(holder, name, lambda *args, **keywords: function(real, *args, **keywords))
    return put


class Times:
    """Where the times of a map's value are, and what they are in seconds from now."""

    def __init__(self):
        self.clock, self.hz = bpf.Clock(), round(1 / time.clock_getres(6))
        self.places = {}

    def members(self, content):
        if content.path not in self.places:
            self.places[content.path] = [
                (member["name"], member["bits_offset"] // 8,
                 content.btf.size(content.btf.type(member["type_id"])))
                for member in content.value.get("members", ())
                if member["name"] in TIMES + (HZ,)]
        return self.places[content.path]

    def seconds(self, content, value):
        """(offset, size, seconds from now), seconds None for HZ; zero is no time."""
        found = []
        for name, offset, size in self.members(content):
            number = int.from_bytes(value[offset:offset + size], sys.byteorder)
            if name == HZ and number:
                found.append((offset, size, None))
            elif number:
                away = number - self.now() & (1 << 8 * size) - 1
                away -= (1 << 8 * size) if away >> 8 * size - 1 else 0
                if abs(away) < LONG * self.hz:
                    found.append((offset, size, away / self.hz))
        return found

    def now(self):
        return JIFFIES(self.clock)


JIFFIES = bpf.Clock.jiffies
times = Times()


@patched(bpf, "pinned")
def pinned(real, path):
    descriptor = real(path)
    names[descriptor] = os.path.basename(path)
    return descriptor


@patched(bpf.Map, "__init__")
def init(real, content, *args):
    real(content, *args)
    contents.append(content)


@patched(bpf.Map, "put")
def put(real, content, key, value):
    tape.append(("put", names[content.descriptor], bytes(key),
                 value[:len(value) // (content.cpus or 1)], times.seconds(content, value)))
    real(content, key, value)


@patched(bpf.Map, "delete")
def delete(real, content, key):
    tape.append(("delete", names[content.descriptor], content.btf.pack(content.key, key)))
    real(content, key)


@patched(bpf.Map, "clear")
def clear(real, content):
    """Of an array what is not zero, since to clear all of it takes long."""
    zero = bytes(content.value_bytes())
    keys = None
    if content.array:
        keys = [key for key, value in content.dump().items() if value != zero]
        for key in keys:
            bpf.LIBBPF.bpf_map_update_elem(content.descriptor, key, zero, ctypes.c_uint64(0))
    else:
        real(content)
    tape.append(("clear", names[content.descriptor], keys, content.btf.size(content.key),
                 len(zero) // (content.cpus or 1)))


@patched(bpf.Map, "get")
def get(real, content, key):
    found = real(content, key)
    name = names[content.descriptor]
    if name in COUNTERS:
        tape.append(("count", name, content.btf.pack(content.key, key),
                     content.btf.pack(content.value, found)))
    return found


@patched(bpf.Program, "run")
def run(real, program, frame, ifindex):
    verdict, out = real(program, frame, ifindex)
    if program.descriptor in names:
        step = ["run", names[program.descriptor], bytes(frame), ifindex, verdict, out]
        # One that waits for another outcome: the last one counts.
        if len(tape) > 1 and tape[-1] == ("sleep",) and tape[-2][1:4] == tuple(step[1:4]):
            del tape[-2:]
            step[0] = "until"
        tape.append(tuple(step))
    return verdict, out


@patched(tap, "ok")
def ok(real, passed, description, *details):
    tape.append(("ok", description))
    return real(passed, description, *details)


@patched(time, "sleep")
def sleep(real, seconds):
    tape.append(("sleep",))
    real(seconds)


@patched(subprocess, "run")
def command(real, words, **keywords):
    if os.path.basename(words[0]) in COMMANDS and "btf" not in words:
        tape.append(("command", tuple(words)))
    return real(words, **keywords)


def main(test, output):
    import lab

    @patched(lab, "sysctl")
    def sysctl(real, name, value):
        tape.append(("sysctl", name, value))
        real(name, value)
    try:
        runpy.run_path(test, run_name="__main__")
    finally:
        # For the next tape.  Tests take no notice of old slots.
        for content in contents:
            if names[content.descriptor] != "xlb_slots":
                content.clear()
        with open(output, "wb") as file:
            pickle.dump(tape, file)


main(*sys.argv[1:])
