#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""xlb restore makes the maps what a file says, by as little as does it."""

import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import world  # noqa: E402
from keywords import WEB, batches  # noqa: E402
from logical import Logical  # noqa: E402
from world import World, maps_make, maps_remove, xlb  # noqa: E402
import tap  # noqa: E402

DNS, SIX = "192.0.2.2:*/udp", "[2001:db8::1]:80/tcp"
SIZES = dict(world.SIZES, xlb_services4=8, xlb_slots=8 * 512 // world.SLOTS_PER_VALUE,
             xlb_backends=24, xlb_targets=40, xlb_nexthops=40, xlb_stats=40,
             xlb_replies4=24, xlb_replies6=24)

STATE = f"""\
config set table 251 tunnel4 10.0.9.1 nat4 10.0.9.2
service add {WEB}
backend add 10.0.0.1:80 service {WEB}
backend add 10.0.0.2:80 service {WEB} weight 3
service add {DNS}
backend add 10.0.0.9 service {DNS}
service add {SIX}
acl add 10.0.0.0/8 deny
acl add 10.1.0.0/16 allow service {DNS}
"""
USUAL = "settle 30 echo on fail closed warmup 0 limit off"
AGAIN = " # and added again: it cannot be changed like this while it has backends"

# What is changed in STATE, and the lines that do so.
STEPS = (
    ("nothing", [], []),
    ("a comment and another way to say it",
     [(f"service add {SIX}", f"  service add [2001:0db8:0::1]:80/tcp hash flow # IPv6")], []),
    ("a weight", [("weight 3", "weight 4")],
     [f"backend change 10.0.0.2:80 service {WEB} weight 4"]),
    ("weight and state", [("weight 3", "weight 4 state drain")],
     [f"backend change 10.0.0.2:80 service {WEB} weight 4 state drain"]),
    ("the default again", [(" weight 3", "")],
     [f"backend change 10.0.0.2:80 service {WEB} weight 1"]),
    ("a backend less", [(f"backend add 10.0.0.1:80 service {WEB}\n", "")],
     [f"backend del 10.0.0.1:80 service {WEB}"]),
    ("another backend", [("10.0.0.1:80", "10.0.0.3:80")],
     [f"backend del 10.0.0.1:80 service {WEB}",
      f"backend add 10.0.0.3:80 service {WEB} weight 1 state up"]),
    ("what the operator of a service wants where all fail",
     [(f"service add {WEB}", f"service add {WEB} echo off fail open warmup 9")],
     [f"service change {WEB} echo off fail open warmup 9"]),
    ("a backend of another service",
     [(f"backend add 10.0.0.1:80 service {WEB}\n", ""),
      (f"service add {SIX}\n", f"service add {SIX}\nservice add 192.0.2.9:81/tcp\n"
                               "backend add 10.0.0.1:80 service 192.0.2.9:81/tcp\n")],
     [f"backend del 10.0.0.1:80 service {WEB}",
      f"service add 192.0.2.9:81/tcp mode dnat hash flow table 251 {USUAL}",
      "backend add 10.0.0.1:80 service 192.0.2.9:81/tcp weight 1 state up"]),
    ("a service less", [(f"service add {DNS}\nbackend add 10.0.0.9 service {DNS}\n", ""),
                        (f"acl add 10.1.0.0/16 allow service {DNS}\n", "")],
     [f"service del {DNS}"]),
    ("settings", [("table 251", "settle 9 table 257 nat4 10.0.9.3"), (" nat4 10.0.9.2", ""),
                  (f"{WEB}\n", f"{WEB} table 251 settle 30\n"),
                  (f"{DNS}\n", f"{DNS} table 251 settle 30\n"),
                  (f"{SIX}\n", f"{SIX} table 251 settle 30\n")],
     ["config set settle 9 table 257 nat4 10.0.9.3"]),
    ("sources that nobody needs", [(" tunnel4 10.0.9.1 nat4 10.0.9.2", "")],
     ["config set tunnel4 none", "config set nat4 none"]),
    ("a mode", [(f"service add {WEB}", f"service add {WEB} mode dr")],
     [f"service change {WEB} mode dr"]),
    ("a mode, for which a source has to be set",
     [("nat4 10.0.9.2", "nat4 10.0.9.2 tunnel6 fd00::1"),
      (f"service add {SIX}", f"service add {SIX} mode ipip"),
      ("tunnel4 10.0.9.1 ", "")],
     ["config set tunnel6 fd00::1", f"service change {SIX} mode ipip", "config set tunnel4 none"]),
    ("a mode, and a backend that does not fit",
     [(f"service add {WEB}", f"service add {WEB} mode dr"), ("10.0.0.1:80", "10.0.0.3")],
     [f"service del {WEB}" + AGAIN, f"service add {WEB} mode dr hash flow table 251 {USUAL}",
      f"backend add 10.0.0.2:80 service {WEB} weight 3 state up",
      f"backend add 10.0.0.3:80 service {WEB} weight 1 state up"]),
    ("a mode, and a backend more",
     [(f"service add {WEB}", f"service add {WEB} mode dr"),
      (f"service add {DNS}", f"backend add 10.0.0.3 service {WEB}\nservice add {DNS}")],
     [f"service change {WEB} mode dr", f"backend add 10.0.0.3:80 service {WEB} weight 1 state up"]),
    ("a table", [(f"service add {DNS}", f"service add {DNS} table 257")],
     [f"service del {DNS}" + AGAIN, f"service add {DNS} mode dnat hash flow table 257 {USUAL}",
      f"backend add 10.0.0.9 service {DNS} weight 1 state up",
      f"acl add 10.1.0.0/16 allow service {DNS}"]),
    ("a hash", [(f"service add {DNS}", f"service add {DNS} hash source")],
     [f"service del {DNS}" + AGAIN, f"service add {DNS} mode dnat hash source table 251 {USUAL}",
      f"backend add 10.0.0.9 service {DNS} weight 1 state up",
      f"acl add 10.1.0.0/16 allow service {DNS}"]),
    ("a table of no backends", [(f"service add {SIX}", f"service add {SIX} table 257 hash source")],
     [f"service change {SIX} hash source table 257"]),
    ("a seed", [("config set ", "config set seed 7 "),
                (f"backend add 10.0.0.2:80 service {WEB} weight 3\n", "")],
     [f"service del {WEB}" + AGAIN, f"service del {DNS}" + AGAIN, f"service del {SIX}" + AGAIN,
      "config set seed 0x7", f"service add {WEB} mode dnat hash flow table 251 {USUAL}",
      f"backend add 10.0.0.1:80 service {WEB} weight 1 state up",
      f"service add {DNS} mode dnat hash flow table 251 {USUAL}",
      f"backend add 10.0.0.9 service {DNS} weight 1 state up",
      f"acl add 10.1.0.0/16 allow service {DNS}",
      f"service add {SIX} mode dnat hash flow table 251 {USUAL}"]),
    ("a rule of all services",
     [("10.0.0.0/8 deny", "10.0.0.0/8 allow"),
      ("acl add 10.1", "acl add ::/0 deny\nacl add 10.1")],
     ["acl change 10.0.0.0/8 allow", "acl add ::/0 deny"]),
    ("other rules", [("acl add 10.0.0.0/8 deny\n", ""), (f"allow service {DNS}", f"deny service {DNS}"),
                     ("acl add 10.1", f"acl add fd00::/8 deny service {SIX}\nacl add 10.1")],
     ["acl del 10.0.0.0/8", f"acl change 10.1.0.0/16 deny service {DNS}",
      f"acl add fd00::/8 deny service {SIX}"]),
    ("a rule of a service becomes one of all", [(f"allow service {DNS}", "allow")],
     [f"acl del 10.1.0.0/16 service {DNS}", "acl add 10.1.0.0/16 allow"]),
    ("a limit", [(f"service add {WEB}", f"service add {WEB} limit 5 burst 9")],
     [f"service change {WEB} limit 5 burst 9"]),
    ("commands that come to nothing",
     [(f"service add {SIX}\n", f"service add {SIX}\nservice add 192.0.2.9:9/udp\n"
                               "service del 192.0.2.9:9/udp\n"
                               f"backend change 10.0.0.9 service {DNS} weight 5\n"
                               f"backend change 10.0.0.9 service {DNS} weight 1\n")], []),
)

