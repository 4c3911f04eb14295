#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""xlb-probe against servers and commands that do as they are told, on loopback."""

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import world  # noqa: E402
from world import ROOT, maps_make, maps_remove, xlb  # noqa: E402
import tap  # noqa: E402

PROBE = os.environ.get("XLB_PROBE", os.path.join(ROOT, "loader", "xlb-probe"))
WEB, ALL, DNS = "192.0.2.1:80/tcp", "192.0.2.2:*/tcp", "192.0.2.1:53/udp"
SIX = "[2001:db8::1]:80/tcp"
PATIENCE = 10
LACKING, DESCRIPTORS = 40, 32
SIZES = dict(world.SIZES, xlb_backends=64, xlb_targets=64, xlb_replies4=64, xlb_nexthops=64,
             xlb_stats=64)
OFTEN = "interval 0.1 timeout 60"


def wait_for(condition, description):
    """True once the condition is, within reason."""
    deadline = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return tap.ok(condition(), description)


def fresh(lines):
    maps_remove()
    maps_make(sizes=SIZES)
    xlb("-batch", "-", text=lines, status=0)


def write(name, text):
    with open(name, "w", encoding="utf-8") as file:
        file.write(text)
    return name


def read(name):
    with open(name, encoding="utf-8") as file:
        return file.read()


def changes(lines):
    """Commands for the helper as {backend: health}; what is none is kept as it is."""
    found = {}
    for line in lines.splitlines():
        words = line.split()
        right = (len(words) == 7 and words[:2] == ["backend", "change"] and
                 words[3] == "service" and words[5] == "health")
        found[words[2] if right else line] = words[6] if right else None
    return found


