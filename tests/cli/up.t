#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""xlb-up and xlb-down: bad files and command lines change nothing."""

import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import world  # noqa: E402
from world import ROOT, sh  # noqa: E402
import tap  # noqa: E402

RUN = "/run/xlb"
GOOD = "interface left\n"

# {status, a line after GOOD, the message about it}
LINES = (
    (1, "interface", "interface: which one?"),
    (2, "interface nosuch", "interface nosuch: no such interface"),
    (2, "interface *", "interface *: no such interface"),
    (1, "size services *", "size: services *: not a number"),
    (1, "interface left mode generic", "interface left: given twice"),
    (1, "interface right mode", "interface right: mode: needs a value"),
    (1, "interface right mode offload", "interface right: mode offload: not one of: native"),
    (1, "interface right mtu 1500", "interface right: mtu: unknown keyword, not one of: mode"),
    (1, "interface right mode native now", "interface right: now: nothing more is expected"),
    (1, "interface right left", "interface right: left: unknown keyword"),
    (1, "address", "address: which one? ADDRESS[/PREFIX] dev IF"),
    (1, "address 192.0.2.1", "address 192.0.2.1: dev IF is expected"),
    (1, "address 192.0.2.1 dev", "address 192.0.2.1: dev IF is expected"),
    (1, "address 192.0.2.1 right left", "address 192.0.2.1: dev IF is expected"),
    (1, "address 192.0.2.1 dev lo up", "address 192.0.2.1: up: nothing more is expected"),
    (2, "address 192.0.2.1 dev nosuch", "address 192.0.2.1/32 dev nosuch: no such interface"),
    (1, "address 192.0.2.1/33 dev lo", "address 192.0.2.1/33: the prefix is not a number up to 32"),
    (1, "address fd00::1/129 dev lo", "address fd00::1/129: the prefix is not a number up to 128"),
    (1, "address 192.0.2.1/ dev lo", "address 192.0.2.1/: the prefix is not a number"),
    (1, "address 192.0.2.1/024 dev lo", "address 192.0.2.1/024: the prefix is not a number"),
    (1, "address 192.0.2.1/255.0.0.0 dev lo", "the prefix is not a number up to 32"),
    (1, "address 192.0.2 dev lo", "address 192.0.2: not an IPv4 or IPv6 address"),
    (1, "address 192.0.2.256 dev lo", "address 192.0.2.256: not an IPv4 or IPv6 address"),
    (1, "address localhost dev lo", "address localhost: not an IPv4 or IPv6 address"),
    (1, "address cafe dev lo", "address cafe: not an IPv4 or IPv6 address"),
    (1, "address fd00:::1 dev lo", "address fd00:::1: not an IPv4 or IPv6 address"),
    (1, "address [fd00::1] dev lo", "address [fd00::1]: not an IPv4 or IPv6 address"),
    (1, "address any dev lo", "address any: not an IPv4 or IPv6 address"),
    (1, "size", "size: of what? services, backends, slots, flows"),
    (1, "size backend 5", "size: backend: unknown keyword, not one of: services, backends"),
    (1, "size backends", "size: backends: needs a value"),
    (1, "size backends 0", "size: backends 0: not a number from 1 to"),
    (1, "size backends 5 backends 6", "size: backends: given twice"),
    (1, "size obj /x", "size: obj: unknown keyword"),
    (1, "pin", "pin: which folder?"),
    (1, "pin xlb", "pin xlb: a folder is named from / on"),
    (1, "pin /sys/fs/bpf/a b", "pin /sys/fs/bpf/a: b: nothing more is expected"),
    (1, "service add 192.0.2.1:80", "service add 192.0.2.1:80: not ADDRESS:PORT/PROTOCOL"),
    (1, "service add help", "service add: configures nothing"),
    (1, '"service" add nowhere:80/tcp', "service add nowhere:80/tcp: the address is not"),
    (2, "backend add 10.0.0.1", "backend add 10.0.0.1: "),
    (1, 'config set settle "3', "a quote without its second"),
)

# Lines that nobody knows.
UNKNOWN = ("interfaces right", "adress 192.0.2.1 dev lo", "service show", "service", "config",
           "config add", "service set", "flow flush", "Service add 192.0.2.1:80/tcp")

