#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""No memory for each allocation in turn: one line says so, and the maps are as before or
as after, or, as after a kill, in a state that packets find no fault with.  The prober blames
no backend for it."""

import http.server
import os
import signal
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import world  # noqa: E402
from logical import Logical  # noqa: E402
from world import World, maps_make, maps_remove, xlb  # noqa: E402
import tap  # noqa: E402

SHIM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "nomemory.so")
WEB, DNS = "192.0.2.1:80/tcp", "192.0.2.2:53/udp"
STATE = f"""\
config set nat4 10.0.9.1
service add {WEB} table 251
service add {DNS} table 251 mode nat
backend add 10.0.0.1:8080 service {WEB}
backend add 10.0.0.2:8080 service {WEB} weight 3
backend add 10.0.0.9 service {DNS}
"""
OTHER = STATE.replace("10.0.0.2", "10.0.0.3").replace("mode nat", "mode dr")

# A command and what it reads; of how many allocations one is tried: what libbpf does with
# an object file is hundreds of them.
SHOWS = (
    ("service show", "", 1),
    ("-j -p service show", "", 2),
    ("-j -s backend show", "", 2),
    ("-j link show", "", 1),
    ("link check", "", 1),
    ("-s link show", "", 1),
    ("flow show", "", 1),
    ("stats show", "", 1),
    ("-j save", "", 3),
    ("-j acl show", "", 3),
    ("restore - print", OTHER, 2),
    (f"lookup 198.51.100.7:1 to {WEB}", "", 67),
)
CHANGES = (
    ("service add 192.0.2.3:80/tcp table 251", "", 1),
    (f"service del {WEB}", "", 2),
    (f"backend add 10.0.0.4:8080 service {WEB}", "", 1),
    (f"backend change 10.0.0.1:8080 service {WEB} state down", "", 2),
    (f"backend del 10.0.0.2:8080 service {WEB}", "", 2),
    ("config set settle 7", "", 3),
    (f"acl add 198.51.100.0/24 deny service {WEB}", "", 3),
    ("flow gc", "", 3),
    ("restore -", OTHER, 2),
    ("-batch -", f"backend del 10.0.0.1:8080 service {WEB}\nbackend show\nservice del {DNS}\n", 2),
    ("load maps", "", 67),
    ("load dev lo", "", 83),
)

PROBE = os.environ.get("XLB_PROBE", os.path.join(world.ROOT, "loader", "xlb-probe"))
PORT = 8080
# Of the first of these there is a server, and the map has it the other way round.
PROBED = f"""\
service add {WEB} table 251
backend add 127.0.0.1:{PORT} service {WEB}
backend add 127.0.0.2:{PORT} service {WEB}
backend change 127.0.0.1:{PORT} service {WEB} health down
"""
# How it probes; of how many allocations one is tried, and of the last so many each: those
# before are what libraries do at their start.
PROBES = (
    ("tcp", 1, 0),
    ("http path / match well", 150, 92),
    ("exec command sh JUDGE {address}", 2, 0),
)


def attempt(words, text, number, program=world.XLB):
    """Runs it without memory for that allocation; and how many it has made."""
    with tempfile.NamedTemporaryFile("r") as told:
        done = subprocess.run([program, *words], input=text, capture_output=True,
                              text=True, check=False,
                              env=dict(os.environ, LD_PRELOAD=SHIM, NOMEMORY=str(number),
                                       NOMEMORY_COUNT=told.name))
        return done, int(told.read() or 0)


def reset(seen):
    xlb("restore", "-", text=STATE, status=0)
    xlb("flow", "flush", status=0)
    return seen.snapshot()


def wrong_with(done, shown, program="xlb"):
    """What is wrong with how a run says that it lacked memory; it may have done without."""
    if done.returncode == 0:
        return [] if done.stdout == shown else [f"says {done.stdout} and nothing of memory"]
    if done.returncode != 2:
        return [f"ended with {done.returncode}: {done.stderr}"]
    if done.stderr.count("\n") != 1 or not done.stderr.startswith(f"{program}: "):
        return [f"does not say so in one line: {done.stderr}"]
    if " : " in done.stderr or " in:" in done.stderr:
        return [f"leaves out of what: {done.stderr}"]
    return []


def check_shows(case, seen):
    words, text, step = case
    before = seen.snapshot()
    done, count = attempt(words.split(), text, 0)
    wrong = [] if done.returncode == 0 and count else [f"{done.returncode} {done.stderr}"]
    for number in range(1, count + 1, step):
        wrong += [f"{number}: {each}" for each in
                  wrong_with(attempt(words.split(), text, number)[0], done.stdout)]
    if seen.snapshot() != before:
        wrong.append("something has changed")
    tap.equal(wrong[:8], [], f"{words}: {(count + step - 1) // step} of {count} allocations")


def check_changes(case, seen):
    words, text, step = case
    before = reset(seen)
    done, count = attempt(words.split(), text, 0)
    after, shown = Logical(seen).meaning(), done.stdout
    wrong = [] if done.returncode == 0 and count else [f"{done.returncode} {done.stderr}"]
    before = reset(seen)
    for number in range(1, count + 1, step):
        done, _ = attempt(words.split(), text, number)
        wrong += [f"{number}: {each}" for each in wrong_with(done, shown)]
        if seen.snapshot() == before and done.returncode:
            continue
        now = Logical(seen)
        wrong += [f"{number}: {each}" for each in now.faults()]
        if done.returncode == 0 and now.meaning() != after:
            wrong.append(f"{number}: not what it comes to with memory")
        before = reset(seen)
    tap.equal(wrong[:8], [], f"{words}: {(count + step - 1) // step} of {count} allocations")


class Server(http.server.BaseHTTPRequestHandler):
    """All is well there."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"well")

    def log_message(self, *_):
        pass


