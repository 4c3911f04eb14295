#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The scripts: names, several at once, files, states, the table; as built and installed."""

import glob
import json
import os
import re
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import world  # noqa: E402
from world import ROOT, World, maps_make, maps_remove, xlb  # noqa: E402
from bpf import possible_cpus  # noqa: E402
import tap  # noqa: E402

WEB4, WEB6, DNS = "192.0.2.1:80/tcp", "[2001:db8::1]:80/tcp", "192.0.2.1:53/udp"
SHARING = "192.0.2.2:80/tcp"    # a backend of WEB4
SERVICES = f"service add {WEB4} table 251\nservice add {WEB6} table 251\n" \
           f"service add {DNS} table 251\n"

HOSTS = """\
127.0.0.1 localhost
192.0.2.1 www.example.com
2001:db8::1 www.example.com
10.0.0.1 web1
fd00::1 web1
10.0.0.2 web2
10.0.0.3 web3
fd00::3 web3
fe80::9%lo link
"""


def run(*words, text=None, variables=None, cwd=ROOT, timeout=None):
    path = f"{ROOT}/scripts:{os.environ['PATH']}"
    command = ["timeout", str(timeout), *words] if timeout else words
    return subprocess.run(command, capture_output=True, text=True, input=text, cwd=cwd,
                          check=False, env={**os.environ, "PATH": path, **(variables or {})})


def fresh(lines=SERVICES):
    maps_remove()
    maps_make()
    xlb("-batch", "-", text=lines, status=0)


def shown(what="backend"):
    return xlb(what, "show", status=0).stdout


def check_done(words, wanted, what="backend", text=None):
    """The command is silent, and `show` has these lines then."""
    done = run(*words.split(), text=text)
    tap.equal((done.returncode, done.stdout + done.stderr), (0, ""), words)
    tap.equal(shown(what), wanted, f"{words}: is what has been asked for")


def check_services():
    fresh("")
    check_done(f"xlb-service add www.example.com:80/tcp {DNS} table 251 hash source",
               f"{WEB4} mode dnat hash source table 251 settle 30\n"
               f"{DNS} mode dnat hash source table 251 settle 30\n"
               f"{WEB6} mode dnat hash source table 251 settle 30\n", "service")
    check_done(f"xlb-service change {DNS} {WEB6} settle 3",
               f"{WEB4} mode dnat hash source table 251 settle 30\n"
               f"{DNS} mode dnat hash source table 251 settle 3\n"
               f"{WEB6} mode dnat hash source table 251 settle 3\n", "service")
    everything = shown("service")
    tap.equal(run("xlb-service").stdout, everything, "xlb-service shows all")
    tap.equal(run("xlb-service", "show").stdout, everything, "xlb-service show shows all")
    tap.equal(sorted(run("xlb-service", "show", "www.example.com:80/tcp").stdout.splitlines()),
              sorted(everything.splitlines()[::2]), "or some")
    check_done(f"xlb-service change {DNS} fail open",
               everything.replace(f"{DNS} mode dnat hash source table 251 settle 3",
                                  f"{DNS} mode dnat hash source table 251 settle 3 fail open"),
               "service")
    check_done("xlb-service del www.example.com:80/tcp",
               f"{DNS} mode dnat hash source table 251 settle 3 fail open\n", "service")
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, "a:80"))
        open(os.path.join(folder, "a:80", "tcp"), "w").close()
        tap.equal(run("xlb-service", "add", "*:80/tcp", "table", "251", cwd=folder).returncode, 0,
                  "* is an address, and no pattern")
    tap.ok("*:80/tcp mode" in shown("service"), "which the service then has")


def check_backends():
    fresh()
    web = f"10.0.0.1:8080 service {WEB4} weight 2 state up\n" \
          f"10.0.0.2:8080 service {WEB4} weight 2 state up\n"
    check_done(f"xlb-backend add web1:8080 10.0.0.2:8080 service {WEB4} weight 2", web)
    check_done(f"xlb-backend add web1 web3:81 service {WEB6}",
               web + f"[fd00::1]:80 service {WEB6} weight 1 state up\n"
               f"[fd00::3]:81 service {WEB6} weight 1 state up\n")
    check_done(f"xlb-backend del web1:80 web3:81 service {WEB6}", web)
    check_done(f"xlb-backend change web1:8080 web2:8080 service {WEB4} weight 3 state drain",
               web.replace("weight 2 state up", "weight 3 state drain"))
    fresh(f"service add {WEB4} table 251\n")
    check_done("xlb-backend add web1 web3", f"10.0.0.1:80 service {WEB4} weight 1 state up\n"
               f"10.0.0.3:80 service {WEB4} weight 1 state up\n")
    fresh("service add 192.0.2.1:*/tcp table 251\n")
    check_done("xlb-backend add web1", "10.0.0.1 service 192.0.2.1:*/tcp weight 1 state up\n")
    check_done("xlb-backend down web1", "10.0.0.1 service 192.0.2.1:*/tcp weight 1 state down\n")


