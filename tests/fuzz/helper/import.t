#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""xlb-import-ipvs under hostile rules: import.t [ROUNDS [SEED]]

Whatever it reads, it runs nothing and writes nothing, ends with 0 or 1, and says one line
or prints lines that xlb takes, or refuses with one line each.
"""

import os
import random
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "cli"))
import world  # noqa: E402
from world import SIZES, maps_make, xlb  # noqa: E402
import tap  # noqa: E402

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 100
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 1
IMPORT = f"{ROOT}/scripts/xlb-import-ipvs"
HEADER = "# made by xlb-import-ipvs\n"

# What would leave a file if any of it were run by a shell or by awk.
HOSTILE = ("$(touch canary)", "`touch canary`", ";touch canary;", "|touch canary", "&touch canary&",
           ">canary", "'>canary'", '"|touch canary"', '";system("touch canary");"',
           '\\";system("touch canary");#', "${IFS}$(>canary)", "%s%n%d", "\\ntouch\\tcanary",
           "$((1/0))", "-", "--", "*", "?", "[", "]", "\\", '"', "'", "#", "~", "", "=", "a=b", "sources=x",
           "program=x", "-v", "-f", "/etc/passwd", "99999999999999999999", "-1", "0x10", "1e9",
           "\x1b[2J", "\x00", "\x7f", "\xff\xfe", "é", "\r", "\x0b", "A" * 5000, "%" * 300)
ENDS = ("192.0.2.1:80", "192.0.2.1", "192.0.2.1:0", "10.0.0.1:8080", "10.0.0.2:80", "[2001:db8::1]:80",
        "[fd00::1]:80", "[::1]:80", "127.0.0.1:80", "0.0.0.0:0", "255.255.255.255:65535", "999.1.1.1:80",
        "[:::]:1", "[]:80", "[::ffff:10.0.0.1]:80", "192.0.2.1:00000000000080")
SCHEDULERS = ("rr", "wrr", "lc", "wlc", "sh", "mh", "dh", "nq", "sed", "fo", "lblc")
VALUED = ("-t", "-u", "--sctp-service", "-f", "-s", "-M", "--pe", "-b", "-r", "-w", "-x", "-y",
          "--tun-type", "--tun-port", "-p", "--tcp-service", "--real-server", "--weight")
BARE = ("-A", "-a", "-6", "-o", "-g", "-i", "-m", "--tun-csum", "-D", "-Z", "--help", "-h", "-V")


def value(dice, option, wild):
    if dice.random() < wild / 4:
        return dice.choice(HOSTILE)
    if option in ("-t", "-u", "-r", "--tcp-service", "--real-server", "--sctp-service"):
        return dice.choice(ENDS if wild else ENDS[:7])
    if option == "-s":
        return dice.choice(SCHEDULERS)
    if option == "--tun-type":
        return dice.choice(("ipip", "gue --tun-port 6080", "gre"))
    if option == "-b":
        return dice.choice(("flag-1,flag-2", "sh-port", "mh-fallback,", ",,,"))
    return str(dice.choice((0, 1, 2, 7, 65535, 65536, 10 ** 9)))


def spoil(dice, words, wild):
    """Options that are not expected, and words that are none."""
    for _ in range(dice.choice((0, 0, 0, 1, 2)) if dice.random() < wild else 0):
        option = dice.choice(VALUED + BARE)
        words[len(words):] = [option] + ([value(dice, option, 1)] if option in VALUED else [])
    for _ in range(dice.choice((0, 0, 1, 2)) if dice.random() < wild else 0):
        words[dice.randrange(len(words))] = dice.choice(HOSTILE)
    text = bytearray(dice.choice(" \t").join(words).encode("latin-1", "replace"))
    for _ in range(dice.choice((0, 0, 0, 1, 3)) if dice.random() < wild else 0):
        text[dice.randrange(len(text))] = dice.randrange(256)
    return bytes(text)


def rules(dice):
    """Services and their servers, mostly as ipvsadm-save prints them."""
    wild = dice.choice((0, 0.2, 0.2, 1))
    lines = []
    for service in dice.sample([(kind, end) for kind in ("-t", "-u") for end in ENDS[:6]],
                               dice.choice((1, 1, 2, 3))):
        words = ["-A", *service, "-s", value(dice, "-s", wild)]
        for option in dice.sample(("-p", "-b", "-o", "-M", "-6"), dice.choice((0, 0, 1, 2))):
            words += [option] if option in BARE else [option, value(dice, option, wild)]
        lines.append(spoil(dice, words, wild))
        for _ in range(dice.choice((0, 1, 2, 3))):
            words = ["-a", *service, "-r", value(dice, "-r", wild),
                     dice.choice(("-m", "-g", "-i")), "-w", value(dice, "-w", wild)]
            for option in dice.sample(("-x", "-y", "--tun-type"), dice.choice((0, 0, 1))):
                words += [option, value(dice, option, wild)]
            lines.append(spoil(dice, words, wild))
    return b"\n".join(lines) + dice.choice((b"\n", b"\n", b"", b"\r\n"))


def words(dice):
    """Of the command line."""
    if dice.random() < 0.7:
        return []
    return [dice.choice(("tunnel4", "tunnel6", "tunnel4", "x")).encode(),
            dice.choice(HOSTILE + ENDS).replace("\x00", "").encode()]


def one_line(text, begins):
    return text.startswith(begins) and text.endswith(b"\n") and text.count(b"\n") == 1 and \
        all(byte >= 0x20 and byte != 0x7f for byte in text[:-1])


def judge_error(done):
    return not done.stdout and one_line(done.stderr, b"xlb-import-ipvs: ")


def judge_lines(done):
    """What is wrong with what it printed, or nothing."""
    if not done.stdout.startswith(HEADER.encode()) or done.stderr:
        return "not what is printed"
    for each in done.stdout.split(b"\n")[:-1]:
        if not each.startswith((b"# ", b"config set tunnel", b"config set gue ", b"service add ",
                                b"backend add ")):
            return f"a line of another's: {each}"
    taken = subprocess.run([world.XLB, "-force", "-batch", "-"], input=done.stdout, capture_output=True,
                           check=False)
    if taken.returncode not in (0, 1, 2) or taken.stdout:
        return f"xlb: {taken.returncode} {taken.stderr}"
    told = [each.split(b":")[2] for each in taken.stderr.splitlines() if one_line(each + b"\n", b"xlb: -:")]
    if len(told) != taken.stderr.count(b"\n") or len(set(told)) != len(told):
        return f"not one line each: {taken.stderr}"
    return ""


def run_one(dice, folder):
    """What is wrong, or nothing, and whether lines were printed."""
    text, line_words = rules(dice), words(dice)
    done = subprocess.run([IMPORT, *line_words], input=text, capture_output=True, check=False, cwd=folder,
                          timeout=60, env=dict(os.environ, PATH=f"{ROOT}/loader:{os.environ['PATH']}"))
    why = ""
    if os.listdir(folder):
        why = f"it left {os.listdir(folder)}"
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))
    elif done.returncode == 0:
        why = judge_lines(done)
    elif done.returncode != 1 or not judge_error(done):
        why = "not one line and status 1"
    return why and (why, line_words, text, done), done.returncode == 0


def main():
    world.enter()
    maps_make(sizes=SIZES)
    printed = 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(SEED, SEED + ROUNDS):
            wrong, lines = run_one(random.Random(number), folder)
            printed += lines
            if wrong:
                tap.ok(False, f"seed {number}", *wrong)
    tap.ok(printed > ROUNDS / 4 and printed < ROUNDS, "some rules are taken, and some are not",
           printed)
    tap.ok(not tap.failed, f"{ROUNDS} files of rules from seed {SEED} on do no harm")
    xlb("service", "show", status=0)
    tap.done()


main()
