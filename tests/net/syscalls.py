#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""System calls that a unit's SystemCallFilter refuses, of those that strace -f saw succeed.

    syscalls.py UNIT TRACE
"""
import re
import subprocess
import sys


def groups():
    """@GROUP -> its members, which may be groups."""
    done = subprocess.run(["systemd-analyze", "--no-pager", "syscall-filter"], check=True,
                          capture_output=True, text=True)
    found, name = {}, None
    for line in done.stdout.splitlines():
        word = line.strip()
        if line.startswith("@"):
            name = word
            found[name] = []
        elif word and not word.startswith("#") and name:
            found[name].append(word)
    return found


def expand(words, known):
    for word in words:
        if word.startswith("@"):
            yield from expand(known[word], known)
        else:
            yield word


def main():
    unit, trace = sys.argv[1:]
    with open(unit, encoding="utf-8") as file:
        lines = re.findall(r"^SystemCallFilter=(~?)(.*)$", file.read(), re.MULTILINE)
    known = groups()
    allowed = set(expand(["@default"], known))
    for but, words in lines:
        if but:
            allowed -= set(expand(words.split(), known))
        else:
            allowed |= set(expand(words.split(), known))
    with open(trace, encoding="utf-8", errors="replace") as file:
        used = set(re.findall(r"^(?:\d+ +)?(\w+)\(.* = (?:0|[1-9]|\?)", file.read(), re.MULTILINE))
    print(" ".join(sorted(used - allowed)))


main()