def check_file():
    pool = "# the pool\n\nweb1:8080 web2:8080   # rack 1\n  10.0.0.3:8080 weight 4\n\t\n" \
           "web3:8081 state down"
    wanted = f"10.0.0.1:8080 service {WEB4} weight 1 state up\n" \
             f"10.0.0.2:8080 service {WEB4} weight 1 state up\n" \
             f"10.0.0.3:8080 service {WEB4} weight 4 state up\n" \
             f"10.0.0.3:8081 service {WEB4} weight 1 state down\n"
    fresh()
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(pool)
        file.flush()
        check_done(f"xlb-backend add -f {file.name} service {WEB4}", wanted)
        done = run("xlb-backend", "add", "-f", file.name, "service", WEB4)
        tap.equal((done.returncode, done.stderr),
                  (2, f"xlb-backend: {file.name}:3: add 10.0.0.1:8080: service {WEB4}: "
                      "exists already\n"), "an error names the file and its line")
        fresh()
        done = run("xlb-backend", "add", "-f", file.name, "service", WEB4, "weight", "1")
        tap.equal((done.returncode, done.stderr),
                  (1, f"xlb-backend: {file.name}:4: add 10.0.0.3:8080: weight: given twice\n"),
                  "so does a wrong command line")
        tap.equal(shown(), "", "and nothing is changed")
        run("xlb-backend", "add", "-f", file.name, "service", WEB4)
        run("xlb-backend", "add", "web1:8082", "service", WEB4)
        check_done(f"xlb-backend del -f {file.name} service {WEB4}",
                   f"10.0.0.1:8082 service {WEB4} weight 1 state up\n")
    line = f"web1:8082 weight 9 health up service {WEB4} state drain"
    for words, text, why in (
            ("-f - weight 9", line, "-:1: del 10.0.0.1:8082: weight: unknown keyword"),
            ("-f -", f"{line} weight", "-:1: del: weight: needs a value\n"),
            ("-f -", "-h", "-:1: -h: neither a HOST nor a keyword\n"),
            ("-f -", line.replace("weight", "wieght"), "-:1: del: 9: neither a BACKEND nor")):
        done = run("xlb-backend", "del", *words.split(), text=text)
        tap.ok(done.returncode == 1 and done.stderr.startswith(f"xlb-backend: {why}"),
               f"del {words}: what is wrong with a line", done.stderr)
    check_done("xlb-backend del -f -", "", text=line)
    fresh()
    check_done(f"xlb-backend add -f - service {WEB4}", wanted, text=pool)
    tap.equal(run("xlb-backend", "add", "-f", "-", text="").returncode, 0,
              "an empty file is nothing to do")
    tap.equal(run("xlb-backend", "add", "-f", "-", text="web1\nnowhere.invalid\n").stderr,
              "xlb-backend: -:2: nowhere.invalid: no address found for this name\n",
              "a name that is none is told with its line")


# Of `drain ... wait`, with an answer for selected_show.
FLOWS = """\
set -eu
here=scripts
. scripts/common.sh
. scripts/wait.sh
quiet=1
selected_show() { jq -nc '[range(3000) | [{backend: "10.0.0.1:\\(.)", direction: "forward",
    embryonic: false, silent: 0}]]'; }
flows_print "$(awk 'BEGIN { for (i = 0; i < 3000; i++)
    print "10.0.0.1:" i, "[2001:db8:1:2:3:4:5:6]:10080/tcp", i, i * 100 }')" 300000
"""


def check_many():
    """More than one variable of the environment may hold: 128 KiB."""
    fresh()
    with tempfile.TemporaryDirectory() as folder:
        deep = os.path.join(folder, *("deep" * 50 for _ in range(4)))
        os.makedirs(deep)
        path = os.path.join(deep, "pool")
        with open(path, "w") as file:
            file.write("10.0.0.1:8080 weight x\n" + 200 * "10.0.0.2\n")
        done = run("xlb-backend", "add", "-f", path, "service", WEB4)
        tap.ok(done.returncode == 1 and
               done.stderr.startswith(f"xlb-backend: {path}:1: add 10.0.0.1:8080: weight x: not a"),
               "an error names the file and its line, however many there are",
               done.returncode, done.stderr[-300:])
    done = run("sh", "-c", FLOWS)
    left = [line.split()[-3:] for line in done.stdout.splitlines()]
    wanted = [[str(3000 - place), "flows", "1"] for place in range(3000)]
    tap.equal((done.returncode, done.stderr, left), (0, "", wanted),
              "as many backends as there are have a line of what is left on them")


def states():
    return dict(re.findall(r"^(\S+ service \S+) .*state (\w+)$", shown(), re.MULTILINE))


