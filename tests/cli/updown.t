#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""xlb-up and xlb-down when something comes between: the file is edited or gone, they are
ended or killed, /run is full, somebody waits for them or has the same maps."""

import fcntl
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import world  # noqa: E402
from world import ROOT, sh, xlb  # noqa: E402
import tap  # noqa: E402

RUN = "/run/xlb"
OTHER = 12345  # of no user
WEB, DNS = "192.0.2.1:80/tcp", "192.0.2.1:53/udp"
SIZE = "size services 4 backends 12 slots 8192 flows 64\n"
HEAD = f"{SIZE}interface left\naddress 192.0.2.1 dev lo\n"
SERVICES = f"service add {WEB} table 251\nbackend add 10.0.0.1:8080 service {WEB}\n"

# What is run instead of COMMAND: it does ACTION, once, where its words begin with WHEN.
STAND_IN = """\
#!/bin/sh
case "$* " in
{when}*)
	if [ -e {folder}/armed ]; then
		rm {folder}/armed
		{action}
	fi
	;;
esac
exec {command} "$@"
"""


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    return path


class Scene:
    """A folder with the file web.conf, and stand-ins for commands."""

    def __init__(self, folder):
        self.folder = folder
        self.file = f"{folder}/web.conf"
        os.mkdir(f"{folder}/bin")
        self.path = f"{folder}/bin:{ROOT}/loader:{ROOT}/scripts:{os.environ['PATH']}"

    def write(self, text):
        write(self.file, text)

    def between(self, words, action):
        """The action, once, just before the first of these words is run by whomever."""
        command = words.split()[0]
        real = world.XLB if command == "xlb" else sh("which", command).strip()
        path = write(f"{self.folder}/bin/{command}", STAND_IN.format(
            when="".join(f"{word}\\ " for word in words.split()[1:]), action=action,
            folder=self.folder, command=os.path.abspath(real)))
        os.chmod(path, 0o755)
        write(f"{self.folder}/armed", "")

    def run(self, *words, **more):
        return subprocess.run(words, capture_output=True, text=True, check=False,
                              env=dict(os.environ, PATH=self.path), **more)

    def up(self, *files):
        return self.run("xlb-up", *(files or (self.file,)))

    def down(self, *names):
        return self.run("xlb-down", *(names or ("web",)))


def said(done):
    """Without the commands, the changes, and what is told of settings of the kernel."""
    return [line for line in done.stderr.splitlines()
            if line.startswith(("xlb", "sh:", "awk:")) and ": set net." not in line]


def names(what):
    return [line.split()[0] for line in xlb(what, "show").stdout.splitlines()]


def runs(dev):
    return "xdp" in sh("ip", "link", "show", "dev", dev)


def state():
    """All that xlb-up makes, but for its lock and settings of the kernel."""
    return (sh("ip", "-4", "-o", "address"), [dev for dev in ("left", "right") if runs(dev)],
            sorted(os.listdir("/sys/fs/bpf")),
            sorted(set(os.listdir(RUN)) - {"lock"}) if os.path.isdir(RUN) else [])


def check_file(scene):
    """It is read once: what is checked is what is done."""
    scene.write(HEAD + SERVICES)
    scene.up()
    scene.write(f"{HEAD}{SERVICES}service add {DNS} table 251\n")
    scene.between("xlb load dev", f"mv {scene.file} {scene.file}.gone")
    done = scene.up()
    tap.equal((done.returncode, said(done), sorted(names("service"))), (0, [], [DNS, WEB]),
              "a file that goes away meanwhile has been read")
    scene.write(HEAD + SERVICES)
    scene.between("xlb load dev", f"echo bogus >>{scene.file}")
    done = scene.up()
    tap.equal((done.returncode, said(done), names("service"), names("backend")),
              (0, [], [WEB], ["10.0.0.1:8080"]), "what an editor writes meanwhile is for the next")
    scene.write(HEAD.replace("\n", "\r\n") + "\n# comment\n \t\n")
    done = scene.up()
    tap.equal((done.returncode, said(done), names("service"), runs("left")), (0, [], [], True),
              "a file that configures nothing takes all away that was configured")
    with open(scene.file, "ab") as file:
        file.write(b"service add 192.0.2.1:8\x000/tcp\n")
    done = scene.up()
    tap.ok(done.returncode == 1 and len(said(done)) == 1 and
           said(done)[0].startswith(f"xlb-up: {scene.file}:7: "), "a NUL byte is refused",
           done.returncode, done.stderr)
    scene.down()


def held(path):
    """Opened, and locked."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def waits(process):
    """For the lock, which it is given time to get."""
    try:
        process.wait(0.5)
    except subprocess.TimeoutExpired:
        return True
    return False


def check_lock(scene):
    """One at a time goes up or down, and nobody else holds them up."""
    scene.write(HEAD + SERVICES)
    scene.up()
    other = ("setpriv", f"--reuid={OTHER}", f"--regid={OTHER}", "--clear-groups", "--")
    with subprocess.Popen((*other, "flock", RUN, "cat"), stdin=subprocess.PIPE) as holder:
        tap.equal((waits(holder), scene.run("timeout", "20", "xlb-down", "web").returncode),
                  (True, 0), "another user who locks the folder is in nobody's way")
        holder.stdin.close()
    lock = f"{RUN}/lock"
    done = scene.run(*other, "flock", lock, "true")
    tap.ok(done.returncode and "ermission denied" in done.stderr, "the lock is not for others",
           done.returncode, done.stderr)
    first = held(lock)
    with subprocess.Popen(["xlb-down", "web"], stderr=subprocess.PIPE, text=True,
                          env=dict(os.environ, PATH=scene.path)) as process:
        tap.ok(waits(process), "who has the lock keeps others waiting")
        os.unlink(lock)
        second = held(lock)
        os.close(first)
        tap.ok(waits(process), "so does who has one that took its place")
        os.close(second)
        tap.equal(process.communicate()[1], "xlb-down: web: is not up\n", "and no longer")
    os.unlink(lock)
    os.symlink(write(f"{scene.folder}/victim", ""), lock)
    done = scene.run("timeout", "20", "xlb-down", "web")
    tap.equal((done.returncode, done.stderr),
              (2, f"xlb-down: {lock}: is not a file that this user may read\n"),
              "a link is no lock")
    os.unlink(lock)


def main():
    world.enter()
    sh("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/run")
    sh("ip", "link", "add", "left", "type", "veth", "peer", "name", "right")
    for dev in ("left", "right"):
        sh("ip", "link", "set", dev, "up")
        sh("ethtool", "-K", dev, "gro", "on")
    # Without one, getent(1) knows no addresses.
    sh("ip", "address", "add", "10.0.0.254/24", "dev", "right")
    os.environ["XLB_OBJECT"] = world.OBJECT
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(folder)
        nothing = state()
        check_file(scene)
        check_lock(scene)
        tap.equal(state(), nothing, "nothing is left")
    tap.done()


main()
