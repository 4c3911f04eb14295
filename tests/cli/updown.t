#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""xlb-up and xlb-down when something comes between: the file is edited or gone, they are
ended or killed, /run is full, somebody waits for them or has the same maps."""

import fcntl
import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import world  # noqa: E402
from world import PINS, ROOT, sh, xlb  # noqa: E402
import tap  # noqa: E402

RUN = "/run/xlb"
OTHER = 12345  # of no user
WEB, DNS = "192.0.2.1:80/tcp", "192.0.2.1:53/udp"
SIZE = "size services 4 backends 12 slots 8192 flows 64\n"
HEAD = f"{SIZE}interface left\naddress 192.0.2.1 dev lo\n"
SERVICES = f"service add {WEB} table 251\nbackend add 10.0.0.1:8080 service {WEB}\n"

# What is run instead of COMMAND: it does ACTION, once, where its words are like WHEN.
STAND_IN = """\
#!/bin/sh
case "$* " in
{when})
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

    def between(self, words, action, more="*"):
        """The action, once, just before a command that begins so is run."""
        for name in os.listdir(f"{self.folder}/bin"):
            os.unlink(f"{self.folder}/bin/{name}")
        command = words.split()[0]
        real = world.XLB if command == "xlb" else sh("which", command).strip()
        path = write(f"{self.folder}/bin/{command}", STAND_IN.format(
            when="".join(f"{word}\\ " for word in words.split()[1:]) + more, action=action,
            folder=self.folder, command=os.path.abspath(real)))
        os.chmod(path, 0o755)
        write(f"{self.folder}/armed", "")

    def run(self, *words, **more):
        return subprocess.run(words, capture_output=True, text=True, check=False,
                              env=dict(os.environ, PATH=self.path), **more)

    def up(self, file=None):
        """Its process is that of the file "pid", and the first of a group."""
        return self.run(*self.up_words(file), start_new_session=True)

    def up_words(self, file=None):
        return ("sh", "-c", 'echo $$ >"$0" && exec xlb-up "$@"', f"{self.folder}/pid",
                file or self.file)

    def kill(self, name, words, more="*", group=False):
        self.between(words, f"kill -{name} {'-' * group}$(cat {self.folder}/pid)", more)

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


def check_killed(scene):
    """Where maps were already: what is recorded by then says in which folder they are."""
    scene.write(HEAD + SERVICES)
    write(f"{scene.folder}/other.conf", f"interface right\n{SERVICES}")
    xlb("load", "maps", *SIZE.split()[1:], status=0)
    before = state()
    for words in ("xlb load dev", "ip address add"):
        scene.kill("KILL", words)
        tap.equal(scene.up().returncode, -signal.SIGKILL, f"killed when it came to {words}")
        done = scene.up(f"{scene.folder}/other.conf")
        tap.ok(done.returncode == 2 and "has the maps of web, which is up" in done.stderr,
               "no other has these maps now", done.stderr)
        done = scene.down()
        tap.equal((done.returncode, said(done), state()), (0, [], before),
                  "xlb-down takes back what was done, and leaves the maps")
    scene.kill("KILL", "ip address add")
    scene.up()
    tap.equal((scene.up().returncode, scene.down().returncode), (0, 0),
              "or xlb-up goes on, and xlb-down takes all of it away")
    write(f"{RUN}/web.up", "interface left\n")
    xlb("load", "dev", "left", *SIZE.split()[1:], status=0)
    for tool, done in (("xlb-up", scene.up()), ("xlb-down", scene.down())):
        tap.equal((done.returncode, [line.split(": ", 1)[1] for line in said(done)], runs("left"),
                   os.path.exists(f"{RUN}/web.up")),
                  (2, [f"{RUN}/web.up: does not say where the maps are: give it the line pin DIR"],
                   True, True), f"a record without them is refused: {tool}")
    write(f"{RUN}/web.up", f"pin {PINS}\ninterface left\n")
    scene.down()


def unread(scene, words, more="*"):
    """The status of an xlb-up that nobody listens to from that command on."""
    reading = write(f"{scene.folder}/reading", "")
    scene.between(words, f"while [ -e {reading} ]; do sleep 0.02; done", more)
    with subprocess.Popen(scene.up_words(), stderr=subprocess.PIPE, text=True,
                          env=dict(os.environ, PATH=scene.path)) as process:
        while process.poll() is None and os.path.exists(f"{scene.folder}/armed"):
            time.sleep(0.02)
        process.stderr.close()
        os.unlink(reading)
        return process.wait(20)