def check_states():
    backends = [f"{end} service {service}" for service, ends in
                ((WEB4, ("10.0.0.1:80", "10.0.0.1:81", "10.0.0.11:80")),
                 (WEB6, ("[fd00::1]:80", "[fd00::3]:80")), (DNS, ("10.0.0.1:53",)),
                 (SHARING, ("10.0.0.1:80",)))
                for end in ends]
    fresh(f"{SERVICES}service add {SHARING} table 251\n"
          + "".join(f"backend add {backend}\n" for backend in backends))
    for words, changed in (
            ("down web1", ("10.0.0.1:", "[fd00::1]")),
            ("up 10.0.0.1:81", ("10.0.0.1:81",)),
            (f"up web1:80 service {SHARING}", (f"10.0.0.1:80 service {SHARING}",)),
            (f"drain web1:80 [fd00::3] service {WEB6}", ("[fd00:",)),
            ("drain [fd00:0::0001]:80 10.0.0.11", ("[fd00::1]", "10.0.0.11")),
            ("up web1 web3 10.0.0.11", ("10.0.0.", "[fd00:"))):
        before = states()
        state = words.split()[0]
        done = run("xlb-backend", *words.split())
        wanted = {name: state if name.startswith(changed) else before[name] for name in before}
        tap.equal((done.returncode, done.stderr, states()), (0, "", wanted),
                  f"xlb-backend {words}")
    check_health()
    check_drain()
    check_warmup()
    check_warned_once()
    everything = shown().splitlines(keepends=True)
    tap.equal(run("xlb-backend").stdout, shown(), "xlb-backend shows all")
    tap.equal(run("xlb-backend", "show", "service", WEB6).stdout,
              "".join(line for line in everything if WEB6 in line), "or a service's")
    tap.equal(sorted(run("xlb-backend", "show", "web1").stdout.splitlines(keepends=True)),
              sorted(line for line in everything if line.startswith(("10.0.0.1:", "[fd00::1]"))),
              "or a host's")


def check_health():
    run("xlb-backend", "change", "web1", "service", WEB4, "health", "down")
    for words, said in (("down web1", ""), ("drain web1", ""), ("up web1:81", ""),
                        ("up web1", f"xlb-backend: up 10.0.0.1:80: service {WEB4}: its health is "
                                    "still down, which is the checker's to raise\n")):
        done = run("xlb-backend", *words.split())
        tap.equal((done.returncode, done.stdout, done.stderr), (0, "", said),
                  f"health is down: xlb-backend {words}")
    tap.ok(f"10.0.0.1:80 service {WEB4} weight 1 state up health down\n" in shown(),
           "and stays down", shown())
    check_done(f"xlb-backend change 10.0.0.1:80 service {WEB4} health up",
               shown().replace(" health down", ""))


class Traffic(threading.Thread):
    """Packets that a backend of WEB4 is counted for, without a pause, until it is stopped."""

    def __init__(self, address, port):
        super().__init__()
        vip = bytes((192, 0, 2, 1))
        state = World(sizes=world.SIZES)
        self.stats = state.maps["xlb_stats"]
        self.number = next(value["id"] for key, value in state.backends()
                           if key["address"][-4:] == address and key["port"] == port
                           and key["service_address"][-4:] == vip)
        self.over = threading.Event()

    def run(self):
        packets = 0
        while not self.over.wait(0.05):
            packets += 1
            self.stats.set(self.number, {"out_packets": packets})

    def stop(self):
        self.over.set()
        self.join()


def check_drain():
    quiet, busy = f"10.0.0.11:80 service {WEB4}", f"10.0.0.1:80 service {WEB4}"
    traffic = Traffic(bytes((10, 0, 0, 1)), 80)
    traffic.start()
    done = run("xlb-backend", "drain", "10.0.0.11", "service", WEB4, "wait", "60", "quiet", "1")
    tap.ok(done.returncode == 0 and re.fullmatch(f"{quiet} silent [1-9] flows 0\n", done.stdout)
           and not done.stderr, "it waits for those alone that it drains", done.stdout)
    done = run("xlb-backend", "drain", "web1", "10.0.0.11", "wait", "3", "quiet", "3", "service",
               WEB4)
    traffic.stop()
    tap.ok(done.returncode == 2 and f"{busy} silent 0 flows 0\n" in done.stdout
           and re.search(f"^{quiet} silent [3-9] flows 0$", done.stdout, re.MULTILINE)
           and done.stderr == f"xlb-backend: drain: not silent after 3 seconds: {busy}\n",
           "who is not silent is told", done.returncode, done.stdout, done.stderr)
    tap.equal({name: state for name, state in states().items() if name in (quiet, busy)},
              {quiet: "drain", busy: "drain"}, "both are drained")
    run("xlb-backend", "up", "web1", "10.0.0.11")


