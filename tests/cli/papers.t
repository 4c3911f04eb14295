#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What is written about the tools is what they are: man pages and README."""

import glob
import os
import re
import subprocess
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "packet"))
from btf import Btf  # noqa: E402
import tap  # noqa: E402

os.chdir(ROOT)
os.environ["PATH"] = f"{ROOT}/loader:{ROOT}/scripts:{os.environ['PATH']}"

TOOLS = {"xlb", "xlb-probe"} | {os.path.basename(path) for path in glob.glob("scripts/xlb-*")}
PAGES = sorted(glob.glob("man/*.[78]"))
SECTIONS = {"8": ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "FILES",
                  "EXAMPLES", "SEE ALSO"],
            "7": ["NAME", "DESCRIPTION", "SEE ALSO"]}

# What map types are called in xlb_abi.h's terms, and their numbers (linux/bpf.h).
MAP_TYPES = {"hash": 1, "array": 2, "percpu_array": 6, "lru_hash": 9, "lpm_trie": 11,
             "ringbuf": 27}


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def run(*words):
    return subprocess.run(words, capture_output=True, text=True, check=False)


def unescape(text):
    return text.replace("\\-", "-").replace("\\(aq", "'").replace("\\e", "\\")


def usage(command):
    """What a tool says of itself, without "Usage: " and the room it takes."""
    said = run(*command.split()).stdout
    return re.sub(r"^(Usage: | {7})", "", said, flags=re.MULTILINE)


def blocks(page):
    """Command -> text of the usages that a page shows, each marked by a comment."""
    found = re.findall(r'^\.\\" usage: ([^\n]*)\n\.nf\n(.*?)^\.fi$', page, re.MULTILINE | re.DOTALL)
    return {command: unescape(text) for command, text in found}


def check_usages():
    shown = {}
    for path in PAGES:
        page = read(path)
        for command, text in blocks(page).items():
            tap.equal(text, usage(command), f"{path} has the usage of {command}")
            shown[command] = path
        if path.endswith(".8"):
            synopsis = page.split("\n.SH SYNOPSIS\n")[1].split("\n.SH ")[0]
            tap.ok(synopsis.startswith('.\\" usage: ') and synopsis.endswith("\n.fi"),
                   f"the synopsis of {path} is nothing but a usage")
    objects = re.search(r"OBJECT := \{([^}]*)\}", usage("xlb help"))[1].split("|")
    for name in objects:
        tap.ok(f"xlb {name.strip()} help" in shown, f"a page has the usage of xlb {name.strip()}")
    for tool in TOOLS - {"xlb"}:
        tap.equal(shown.get(f"{tool} -h"), f"man/{tool}.8", f"{tool} has a page")


def check_pages():
    for path in PAGES:
        sections = re.findall(r"^\.SH (.*)$", read(path), re.MULTILINE)
        wanted = SECTIONS[path[-1]]
        tap.equal([name for name in sections if name in wanted], wanted,
                  f"{path} has its sections in order")


def check_versions():
    version = run("xlb", "-V").stdout.split()[1]
    for path in PAGES:
        tap.ok(f'"xlb {version}"' in read(path), f"{path} is of version {version}")
    for tool in TOOLS:
        tap.equal(run(tool, "-V").stdout, f"{tool} {version}\n", f"{tool} is of version {version}")


def check_maps():
    """The layout table against the object's own BTF."""
    maps = Btf("bpf/xlb.o").maps()
    rows = {}
    for line in read("man/xlb.7").split("\n.TS\n")[1].split("\n.TE")[0].splitlines()[3:]:
        name, *rest = line.split("\t")
        rows[name] = rest
    tap.equal(sorted(rows), sorted(maps), "xlb.7 lists the maps that the object has")
    for name, (kind, key, value, _) in rows.items():
        real = maps.get(name, {"type": 0, "key": {}, "value": {}})
        tap.equal(MAP_TYPES[kind], real["type"], f"{name} is of type {kind}")
        if kind == "ringbuf":
            tap.ok("key" not in real and f"\nstruct {value} {{" in read("bpf/xlb_abi.h"),
                   f"{name} has records of {value}")
            continue
        tap.equal(value, real["value"].get("name"), f"{name} holds {value}")
        if real["key"].get("kind") == "STRUCT":
            tap.equal(key, real["key"]["name"], f"{name} has the key {key}")
        else:
            tap.ok(not key.startswith("xlb_") and real["key"].get("size") == 4,
                   f"{name} has a number for its key")


def check_drops():
    drops = Btf("bpf/xlb.o").struct("xlb_drops")
    page = read("man/xlb.8")
    for member in drops["members"]:
        tap.ok(f"\n.TP\n.B {member['name']}\n" in page, f"xlb.8 explains drops of {member['name']}")
    page = read("man/xlb-decap.8").split("\n.SS Counters\n")[1].split("\n.S")[0]
    told = [word for line in re.findall(r"^\.TP\n\.BR? (.*)$", page, re.MULTILINE)
            for word in re.findall(r"\w+", line)]
    tap.equal(told, [member["name"] for member in
                     Btf("bpf/decap.o").struct("decap_stats")["members"]],
              "xlb-decap.8 explains every counter")


def commands(text):
    """The commands in a text's code, each as its words, without comments."""
    code = re.findall(r"^ {4}(.*)$|`([^`\n]+)`", text, re.MULTILINE)
    for line in ("".join(found) for found in code):
        for command in re.split(r"[|;]| #.*", line.strip("{ }")):
            if command.strip():
                yield command.split()


def unknown(words):
    """Those of a command's words that its tool does not know."""
    tool, *rest = words
    if tool == "make":
        targets = re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE)
        variables = re.findall(r"\$\((\w+)\)", read("Makefile"))
        return [word for word in rest if word not in targets and
                not ("=" in word and word.split("=")[0] in variables)]
    if re.match("xlb(-[a-z]+)?$", tool) and tool not in TOOLS:
        return [tool]
    # The words of these are names that users give.
    if tool not in TOOLS or not rest or tool in ("xlb-up", "xlb-down"):
        return []
    helped = f"{tool} help" if rest[0].startswith("-") else f"{tool} {rest[0]} help"
    known = usage(helped if tool == "xlb" else f"{tool} -h")
    return [word for word in rest if re.fullmatch("-?[a-z]+", word) and
            not re.search(rf"(?<![\w-]){word}\b", known)]


def check_readme():
    text = read("README.md")
    for words in commands(text):
        if words[0] == "make" or words[0].startswith("xlb"):
            tap.equal(unknown(words), [], f"README.md: {' '.join(words)}")
    for path in re.findall(r"`((?:bpf|loader|scripts|man|tests)/[\w./-]*)`", text):
        tap.ok(os.path.exists(path), f"README.md: {path} exists")
    for name in re.findall(r"\bman ([78]) (xlb[\w-]*)", text):
        tap.ok(os.path.exists(f"man/{name[1]}.{name[0]}"), f"README.md: man {' '.join(name)}")
    lists = re.findall(r"_PACKAGES = ((?:.*\\\n)*.*)", read("Makefile"))
    for package in " ".join(lists).replace("\\\n", " ").split():
        tap.ok(f"`{package}`" in text, f"README.md says what {package} is for")


check_usages()
check_pages()
check_versions()
check_maps()
check_drops()
check_readme()
tap.done()