# Files that are refused: the status, what stands in the line after STATE, the message.
ERRORS = (
    (1, "service add 192.0.2.3:80", "service add 192.0.2.3:80: not ADDRESS:PORT/PROTOCOL"),
    (1, "service add 192.0.2.3:80/tcp table 252", "table 252: not a prime number"),
    (1, f"backend add 10.0.0.3 service {WEB} wieght 1", "wieght: unknown keyword"),
    (1, "config set speed 9", "config set: speed: unknown keyword"),
    (1, "vip add 192.0.2.3:80/tcp", "vip add: configures nothing"),
    (1, "acl show", "acl show: configures nothing"),
    (1, "acl add 10.0.0.1/8 deny", "acl add 10.0.0.1/8: bits are set behind the prefix"),
    (2, "acl add 10.0.0.0/8 allow", "acl add 10.0.0.0/8: exists already"),
    (1, "service", "service: configures nothing"),
    (1, "service show", "service show: configures nothing"),
    (1, "backend add help", "backend add: configures nothing"),
    (1, "service del -h", "service del: configures nothing"),
    (1, "flow flush", "flow flush: configures nothing"),
    (1, "load dev lo", "load dev: configures nothing"),
    (1, "restore /dev/null", "restore /dev/null: configures nothing"),
    (1, "x " * 70, "too many words"),
    (2, f"service add {WEB}", f"service add {WEB}: exists already"),
    (2, f"service change {WEB} table 257", "table: cannot change while the service has backends"),
    (2, "service del 192.0.2.3:80/tcp", "service del 192.0.2.3:80/tcp: no such service"),
    (2, "backend add 10.0.0.3", "of which of the 3 services?"),
    (2, f"backend add 10.0.0.1:80 service {WEB}", "exists already"),
    (2, f"backend add [fd00::1]:80 service {WEB}", "wants backends of the service's family"),
    (2, f"backend add [fd00::1] service {SIX}\nservice change {SIX} mode gue",
     "backend [fd00::1]:80: mode gue needs"),
    (2, "config set seed 7", "seed: cannot change while there are services"),
    (2, "service add 192.0.2.3:80/tcp table 16381", "xlb_slots is full"),
    (2, "\n".join(f"service add 192.0.2.3:{port}/tcp" for port in range(1, 8)),
     "xlb_services4 is full (8 entries)"),
)


