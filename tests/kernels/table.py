#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""What guests found, kernel by kernel, as a table: table.py RESULTS RELEASE...

Each RESULTS/RELEASE/*.tap becomes rows: a row is what its lines say before ": ", and ok
if all of them are; a number ("= 123") or what a kernel has not is a row of its own, and so
is a test that was skipped as a whole.
Exit status 1 where anything is not ok, or has not been run.
"""

import os
import re
import sys
from pathlib import Path

LINE = re.compile(r"(not )?ok\b *\d* *-? *(.*?)(?: # SKIP (.*))?$")
SKIPPED = re.compile(r"1\.\.0\b *# SKIP (.*)")
NUMBER = re.compile(r"(.*) = (\d+)$")
CONSOLE_LINES = 20


class Guest:
    """One kernel: its rows by name, the reasons for what was left out, and what went wrong."""

    def __init__(self, folder):
        self.rows, self.reasons, self.failures = {}, {}, []
        for tap in sorted(folder.glob("*.tap"), key=os.path.getmtime):
            self.read(tap)
        if not (folder / "done").exists():
            self.rows["all tests were run"] = "FAILED"
            console = (folder / "console").read_text(errors="replace").splitlines()
            self.failures += ["the guest ended early:", *console[-CONSOLE_LINES:]]

    def read(self, tap):
        failed = False
        for line in tap.read_text(errors="replace").splitlines():
            found, whole = LINE.match(line), SKIPPED.match(line)
            if whole:
                self.rows[tap.stem], self.reasons[tap.stem] = "skipped", whole[1]
            if found:
                failed = bool(found[1])
                self.count(failed, found[2], found[3])
            if failed:
                self.failures.append(line)

    def count(self, failed, description, reason):
        number = NUMBER.match(description)
        row = number[1] if number else description if reason else description.split(": ")[0]
        if failed:
            self.rows[row] = "FAILED"
        elif reason:
            self.rows[row] = reason.split(":")[0]
            self.reasons[row] = reason
        else:
            self.rows.setdefault(row, number[2] if number else "ok")


def print_table(guests):
    names = list(dict.fromkeys(row for guest in guests.values() for row in guest.rows))
    width = max(map(len, names))
    columns = {release: max(len(release), *map(len, guest.rows.values()))
               for release, guest in guests.items()}
    print(" " * width, *(release.rjust(size) for release, size in columns.items()), sep="  ")
    for name in names:
        print(name.ljust(width), *(guests[release].rows.get(name, "-").rjust(size)
                                   for release, size in columns.items()), sep="  ")
    print()
    for row, reason in {row: reason for guest in guests.values()
                        for row, reason in guest.reasons.items()}.items():
        print(f"{row}: {reason}")


def main(results, *releases):
    guests = {release: Guest(Path(results) / release) for release in releases}
    print_table(guests)
    for release, guest in guests.items():
        for line in guest.failures:
            print(f"{release}: {line}")
    return any(guest.failures for guest in guests.values())


sys.exit(main(*sys.argv[1:]))
