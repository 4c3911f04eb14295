#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Completion in bash: what the tools take is offered, where they take it, and no more."""

import glob
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import world  # noqa: E402
from world import ROOT, maps_make, sh, xlb  # noqa: E402
import tap  # noqa: E402

WEB, SIX, DNS = "192.0.2.1:80/tcp", "[2001:db8::1]:80/tcp", "192.0.2.2:*/udp"
COMPLETION = f"{ROOT}/scripts/completion/xlb"
PATH = f"{ROOT}/loader:{ROOT}/scripts:{os.environ['PATH']}"

# What a shell does at a Tab, for each line of the input.
SHELL = f"""
. {COMPLETION}
while IFS= read -r line; do
	COMP_LINE=$line COMP_POINT=${{#line}} COMPREPLY=()
	_xlb
	echo "${{COMPREPLY[*]}}"
done
"""

# As many as the usage has, and none of its other words.
CHECKS = re.search(r"^CHECK := {([^}]*)}", sh(f"{ROOT}/scripts/xlb-doctor", "-h"),
                   re.MULTILINE)[1].replace("|", " ")

OBJECTS = "acl backend config decap flow link load lookup monitor restore save service stats unload"

# A line up to the Tab, and what is offered.
OFFERED = (
    ("xlb ", f"-V -batch -force -h -j -n -p -pin -s -t {OBJECTS}"),
    ("xlb -j -", "-V -batch -force -h -n -p -pin -s -t"),
    ("xlb -n ", "blue"),
    ("xlb -pin ", "folder"),
    ("xlb -batch f", "file folder"),
    ("xlb -j -pin /sys/fs/bpf/xlb l", "link load lookup"),
    ("xlb service ", "add change del help show warm"),
    ("xlb service add ", ""),
    ("xlb service change ", f"{DNS} {WEB} {SIX}"),
    (f"xlb service change {WEB} mode ", "dnat dr gue ipip nat"),
    (f"xlb service change {WEB} mode dr h", "hash"),
    (f"xlb service change {WEB} hash flow ",
     "burst echo fail limit mode settle table warmup"),
    (f"xlb service change {WEB} settle ", ""),
    ("xlb service del 192.0.2.1:8", "80/tcp"),
    ("xlb service del [2001:db8::", "1]:80/tcp"),
    ("xlb service show [", SIX),
    ("xlb -pin /sys/fs/bpf/none service show ", ""),
    ("xlb service nosuch ", ""),
    ("xlb nosuch ", ""),
    ("xlb backend add ", ""),
    ("xlb backend add 10.0.0.9 service ", f"{DNS} {WEB} {SIX}"),
    ("xlb backend del ", "10.0.0.1:80 10.0.0.2"),
    ("xlb backend change 10.0.0.1 state up health ", "down up"),
    ("xlb backend change 10.0.0.1 state up ", "health service weight"),
    (f"xlb service change {WEB} limit ", "off"),
    ("xlb acl ", "add change del help show"),
    ("xlb acl add ", ""),
    ("xlb acl add 10.0.0.0/8 ", "allow deny"),
    ("xlb acl add 10.0.0.0/8 deny ", "service"),
    ("xlb acl add 10.0.0.0/8 deny service ", f"{DNS} {WEB} {SIX}"),
    ("xlb acl change ", "10.1.0.0/16 2001:db8::/32"),
    ("xlb acl del 2001:", "db8::/32"),
    ("xlb acl show ", "10.1.0.0/16 2001:db8::/32 service"),
    ("xlb monitor dr", "drop"),
    ("xlb monitor drop service ", f"{DNS} {WEB} {SIX}"),
    (f"xlb monitor drop service {WEB} ", "backend change flow link nexthop"),
    ("xlb flow ", "count flush gc help show"),
    ("xlb flow gc ", "service"),
    ("xlb flow count ", "service"),
    ("xlb load ", "dev help maps"),
    ("xlb load dev ", "left lo right"),
    ("xlb load dev left mode ", "generic native"),
    ("xlb load dev left mode native ", "backends flows obj rules services slots"),
    ("xlb load maps ", "backends flows obj rules services slots"),
    ("xlb unload ", "dev help"),
    ("xlb unload dev ", "left"),
    ("xlb link show dev l", "left lo"),
    (f"xlb lookup 198.51.100.1:1 to {WEB} ", "established"),
    ("xlb config set tunnel4 ", "none"),
    ("xlb config set tunnel4 none nat", "nat4 nat6"),
    ("xlb restore f", "file folder"),
    ("xlb restore file ", "empty print"),
    ("xlb-service ", "-V -h add change del show"),
    (f"xlb-service del {WEB} 192.0.2.2:", "*/udp"),
    ("xlb-backend ", "-V -h add change del down drain show up"),
    ("xlb-backend up 10.0.0.1 10.0.0.2 ", "10.0.0.1:80 10.0.0.2 service"),
    ("xlb-backend drain 10.0.0.1 wait 5 ", "quiet service"),
    ("xlb-backend add -f f", "file folder"),
    ("xlb-backend del -f file ", "service"),
    ("xlb-stat -w 5 ", "service"),
    (f"xlb-stat service {WEB} ", ""),
    ("xlb-save ", "-V -h"),
    ("xlb-restore -", "-V -h -n"),
    ("xlb-restore -n f", "file folder"),
    ("xlb-import-ipvs ", "-V -h tunnel4 tunnel6"),
    ("xlb-metrics ", "-V -h -http -o"),
    ("xlb-metrics -o f", "file folder"),
    ("xlb-top ", "-V -a -b -d -h -n -o service"),
    ("xlb-top -b -o ", "bits connections name packets"),
    ("xlb-top -o name service ", f"{DNS} {WEB} {SIX}"),
    (f"xlb-top -b service {WEB} ", ""),
    ("xlb-up ./f", "./file ./folder"),
    ("xlb-down ", "-V -h other web"),
    ("xlb-doctor -", "-V -h -j"),
    ("xlb-doctor an", "answers"),
    ("xlb-doctor jit ", CHECKS),
    ("xlb-doctor jit f", "fill"),
    ("xlb-capture ", "-V -c -h -s -w dev"),
    ("xlb-capture -c 5 dev ", "left"),
    ("xlb-capture -w f", "file folder"),
    ("xlb-capture dev left ", "after before both"),
    ("xlb-probe -", "-V -h -n -once -pin"),
)