def once(config, *options):
    done = subprocess.run([PROBE, "-once", *options, write("once.conf", config)],
                          capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        tap.ok(False, "xlb-probe -once", done.returncode, done.stderr)
    return changes(done.stdout), done.stderr


class Running:
    """xlb-probe at work; what it says goes to files."""

    def __init__(self, config):
        write("running.conf", config)
        with open("said.out", "wb") as out, open("said.err", "wb") as err:
            self.process = subprocess.Popen([PROBE, "running.conf"], stdout=out, stderr=err)

    def change(self, config):
        write("running.conf", config)
        self.process.send_signal(signal.SIGHUP)

    def end(self):
        self.process.terminate()
        return self.process.wait(timeout=PATIENCE)


def check_errors():
    maps_remove()
    good = write("good.conf", f"probe {WEB} tcp\n")
    bad = write("bad.conf", f"\nprobe {WEB} tcp wieght 1\n")
    for status, words, message in (
            (1, "", "Usage: xlb-probe"),
            (1, "-x", "xlb-probe: -x: unknown option, see `xlb-probe -h`"),
            (1, "-pin", "xlb-probe: -pin: needs a value"),
            (1, "-n", "xlb-probe: -n: needs a value"),
            (2, f"-n nonexistent {good}", "xlb-probe: -n nonexistent: no such network namespace"),
            (1, "/nonexistent", "xlb-probe: /nonexistent: No such file or directory"),
            (1, f"{good} more", "xlb-probe: more: nothing more is expected here"),
            (1, f"-once {bad}", f"xlb-probe: bad.conf:2: probe {WEB} tcp: wieght: unknown keyword"),
            (2, good, "xlb-probe: no maps of xlb: load it first"),
            (2, f"-pin /nonexistent {good}", "xlb-probe: no maps of xlb in /nonexistent")):
        done = subprocess.run([PROBE, *words.split()], capture_output=True, text=True,
                              check=False, timeout=PATIENCE)
        tap.ok(done.returncode == status and done.stderr.startswith(message) and
               not done.stdout and (not status or words == "" or done.stderr.count("\n") == 1),
               f"{status}: xlb-probe {words}", done.returncode, done.stderr)


def check_codes():
    """What commands end with, and what becomes of it."""
    cases = (("10.0.0.1", "exit 0", None, ""),
             ("10.0.0.2", "echo slow; exit 1", None, "warning: slow"),
             ("10.0.0.3", "echo gone; echo more; exit 2", "down", "down: gone"),
             ("10.0.0.4", "exit 3", None, "could not be probed: sh: exit status 3: no word"),
             ("10.0.0.5", "echo oops >&2; exit 4", None,
              "could not be probed: sh: exit status 4: oops"),
             ("10.0.0.6", "kill -9 $$", None, "could not be probed: sh: killed by signal 9"),
             ("10.0.0.7", "sleep 1000", "down", "down: no answer within 0.5 seconds"),
             ("10.0.0.8", "yes | head -c 1000000; exit 2", "down", "down: y"),
             ("10.0.0.9", "printf 'a\\033b'; exit 2", "down", "down: a?b"))
    fresh(f"service add {DNS} table 251\n" +
          "".join(f"backend add {address}\n" for address, *_ in cases))
    script = "".join(f"{address}) {does} ;;\n" for address, does, *_ in cases)
    write("codes.sh", f"echo $$ >pid-$1\ncase $1 in\n{script}esac\n")
    said, why = once(f"probe {DNS} exec timeout 0.5 command sh codes.sh {{address}}\n")
    tap.equal(said, {f"{address}:53": health for address, _, health, _ in cases if health},
              "only those that are to be down are told")
    for address, does, _, reason in cases:
        line = f"xlb-probe: {address}:53 service {DNS}: {reason}\n"
        tap.ok(line in why if reason else address not in why, f"{does}: {reason}", why)
    wait_for(lambda: not os.path.exists(f"/proc/{read('pid-10.0.0.7').strip()}"),
             "what takes too long is ended")

    fresh(f"service add {DNS} table 251\nbackend add 10.0.0.1\n")
    said, why = once(f"probe {DNS} exec command /nonexistent\n")
    tap.equal((said, why), ({}, f"xlb-probe: 10.0.0.1:53 service {DNS}: could not be probed: "
                                "No such file or directory\n"), "a command that is missing")


def check_filling():
    fresh(f"service add {SIX} table 251\nbackend add [fd00::1]:8080\n")
    once(f"probe {SIX} exec command sh -c \"echo $0 $1 >filled\" "
         "\"x{address}{port}\" {service}{addres}\n")
    tap.equal(read("filled"), f"xfd00::18080 {SIX}{{addres}}\n", "words in braces are filled in")


def story(results):
    """A command whose runs end as told, and then as the last of them."""
    write("results", "".join(f"{code}\n" for code in results))
    write("story.sh", """
        read -r code <results
        [ "$(wc -l <results)" = 1 ] || sed -i 1d results
        echo "$code" >>runs
        exit "$code"
    """)
    write("runs", "")


def check_rise_and_fall():
    fresh(f"service add {WEB} table 251\nbackend add 10.0.0.1\n")
    told = [0, 2, 2, 0, 2, 3, 2, 0, 2, 2, 2, 2, 0, 2, 0, 3, 0, 0]
    story(told)
    running = Running(f"probe {WEB} exec {OFTEN} rise 2 fall 3 command sh story.sh\n")
    wait_for(lambda: len(read("runs").split()) > len(told), "all of a story is probed")
    tap.equal(running.end(), 0, "SIGTERM ends it well")
    tap.equal(read("said.out"), f"backend change 10.0.0.1:80 service {WEB} health down\n"
                                f"backend change 10.0.0.1:80 service {WEB} health up\n",
              "what flaps is told only when it has lasted")
    tap.equal(read("said.err").count(": could not be probed: "), 2, "the rest is a remark")


def check_follow():
    fresh(f"service add {WEB} table 251\nservice add {DNS} table 251\n"
          f"backend add 10.0.0.1 service {WEB}\n")
    write("log", "")
    command = "command sh -c \"echo $0 >>log; exit 2\" {service}={address}"
    running = Running(f"probe {WEB} exec {OFTEN} {command}\n")
    one, two, other = (f"{WEB}=10.0.0.1", f"{WEB}=10.0.0.2", f"{DNS}=10.0.0.3")

    def count(name):
        return read("log").split().count(name)

    wait_for(lambda: count(one), "a backend is probed")
    xlb("backend", "add", "10.0.0.2", "service", WEB, status=0)
    xlb("backend", "add", "10.0.0.3", "service", DNS, status=0)
    wait_for(lambda: count(two), "one that is added is probed, too")
    wait_for(lambda: "10.0.0.2:80" in read("said.out"), "and told of")
    tap.equal(count(other), 0, "that of a service which is not configured is not")
    xlb("backend", "del", "10.0.0.1", "service", WEB, status=0)
    before = count(two)
    wait_for(lambda: count(two) > before + 3, "probing goes on")
    after = count(one)
    wait_for(lambda: count(two) > before + 6, "and on")
    tap.equal(count(one), after, "but not of one that is deleted")

    running.change(f"probe {DNS} exec {OFTEN} {command}\n")
    wait_for(lambda: count(other) > 1, "SIGHUP brings the new configuration")
    before, after = count(two), count(other)
    wait_for(lambda: count(other) > after + 3, "probing goes on")
    tap.equal(count(two), before, "without what it no longer has")
    running.change("probe\n")
    wait_for(lambda: "what was read before stays" in read("said.err"), "a bad one is refused")
    after = count(other)
    wait_for(lambda: count(other) > after + 3, "and the old one goes on")

    os.rename(world.PINS, world.PINS + "_away")
    wait_for(lambda: "no maps of xlb" in read("said.err"), "maps that go are said to be gone")
    after = count(other)
    wait_for(lambda: count(other) > after + 3, "and what was known is probed")
    os.rename(world.PINS + "_away", world.PINS)
    xlb("backend", "add", "10.0.0.4", "service", DNS, status=0)
    wait_for(lambda: count(f"{DNS}=10.0.0.4"), "maps that return are read")
    tap.equal(read("said.err").count("no maps of xlb"), 1, "each is said once")
    tap.equal(read("said.out").count("10.0.0.3:53"), 1, "as is what a backend is")
    running.end()


def check_output():
    """Nobody reads: it ends, and says so, before it has anything to tell."""
    fresh(f"service add {WEB} table 251\nbackend add 10.0.0.1\n")
    write("quiet.conf", f"probe {WEB} exec interval 60 command true\n")
    with subprocess.Popen([PROBE, "quiet.conf"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as process:
        process.stdout.close()
        tap.equal((process.wait(timeout=PATIENCE), process.stderr.read()),
                  (2, "xlb-probe: standard output: Broken pipe\n"), "a reader that is gone")
    with open("/dev/full", "wb") as full:
        done = subprocess.run([PROBE, "-once", write("tell.conf", f"probe {WEB} exec command "
                                                     "sh -c \"exit 2\"\n")],
                              stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    tap.ok(done.returncode == 2 and "xlb-probe: standard output: No space" in done.stderr,
           "a disk that is full", done.returncode, done.stderr)


class Server:
    """Answers every request with what it is told; None: with nothing."""

    def __init__(self, host="127.0.0.1"):
        self.listener = socket.create_server(
            (host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=512)
        self.end = f"[{host}]" if ":" in host else host
        self.end += f":{self.listener.getsockname()[1]}"
        self.answer, self.asked, self.held = None, b"", []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            peer, _ = self.listener.accept()
            self.held.append(peer)
            if self.answer is None:
                continue
            self.asked = peer.recv(65536)
            try:
                peer.sendall(self.answer)
                peer.shutdown(socket.SHUT_WR)
            except OSError:
                pass


def response(status, body=b"", headers=b""):
    return b"HTTP/1.1 %d X\r\n%s\r\n" % (status, headers) + body


def check_http():
    server, six = Server(), Server("::1")
    fresh(f"service add {WEB} table 251\nservice add {SIX} table 251\n"
          f"backend add {server.end} service {WEB}\nbackend add {six.end} service {SIX}\n")
    much = b"x" * 70000
    for keywords, answer, reason in (
            ("", response(200), None),
            ("", response(204), None),
            ("", response(301, b"", b"Location: http://127.0.0.9/\r\n"), None),
            ("", response(404), "status 404, not 200-399"),
            ("", response(503), "status 503, not 200-399"),
            ("status 503", response(503), None),
            ("status 200-299", response(301), "status 301, not 200-299"),
            ("match works", response(200, b"it works"), None),
            ("match \"t w\"", response(200, b"it works"), None),
            ("match no", response(200, b"it works"), "status 200, but no \"no\" in the body"),
            ("match works", response(500, b"it works"), "status 500, not 200-399"),
            ("match x", response(200, b""), "status 200, but no \"x\" in the body"),
            ("", response(200, much), None),
            ("match end", response(200, much + b"end"),
             "status 200, but no \"end\" in the first 64 KiB"),
            ("match end", response(200, much[:65532] + b"end"), None),
            ("", b"", "Empty reply from server"),
            ("", b"SSH-2.0-OpenSSH\r\n", "Received HTTP/0.9 when not allowed"),
            ("", response(200, b"x", b"Content-Length: 9\r\n"), "transfer closed with"),
            ("", None, "no answer within 0.3 seconds")):
        server.answer = answer
        said, why = once(f"probe {WEB} http timeout 0.3 {keywords}\n")
        tap.ok(said == ({server.end: "down"} if reason else {}) and (reason or "") in why,
               f"http {keywords} {answer and answer[:20]}", said, why)

    for service, end, keywords, line, host in (
            (WEB, server, "", b"GET / HTTP/1.1", b"192.0.2.1"),
            (WEB, server, "host www.example.com path /a/../b?c=d%20e",
             b"GET /a/../b?c=d%20e HTTP/1.1", b"www.example.com"),
            (SIX, six, "", b"GET / HTTP/1.1", b"[2001:db8::1]")):
        end.answer = response(200)
        variables = dict(os.environ)
        os.environ.update(http_proxy="http://127.0.0.9:9/", all_proxy="http://127.0.0.9:9/")
        said, why = once(f"probe {service} http {keywords}\n")
        os.environ.clear()
        os.environ.update(variables)
        lines = end.asked.split(b"\r\n")
        tap.ok(not said and lines[0] == line and b"Host: " + host in lines,
               f"{service} {keywords}: the backend is asked what clients ask", end.asked, why)
        tap.ok(b"Connection: close" in lines, "and may close the connection")

    said, why = once(f"probe {WEB} http port 1\n")
    tap.ok(said == {server.end: "down"} and "down: connect: Connection refused" in why,
           "nobody listens at the port to be probed", why)
    fresh(f"service add {ALL} table 251\nbackend add 127.0.0.1\n")
    port = server.end.split(":")[1]
    once(f"probe {ALL} http port {port}\n")
    tap.ok(b"Host: 192.0.2.2:" + port.encode() in server.asked,
           "a service on any port is probed by the one to be probed", server.asked)


def check_tcp():
    server = Server()
    fresh(f"service add {WEB} table 251\nbackend add {server.end}\nbackend add 127.0.0.2:1\n"
          f"service add {SIX} table 251\nbackend add [::1]:1 service {SIX}\n")
    said, why = once(f"probe {WEB} tcp\nprobe {SIX} tcp\n")
    tap.equal(said, {"127.0.0.2:1": "down", "[::1]:1": "down"}, "those that refuse are down")
    tap.equal(why.count("down: connect: Connection refused"), 2, "which is told")


def check_descriptors():
    """A lack of descriptors is no fault of backends."""
    server = Server()
    port = server.end.split(":")[1]
    ends = [f"127.0.1.{number}:{port}" for number in range(1, LACKING + 1)]
    fresh(f"service add {WEB} table 251\n" + "".join(f"backend add {end}\n" for end in ends))
    server.listener.close()
    listeners = [socket.create_server(("127.0.1." + str(number), int(port)))
                 for number in range(1, LACKING + 1)]
    for kind in "http", "tcp":
        write("few.conf", f"probe {WEB} {kind} timeout 1\n")
        done = subprocess.run(["prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}", PROBE, "-once", "few.conf"],
                              capture_output=True, text=True, check=False)
        lack = done.stderr.count(": could not be probed: Too many open files\n")
        told = len(changes(done.stdout))
        if kind == "http":
            tap.ok(lack and lack + told == LACKING, f"{kind}: those without one are not told of",
                   done.stdout, done.stderr)
        else:
            tap.ok(not told, f"{kind}: one that answers at once is no lack", done.stderr)
    for listener in listeners:
        listener.close()


def main():
    world.enter()
    maps_make()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.chmod(folder, stat.S_IRWXU)
        check_errors()
        check_codes()
        check_filling()
        check_rise_and_fall()
        check_follow()
        check_output()
        check_http()
        check_tcp()
        check_descriptors()
        os.chdir("/")
    tap.done()


main()