def check_warmup():
    def warm():
        shown = xlb("-j", "-s", "backend", "show", "10.0.0.1:80", "service", WEB4, status=0)
        return [each["warm"] for each in json.loads(shown.stdout)]

    run("xlb-service", "change", WEB4, "warmup", "2")
    run("xlb-backend", "down", "web1")
    xlb("backend", "change", "10.0.0.1:80", "service", WEB4, "state", "up", status=0)
    before = warm()
    run("xlb-backend", "down", "web1")
    done = run("xlb-backend", "up", "web1")
    tap.equal((before, done.returncode, done.stdout, warm()), ([10], 0, "", [100]),
              "xlb-backend up takes all the steps of a warmup")
    tap.equal(done.stderr, f"xlb-backend: up: warming up for 2 seconds: 10.0.0.1:80 service {WEB4},"
              f" 10.0.0.1:81 service {WEB4}\n", "and says for whom it waits, and how long")
    run("xlb-service", "change", WEB4, "warmup", "0")


def check_warned_once():
    """What keeps a backend from working stands while it warms up, too."""
    world.router()
    xlb("-batch", "-", text="service add 192.0.2.5:80/tcp table 251 mode dr\n"
                            "backend add 10.9.1.1 service 192.0.2.5:80/tcp\n", status=0)
    run("xlb-service", "change", "192.0.2.5:80/tcp", "warmup", "3")
    run("xlb-backend", "down", "10.9.1.1")
    done = run("xlb-backend", "up", "10.9.1.1")
    told = done.stderr.splitlines()
    tap.ok(done.returncode == 0 and len(told) == 2
           and told[0].startswith("xlb-backend: warning: backend 10.9.1.1:80: behind a router")
           and told[1].startswith("xlb-backend: up: warming up for 3 seconds: "),
           "xlb-backend up says once what stands in the way", done.returncode, done.stderr)
    world.sh("ip", "link", "del", "left")
    xlb("service", "del", "192.0.2.5:80/tcp", status=0)


