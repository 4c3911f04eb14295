#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What tests have run of the helper's sources, from what a build with --coverage left:

    helper.py FOLDER        of the tree that was built
"""

import glob
import json
import os
import subprocess
import sys


def files(folder):
    """name -> {line: (times, [times of each branch])}, summed over what was built of it."""
    found = {}
    data = sorted(glob.glob(os.path.join(folder, "loader", "*.gcda")))
    documents = subprocess.run(["gcov", "--json-format", "--stdout", "--branch-probabilities",
                                *data], check=True, cwd=folder, stdout=subprocess.PIPE,
                               text=True).stdout
    for document in documents.splitlines():
        for file in json.loads(document)["files"]:
            if file["file"].startswith("loader/"):
                lines = found.setdefault(file["file"], {})
                for line in file["lines"]:
                    add(lines, line)
    for path in glob.glob(os.path.join(folder, "loader", "*.gcno")):
        name = os.path.relpath(path, folder).removesuffix(".gcno") + ".c"
        if name not in found:
            print(f"{name}: no test has run it")
    return found


def add(lines, line):
    count, branches = lines.get(line["line_number"], (0, []))
    more = [branch["count"] for branch in line["branches"]]
    both = [a + b for a, b in zip(branches, more)] if len(branches) == len(more) else more
    lines[line["line_number"]] = count + line["count"], both


def ranges(numbers):
    """3,5-7,12"""
    text, last = [], None
    for number in numbers:
        if last is not None and number == last[1] + 1:
            last[1] = number
        else:
            last = [number, number]
            text.append(last)
    return ",".join(f"{a}-{b}" if a != b else str(a) for a, b in text)


def percent(part, whole):
    return f"{100 * part / whole:5.1f}" if whole else "    -"


def main():
    table, sums = files(sys.argv[1]), [0, 0, 0, 0]
    print("lines branches file                           lines that were not run")
    for name, lines in sorted(table.items()):
        branches = [count for _, each in lines.values() for count in each]
        figures = [sum(count > 0 for count, _ in lines.values()), len(lines),
                   sum(count > 0 for count in branches), len(branches)]
        sums = [a + b for a, b in zip(sums, figures)]
        missing = ranges(sorted(number for number, (count, _) in lines.items() if not count))
        print(f"{percent(*figures[:2])}    {percent(*figures[2:])} {name:30} {missing}")
    print(f"{percent(*sums[:2])}    {percent(*sums[2:])} all {sums[0]} of {sums[1]} lines, "
          f"{sums[2]} of {sums[3]} branches")


main()