def blamed(done, shown):
    """What is wrong with what the prober says: nothing but what it says with memory, and of
    whom it says nothing, that there was no memory."""
    if done.returncode == 2 and not done.stdout:
        return wrong_with(done, shown, "xlb-probe")
    # libcurl 7.88.1 divides by 0, in a table that it had no memory for.
    if done.returncode == -signal.SIGFPE:
        return [f"says {line}" for line in done.stdout.splitlines() if line not in shown]
    if done.returncode:
        return [f"ended with {done.returncode}: {done.stderr}"]
    wrong = [f"says {line}" for line in done.stdout.splitlines() if line not in shown]
    for line in shown.splitlines():
        untold = f"xlb-probe: {line.split()[2]} service {WEB}: could not be probed: "
        if line not in done.stdout and untold not in done.stderr:
            wrong.append(f"says nothing of {line.split()[2]}: {done.stderr}")
    return wrong


def check_probes(case, folder):
    kind, step, last = case
    words = ["-once", os.path.join(folder, "probe.conf")]
    with open(words[1], "w", encoding="ascii") as file:
        # Nor is a machine that is busy to blame.
        file.write(f"probe {WEB} {kind} interval 60 timeout 30\n"
                   .replace("JUDGE", os.path.join(folder, "judge.sh")))
    with open(os.path.join(folder, "judge.sh"), "w", encoding="ascii") as file:
        file.write("[ $1 = 127.0.0.1 ] || exit 2\n")
    done, count = attempt(words, "", 0, PROBE)
    wrong = [] if count and done.stdout.count("\n") == 2 else [f"{done.returncode} {done.stderr}"]
    numbers = sorted({*range(1, count + 1, step), *range(count + 1 - last, count + 1)})
    for number in numbers:
        wrong += [f"{number}: {each}" for each in
                  blamed(attempt(words, "", number, PROBE)[0], done.stdout)]
    tap.equal(wrong[:8], [], f"xlb-probe, {kind}: {len(numbers)} of {count} allocations")


def main():
    if not os.path.exists(SHIM):
        world.skip_all("make check builds nomemory.so")
    world.enter()
    os.environ["XLB_OBJECT"] = world.OBJECT
    maps_make()
    seen = World()
    reset(seen)
    for case in SHOWS:
        check_shows(case, seen)
    for case in CHANGES:
        check_changes(case, seen)
    # As the last of these has it, answers of backends on lo would come from the VIP.
    xlb("unload", "dev", "lo", status=0)
    xlb("restore", "-", text=PROBED, status=0)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        for case in PROBES:
            check_probes(case, folder)
    tap.done()


main()