# {status, words, message}, after SERVICES and web1 in the first of them.
ERRORS = (
    (1, "xlb-service ad", "xlb-service: ad: unknown command, not one of: add, change, del, show"),
    (1, "xlb-service -x", "xlb-service: -x: unknown option, see xlb-service -h"),
    (1, "xlb-service add", "xlb-service: add: which service? HOST:PORT/PROTOCOL"),
    (1, "xlb-service add 192.0.2.9", "xlb-service: add 192.0.2.9: not ADDRESS:PORT/PROTOCOL"),
    (1, "xlb-service add 192.0.2.9:80/tcp tabel 251", "tabel: unknown keyword"),
    (1, "xlb-service add 192.0.2.9:http/tcp", "xlb-service: add 192.0.2.9:http/tcp: the port"),
    (1, "xlb-service add [2001:db8::g]:80/tcp", "what is in [ ] is not an IPv6 address"),
    (2, "xlb-service add nowhere.invalid:80/tcp",
     "xlb-service: nowhere.invalid: no address found for this name"),
    (2, f"xlb-service add {WEB4}", f"xlb-service: add {WEB4}: exists already"),
    (2, "xlb-service del 192.0.2.9:80/tcp", "xlb-service: del 192.0.2.9:80/tcp: no such service"),
    (2, "xlb-service show 192.0.2.9:80/tcp", "xlb-service: show 192.0.2.9:80/tcp: no such service"),
    (1, "xlb-service show -j", "xlb-service: -j: unknown option, see xlb-service -h"),
    (1, f"xlb-service show {WEB4} -j:80/tcp", "xlb-service: -j:80/tcp: unknown option"),
    (1, "xlb-service add fd00::5:80/tcp",
     "xlb-service: add fd00::5:80/tcp: an IPv6 address stands in [ ]"),
    (1, "xlb-service add 192.0.2.0/24:80/tcp",
     "xlb-service: add 192.0.2.0/24:80/tcp: not HOST:PORT/PROTOCOL"),
    (1, "xlb-service add 192.0.2.9/tcp", "xlb-service: add 192.0.2.9/tcp: not HOST:PORT/PROTOCOL"),
    (1, "xlb-backend ad", "xlb-backend: ad: unknown command, not one of: add,"),
    (1, "xlb-backend --x", "xlb-backend: --x: unknown option, see xlb-backend -h"),
    (1, "xlb-backend add", "xlb-backend: add: which backend? HOST[:PORT]"),
    (1, "xlb-backend down", "xlb-backend: down: which backend? HOST[:PORT]"),
    (1, f"xlb-backend add service {WEB4}", "xlb-backend: add: which backend? HOST[:PORT]"),
    (1, "xlb-backend add -f", "xlb-backend: add: -f: which file?"),
    (1, "xlb-backend add -f /nowhere", "xlb-backend: -f /nowhere: cannot be read"),
    (2, "xlb-backend add -f /", "xlb-backend: -f /: is a folder"),
    (2, f"xlb-backend add nowhere.invalid service {WEB4}",
     "xlb-backend: nowhere.invalid: no IPv4 address found for this name"),
    (2, f"xlb-backend add web2 service {WEB6}",
     "xlb-backend: web2: no IPv6 address found for this name"),
    (2, f"xlb-backend add link service {WEB6}", "xlb-backend: link: no IPv6 address found"),
    (2, "xlb-backend add 10.0.0.2", "xlb-backend: add 10.0.0.2: of which of the 3 services?"),
    (2, f"xlb-backend add 10.0.0.1 service {WEB4}",
     f"xlb-backend: add 10.0.0.1: service {WEB4}: exists already"),
    (1, f"xlb-backend add 10.0.0.2:x service {WEB4}", "xlb-backend: add 10.0.0.2:x: the port is"),
    (1, f"xlb-backend add 10.0.0.2 service {WEB4} weight", "weight: needs a value"),
    (1, f"xlb-backend add 10.0.0.2 service {WEB4} weight -1", "weight -1: not a number"),
    (1, f"xlb-backend add web1 wieght 2 service {WEB4}", "xlb-backend: add: 2: neither a BACKEND"),
    (1, "xlb-backend show -j", "xlb-backend: -j: unknown option, see xlb-backend -h"),
    (1, "xlb-backend up -f pool", "xlb-backend: -f: unknown option, see xlb-backend -h"),
    (1, f"xlb-backend add fd00::5 service {WEB6}",
     "xlb-backend: add fd00::5: an IPv6 address stands in [ ]"),
    (1, "xlb-backend up fd00::1", "xlb-backend: up fd00::1: an IPv6 address stands in [ ]"),
    (1, f"xlb-backend add 10.0.0.3/24 service {WEB4}",
     "xlb-backend: add 10.0.0.3/24: a backend is HOST[:PORT], without prefix or protocol"),
    (1, "xlb-backend down 10.0.0.1:80/tcp", "down 10.0.0.1:80/tcp: a backend is HOST[:PORT],"),
    (2, "xlb-backend up web2", "xlb-backend: up web2: no such backend"),
    (2, f"xlb-backend up web1 service {DNS}", "xlb-backend: up web1: no such backend"),
    (2, "xlb-backend up 10.0.0.1:81", "xlb-backend: up 10.0.0.1:81: no such backend"),
    (2, "xlb-backend up nowhere.invalid", "xlb-backend: nowhere.invalid: no address found"),
    (1, "xlb-backend up web1 wait 3", "up: wait: unknown keyword, not one of: service"),
    (1, "xlb-backend drain web1 weight 3",
     "xlb-backend: drain: weight: unknown keyword, not one of: service, wait, quiet"),
    (1, "xlb-backend drain wait 3", "xlb-backend: drain: which backend? HOST[:PORT]"),
    (1, "xlb-backend drain web1 wait", "xlb-backend: drain: wait: needs a value"),
    (1, "xlb-backend drain web1 wait 0", "drain: wait 0: not a number of seconds from 1 to 86400"),
    (1, "xlb-backend drain web1 wait 1m", "drain: wait 1m: not a number of seconds"),
    (1, "xlb-backend drain web1 wait 3 wait 4", "xlb-backend: drain: wait: given twice"),
    (1, "xlb-backend drain web1 quiet 3", "xlb-backend: drain: quiet 3: wait for how long?"),
    (1, "xlb-backend drain web1 wait 3 quiet 4", "xlb-backend: drain: quiet 4: is over wait 3"),
    (2, "xlb-backend drain web2 wait 3", "xlb-backend: drain web2: no such backend"),
    (2, "xlb-backend show web2", "xlb-backend: show web2: no such backend"),
    (1, "xlb-save -x", "xlb-save: -x: unknown option, see xlb-save -h"),
    (1, "xlb-save all", "xlb-save: all: unknown option, see xlb-save -h"),
    (1, "xlb-restore", "xlb-restore: which file? FILE, or - for the standard input"),
    (1, "xlb-restore -n", "xlb-restore: which file? FILE, or - for the standard input"),
    (1, "xlb-restore -x", "xlb-restore: -x: unknown option, see xlb-restore -h"),
    (1, "xlb-restore a b", "xlb-restore: b: nothing more is expected here"),
    (1, "xlb-restore /nonexistent", "xlb-restore: /nonexistent: No such file or directory"),
    (2, "xlb-restore /", "xlb-restore: /: Is a directory"),
    (1, "xlb-stat -x", "xlb-stat: -x: unknown option, see xlb-stat -h"),
    (1, "xlb-stat -w", "xlb-stat: -w : not a number of seconds from 1 to 86400"),
    (1, "xlb-stat -w 0", "xlb-stat: -w 0: not a number of seconds"),
    (1, "xlb-stat -w 86401", "xlb-stat: -w 86401: not a number of seconds"),
    (1, "xlb-stat -w x", "xlb-stat: -w x: not a number of seconds"),
    (1, "xlb-stat web1", "xlb-stat: web1: unknown keyword, not one of: service"),
    (2, "xlb-stat service 192.0.2.9:80/tcp",
     "xlb-stat: service 192.0.2.9:80/tcp: no such service"),
    (1, "xlb-doctor -x", "xlb-doctor: -x: unknown option, see xlb-doctor -h"),
    (1, "xlb-doctor -jp", "xlb-doctor: -jp: unknown option, see xlb-doctor -h"),
    (1, "xlb-doctor jit -j", "xlb-doctor: -j: unknown option, see xlb-doctor -h"),
    (1, "xlb-doctor jit nosuch", "xlb-doctor: nosuch: unknown check, see xlb-doctor -h"),
    (1, "xlb-doctor j.t", "xlb-doctor: j.t: unknown check, see xlb-doctor -h"),
)


