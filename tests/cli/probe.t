#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""xlb-probe against servers that do as they are told, on loopback."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import prober  # noqa: E402
from prober import PATIENCE, PROBE, changes, fresh, once, wait_for, write  # noqa: E402
from world import maps_remove  # noqa: E402
import tap  # noqa: E402

WEB, ALL = "192.0.2.1:80/tcp", "192.0.2.2:*/tcp"
SIX = "[2001:db8::1]:80/tcp"
LACKING, DESCRIPTORS = 40, 44  # valgrind keeps 12 to itself


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


def check_no_object():
    """Where the program of `via vip` should be is something else."""
    fresh(f"service add {WEB} table 251 mode dr\n")
    write("xlb.o", "")
    write("probe.o", "no object")
    variables = dict(os.environ, XLB_OBJECT=os.path.abspath("xlb.o"))
    done = subprocess.run([PROBE, write("vip.conf", f"probe {WEB} tcp via vip\n")],
                          capture_output=True, text=True, check=False, env=variables)
    tap.equal((done.returncode, done.stderr),
              (2, f"xlb-probe: via vip: {os.path.abspath('probe.o')}: not a BPF object file\n"),
              "via vip: not a program")


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
        patience = 0.3 if answer is None else PATIENCE
        said, why = once(f"probe {WEB} http timeout {patience} {keywords}\n")
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
    for kind, patience in ("http", 1), ("tcp", PATIENCE):
        write("few.conf", f"probe {WEB} {kind} timeout {patience}\n")
        done = subprocess.run(["prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}", PROBE, "-once",
                               "few.conf"], capture_output=True, text=True, check=False)
        lack = done.stderr.count(": could not be probed: Too many open files\n")
        told = len(changes(done.stdout))
        if kind == "http":
            tap.ok(lack and lack + told == LACKING, f"{kind}: those without one are not told of",
                   done.stdout, done.stderr)
        else:
            tap.ok(not told, f"{kind}: one that answers at once is no lack", done.stderr)
    for listener in listeners:
        listener.close()


def connecting(port):
    """Is somebody, who has not got through?"""
    with open("/proc/net/tcp", encoding="ascii") as file:
        return any(line.split()[2].endswith(f":{port:04X}") and line.split()[3] == "02"
                   for line in file)


def check_stop():
    """Answers that come while it is stopped, beyond its patience, are answers."""
    web, full = Server(), socket.create_server(("127.0.0.1", 0), backlog=0)
    end = full.getsockname()
    queue = [socket.create_connection(end)]
    fresh(f"service add {WEB} table 251\nbackend add {web.end} service {WEB}\n"
          f"service add {ALL} table 251\nbackend add 127.0.0.1 service {ALL}\n")
    write("stop.conf", f"probe {WEB} http timeout 1.5\nprobe {ALL} tcp port {end[1]} timeout 1.5\n")
    with subprocess.Popen([PROBE, "-once", "stop.conf"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: web.held and connecting(end[1]), "both probes are under way")
        process.send_signal(signal.SIGSTOP)
        queue.append(full.accept()[0])
        web.held[0].sendall(response(200, b"", b"Content-Length: 0\r\n"))
        time.sleep(1.8)
        tap.ok(not connecting(end[1]), "the second SYN got through")
        process.send_signal(signal.SIGCONT)
        tap.equal(process.communicate(timeout=PATIENCE), ("", ""), "both are up")


prober.run(check_errors, check_no_object, check_http, check_tcp, check_descriptors, check_stop)
