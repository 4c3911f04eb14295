#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Folders that others may write to: nothing is written through a link that they have
planted, nothing but a file is replaced, and no maps are made or joined where they could
put others in their places."""

import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import world  # noqa: E402
from world import PINS, xlb  # noqa: E402
import tap  # noqa: E402

OTHER = 12345  # of no user
WEB = "192.0.2.1:80/tcp"
UP = f"""\
interface lo
size services 4 backends 12 slots 8192 flows 64
service add {WEB} table 251
backend add 10.0.0.1 service {WEB}
"""
TRUTH = "what root has written\n"


def run(*words, **options):
    return subprocess.run(words, capture_output=True, text=True, check=False, **options)


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    return path


def check_links(folder):
    """The file's name is a link: that goes, and what it leads to stays."""
    for name, target in (("xlb.prom", write(f"{folder}/victim", TRUTH)),
                         ("dangling.prom", f"{folder}/nothing")):
        path = os.path.join(SHARED, name)
        os.symlink(target, path)
        done = run("xlb-metrics", "-o", path)
        tap.ok(done.returncode == 0 and not os.path.islink(path) and "xlb_build_info" in
               open(path, encoding="ascii").read(), f"xlb-metrics -o {name}: a file of its own",
               done.stderr)
    with open(f"{folder}/victim", encoding="ascii") as victim:
        tap.equal((victim.read(), os.path.exists(f"{folder}/nothing")), (TRUTH, False),
                  "nothing has been written through the links")
    # mktemp(1) is told what to answer, so that the link is there first.
    os.mkdir(f"{folder}/first")
    write(f"{folder}/first/mktemp", f"#!/bin/sh\necho {SHARED}/guessed\n")
    os.chmod(f"{folder}/first/mktemp", 0o755)
    os.symlink(f"{folder}/victim", f"{SHARED}/guessed")
    done = run("xlb-metrics", "-o", f"{SHARED}/xlb.prom",
               env=dict(os.environ, PATH=f"{folder}/first:{os.environ['PATH']}"))
    with open(f"{folder}/victim", encoding="ascii") as victim:
        tap.equal((done.returncode, done.stderr, victim.read()),
                  (2, f"xlb-metrics: -o {SHARED}/xlb.prom: cannot be written\n", TRUTH),
                  "a name that has been guessed is refused")
    os.symlink(folder, f"{SHARED}/folder.prom")
    done = run("xlb-metrics", "-o", f"{SHARED}/folder.prom")
    tap.equal((done.returncode, sorted(os.listdir(folder))), (2, ["first", "up.conf", "victim"]),
              "nor does a link to a folder take anything in")