def check_errors():
    fresh(SERVICES + f"backend add 10.0.0.1 service {WEB4}\n")
    state = World(sizes=world.SIZES)
    before = state.snapshot()
    for status, words, message in ERRORS:
        done = run(*words.split())
        tap.ok(done.returncode == status and message in done.stderr and not done.stdout and
               done.stderr.count("\n") == 1 and done.stderr.startswith(words.split()[0] + ": "),
               f"refused: {words}", f"status {done.returncode}, not {status}",
               done.stdout + done.stderr, f"wanted: {message}")
    tap.ok(state.snapshot() == before, "refusals have changed nothing")
    tap.equal(run("xlb-backend", "add", "10.0.0.8 #", "service", WEB4).returncode, 1,
              "a word with blanks cannot become two")
    maps_remove()
    for words in ("xlb-service show", "xlb-service add " + WEB4, "xlb-backend add web1",
                  "xlb-backend down web1", "xlb-stat", "xlb-save", "xlb-restore -"):
        done = run(*words.split())
        tap.ok(done.returncode == 2 and "no maps of xlb" in done.stderr and
               done.stderr.count("\n") == 1, f"without maps: {words}", done.returncode, done.stderr)


def check_stat():
    fresh(SERVICES + f"backend add 10.0.0.1 service {WEB4} weight 3\n"
          f"backend add 10.0.0.2 service {WEB4}\nbackend add [fd00::1] service {WEB6}\n")
    state = World(sizes=world.SIZES)
    cpus = possible_cpus()

    def count(end, packets):
        number = next(value["id"] for key, value in state.backends()
                      if key["address"] == end)
        state.maps["xlb_stats"].set(number, {
            "connections": packets, "in_packets": packets, "in_bytes": packets * 1000,
            "out_packets": packets, "out_bytes": packets * 1000000})

    first, second = (bytes(10) + b"\xff\xff" + bytes((10, 0, 0, last)) for last in (1, 2))
    count(first, 300)
    count(second, 100)
    lines = run("xlb-stat").stdout.splitlines()
    rows = {line.split()[0]: line.split() for line in lines if line}
    tap.equal(rows.get(WEB4, [])[1:], "weight state conn packets bytes replies bytes share".split(),
              "each service has a heading")
    tap.equal(rows.get("10.0.0.1:80", [])[1:10],
              ["3", "up", f"{300 * cpus}", f"{300 * cpus}", short(300000 * cpus), f"{300 * cpus}",
               short(300000000 * cpus), "75%", "#" * 15], "a backend's counters, and its share")
    tap.equal(rows.get("[fd00::1]:80", [])[-1:], ["0%"], "no packets are no share")
    tap.ok(DNS not in rows, "a service without backends has no lines")
    tap.ok("dropped:" not in "\n".join(lines), "nothing has been dropped")
    check_stat_states()
    state.maps["xlb_drops"].set(0, {"ttl": 2})
    text = run("xlb-stat", "service", WEB6).stdout
    tap.ok(WEB6 in text and WEB4 not in text, "one service alone")
    tap.ok(f"\ndropped, of all services: ttl {2 * cpus}\n" in text,
           "what has been dropped, by reason, for whichever service", text)
    tap.ok(f"\ndropped: ttl {2 * cpus}\n" in run("xlb-stat").stdout, "where all are shown, too")
    check_rates(count, second)


def short(number):
    for unit, size in (("", 1), ("k", 10**3), ("M", 10**6), ("G", 10**9)):
        if number / size < 9999.5:
            return f"{round(number / size)}{unit}"
    raise ValueError


def check_stat_states():
    def state():
        return re.search(r"^  10\.0\.0\.1:80 +3 +(.*?) +\d", run("xlb-stat").stdout,
                         re.MULTILINE)[1]

    backend = ("backend", "change", "10.0.0.1", "service", WEB4)
    xlb("service", "change", WEB4, "warmup", "60000", status=0)
    xlb(*backend, "state", "drain", status=0)
    seen = [state()]
    xlb(*backend, "health", "down", status=0)
    seen.append(state())
    xlb(*backend, "health", "up", "state", "up", status=0)
    tap.equal([*seen, state()], ["drain", "failed", "warming"], "how a backend stands")
    xlb("service", "change", WEB4, "warmup", "0", status=0)


