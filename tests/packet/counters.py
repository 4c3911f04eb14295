# SPDX-License-Identifier: GPL-2.0-only
"""What an instrumented program has counted, for `make coverage`."""

import atexit
import json
import os
import subprocess


def counters_keep(path):
    """At the end, what the program pinned there has counted goes to a file."""
    if "XLB_COUNTERS" in os.environ:
        atexit.register(counters_save, path, os.environ["XLB_COUNTERS"])


def counters_save(path, folder):
    maps = bpftool("prog", "show", "pinned", path)["map_ids"]
    number = next(number for number in maps
                  if bpftool("map", "show", "id", str(number))["name"] == ".data.counters")
    value = bpftool("map", "dump", "id", str(number))[0]["value"]
    with open(os.path.join(folder, str(os.getpid())), "wb") as file:
        file.write(bytes(int(byte, 16) for byte in value))


def bpftool(*words):
    return json.loads(subprocess.run(["bpftool", "-j", *words], check=True,
                                     capture_output=True).stdout)