# Lines that the tools take: each of their words that is of the grammar is offered.
TAKEN = (
    f"xlb -j -s service show {WEB}",
    "xlb service add 192.0.2.9:81/tcp mode dnat hash source table 251 settle 5 echo off fail open",
    "xlb service change 192.0.2.9:81/tcp warmup 9 fail closed",
    "xlb backend add 10.0.0.9 service 192.0.2.9:81/tcp weight 3 state drain health down",
    "xlb backend show 10.0.0.9 service 192.0.2.9:81/tcp",
    "xlb config set idle 800 nat4 10.0.0.7,10.0.0.8 gue 6081",
    "xlb config set nat4 none",
    "xlb service change 192.0.2.9:81/tcp limit 5 burst 6",
    "xlb service change 192.0.2.9:81/tcp limit off",
    "xlb acl add 10.2.0.0/16 deny service 192.0.2.9:81/tcp",
    "xlb acl show 10.2.0.0/16 service 192.0.2.9:81/tcp",
    "xlb acl del 10.2.0.0/16 service 192.0.2.9:81/tcp",
    "xlb flow gc service 192.0.2.9:81/tcp",
    "xlb stats show service 192.0.2.9:81/tcp",
    "xlb load maps",
    "xlb link show dev left",
    "xlb-service add 192.0.2.9:82/tcp 192.0.2.9:83/tcp settle 9 table 251",
    "xlb-service del 192.0.2.9:82/tcp 192.0.2.9:83/tcp",
    "xlb-backend add 10.0.0.10 10.0.0.11 service 192.0.2.9:81/tcp weight 2",
    "xlb-backend drain 10.0.0.10 service 192.0.2.9:81/tcp wait 1 quiet 1",
    "xlb-backend down 10.0.0.10 10.0.0.11 service 192.0.2.9:81/tcp",
    "xlb-stat service 192.0.2.9:81/tcp",
    "xlb-top -a -b -n 1 -d 1 -o bits service 192.0.2.9:81/tcp",
)


def offered(lines):
    done = subprocess.run(["bash", "--norc", "-c", SHELL], input="".join(f"{line}\n"
                          for line in lines), capture_output=True, text=True, check=False,
                          env={**os.environ, "PATH": PATH})
    tap.equal(done.stderr, "", "the shell has nothing to complain about")
    return [reply.split() for reply in done.stdout.splitlines()]


def check_offers():
    lines = [line for line, _ in OFFERED]
    for (line, wanted), got in zip(OFFERED, offered(lines)):
        tap.equal(sorted(got), sorted(wanted.split()), f"'{line}'")


def check_taken():
    places = []
    for line in TAKEN:
        done = subprocess.run(line.split(), capture_output=True, text=True, check=False,
                              env={**os.environ, "PATH": PATH})
        tap.equal((done.returncode, done.stderr), (0, ""), f"is taken: {line}")
        words = line.split()
        places += [(" ".join(words[:i]) + " ", words[i]) for i in range(1, len(words))
                   if re.fullmatch("-?[a-z][a-z0-9]*", words[i])]
    for (line, word), got in zip(places, offered([line for line, _ in places])):
        tap.ok(word in got, f"'{line}': {word}", f"offered: {' '.join(got)}")


def check_tools():
    tools = {"xlb", "xlb-probe"} | {os.path.basename(path)
                                    for path in glob.glob(f"{ROOT}/scripts/xlb-*")}
    done = subprocess.run(["bash", "--norc", "-c", f". {COMPLETION}; complete -p"],
                          capture_output=True, text=True, check=True)
    tap.equal({line.split()[-1] for line in done.stdout.splitlines()}, tools,
              "every tool is completed")
    objects = re.search(r"OBJECT := \{([^}]*)\}", xlb("help", status=0).stdout)[1]
    tap.equal(sorted(word.strip() for word in objects.split("|")), OBJECTS.split(),
              "this test knows all objects")


def main():
    world.enter()
    maps_make(sizes=dict(world.SIZES, xlb_services4=8, xlb_slots=8 * 512 // world.SLOTS_PER_VALUE))
    xlb("-batch", "-", status=0, text=f"service add {WEB} table 251\nservice add {SIX} table 251\n"
        f"service add {DNS} table 251\nbackend add 10.0.0.1 service {WEB}\n"
        f"backend add 10.0.0.2 service {DNS}\n"
        f"acl add 2001:db8::/32 deny\nacl add 10.1.0.0/16 allow service {WEB}\n")
    sh("ip", "link", "add", "left", "type", "veth", "peer", "name", "right")
    xlb("load", "dev", "left", "mode", "generic", status=0)
    for folder in ("/run/netns", "/run/xlb"):
        os.makedirs(folder, exist_ok=True)
        sh("mount", "-t", "tmpfs", "tmpfs", folder)
    for path in ("/run/netns/blue", "/run/xlb/web.up", "/run/xlb/web.env", "/run/xlb/other.up"):
        open(path, "w").close()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.mkdir("folder")
        open("file", "w").close()
        check_offers()
        check_taken()
        os.chdir(ROOT)
    check_tools()
    tap.done()


main()
