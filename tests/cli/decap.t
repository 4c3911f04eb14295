#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""xlb decap: what it takes, what it says, and what it leaves in the maps of decap.o."""

import json
import os

import world
from world import ROOT, sh, xlb

import tap
from bpf import Map
from btf import Btf

OBJECT = os.path.join(ROOT, "bpf", "decap.o")
BPFFS = "/sys/fs/bpf"
MAPPED = bytes(10) + b"\xff\xff"
LIMIT = 1024

# {status, words, message}: on 10.0.0.1 with port 6080 and fd00::1 with port 7000.
CASES = (
    (1, "add", "xlb: decap add: which address? a.b.c.d or [IPv6]"),
    (1, "add 10.0.0", "xlb: decap add 10.0.0: the address is not a.b.c.d or [IPv6]"),
    (1, "add fd00::2", "an IPv6 address stands in [ ]"),
    (1, "add [fd00::2", "[ without ]"),
    (1, "add [::ffff:10.0.0.2]", "stands without [::ffff:]"),
    (1, "add 224.0.0.1", "not a unicast address"),
    (1, "add *", "not the address of a host"),
    (1, "add [::]", "not the address of a host"),
    (1, "add 10.0.0.2:80", "an address alone is wanted, without port or prefix"),
    (1, "add 10.0.0.2/32", "an address alone is wanted, without port or prefix"),
    (1, "add [fd00::2]:80", "an address alone is wanted, without port or prefix"),
    (1, "add 10.0.0.2 gue", "gue: needs a value"),
    (1, "add 10.0.0.2 gue 0", "gue 0: not a number from 1 to 65535"),
    (1, "add 10.0.0.2 gue 65536", "gue 65536: not a number from 1 to 65535"),
    (1, "add 10.0.0.2 gue 1 gue 2", "gue: given twice"),
    (1, "add 10.0.0.2 port 1", "port: unknown keyword, not one of: gue"),
    (1, "change 10.0.0.1", "nothing to change: gue PORT"),
    (1, "del", "which address? a.b.c.d or [IPv6]"),
    (1, "del 10.0.0.1 gue 6080", "gue: nothing more is expected here"),
    (1, "show 10.0.0.1", "10.0.0.1: nothing more is expected here"),
    (1, "stats 10.0.0.1", "10.0.0.1: nothing more is expected here"),
    (1, "remove 10.0.0.1", "xlb: decap: remove: unknown command, not one of: add, change, del, "
                           "show, stats, help"),
    (2, "add 10.0.0.1", "xlb: decap add 10.0.0.1: exists already"),
    (2, "add [fd00:0::1] gue 1", "exists already"),
    (2, "change 10.0.0.2 gue 1", "xlb: decap change 10.0.0.2: no such address"),
    (2, "del 10.0.0.2", "xlb: decap del 10.0.0.2: no such address"),
)


def check(words, status, said, variables=None):
    """The status, one line of error that has these words, nothing on standard output."""
    done = xlb(*words.split(), variables=variables)
    lines = done.stderr.splitlines()
    tap.ok(done.returncode == status and len(lines) == 1 and said in lines[0] and not done.stdout,
           f"{status}: {words}", f"status {done.returncode}", done.stdout, done.stderr)


class Maps:
    def __init__(self, folder=BPFFS):
        btf = Btf(OBJECT)
        self.locals, self.stats = (Map(f"{folder}/{name}", btf, btf.maps()[name])
                                   for name in ("decap_locals", "decap_stats"))

    def ports(self):
        return {key: value["gue_port"] for key, value in self.locals.items()}


def check_without():
    check("decap show", 2, "no maps of decap.o: load it first (ip link set dev IF xdp obj decap.o)")
    check("-pin /sys/fs/bpf/nowhere decap stats", 2, "no maps of decap.o in /sys/fs/bpf/nowhere")


