# SPDX-License-Identifier: GPL-2.0-only
"""The arms of branches that were never taken, as llvm-cov's export has them."""

import collections
import json
import os


class Source:
    """Text of files, by place."""

    def __init__(self):
        self.lines = {}

    def text(self, path, first, start, last, end):
        if path not in self.lines:
            with open(path, encoding="utf-8") as file:
                self.lines[path] = file.read().split("\n")
        lines = self.lines[path][first - 1:last]
        lines[-1] = lines[-1][:end - 1]
        lines[0] = lines[0][start - 1:]
        return " ".join(" ".join(lines).split())


def branches(function, folder):
    """(file, condition's place, times true, times false) of the function's own text."""
    for first, start, last, end, true, false, number, _, _ in function["branches"]:
        path = function["filenames"][number]
        if os.path.dirname(path) == folder:
            yield path, (first, start, last, end), true, false


def arms(export, folder):
    """How many arms there are, and the names of those that were never taken.

    What stands within one of these is not named again: a condition that was never
    looked at, since another was in its way.
    """
    source, missing, count = Source(), [], 0
    for function in json.loads(export)["data"][0]["functions"]:
        path = function["filenames"][0]
        if os.path.dirname(path) != folder:
            continue
        name = f"{os.path.basename(path)} {function['name'].split(':')[-1]}"
        if not function["count"]:
            missing.append(f"{name}: all")
        seen = collections.Counter()
        for path, place, true, false in sorted(branches(function, folder)):
            text = source.text(path, *place)
            seen[text] += 1
            if seen[text] > 1:
                text += f" #{seen[text]}"
            count += 2
            if bool(true) != bool(false):
                missing.append(f"{name}: {text}: {'false' if true else 'true'}")
    return count, sorted(set(missing))


def argued(path):
    """Arms that somebody says cannot or need not be taken, each with its line's number.

    What is said stands before them, and they are indented."""
    with open(path, encoding="utf-8") as file:
        return {line.strip(): number for number, line in enumerate(file, 1)
                if line.startswith("\t")}