def fresh(*texts):
    maps_remove()
    maps_make(sizes=SIZES)
    for text in texts:
        xlb("-batch", "-", text=text, status=0)
    return World(sizes=SIZES)


def saved():
    return xlb("save", status=0).stdout


def printed(text):
    return xlb("restore", "-", "print", text=text, status=0).stdout.splitlines()


def updates(text):
    """How often a restore writes to a map, and how often it takes the lock."""
    with tempfile.NamedTemporaryFile() as log:
        subprocess.run(["strace", "-o", log.name, "-e", "trace=bpf,flock", world.XLB, "restore",
                        "-"], input=text, text=True, check=True)
        calls = log.read().decode()
    return (len(re.findall(r"BPF_MAP_(?:UPDATE|DELETE)", calls)), len(re.findall("flock", calls)))


def faults(seen):
    now = Logical(seen)
    return now.faults() + now.leftovers()


def check_steps():
    for name, replacements, lines in STEPS:
        wanted = STATE
        for old, new in replacements:
            assert old in wanted, old
            wanted = wanted.replace(old, new, 1)
        made = fresh(wanted)
        saves, meaning = saved(), Logical(made).meaning()
        seen = fresh(STATE)
        before = seen.snapshot()
        tap.equal(printed(wanted), lines, f"{name}: the changes")
        tap.ok(seen.snapshot() == before, f"{name}: printing them changes nothing")
        writes, locks = updates(wanted)
        tap.equal((saved(), faults(seen)), (saves, []), f"{name}: is restored")
        tap.ok(Logical(seen).meaning() == meaning, f"{name}: down to the slots")
        tap.ok((writes > 0) == bool(lines) and locks == 1, f"{name}: in one step",
               f"{writes} writes, {locks} locks")
        check_settled(seen, wanted, name)
        seen = fresh(STATE)
        xlb("-batch", "-", text="\n".join(lines) + "\n", status=0)
        tap.equal((saved(), faults(seen)), (saves, []), f"{name}: the changes as a batch")