def check_devices(folder):
    """What is no regular file is not replaced by one, nor is a link to such."""
    os.mknod(f"{SHARED}/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mkfifo(f"{SHARED}/fifo")
    os.symlink("null", f"{SHARED}/link")
    os.symlink("/proc/self/fd/1", f"{SHARED}/stdout")
    before = {name: os.lstat(f"{SHARED}/{name}") for name in ("null", "fifo", "link", "stdout")}
    for name, old in before.items():
        with open(f"{folder}/out", "w+", encoding="ascii") as output:
            for options in ({}, {"stdout": output}):
                done = subprocess.run(["xlb-metrics", "-o", f"{SHARED}/{name}"], check=False,
                                      text=True, stderr=subprocess.PIPE,
                                      **{"stdout": subprocess.PIPE, **options})
                now = os.lstat(f"{SHARED}/{name}")
                tap.equal((done.returncode, done.stderr, now.st_ino, now.st_mode),
                          (2, f"xlb-metrics: -o {SHARED}/{name}: is not a regular file\n",
                           old.st_ino, old.st_mode), f"xlb-metrics -o {name}: refused")


WRITES = re.compile(r'openat\((?:AT_FDCWD|\d+), "([^"]+)", ([A-Z_|]+)')


def check_opens(folder):
    """What each tool opens to be written: in folders of others it must not be there yet."""
    with tempfile.NamedTemporaryFile("r") as log:
        wrong, seen = [], 0
        for words in (f"xlb-up {folder}/up.conf", "xlb-save", f"xlb-metrics -o {SHARED}/seen.prom",
                      "xlb-top -b -n 1 -d 1", "xlb-stat", "xlb-doctor", f"xlb-down {folder}/up.conf"):
            run("strace", "-f", "-o", log.name, "-e", "trace=openat,open,creat", *words.split(),
                env=dict(os.environ, TMPDIR=SHARED))
            log.seek(0)
            for path, flags in WRITES.findall(log.read()):
                if not path.startswith((SHARED, "/run/xlb")) or not re.search("WRONLY|RDWR", flags):
                    continue
                seen += 1
                # A folder of its own, made by mktemp -d, is nobody else's.
                if "O_EXCL" not in flags and not re.match(f"{SHARED}/tmp[^/]*/", path):
                    wrong.append((words, path, flags))
        tap.equal(wrong, [], "every file is one that was not there")
        tap.ok(seen >= 6, "and some were seen", seen)


def check_umask(folder):
    """With a umask of 0 others still may not write where root will."""
    shutil.rmtree("/run/xlb", ignore_errors=True)
    done = run("xlb-up", f"{folder}/up.conf", umask=0)
    modes = {name: oct(os.stat(os.path.join("/run/xlb", name)).st_mode & 0o7777)
             for name in (".", *os.listdir("/run/xlb"))}
    tap.equal((done.returncode, modes),
              (0, {".": "0o755", "up.up": "0o644", "up.env": "0o644", "lock": "0o600"}),
              "xlb-up: folder and files are for root to write, the lock for root alone")
    run("xlb-metrics", "-o", f"{SHARED}/umask.prom", umask=0)
    tap.equal(oct(os.stat(f"{SHARED}/umask.prom").st_mode & 0o7777), "0o644",
              "xlb-metrics: the file is for root to write")
    run("xlb-down", f"{folder}/up.conf")


def check_folders():
    """Somebody was there before xlb load, on a file system where anybody may make folders."""
    os.chmod("/sys/fs/bpf", 0o1777)
    why = "belongs to another user, or others may write there: name another folder, or chown"
    for what, owner, mode in (("of somebody else", OTHER, 0o755),
                              ("that all may write to", 0, 0o777)):
        os.makedirs(PINS, exist_ok=True)
        os.chown(PINS, owner, owner)
        os.chmod(PINS, mode)
        done = xlb("load", "maps")
        tap.ok(done.returncode == 2 and why in done.stderr and done.stderr.count("\n") == 1
               and not os.listdir(PINS), f"xlb load: a folder {what} is refused", done.stderr)
    os.rmdir(PINS)
    os.mkdir("/sys/fs/bpf/evil")
    os.chown("/sys/fs/bpf/evil", OTHER, OTHER)
    os.symlink("/sys/fs/bpf/evil", PINS)
    done = xlb("load", "maps")
    tap.ok(done.returncode == 2 and why in done.stderr and not os.listdir("/sys/fs/bpf/evil"),
           "xlb load: so is a link to one", done.stderr)
    os.unlink(PINS)
    xlb("load", "maps", status=0)
    os.chown(PINS, OTHER, OTHER)
    os.unlink(f"{PINS}/xlb_flows4")
    for how, variables in ("", {}), (", nor does an empty $XLB_PIN name one", {"XLB_PIN": ""}):
        done = xlb("load", "maps", variables=variables)
        tap.ok(done.returncode == 2 and why in done.stderr and
               not os.path.exists(f"{PINS}/xlb_flows4"),
               f"xlb load: and maps that are there already, in such a folder{how}", done.stderr)
    done = xlb("-pin", PINS, "load", "maps")
    tap.equal(done.returncode, 0, "unless it has been named")


def main():
    if not shutil.which("strace"):
        world.skip_all("needs strace")
    world.enter()
    # For links there the kernel would take care by itself, in a folder with the sticky bit.
    world.sh("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/run")
    os.mkdir(SHARED)
    os.chmod(SHARED, 0o777)
    os.environ["PATH"] = f"{world.ROOT}/loader:{world.ROOT}/scripts:{os.environ['PATH']}"
    os.environ["XLB_OBJECT"] = world.OBJECT
    with tempfile.TemporaryDirectory() as folder:
        write(f"{folder}/up.conf", UP)
        run("xlb-up", f"{folder}/up.conf")
        check_links(folder)
        check_devices(folder)
        run("xlb-down", f"{folder}/up.conf")
        check_opens(folder)
        check_umask(folder)
    check_folders()
    tap.done()


SHARED = "/run/shared"
main()