TWICE = ("address 192.0.2.1 dev lo\naddress 192.0.2.1/32 dev lo",
         "address fd00::1/64 dev lo\naddress FD00:0::1/64 dev lo",
         "size backends 5\nsize slots 1000", "pin /sys/fs/bpf/a\npin /sys/fs/bpf/b")

COMMANDS = (
    (1, ("xlb-up",), "xlb-up: which one? NAME of /etc/xlb/NAME.conf, or FILE"),
    (1, ("xlb-up", "a", "b"), "xlb-up: b: nothing more is expected here"),
    (1, ("xlb-up", "-x"), "xlb-up: -x: unknown option, see xlb-up -h"),
    (1, ("xlb-up", "nosuch"), "xlb-up: /etc/xlb/nosuch.conf: no such file"),
    (1, ("xlb-up", "./nosuch.conf"), "xlb-up: ./nosuch.conf: no such file"),
    (1, ("xlb-up", "web.conf"), "xlb-up: /etc/xlb/web.conf.conf: no such file: "
                                "a NAME is web, a FILE ./web.conf"),
    (1, ("xlb-up", "a b"), "xlb-up: a b: a name has letters, digits"),
    (1, ("xlb-up", "/"), "xlb-up: /: a name has letters, digits"),
    (1, ("xlb-up", "./.conf"), "xlb-up: ./.conf: a name has letters, digits"),
    (1, ("xlb-down",), "xlb-down: which one? NAME of /etc/xlb/NAME.conf, or FILE"),
    (1, ("xlb-down", "a", "b"), "xlb-down: b: nothing more is expected here"),
    (1, ("xlb-down", "a;b"), "xlb-down: a;b: a name has letters, digits"),
    (2, ("xlb-down", "nosuch"), "xlb-down: nosuch: is not up"),
    (2, ("xlb-down", "web.conf"),
     "xlb-down: web.conf: is not up: a NAME is web, a FILE ./web.conf"),
)


def run(*words):
    path = f"{ROOT}/scripts:{os.environ['PATH']}"
    return subprocess.run(words, capture_output=True, text=True, check=False,
                          env={**os.environ, "PATH": path})


def state():
    """But for the lock, which stays."""
    return (sh("ip", "-j", "address"), sh("find", "/sys/fs/bpf"), sh("find", RUN, "!", "-name", "lock"))


def check_refused(words, status, message, about):
    """In one line, besides the commands that are printed, and nothing is changed."""
    before = state()
    done = run(*words)
    said = [line for line in done.stderr.splitlines() if not line.startswith("+ ")]
    tap.ok(done.returncode == status and len(said) == 1 and said[0].startswith(message),
           f"refused: {about}", f"status {done.returncode}, not {status}", done.stderr,
           f"wanted: {message}")
    tap.equal(state(), before, f"nothing is changed: {about}")


def check_lines(path):
    def file_of(text):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    for status, line, message in LINES:
        file_of(f"{GOOD}{line} # this\n")
        wanted = f"xlb-up: {path}:2: {message}"
        if message.startswith("the prefix"):
            wanted = f"xlb-up: {path}:2: {' '.join(line.split()[:2])}: {message}"
        check_refused(("xlb-up", path), status, wanted, line)
    for line in UNKNOWN:
        file_of(f"{GOOD}{line}\r\n")
        check_refused(("xlb-up", path), 1, f"xlb-up: {path}:2: {' '.join(line.split()[:2])}: "
                      "configures nothing: interface, address, size, pin, config set, or ", line)
        tap.ok("+ " not in run("xlb-up", path).stderr, f"before anything is done: {line}")
    for lines in TWICE:
        file_of(f"{lines}\n{GOOD}")
        first = lines.split()[0]
        check_refused(("xlb-up", path), 1, f"xlb-up: {path}:2: {first}", f"{first} twice")
    for text in ("", "# interface left\n", "service add 192.0.2.1:80/tcp\n"):
        file_of(text)
        check_refused(("xlb-up", path), 1, f"xlb-up: {path}: no interface: interface IF", repr(text))


world.enter()
sh("ip", "link", "add", "left", "type", "veth", "peer", "name", "right")
os.makedirs(RUN, exist_ok=True)
sh("mount", "-t", "tmpfs", "tmpfs", RUN)
for status, words, message in COMMANDS:
    check_refused(words, status, message, " ".join(words))
with tempfile.TemporaryDirectory() as folder:
    check_lines(os.path.join(folder, "bad.conf"))
tap.done()