def check_settled(seen, text, name):
    """What has been restored is there: restoring it again writes nothing."""
    before = seen.snapshot()
    tap.equal((printed(text), updates(text)), ([], (0, 1)), f"{name}: again changes nothing")
    tap.ok(seen.snapshot() == before, f"{name}: not a byte")


def check_untouched():
    """What stays the same has the same slots, ids and counters."""
    seen = fresh(STATE)
    key, old = next(each for each in seen.services() if each[0]["port"] == 80)
    numbers = {str(end): value["id"] for end, value in seen.backends()}
    for number in numbers.values():
        seen.maps["xlb_stats"].set(number, {"connections": number})
    xlb("restore", "-", text=STATE.replace(DNS, "192.0.2.3:53/udp"), status=0)
    now = {str(end): value["id"] for end, value in seen.backends()}
    kept = set(numbers) & set(now)
    tap.equal(len(kept), 2, "two of three backends stay")
    tap.ok(all(numbers[end] == now[end] for end in kept), "with their ids")
    tap.equal(next(value for each, value in seen.services() if each == key), old,
              "and their service is not written to")


def check_health():
    """A file has the health of backends that come, a checker that of those which stay."""
    seen = fresh(STATE + f"backend change 10.0.0.1:80 service {WEB} health down\n")
    text = (STATE.replace("weight 3", "weight 3 health down") +
            f"backend add 10.0.0.3 service {WEB} health down\n")
    tap.equal(printed(text),
              [f"backend add 10.0.0.3:80 service {WEB} weight 1 state up health down"],
              "the health of a backend that comes, and of no other")
    xlb("restore", "-", text=text, status=0)
    tap.equal(re.findall(r"add (\S+) .* health down", saved()), ["10.0.0.1:80", "10.0.0.3:80"],
              "is restored")
    check_settled(seen, text, "health")
    text = text.replace(f"service add {WEB}", f"service add {WEB} hash source")
    tap.equal([line for line in printed(text) if line.startswith("backend")],
              [f"backend add 10.0.0.1:80 service {WEB} weight 1 state up health down",
               f"backend add 10.0.0.2:80 service {WEB} weight 3 state up",
               f"backend add 10.0.0.3:80 service {WEB} weight 1 state up health down"],
              "also where the service is deleted and added again")


def check_keywords(name):
    """Whatever keyword a command has been given, or not, restoring gives it another."""
    plain, given = batches(name)
    texts = [plain] + [batch for _, batch in given] + [plain]
    wanted = []
    for text in texts:
        fresh(text)
        wanted.append(without_health(saved()))
    for text, saves in zip(texts, wanted):
        xlb("restore", "-", "empty", text=text, status=0)
        tap.equal(without_health(saved()), saves, f"after another: {text.splitlines()[-1:]}")


def without_health(text):
    """That is not restored where the backend stays."""
    return re.sub(r" health \w+", "", text)