def check_rates(count, backend):
    """Over one interval nothing comes, over the next 1000 packets for each CPU."""
    path = f"{ROOT}/scripts:{os.environ['PATH']}"
    with subprocess.Popen(["xlb-stat", "-w", "2", "service", WEB4], stdout=subprocess.PIPE,
                          text=True, env=dict(os.environ, PATH=path)) as running:
        def table():
            return [running.stdout.readline() for _ in range(4)]
        idle = table()
        count(backend, 1100)
        busy = table()
        running.terminate()
    wanted = 1000 * possible_cpus() / 2
    rate = busy[2].split()[3]
    tap.ok("conn/s" in idle[0] and idle[2].split()[3] == "0", "rates: nothing comes", *idle)
    tap.ok(re.fullmatch(r"[\d.]+", rate) and 0.5 * wanted < float(rate) <= 1.01 * wanted,
           "rates: what comes, for each second", f"about {wanted}", *busy)


def check_save():
    fresh()
    done = run("xlb-save")
    tap.equal((done.returncode, done.stdout, done.stderr),
              (0, xlb("save", status=0).stdout, ""), "xlb-save prints what xlb save does")
    tap.equal(done.stdout.count("service add"), 3, "which is all there is")
    wanted = done.stdout.replace("table 251 settle 30 ", "table 251 settle 3 ")
    with tempfile.NamedTemporaryFile("w", prefix="with blanks ") as file:
        file.write(wanted)
        file.flush()
        before = World().snapshot()
        done = run("xlb-restore", "-n", file.name)
        tap.equal((done.returncode, done.stdout.splitlines(), done.stderr),
                  (0, [f"service change {each} settle 3" for each in (WEB4, DNS, WEB6)], ""),
                  "xlb-restore -n prints the changes")
        tap.ok(World().snapshot() == before, "and makes none")
        done = run("xlb-restore", file.name)
        tap.equal((done.returncode, done.stdout + done.stderr, run("xlb-save").stdout),
                  (0, "", wanted), "xlb-restore makes them")
        file.write("backend add web1\n")
        file.flush()
        done = run("xlb-restore", file.name)
        tap.equal((done.returncode, done.stdout, done.stderr),
                  (1, "", f"xlb-restore: {file.name}:6: backend add web1: the address is not "
                          "a.b.c.d or [IPv6]\n"), "an error names the file and its line")
    done = run("xlb-restore", "-", text="service add 192.0.2.1:80\n")
    tap.ok(done.returncode == 1 and done.stderr.startswith("xlb-restore: -:1: service add "),
           "from the standard input, too", done.stderr)
    tap.equal(run("xlb-restore", "-", text=wanted).returncode, 0, "which may be what is there")


def there(folder, pattern):
    """What the tree has, by name."""
    return sorted(os.path.basename(path)
                  for path in glob.glob(os.path.join(ROOT, folder, pattern)))


def check_help():
    for tool in there("scripts", "xlb-*"):
        for option in ("-h", "--help"):
            done = run(tool, option)
            tap.ok(done.returncode == 0 and re.match(rf"Usage: {tool}\s", done.stdout) and
                   not done.stderr, f"{tool} {option}")
    for words in ("xlb-service add -h", "xlb-backend drain --help"):
        tap.ok(run(*words.split()).stdout.startswith("Usage: "), f"{words} helps, too")


