#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What tests/bench/peers has measured, as a table in Markdown:

    peers_table.py RESULTS CONDITIONS PEER...

Lines of RESULTS are "PEER FIGURE NUMBER", or "PEER missing WHY".  A cell is the median of
the rounds, and the least and the most behind it, if they differ."""

import collections
import datetime
import platform
import re
import statistics
import sys
import textwrap

NAMES = {"routing": "routing alone", "nftables": "nftables, `dnat to numgen`",
         "iptables": "iptables, `-j DNAT`", "haproxy": "haproxy, `mode tcp`",
         "ipvs": "IPVS, `-m`", "dnat": "**xlb**, `dnat`", "nat": "**xlb**, `nat`",
         "dr": "**xlb**, `dr`"}

# What a column shows: a figure, divided by what, with so many digits.
COLUMNS = (("requests/s, a connection each", "new", 1, 0),
           ("µs of the balancer", "new-time", 1, 1),
           ("requests/s, kept alive", "kept", 1, 0),
           ("µs of the balancer", "kept-time", 1, 1),
           ("one stream, Gbit/s", "stream", 1, 2),
           ("datagrams, 1000/s", "datagrams", 1000, 0))
BROKEN = ("added", "removed", "deleted")


def read(path):
    figures, missing = collections.defaultdict(list), {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            peer, name, value = line.rstrip("\n").split(" ", 2)
            if name == "missing":
                missing[peer] = value
            else:
                figures[peer, name].append(float(value))
    return figures, missing


def cell(numbers, divisor, digits):
    if not numbers:
        return "-"
    median, least, most = (f"{number / divisor:,.{digits}f}" for number in
                           (statistics.median(numbers), min(numbers), max(numbers)))
    return median if least == most else f"{median} ({least} to {most})"


def machine():
    with open("/proc/cpuinfo", encoding="ascii") as file:
        text = file.read()
    model = re.search(r"model name\s*: (.*)", text)
    return f"{text.count('processor')} CPUs ({model[1] if model else platform.machine()})"


def main(path, conditions, *peers):
    figures, missing = read(path)
    print(textwrap.fill(f"Measured {datetime.date.today()}, Linux {platform.release()}, "
                        f"{machine()}; {conditions}; medians, with the least and the most "
                        "where they differ:", 90) + "\n")
    held = figures.get((peers[-1], "held"), [0])
    print("| |", " | ".join(name for name, *_ in COLUMNS),
          f"| of {held[0]:.0f} connections break: added / removed / deleted |")
    print("| --- |" + " ---: |" * (len(COLUMNS) + 1))
    for peer in peers:
        if peer in missing:
            print(f"| {NAMES[peer]} | {missing[peer]} |" + " |" * len(COLUMNS))
            continue
        print(f"| {NAMES[peer]} |", " | ".join(cell(figures.get((peer, name)), divisor, digits)
                                               for _, name, divisor, digits in COLUMNS),
              "|", " / ".join(cell(figures.get((peer, name)), 1, 0) for name in BROKEN), "|")


main(*sys.argv[1:])