def check_errors():
    seen = fresh(STATE)
    before = seen.snapshot()
    for status, lines, message in ERRORS:
        text = STATE.replace("weight 3", "weight 4") + lines + "\n"
        for words in (("restore", "-"), ("restore", "-", "print")):
            done = xlb(*words, text=text)
            number = text.count("\n") if len(lines.splitlines()) < 5 else r"\d+"
            tap.ok(done.returncode == status and message in done.stderr and not done.stdout and
                   re.match(rf"xlb: -:{number}: ", done.stderr) and done.stderr.count("\n") == 1,
                   f"{status}: {' '.join(words)}: {lines.splitlines()[-1][:60]}",
                   f"status {done.returncode}", done.stderr, done.stdout)
    for status, words, message in (
            (1, "restore", "xlb: restore: which file? FILE, or - for the standard input"),
            (1, "restore - now", "xlb: restore -: now: unknown keyword, not one of: print"),
            (1, "restore /nonexistent", "xlb: restore /nonexistent: No such file or directory"),
            (2, "restore /", "xlb: /: Is a directory"),
            (1, "-force restore -", "xlb: -:2: ")):
        done = xlb(*words.split(), text="config set table 251\nservice add x\n")
        tap.ok(done.returncode == status and message in done.stderr and not done.stdout,
               f"{status}: {words}", done.returncode, done.stderr)
    for text in "", "# xlb-save failed\n":
        done = xlb("restore", "-", text=text)
        tap.ok(done.returncode == 1 and "has no line, and all would be deleted" in done.stderr,
               f"1: a file of {text!r}", done.returncode, done.stderr)
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(STATE)
        file.flush()
        done = xlb("-batch", "-", text=f"restore {file.name}\nrestore /dev/null\n")
    tap.ok(done.returncode == 1 and "has no line" in done.stderr,
           "1: also after another in a batch", done.returncode, done.stderr)
    tap.ok(seen.snapshot() == before, "what was refused has changed nothing")
    tap.equal((xlb("restore", "-", "empty", text="", status=0).stderr, seen.services()), ("", []),
              "unless it is meant: then all is deleted")
    maps_remove()
    done = xlb("restore", "-", text=STATE)
    tap.ok(done.returncode == 2 and "xlb: restore -: no maps of xlb" in done.stderr,
           "2: without maps", done.stderr)


def check_room():
    """Old and new backends stand side by side; what does not fit is refused as a whole."""
    old, new = ("".join(f"backend add 10.0.{net}.{n} service {WEB}\n" for n in range(1, 20))
                for net in (1, 2))
    head = f"config set table 251\nservice add {WEB}\n"
    seen = fresh(head + old)
    before = seen.snapshot()
    done = xlb("restore", "-", text=head + new)
    tap.ok(done.returncode == 2 and "xlb_backends is full (24 entries)" in done.stderr and
           done.stderr.count("\n") == 1 and seen.snapshot() == before,
           "2: no room for old and new ones at once", done.stderr)
    xlb("restore", "-", text=head, status=0)
    xlb("restore", "-", text=head + new, status=0)
    tap.equal(faults(seen), [], "but for one after the other")
    check_room_of_services()


def check_room_of_services():
    """Services go before others come: all places are taken, before and after."""
    sizes = dict(SIZES, xlb_vips=SIZES["xlb_services4"] + SIZES["xlb_services6"])
    maps_remove()
    maps_make(sizes=sizes)
    seen = World(sizes=sizes)
    for net in (1, 2):
        text = "config set table 251\n" + "".join(
            [f"service add 192.0.{net}.{n}:80/tcp\n" for n in range(SIZES["xlb_services4"])]
            + [f"service add [fd00:{net}::{n}]:80/tcp\n" for n in range(SIZES["xlb_services6"])])
        done = xlb("restore", "-", text=text)
        tap.equal((done.returncode, done.stderr, saved().count("service add"), faults(seen)),
                  (0, "", sum(sizes[f"xlb_services{family}"] for family in (4, 6)), []),
                  "all services by others")


def check_batch():
    """As a line of a batch, between others; and in JSON."""
    seen = fresh(STATE)
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(STATE.replace("weight 3", "weight 4"))
        file.flush()
        done = xlb("-j", "restore", file.name, "print", status=0)
        tap.equal(done.stdout, f'["backend change 10.0.0.2:80 service {WEB} weight 4"]\n',
                  "the changes in JSON")
        tap.equal(xlb("-j", "restore", file.name, status=0).stdout, "[]\n", "making them")
        tap.equal(xlb("-j", "restore", file.name, "print", status=0).stdout, "[]\n", "and none")
        done = xlb("-batch", "-", text=f"service add 192.0.2.8:80/tcp\nrestore {file.name}\n"
                                       f"backend add 10.0.0.8 service {WEB}\n", status=0)
    tap.ok("192.0.2.8" not in saved() and "10.0.0.8:80" in saved(), "as a line of a batch",
           saved())
    tap.equal(faults(seen), [], "which leaves nothing behind")


