# SPDX-License-Identifier: GPL-2.0-only
"""All keywords that configure something, as the usage texts have them."""

import re

from world import xlb

WEB = "192.0.2.1:80/tcp"

# What a keyword stands behind, and what must be there before.
COMMANDS = {"config": "config set", "service": "service add 192.0.2.2:80/tcp",
            "backend": f"backend add 10.0.0.2 service {WEB}"}
BEFORE = {"config": "", "service": "config set table 251\n",
          "backend": f"config set table 251\nservice add {WEB}\n"}

# Values for what a usage text calls by these names; names of keywords come first.
VALUES = {"tunnel4": ["10.0.9.1"], "tunnel6": ["fd00:9::1"],
          "nat4": ["10.0.9.1", "10.0.9.1,10.0.9.2"], "nat6": ["fd00:9::1", "fd00:9::1,fd00:9::2"],
          "N": ["7"], "SECONDS": ["5"], "SIZE": ["263"], "PORT": ["6081"],
          "burst": ["3 limit 7"], "limit": ["off", "9"]}


def grammar(name):
    """[(keyword, value)] of all that a command takes."""
    usage = xlb(name, "help", status=0).stdout
    kinds = dict(re.findall(r"^([A-Z]+) := \{ (.*) \}$", usage, re.MULTILINE))
    command = usage.split("\n       xlb ")[0]
    found = []
    for keyword, values in re.findall(r"\[ ([a-z]\w*) (\{ .*? \}|[A-Z]\S*) \]", command):
        kind = values.split("[")[0]
        if keyword == "service":
            continue
        choices = VALUES.get(keyword) or VALUES.get(kind) or \
            re.findall(r"[a-z]\w*", kinds.get(kind, values))
        found += [(keyword, choice) for choice in choices]
    return found


def batches(name):
    """The batch that gives nothing, and (keyword, batch) for each keyword and value."""
    before, command = BEFORE[name], COMMANDS[name]
    plain = before + (f"{command}\n" if name != "config" else "")
    return plain, [(keyword, f"{before}{command} {keyword} {value}\n")
                   for keyword, value in grammar(name)]