def check_install():
    """From where they are installed, the tools find each other and the object."""
    with tempfile.TemporaryDirectory() as folder:
        make = ("make", "-s", f"DESTDIR={folder}", "PREFIX=/opt/xlb")
        # Without a rebuild for that prefix, which belongs to the tree of the others.
        run(*make, "-o", "all", "install")
        sbin = os.path.join(folder, "opt/xlb/sbin")
        for tool in ("xlb-probe", *there("scripts", "xlb-*")):
            done = run(os.path.join(sbin, tool), "-V", variables={"PATH": "/usr/bin:/bin"})
            tap.equal((done.returncode, done.stdout), (0, xlb("-V").stdout.replace("xlb", tool)),
                      f"{tool} runs where it is installed")
        fresh(f"{SERVICES}backend add 10.0.0.1 service {WEB4}\n")
        for words in ("xlb-stat", "xlb-top -b -n 1 -d 1", "xlb-metrics"):
            tool, *options = words.split()
            done = run(os.path.join(sbin, tool), *options, variables={"PATH": "/usr/bin:/bin"})
            tap.ok(done.returncode == 0 and "10.0.0.1:80" in done.stdout and not done.stderr,
                   f"{words} finds its parts", done.stdout, done.stderr)
        files = sorted(os.path.relpath(os.path.join(where, name), folder + "/opt/xlb")
                       for where, _, names in os.walk(folder) for name in names)
        tap.equal(files, sorted(
            ["lib/bpf/decap.o", "lib/bpf/probe.o", "lib/bpf/xlb.o", "sbin/xlb", "sbin/xlb-probe"]
            + [f"lib/xlb/{name}" for name in there("scripts", "*.sh") + there("scripts", "*.jq")]
            + [f"sbin/{name}" for name in there("scripts", "xlb-*")]
            + [f"lib/systemd/system/{name}" for name in there("scripts/systemd", "*")]
            + [f"share/xlb/grafana/{name}" for name in there("scripts/grafana", "*")]
            + [f"share/man/man{page[-1]}/{page}" for page in there("man", "*")]
            + [f"share/bash-completion/completions/{tool}"
               for tool in ["xlb", "xlb-probe", *there("scripts", "xlb-*")]]),
                  "make install puts each file in its place")
        with open(f"{folder}/opt/xlb/lib/systemd/system/xlb-metrics@.service") as unit:
            tap.ok("ExecStart=/opt/xlb/sbin/xlb-metrics -http\n" in unit.read(),
                   "units have the place that the tools are in")
        with open(f"{folder}/opt/xlb/share/bash-completion/completions/xlb-service") as file:
            tap.ok("complete -F" in file.read(), "each tool finds its completion")
        run(*make, "uninstall")
        left = [name for _, _, names in os.walk(folder) for name in names]
        tap.equal(left, [], "make uninstall leaves nothing")


# What tests/deps.sh finds instead of the real ones; "present" is installed.
STAND_INS = {
    "dpkg-query": 'case "$*" in *" present") echo installed ;; *) exit 1 ;; esac',
    "apt-get": 'echo "apt-get $*" >>"$LOG"; [ "${FAILS-}" != "$2" ]',
    "apt-cache": "exit 0",
    "id": 'echo "${USER_ID-0}"',
}


def check_deps():
    with tempfile.TemporaryDirectory() as folder:
        for name, body in STAND_INS.items():
            path = os.path.join(folder, name)
            with open(path, "w") as file:
                file.write(f"#!/bin/sh\n{body}\n")
            os.chmod(path, 0o755)
        log = os.path.join(folder, "log")

        def deps(*packages, **variables):
            open(log, "w").close()
            done = run("tests/deps.sh", *packages, variables={
                "PATH": f"{folder}:{os.environ['PATH']}", "LOG": log, **variables})
            with open(log) as file:
                return done.returncode, done.stderr, file.read()
        tap.equal(deps("present", "present"), (0, "", ""), "deps: nothing is missing")
        tap.equal(deps("present", "absent", "gone"), (0, "",
                  "apt-get -q update\napt-get -q -y --no-install-recommends install absent gone\n"),
                  "deps: what is missing is installed, and nothing else")
        tap.equal(deps("absent", USER_ID="1000"),
                  (1, "deps: not root, and these packages are missing: absent\n", ""),
                  "deps: somebody else cannot install")
        tap.equal(deps("present", USER_ID="1000"), (0, "", ""), "deps: nor needs to")
        tap.equal(deps("absent", FAILS="update")[:2],
                  (1, "deps: apt-get update failed; still missing: absent\n"),
                  "deps: without network it says what is missing")
        tap.equal(deps("absent", FAILS="-y")[:2],
                  (1, "deps: apt-get could not install: absent\n"), "deps: nor what it cannot get")
        empty = os.path.join(folder, "empty")
        os.mkdir(empty)
        for name in ("sh", "grep", "uname", "make"):
            os.symlink(subprocess.run(["which", name], capture_output=True, text=True,
                                      check=True).stdout.strip(), os.path.join(empty, name))
        done = run("/bin/sh", "tests/deps.sh", "make", "strace", variables={"PATH": empty})
        tap.equal((done.returncode, done.stderr),
                  (1, "deps: no apt here; install what Debian calls: strace\n"),
                  "deps: without apt it names what is missing")
        done = run("/bin/sh", "tests/deps.sh", "make", variables={"PATH": empty})
        tap.equal((done.returncode, done.stderr), (0, ""), "deps: and is content if nothing is")


world.enter()
with tempfile.NamedTemporaryFile("w") as hosts:
    hosts.write(HOSTS)
    hosts.flush()
    subprocess.run(["mount", "--bind", hosts.name, "/etc/hosts"], check=True)
    os.environ["LC_ALL"] = "C"
    os.makedirs(world.PINS, exist_ok=True)
    check_services()
    check_backends()
    check_file()
    check_many()
    check_states()
    check_errors()
    check_stat()
    check_save()
    check_help()
    check_install()
    check_deps()
tap.done()