def check_verbs(maps):
    tap.equal((xlb("decap", status=0).stdout, xlb("-j", "decap", "show", status=0).stdout),
              ("", "[]\n"), "nothing is there at first")
    for words in ("add 10.0.0.1", "add [fd00::1] gue 7000", "add 9.0.0.1 gue 1",
                  "change 9.0.0.1 gue 65535"):
        tap.equal(xlb("decap", *words.split(), status=0).stdout, "", words)
    v4, v6, other = (MAPPED + bytes((10, 0, 0, 1)), b"\xfd" + bytes(14) + b"\1",
                     MAPPED + bytes((9, 0, 0, 1)))
    tap.equal(maps.ports(), {v4: 6080, v6: 7000, other: 65535}, "written to the map")
    tap.equal(xlb("decap", status=0).stdout,
              "9.0.0.1 gue 65535\n10.0.0.1 gue 6080\n[fd00::1] gue 7000\n", "shown in order")
    tap.equal(json.loads(xlb("-j", "decap", status=0).stdout),
              [{"address": "9.0.0.1", "gue": 65535}, {"address": "10.0.0.1", "gue": 6080},
               {"address": "fd00::1", "gue": 7000}], "and as JSON")
    xlb("decap", "del", "9.0.0.1", status=0)
    tap.equal(maps.ports(), {v4: 6080, v6: 7000}, "deleted")


def check_saved(maps):
    """What show prints is what add takes."""
    before = maps.ports()
    saved = xlb("decap", status=0).stdout
    maps.locals.clear()
    xlb("-batch", "-", text="".join(f"decap add {line}\n" for line in saved.splitlines()), status=0)
    tap.equal(maps.ports(), before, "what is shown can be added")


def check_stats(maps):
    fields = [member["name"] for member in Btf(OBJECT).struct("decap_stats")["members"]]
    each = {name: number for number, name in enumerate(fields)}
    maps.stats.set(0, each)
    wanted = {name: number * maps.stats.cpus for name, number in each.items()}
    tap.equal(json.loads(xlb("-j", "decap", "stats", status=0).stdout), wanted,
              "counters by name, summed over CPUs")
    tap.equal(xlb("decap", "stats", status=0).stdout,
              " ".join(f"{name} {number}" for name, number in wanted.items()) + "\n", "and as text")


def check_full(maps):
    count = LIMIT - len(maps.ports())
    lines = [f"decap add 10.8.{i // 256}.{i % 256}\n" for i in range(count)]
    xlb("-batch", "-", text="".join(lines), status=0)
    tap.equal(len(xlb("decap", status=0).stdout.splitlines()), LIMIT, "as many as fit are shown")
    check("decap add 10.7.0.1", 2, f"no more than {LIMIT} addresses")
    maps.locals.clear()


def check_other_places():
    folder = f"{BPFFS}/tc/globals"
    sh("ip", "link", "set", "dev", "lo", "xdpgeneric", "obj", OBJECT)
    check("decap show", 2, f"maps of decap.o in both {folder} and {BPFFS}: choose with -pin DIR or "
                           "$XLB_PIN")
    xlb("-pin", folder, "decap", "add", "10.0.0.7", status=0)
    tap.equal((len(Maps(folder).ports()), len(Maps().ports())), (1, 0), "-pin chooses")
    tap.equal(xlb("decap", status=0, variables={"XLB_PIN": folder}).stdout, "10.0.0.7 gue 6080\n",
              "and so does $XLB_PIN")
    other = f"{BPFFS}/other"
    os.makedirs(other)
    sh("bpftool", "map", "create", f"{other}/decap_locals", "type", "hash", "key", "16", "value",
       "4", "entries", "1", "name", "decap_locals")
    check(f"-pin {other} decap show", 2, f"decap_locals in {other} is of another version")


world.enter()
check_without()
sh("bpftool", "prog", "loadall", OBJECT, f"{BPFFS}/programs", "type", "xdp")
maps = Maps()
check_verbs(maps)
for status, words, said in CASES:
    before = maps.ports()
    check(f"decap {words}", status, said)
    tap.ok(maps.ports() == before, f"{words}: nothing has changed")
check_saved(maps)
check_stats(maps)
check_full(maps)
check_other_places()
tap.done()