def check_names(scene):
    """However a folder is called, its maps are those of one file."""
    scene.write(HEAD + SERVICES)
    other = f"{scene.folder}/other.conf"
    os.symlink(PINS, f"{scene.folder}/link")
    spellings = (f"{PINS}/", "/sys//fs/bpf/xlb", "/sys/fs/bpf/x/../xlb", f"{scene.folder}/link")
    scene.up()
    before = state()
    for pin in spellings:
        write(other, f"interface right\nservice add {DNS} table 251\npin {pin}\n")
        done = scene.up(other)
        tap.equal((done.returncode, said(done), names("service"), state()),
                  (2, [f"xlb-up: {other}: pin {PINS}: has the maps of web, which is up: "
                       "xlb-down web, or name another folder"], [WEB], before),
                  f"no second file has the same maps: pin {pin}")
    # As older versions have recorded it.
    with open(f"{RUN}/web.up", encoding="ascii") as file:
        lines = file.read()
    write(f"{RUN}/web.up", lines.replace(PINS, f"{PINS}/"))
    write(other, f"interface right\nservice add {DNS} table 251\n")
    tap.equal((scene.up(other).returncode, state()), (2, before), "however it is recorded")
    scene.write(f"{HEAD}{SERVICES}pin {spellings[2]}\n")
    done = scene.up()
    tap.equal((done.returncode, said(done), state()), (0, [], before),
              "the same file may have them, and sets that right")
    with open(f"{RUN}/web.up", encoding="ascii") as file:
        tap.equal(file.read(), lines, "without another line")
    scene.down()


def check_ended(scene):
    """By a signal, or because nobody reads any more what it says: that is undone."""
    scene.write(HEAD + SERVICES)
    before = state()
    for name in ("HUP", "PIPE"):
        scene.kill(name, "ip address add")
        done = scene.up()
        tap.equal((done.returncode, state()), (128 + signal.Signals["SIG" + name], before),
                  f"ended by SIG{name}: nothing is left")
    for words in ("xlb load maps", "ip -j address show"):
        tap.equal((unread(scene, words), state()), (128 + signal.SIGPIPE, before),
                  f"nobody reads any more at {words}: nothing is left")
    scene.up()
    up = state()
    for weight, (name, group) in enumerate(itertools.product(("HUP", "INT", "TERM"),
                                                             (False, True)), 2):
        scene.write(f"{HEAD}{SERVICES[:-1]} weight {weight}\n")
        scene.kill(name, "xlb restore - empty", "", group)
        done = scene.up()
        tap.equal((done.returncode, f"weight {weight} " in xlb("backend", "show").stdout, state()),
                  (0, True, up), f"SIG{name}{' to all' * group} when all is being changed: it is")
    tap.equal((unread(scene, "xlb restore - empty", ""), state()), (0, up),
              "nor need anybody read any more then")
    scene.write(f"{HEAD}interface right\n")
    scene.between("xlb restore - empty", "exit 2", "")
    tap.equal((scene.up().returncode, state()), (2, up), "but if that fails all else is undone")
    scene.down()


def check_full(scene):
    """No room for the record, at first or later: it is said, and nothing is begun that is not
    in it."""
    sh("mount", "-t", "tmpfs", "-o", "size=16k,mode=0755", "tmpfs", RUN)
    scene.write(HEAD + SERVICES)
    before = state()
    fill = f"cat /dev/zero >{RUN}/fill 2>/dev/null || :"
    for words in ("stat -L", "xlb load dev"):
        scene.between(words, fill)
        done = scene.up()
        os.unlink(f"{RUN}/fill")
        tap.equal((done.returncode, said(done), state()),
                  (2, [f"xlb-up: {RUN}/web.up: cannot be written"], before),
                  f"/run is full at {words}: nothing is left")
    scene.up()
    scene.write(f"{HEAD}interface right\n")
    scene.up()
    up = state()
    scene.write(HEAD)
    scene.between("xlb restore - empty", fill, "")
    done = scene.up()
    tap.equal((done.returncode, said(done), runs("right"), state()[:3]),
              (2, [f"xlb-up: web: is up, but {RUN}/web.up cannot be written: once more, when that "
                   "is set right"], False, (up[0], ["left"], up[2])), "or it is up")
    done = scene.down()
    os.unlink(f"{RUN}/fill")
    tap.equal((done.returncode, said(done), state()), (0, [], before),
              "and xlb-down takes away all the same")
    sh("umount", RUN)


def main():
    world.enter()
    # A shell traps none that nohup(1), say, has had ignored.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    sh("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/run")
    sh("ip", "link", "add", "left", "type", "veth", "peer", "name", "right")
    for dev in ("left", "right"):
        sh("ip", "link", "set", dev, "up")
        sh("ethtool", "-K", dev, "gro", "on")
    # Without one, getent(1) knows no addresses.
    sh("ip", "address", "add", "10.0.0.254/24", "dev", "right")
    # What is loaded does not matter here, and the verifier has less to do with this.
    os.environ["XLB_OBJECT"] = f"{ROOT}/tests/cli/passes.o"
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(folder)
        nothing = state()
        check_file(scene)
        check_lock(scene)
        check_killed(scene)
        check_names(scene)
        check_ended(scene)
        check_full(scene)
        tap.equal(state(), nothing, "nothing is left")
    tap.done()


main()
