#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What each command may do with which capabilities, as an ordinary user.

The capabilities of the table suffice, and each of them is wanted: without it the command
is refused in one line that names it, and nothing has changed.
"""

import json
import os
import re
import resource
import select
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import world  # noqa: E402
from world import PINS, World, maps_remove, xlb  # noqa: E402
from bpf import Clock  # noqa: E402
import tap  # noqa: E402

CLOCK_MONOTONIC_COARSE = 6
DECAP = "/sys/fs/bpf/decap"
OWNER, READERS, NOBODY = 12345, 12346, 12347  # of no user or group
WEB = "192.0.2.1:80/tcp"
KERNEL = tuple(int(re.match(r"\d+", each)[0]) for each in os.uname().release.split(".")[:2])
# Before Linux 5.19 kernel.unprivileged_bpf_disabled forbids opening pins, too.
ROOT = ("bpf", "net_admin", "perfmon", "sys_admin", "dac_override")
LOOK = "" if KERNEL >= (5, 19) else "bpf"
CHANGE, LOAD = "bpf net_admin", "bpf net_admin perfmon"
# Seen on Linux 5.10 and 6.1, and no more on 6.12.
VIA_VIP = CHANGE if KERNEL >= (6, 12) else LOAD
STOPPED = "timeout --preserve-status 60"
SIZES = "services 4 backends 12 slots 8192 flows 64".split()
STATE = f"""\
service add {WEB} table 251
backend add 10.0.0.1:8080 service {WEB}
backend add 10.0.0.2:8080 service {WEB}
acl add 203.0.113.0/24 deny
acl add 203.0.113.7 allow service {WEB}
"""
UP = f"interface v0\nsize {' '.join(SIZES)}\naddress 192.0.2.1 dev v0\nservice add {WEB} table 251\n"

# What the owner of the pins runs, and the capabilities that it takes.
TABLE = (
    ("xlb service show", LOOK),
    ("xlb backend show", LOOK),
    ("xlb -s backend show", LOOK),
    ("xlb config show", LOOK),
    ("xlb flow show", LOOK),
    ("xlb flow count", LOOK),
    ("xlb stats show", LOOK),
    ("xlb link show", LOOK),
    ("xlb -s link show", LOOK),
    ("xlb link check", LOOK),
    ("xlb acl show", LOOK),
    ("xlb save", LOOK),
    ("xlb-service show", LOOK),
    ("xlb-backend show", LOOK),
    ("xlb-stat", LOOK),
    ("xlb-top -b -n 1 -d 1", LOOK),
    ("xlb-metrics", LOOK),
    ("xlb-save", LOOK),
    ("xlb-restore -n SAVED", CHANGE),
    ("xlb service add 192.0.2.9:80/tcp table 251", CHANGE),
    (f"xlb service change {WEB} settle 9", CHANGE),
    (f"xlb backend add 10.0.0.9 service {WEB}", CHANGE),
    (f"xlb backend change 10.0.0.1:8080 service {WEB} weight 7", CHANGE),
    (f"xlb backend del 10.0.0.1:8080 service {WEB}", CHANGE),
    (f"xlb service del {WEB}", CHANGE),
    ("xlb config set settle 9", CHANGE),
    ("xlb acl add 198.51.100.0/24 deny", CHANGE),
    ("xlb service warm", CHANGE),
    ("xlb flow gc", CHANGE),
    ("xlb flow flush", CHANGE),
    ("xlb restore SAVED", CHANGE),
    ("xlb-restore SAVED", CHANGE),
    ("xlb-service add 192.0.2.9:80/tcp table 251", CHANGE),
    ("xlb-backend drain 10.0.0.1", CHANGE),
    (f"xlb lookup 198.51.100.7:1 to {WEB}", LOAD),
    ("xlb load dev v0", LOAD),
    ("xlb load dev v1 mode generic", LOAD),
    ("xlb load maps", LOAD),
    ("xlb -n other service show", "sys_admin"),
    ("xlb unload dev v0", f"net_admin {LOOK}"),
    ("xlb-up UP", LOAD),
    ("xlb-down UP", f"net_admin {LOOK}"),
)


def installed(folder):
    """The tools where an ordinary user gets at them, as the tree may be in root's home."""
    os.chmod(folder, 0o755)
    for name in ("bpf", "loader", "scripts"):
        shutil.copytree(os.path.join(world.ROOT, name), os.path.join(folder, name))
    os.environ["PATH"] = f"{folder}/loader:{folder}/scripts:{os.environ['PATH']}"
    os.environ["XLB_OBJECT"] = f"{folder}/bpf/xlb.o"