def random_configuration(source):
    """A file of some services in some modes, with some of few backends, shared ones too."""
    pick = source.choice
    lines = [f"config set table {pick((251, 251, 251, 257))} settle {pick((3, 30))} "
             f"tunnel4 10.0.9.1 tunnel6 fd00:9::1 nat4 10.0.9.{pick((2, 3))} nat6 fd00:9::2"
             + pick(("", "", "", "", "", "", " seed 5"))]
    for service in (WEB, "192.0.2.1:81/tcp", "192.0.2.2:80/tcp", "*:80/tcp"):
        if source.random() < 0.3:
            continue
        lines.append(f"service add {service}" + pick(("", f" mode {pick(MODES)}"))
                     + pick(("", "", "", " hash source")) + pick(("", "", " settle 5")))
        for number in source.sample(range(1, 9), source.randrange(4)):
            lines.append(f"backend add 10.0.0.{number} service {service}"
                         + pick(("", f" weight {pick((0, 2, 5))}"))
                         + pick(("", f" state {pick(('up', 'down', 'drain'))}")))
    return "\n".join(lines) + "\n"


MODES = ("dnat", "nat", "dr", "ipip", "gue")


def check_random():
    source = random.Random(4)
    wrong = []
    texts = [random_configuration(source) for _ in range(25)]
    seen = fresh(texts[0])
    for old, new in zip(texts, texts[1:]):
        lines = printed(new)
        xlb("restore", "-", text=new, status=0)
        got = saved(), Logical(seen).meaning(), printed(new), faults(seen)
        made = fresh(new)
        if got != (saved(), Logical(made).meaning(), [], []):
            wrong.append(f"restored:\n{old}---\n{new}")
        # Line by line, each in a call of its own: each is allowed where it stands.
        seen = fresh(old)
        for line in lines:
            done = xlb(*line.split("#")[0].split())
            if done.returncode:
                wrong.append(f"{old}---\n{new}---\n{done.stderr}")
        if saved() != got[0] or faults(seen):
            wrong.append(f"line by line:\n{old}---\n{new}")
    tap.equal(wrong[:2], [], f"from each to the next of {len(texts)} configurations")


def timed(what, *words, **options):
    """Runs xlb and tells how long it took, which is nobody's fault on a busy machine."""
    started = time.monotonic()
    done = xlb(*words, status=0, **options)
    print(f"# {what}: {time.monotonic() - started:.2f} s")
    return done


def check_large(table):
    """1,000 services of 20 backends: into empty maps, over the same, over others."""
    room = (table + world.SLOTS_PER_VALUE) // world.SLOTS_PER_VALUE
    sizes = {"xlb_slots": 1000 * room, "xlb_targets": 24001}
    sizes.update({f"xlb_{name}": 24000 for name in ("backends", "replies4", "replies6",
                                                    "nexthops", "stats")})
    maps_remove()
    maps_make(sizes=sizes)
    services = [f"192.0.{i // 250}.{i % 250}:80/tcp" for i in range(1000)]
    text = f"config set table {table}\n" + "".join(
        f"service add {service}\n" + "".join(
            f"backend add 10.{i // 250}.{i % 250}.{n + 1} service {service}\n" for n in range(20))
        for i, service in enumerate(services))
    what = f"1,000 services of 20 backends, tables of {table}"
    timed(f"{what}, restored into empty maps", "restore", "-", text=text)
    saves = timed("saved", "save").stdout
    tap.equal(timed("compared with what they are", "restore", "-", "print", text=saves).stdout, "",
              f"{what}: restored")
    other = re.sub(r"(add 10\.\S+\.7 .*)", r"\1 weight 3", text.replace("10.1.7.", "10.9.7."))
    timed("1,000 weights changed and 20 backends", "restore", "-", text=other)
    tap.equal(printed(other), [], f"{what}: and changed")
    timed("and back", "restore", "-", text=saves)
    tap.ok(saved() == saves, f"{what}: and restored")


def main():
    if not shutil.which("strace"):
        world.skip_all("needs strace")
    world.enter()
    maps_make(sizes=SIZES)
    check_steps()
    check_untouched()
    check_health()
    for name in ("config", "service", "backend"):
        check_keywords(name)
    check_errors()
    maps_make(sizes=SIZES)
    check_room()
    check_batch()
    check_random()
    for table in (1021, 16381):
        check_large(table)
    tap.done()


main()