def start(words, capabilities="", user=OWNER, group=None):
    """As that user, who has these capabilities and no others."""
    group = user if group is None else group
    given = ",".join(["-all", *(f"+{name}" for name in capabilities.split())])
    return subprocess.Popen(
        ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs",
         f"--inh-caps={given}", f"--ambient-caps={given}", f"--bounding-set={given}", "--",
         *words.split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL, text=True)


def run(words, *who, **more):
    with start(words, *who, **more) as process:
        said, errors = process.communicate()
    return subprocess.CompletedProcess(words, process.returncode, said, errors)


def one_line(done, program):
    return done.stderr.startswith(f"{program}: ") and done.stderr.count("\n") == 1


def scene():
    """Two interfaces, a network namespace, folders that are the owner's."""
    world.sh("mount", "-t", "tmpfs", "-o", f"mode=0755,uid={OWNER}", "tmpfs", "/run")
    os.mkdir("/run/netns")
    world.sh("ip", "netns", "add", "other")
    os.mkdir("/run/xlb")
    os.chown("/run/xlb", OWNER, OWNER)
    for name, text in (("saved.xlb", STATE.replace("10.0.0.2", "10.0.0.3")), ("up.conf", UP)):
        with open(f"/run/{name}", "w", encoding="ascii") as file:
            file.write(text)
    world.sh("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
    for dev in ("v0", "v1"):
        world.sh("ip", "link", "set", dev, "up")
        world.sh("ethtool", "-K", dev, "gro", "on")
    # Without one, getent(1) knows no addresses.
    world.sh("ip", "address", "add", "10.0.0.254/24", "dev", "v1")
    os.mkdir(PINS)


def clean():
    for dev in ("v0", "v1"):
        for mode in ("xdpdrv", "xdpgeneric"):
            world.sh("ip", "link", "set", dev, mode, "off")
    maps_remove()


def prepare(user=OWNER):
    """Made and configured by the owner of the folder, who is no root."""
    clean()
    os.chown(PINS, user, user)
    os.chmod(PINS, 0o700)
    done = run(" ".join(("xlb load dev v0", *SIZES)), LOAD, user=user)
    if done.returncode:
        raise AssertionError(done.stderr)
    reset()


def reset():
    xlb("restore", "-", text=STATE, status=0)


def seen():
    """What is configured, what is pinned with which modes, and what runs."""
    return (world.sh("ls", "-l", PINS), world.sh("ip", "-d", "link"), world.sh("ip", "-4", "address"),
            xlb("save", status=0).stdout, recorded())


def recorded():
    """What xlb-up has left, but for its lock."""
    return sorted(set(os.listdir("/run/xlb")) - {"lock"})


def without(words, program, less, given, before):
    """What is wrong with how that is refused."""
    done = run(words, given)
    wrong = []
    lines = [line for line in done.stderr.splitlines() if not line.startswith("+ ")]
    # What cannot be undone is told line by line.
    if program == "xlb-down":
        lines = [line.replace("xlb: ", "xlb-down: ") for line in lines if "CAP_" in line]
    if done.returncode != 2 or len(lines) != 1 or not lines[0].startswith(f"{program}: ") or \
            f"CAP_{less.upper()}" not in lines[0] or "see PRIVILEGES in xlb(8)" not in lines[0]:
        wrong.append(f"with {given or 'none'}: {done.returncode} {done.stderr}")
    after = seen()
    if after != before:
        wrong.append(f"with {given or 'none'}: something has changed: {before} {after}")
    return wrong


def check_row(words, wanted):
    program = words.split()[0]
    words = words.replace("SAVED", "/run/saved.xlb").replace("UP", "/run/up.conf")
    wanted = wanted.split()
    before = seen()
    wrong = []
    for less in wanted:
        wrong += without(words, program, less, " ".join(set(wanted) - {less}), before)
    done = run(words, " ".join(wanted))
    if done.returncode or "not pinned" in done.stderr:
        wrong.append(f"{done.returncode} {done.stderr}")
    return wrong


def check_table():
    prepare()
    for words, wanted in TABLE:
        if words == "xlb-up UP":
            clean()
            os.rmdir(PINS)
            os.mkdir(PINS)
            os.chown(PINS, OWNER, OWNER)
            prepare()
        tap.equal(check_row(words, wanted), [], f"{words}: {wanted or 'no capability'}")
        if wanted == CHANGE:
            reset()


def check_memory():
    """Before Linux 5.11 maps and programs count as locked memory of their maker."""
    limited = "prlimit --memlock=65536 xlb"
    clean()
    for words, wanted in ((f"load dev v0 {' '.join(SIZES)}", LOAD),
                          ("service add 192.0.2.9:80/tcp table 251", CHANGE)):
        done = run(f"{limited} {words}", wanted)
        if KERNEL < (5, 11):
            tap.ok(done.returncode == 2 and one_line(done, "xlb") and "ulimit -l" in done.stderr,
                   f"where memory is locked by little: {words}", done.returncode, done.stderr)
        else:
            tap.ok(done.returncode == 0, f"a limit of locked memory is none: {words}", done.stderr)
        if words.startswith("load"):
            prepare()


def recipe():
    """The commands by which the page lets a group look."""
    with open(os.path.join(world.ROOT, "man", "xlb.8"), encoding="utf-8") as page:
        text = page.read().split('.\\" commands: readers\n')[1].split(".fi")[0]
    return text.replace("lbread", str(READERS))


def check_readers():
    """A group that may look sees what root sees, and can do nothing else."""
    prepare(user=0)
    world.sh("sh", "-ec", recipe())
    wrong = []
    for words, wanted in TABLE:
        if wanted != LOOK or words in ("xlb save", "xlb-save"):
            continue
        done, roots = run(words, LOOK, NOBODY, READERS), run(words, " ".join(ROOT), 0)
        if done.returncode or steady(done.stdout) != steady(roots.stdout):
            wrong.append((words, done.returncode, done.stderr, done.stdout, roots.stdout))
    tap.equal(wrong, [], "readers: every command that shows, as root has it")
    before = seen()
    for words, message in (
            ("xlb save", f"xlb: save: the maps in {PINS} are not for this user to lock"),
            (f"xlb service del {WEB}", f"the maps in {PINS} are not for this user to change"),
            ("xlb unload dev v0", "xlb: unload dev v0: ")):
        done = run(words, CHANGE, NOBODY, READERS)
        tap.ok(done.returncode == 2 and message in done.stderr and one_line(done, "xlb"),
               f"readers: refused, whatever capabilities they have: {words}", done.stderr)
    for words, what in (
            (f"flock -n {PINS} true", "hold the lock"),
            (f"bpftool prog show pinned {program_pin()}", "open the program"),
            (f"bpftool map update pinned {PINS}/xlb_config key 0 0 0 0 value", "write to a map"),
            (f"rm {PINS}/xlb_config", "remove a pin"), (f"touch {PINS}/xlb_x", "make a pin")):
        if what == "write to a map":
            words += " 0" * map_size("xlb_config")
        done = run(words, LOOK, NOBODY, READERS)
        tap.ok(done.returncode != 0 and ("ermission denied" in done.stderr
                                         or "not permitted" in done.stderr),
               f"readers cannot {what}", done.returncode, done.stderr)
    tap.equal(seen(), before, "nothing has changed")
    os.chmod(PINS, 0o750)
    done = run("xlb save", LOOK, NOBODY, READERS)
    tap.equal((done.returncode, done.stdout, done.stderr), (0, xlb("save").stdout, ""),
              "to save it takes to read the folder, besides the pins")
    os.chmod(PINS, 0o710)
    for words in ("xlb service show", f"xlb service del {WEB}", "xlb flow flush", "xlb unload dev v0",
                  "xlb load dev v0", f"bpftool map dump pinned {PINS}/xlb_config"):
        done = run(words, LOAD, NOBODY)
        tap.ok(done.returncode not in (0, 1) or "ermission denied" in done.stderr,
               f"capabilities alone do not get at the maps: {words}", done.returncode, done.stderr)
    tap.equal(seen(), before, "nothing has changed, either")
    done = run("xlb service show", LOOK, NOBODY)
    tap.ok(done.returncode == 2 and one_line(done, "xlb") and "not for this user to read" in
           done.stderr, "of another group: refused", done.stderr)


def steady(text):
    """Without what another run shows otherwise."""
    return re.sub(r"^xlb-top [\d:]+", "", text)


def program_pin():
    return os.path.join(PINS, next(name for name in os.listdir(PINS) if "program" in name))


def map_size(name):
    return json.loads(world.sh("bpftool", "-j", "map", "show", "pinned",
                               f"{PINS}/{name}"))["bytes_value"]


def check_clock():
    """Who may not load a program has the age of records from the kernel's other clock."""
    prepare(user=0)
    world.sh("sh", "-ec", recipe())
    seconds = 1000
    records = World(sizes=dict(world.SIZES)).maps["xlb_flows4"]
    hz = round(1 / time.clock_getres(CLOCK_MONOTONIC_COARSE))
    records.set({"source": bytes((198, 51, 100, 7)), "destination": bytes((192, 0, 2, 1)),
                 "source_port": 40000, "destination_port": 80, "protocol": 6},
                {"seen": (Clock().jiffies() - seconds * hz) & 0xffffffff, "slot": 1, "backend": 1,
                 "generation": 1, "direction": 1})
    silent = [json.loads(run("xlb -j flow show", capabilities, user, READERS).stdout)[0]["silent"]
              for capabilities, user in ((LOOK, NOBODY), (" ".join(ROOT), 0))]
    tap.ok(all(abs(each - seconds) <= 2 for each in silent), "both clocks tell the same", silent)


def check_modes():
    """Whatever the umask is."""
    wrong = []
    for umask in (0o000, 0o022, 0o377):
        clean()
        os.rmdir(PINS)
        subprocess.run(["xlb", "load", "dev", "v0", *SIZES], umask=umask, check=True,
                       capture_output=True)
        for path, wanted in [(PINS, 0o700)] + [(f"{PINS}/{name}", 0o600)
                                               for name in os.listdir(PINS)]:
            mode = os.stat(path).st_mode & 0o7777
            if mode != wanted:
                wrong.append((oct(umask), path, oct(mode)))
    tap.equal(wrong, [], "folders have mode 0700, pins 0600, whatever the umask")


def check_unknown():
    """What ip has loaded has no pin: without CAP_SYS_ADMIN it is not taken for nothing."""
    prepare()
    os.unlink(program_pin())
    done = run("xlb -j link show", LOOK)
    links = json.loads(done.stdout)
    tap.equal([(each["dev"], each["mode"], each["unknown"]) for each in links],
              [("v0", None, True)], "a program without a pin is unknown")
    for words in ("xlb load dev v0", "xlb unload dev v0"):
        done = run(words, LOAD)
        tap.ok(done.returncode == 2 and "CAP_SYS_ADMIN is missing" in done.stderr
               and one_line(done, "xlb"), f"a program without a pin: {words}", done.stderr)
    done = run("xlb load dev v0", f"{LOAD} sys_admin")
    tap.ok(done.returncode == 0 and len([name for name in os.listdir(PINS) if "program" in name])
           == 1, "with CAP_SYS_ADMIN it is replaced, and has one then", done.stderr)
    world.sh("ip", "link", "set", "v0", "xdp", "off")
    run("xlb load dev v1", LOAD)
    tap.equal(len([name for name in os.listdir(PINS) if "program" in name]), 1,
              "the pin of a program that has left otherwise goes with the next load")


def check_read_only():
    """A bpf file system that is read-only: what shows shows, all else is refused."""
    prepare(user=0)
    before = seen()
    world.sh("mount", "-o", "remount,ro", "/sys/fs/bpf")
    wrong = []
    for words, wanted in TABLE:
        program = words.split()[0]
        # They have something to do all the same: check_read_only_end().
        if words in ("xlb-down UP", "xlb unload dev v0"):
            continue
        done = run(words.replace("SAVED", "/run/saved.xlb").replace("UP", "/run/up.conf"),
                   " ".join(ROOT), 0)
        if wanted == LOOK or words.startswith("xlb -n"):
            if done.returncode:
                wrong.append((words, done.returncode, done.stderr))
        else:
            lines = [line for line in done.stderr.splitlines() if not line.startswith("+ ")]
            if done.returncode != 2 or len(lines) != 1 or \
                    not lines[0].startswith(f"{program}: ") or \
                    "read-only: mount -o remount,rw /sys/fs/bpf" not in lines[0]:
                wrong.append((words, done.returncode, done.stderr))
    tap.equal(wrong, [], "on a read-only file system commands show, and change nothing")
    world.sh("mount", "-o", "remount,rw", "/sys/fs/bpf")
    tap.equal(seen(), before, "nothing has changed")


def check_read_only_end():
    """What takes xlb away does as much of it as can be done there, and the rest later."""
    prepare(user=0)
    world.sh("mount", "-o", "remount,ro", "/sys/fs/bpf")
    done = run("xlb unload dev v0", " ".join(ROOT), 0)
    tap.equal((done.returncode, done.stderr, "xdp" in world.sh("ip", "link", "show", "v0")),
              (0, f"xlb: unload dev v0: its maps stay: rm {PINS}/xlb_*\n", False),
              "on a read-only file system the program is taken off an interface")
    world.sh("mount", "-o", "remount,rw", "/sys/fs/bpf")
    clean()
    for words in ("xlb-up /run/up.conf", "mount -o remount,ro /sys/fs/bpf"):
        world.sh(*words.split())
    done = run("xlb-down /run/up.conf", " ".join(ROOT), 0)
    tap.equal((done.returncode, [each for each in done.stderr.splitlines() if each[0] != "+"]),
              (2, [f"xlb-down: {PINS}: cannot be removed: Read-only file system",
                   "xlb-down: up: not all could be undone: once more, when that is set right"]),
              "xlb-down says that the maps stay")
    tap.ok("xdp" not in world.sh("ip", "link", "show", "v0") and
           "192.0.2.1" not in world.sh("ip", "address", "show", "v0"), "but nothing else does")
    world.sh("mount", "-o", "remount,rw", "/sys/fs/bpf")
    done = run("xlb-down /run/up.conf", " ".join(ROOT), 0)
    tap.equal((done.returncode, os.path.exists(PINS), recorded()), (0, False, []),
              "and once more, when it can be written, it takes them away")
    os.mkdir(PINS)


def check_probe():
    """A prober that finds a backend down, with no more than what shows."""
    prepare()
    with open("/run/web.probe", "w", encoding="ascii") as file:
        file.write(f"probe {WEB} tcp interval 0.1 timeout 0.1 fall 1\n")
    process = start(f"{STOPPED} xlb-probe /run/web.probe", LOOK)
    said = process.stdout.readline()
    process.terminate()
    _, errors = process.communicate()
    tap.ok("health down" in said and not errors.count("missing"),
           f"xlb-probe: {LOOK or 'no capability'}", said, errors)


def monitored(words, capabilities):
    """Its status and errors, and has it said anything, before it is stopped?"""
    weight, process = 1, start(f"{STOPPED} xlb monitor {words}", capabilities)
    while process.poll() is None and not select.select([process.stdout], [], [], 0.1)[0]:
        weight += 1
        xlb("backend", "change", "10.0.0.1:8080", "service", WEB, "weight", str(weight), status=0)
    process.terminate()
    said, errors = process.communicate()
    return process.returncode, errors, said != ""


def check_probe_vip():
    """A way to VIPs is a device, with a program on it, and routing rules."""
    prepare()
    xlb("service", "add", "192.0.2.2:80/tcp", "table", "251", "mode", "dr", status=0)
    xlb("backend", "add", "10.0.0.3", "service", "192.0.2.2:80/tcp", status=0)
    with open("/run/vip.probe", "w", encoding="ascii") as file:
        file.write("probe 192.0.2.2:80/tcp tcp timeout 0.1 via vip\n")
    prober = "xlb-probe -once /run/vip.probe"
    before = seen(), world.sh("ip", "rule")
    for less in (LOAD if KERNEL <= (6, 1) else CHANGE).split():
        done = run(prober, " ".join(set(VIA_VIP.split()) - {less}))
        # Without what opening pins takes it gets no further.
        at = "xlb-probe: " if less == LOOK else "xlb-probe: via vip: "
        tap.ok(done.returncode == 2 and done.stderr.startswith(at) and
               one_line(done, "xlb-probe") and f"CAP_{less.upper()} is missing" in done.stderr,
               f"{prober}: {less} is wanted", done.returncode, done.stderr)
    done = run(prober, VIA_VIP)
    tap.equal((done.returncode, done.stdout, done.stderr.count("missing")),
              (0, "backend change 10.0.0.3:80 service 192.0.2.2:80/tcp health down\n", 0),
              f"and {VIA_VIP} is enough")
    tap.equal((seen(), world.sh("ip", "rule")), before, "nothing has changed")


def check_decap():
    """On a backend: to read or write its maps is all that it takes."""
    os.mkdir(DECAP)
    world.sh("bpftool", "prog", "loadall", os.path.join(world.ROOT, "bpf", "decap.o"),
             f"{DECAP}/programs", "type", "xdp")
    for name in ("decap_locals", "decap_stats"):
        os.rename(f"/sys/fs/bpf/{name}", f"{DECAP}/{name}")
        os.chown(f"{DECAP}/{name}", OWNER, OWNER)
    os.chown(DECAP, OWNER, OWNER)
    for words in ("add 10.9.0.3", "change 10.9.0.3 gue 7000", "show", "stats", "del 10.9.0.3"):
        words = f"xlb -pin {DECAP} decap {words}"
        tap.equal(check_row(words, LOOK), [], f"{words}: {LOOK or 'no capability'}")
        done = run(words, LOAD, NOBODY)
        tap.ok(done.returncode == 2 and one_line(done, "xlb") and "not for this user to" in
               done.stderr, f"{words}: not for others", done.stderr)


def check_past_tools():
    """What does without our tools, and what it takes."""
    prepare()
    config = World(sizes=dict(world.SIZES)).maps["xlb_config"]
    value = config.btf.pack(config.value, config.get(0) | {"settle": 77})
    done = run(f"bpftool map update pinned {PINS}/xlb_config key 0 0 0 0 value "
               + " ".join(map(str, value)), LOOK)
    tap.equal((done.returncode, json.loads(xlb("-j", "config", "show").stdout)["settle"]),
              (0, 77), "who may write to the pins configures: no capability")
    number = json.loads(world.sh("bpftool", "-j", "map", "show", "pinned",
                                 f"{PINS}/xlb_config"))["id"]
    for words, less, wanted, what in (
            (f"bpftool map dump id {number}", LOAD, "sys_admin", "opens all maps by their ids"),
            ("ip link set dev v0 xdp off", "bpf", "net_admin", "takes the program off")):
        before = run(words, less, NOBODY)
        done = run(words, wanted, NOBODY)
        tap.ok(before.returncode and not done.returncode,
               f"anybody with CAP_{wanted.upper()}, and not without, {what}",
               before.returncode, before.stderr, done.returncode, done.stderr)
    tap.ok("xdp" not in world.sh("ip", "link", "show", "v0"), "which is gone then")


def check_capture(folder):
    """Whatever capabilities somebody has."""
    for name in ("xdpdump", "tcpdump"):
        with open(f"{folder}/loader/{name}", "w", encoding="ascii", opener=lambda path, flags:
                  os.open(path, flags, 0o755)) as file:
            file.write("#!/bin/sh\n")
    done = run("xlb-capture dev v0", f"{LOAD} sys_admin")
    tap.equal((done.returncode, done.stderr),
              (2, "xlb-capture: dev v0: only root may trace a program\n"), "xlb-capture: only root")


def check_monitor():
    """It goes on until it is stopped, which is no fault of its."""
    tap.equal(monitored("change link nexthop", LOOK), (0, "", True),
              "xlb monitor without packets: as show")
    for less in CHANGE.split():
        done = run(f"{STOPPED} xlb monitor drop flow", " ".join(set(CHANGE.split()) - {less}))
        tap.ok(done.returncode == 2 and one_line(done, "xlb") and
               f"CAP_{less.upper()} is missing" in done.stderr,
               f"xlb monitor drop flow: {less} is wanted", done.stderr)
    tap.equal(monitored("change drop flow", CHANGE), (0, "", True), "and both are enough")


def main():
    if not shutil.which("setpriv"):
        world.skip_all("needs setpriv")
    world.enter()
    if KERNEL < (5, 11):
        # Maps are locked memory there.
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY,) * 2)
    os.chmod("/sys/fs/bpf", 0o755)
    with tempfile.TemporaryDirectory() as folder:
        installed(folder)
        scene()
        check_table()
        check_memory()
        check_readers()
        check_clock()
        check_modes()
        check_unknown()
        check_read_only()
        check_read_only_end()
        check_probe()
        check_probe_vip()
        check_monitor()
        check_decap()
        check_past_tools()
        check_capture(folder)
    tap.done()


main()
