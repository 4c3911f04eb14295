#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""xlb-import-ipvs: rules as ipvsadm-save -n prints them (ipvsadm 1.31) become lines that
xlb takes, or comments."""

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import world  # noqa: E402
from world import ROOT, maps_make, maps_remove, xlb  # noqa: E402
import tap  # noqa: E402

HEADER = "# made by xlb-import-ipvs\n"
V, S, R = "-t 192.0.2.1:80", "192.0.2.1:80/tcp", "10.0.0.1:80"
SIZES = dict(world.SIZES, xlb_services4=12, xlb_slots=16 * 512 // world.SLOTS_PER_VALUE)

# A table of everything that IPVS has, as one machine might print it.
RULES = """\
-A -t 192.0.2.10:80 -s wrr
-a -t 192.0.2.10:80 -r 10.0.0.3:8080 -m -w 2
-a -t 192.0.2.10:80 -r 10.0.0.4:8080 -m -w 0
-a -t 192.0.2.10:80 -r 10.0.0.5:80 -g -w 1
-A -t 192.0.2.10:443 -s wlc -p 360
-a -t 192.0.2.10:443 -r 10.0.0.3:443 -g -w 100000
-A -t 192.0.2.11:0 -s rr -p 300 -M 255.255.255.0
-a -t 192.0.2.11:0 -r 10.0.0.3:0 -g -w 1
-A -t [2001:db8::10]:80 -s sh -b sh-fallback,sh-port
-a -t [2001:db8::10]:80 -r [fd00::3]:80 -i -w 1 --tun-type ipip
-a -t [2001:db8::10]:80 -r 10.0.0.6:80 -i -w 3 --tun-type ipip
-A -u 192.0.2.10:53 -s mh -o -b mh-port
-a -u 192.0.2.10:53 -r 10.0.0.3:53 -i -w 1 --tun-type gue --tun-port 6081 --tun-nocsum
-a -u 192.0.2.10:53 -r 10.0.0.4:53 -i -w 1 --tun-type gue --tun-port 6081 --tun-remcsum
-A -u 192.0.2.10:5060 -s mh -p 60 --pe sip
-a -u 192.0.2.10:5060 -r 10.0.0.7:5060 -m -w 1
-A -f 7 -s lc
-a -f 7 -r 10.0.0.3:0 -g -w 1
-A -f 7 -6 -s lc
-A --sctp-service 192.0.2.10:80 -s rr
-a --sctp-service 192.0.2.10:80 -r 10.0.0.3:80 -m -w 1
"""
LINES = HEADER + """\
config set tunnel4 10.0.0.1 tunnel6 fd00::1 gue 6081
service add 192.0.2.10:80/tcp mode dnat
backend add 10.0.0.3:8080 service 192.0.2.10:80/tcp weight 2
backend add 10.0.0.4:8080 service 192.0.2.10:80/tcp state drain
# no equivalent: its service is of mode dnat: -a -t 192.0.2.10:80 -r 10.0.0.5:80 -g -w 1
service add 192.0.2.10:443/tcp mode dr hash source # wlc looks at load, xlb does not
backend add 10.0.0.3:443 service 192.0.2.10:443/tcp weight 65535 # weight 100000: 65535 is the most
service add 192.0.2.11:*/tcp mode dr hash source # clients of a network (255.255.255.0) are not \
kept together
backend add 10.0.0.3 service 192.0.2.11:*/tcp
service add [2001:db8::10]:80/tcp mode ipip
backend add [fd00::3]:80 service [2001:db8::10]:80/tcp
backend add 10.0.0.6:80 service [2001:db8::10]:80/tcp weight 3
service add 192.0.2.10:53/udp mode gue # -o: no equivalent, packets of a flow stay together
backend add 10.0.0.3:53 service 192.0.2.10:53/udp
backend add 10.0.0.4:53 service 192.0.2.10:53/udp # checksums of tunnels: no equivalent
service add 192.0.2.10:5060/udp mode dnat hash source # persistence engine sip: no equivalent
backend add 10.0.0.7:5060 service 192.0.2.10:5060/udp
# no equivalent: a service of a firewall mark: -A -f 7 -s lc
# no equivalent: a service of a firewall mark: -a -f 7 -r 10.0.0.3:0 -g -w 1
# no equivalent: a service of a firewall mark: -A -f 7 -6 -s lc
# no equivalent: SCTP: -A --sctp-service 192.0.2.10:80 -s rr
# no equivalent: SCTP: -a --sctp-service 192.0.2.10:80 -r 10.0.0.3:80 -m -w 1
"""
# What xlb then has, as far as the rules say something.
SAVED = """\
192.0.2.10:80/tcp mode dnat hash flow
10.0.0.3:8080 service 192.0.2.10:80/tcp weight 2 state up
10.0.0.4:8080 service 192.0.2.10:80/tcp weight 1 state drain
192.0.2.10:443/tcp mode dr hash source
10.0.0.3:443 service 192.0.2.10:443/tcp weight 65535 state up
192.0.2.10:53/udp mode gue hash flow
10.0.0.3:53 service 192.0.2.10:53/udp weight 1 state up
10.0.0.4:53 service 192.0.2.10:53/udp weight 1 state up
192.0.2.10:5060/udp mode dnat hash source
10.0.0.7:5060 service 192.0.2.10:5060/udp weight 1 state up
192.0.2.11:*/tcp mode dr hash source
10.0.0.3 service 192.0.2.11:*/tcp weight 1 state up
[2001:db8::10]:80/tcp mode ipip hash flow
10.0.0.6:80 service [2001:db8::10]:80/tcp weight 3 state up
[fd00::3]:80 service [2001:db8::10]:80/tcp weight 1 state up
"""

# One rule at a time, and what it becomes; the rest of its line if it begins with "...".
CASES = (
    (f"-A {V} -s rr", "..."),
    (f"-A {V} -s sh", "... hash source"),
    (f"-A {V} -s sh -b flag-1,flag-2", "..."),
    (f"-A {V} -s mh -b mh-fallback", "... hash source"),
    (f"-A {V} -s mh -b flag-3", "... hash source # flag flag-3: no equivalent"),
    (f"-A {V} -s mh -p 50 -b mh-port", "... hash source"),
    (f"-A {V} -s rr -p", "... hash source"),
    (f"-A {V} -s rr -p -M 255.255.255.255", "... hash source"),
    (f"-A {V}", "... # wlc looks at load, xlb does not"),
    (f"-A {V} -s dh", "... # dh chooses by destination, xlb by flow"),
    (f"-A {V} -s nq -o", "... # nq looks at load, xlb does not; "
                         "-o: no equivalent, packets of a flow stay together"),
    (f"-A {V} -s fo", f"# no equivalent: scheduler fo: -A {V} -s fo"),
    ("-A -t [2001:db8::1]:80 -s rr -p 5 -M 64",
     "service add [2001:db8::1]:80/tcp hash source # clients of a network (64) are not kept "
     "together"),
    ("-A -t [2001:db8::1]:80 -s rr -p 5 -M 128", "service add [2001:db8::1]:80/tcp hash source"),
    ("--add-service --tcp-service 192.0.2.1:80 --scheduler rr --persistent 5", "... hash source"),
    ("--add-service --udp-service 192.0.2.1 --scheduler rr --persistent",
     "service add 192.0.2.1:*/udp hash source"),
    (f"# of a file\n\n  -A {V} -s rr", "..."),
    (f"\r\n-A {V} -s rr\r", "..."),
)
SERVERS = (
    (f"-r {R} -m -w 1", "mode dnat", ""),
    (f"-r {R} -g", "mode dr", ""),
    (f"-r {R}", "mode dr", ""),
    ("-r 10.0.0.1:81 -m -w 7", "mode dnat", " weight 7"),
    (f"-r {R} -m -w 0", "mode dnat", " state drain"),
    (f"-r {R} -i", "mode ipip", ""),
    (f"-r {R} -i --tun-type gue --tun-port 6080 --tun-csum", "mode gue",
     " # checksums of tunnels: no equivalent"),
    (f"-r {R} -m -w 1 -x 100 -y 50", "mode dnat", " # limits of connections: no equivalent"),
    (f"-r {R} -m -w 1 -x 0 -y 0", "mode dnat", ""),
    (f"--real-server {R} --masquerading --weight 2", "mode dnat", " weight 2"),
)
LOST = (
    (f"-r {R} -i -w 1 --tun-type gre --tun-nocsum", "tunnels of type gre"),
    ("-r 127.0.0.1:80 -g -w 1", "a server on the balancer itself"),
)
# {input, what the error says after the line's number}
ERRORS = (
    (f"-A {V} -s rr\n-Z", "-:2: -Z: not what ipvsadm-save -n prints"),
    (f"-A {V} -s \x1b[2J", "-:1: a control character: not a line of text"),
    (f"-A {V} -s rr\0 -p", "-:1: a control character: not a line of text"),
    (f"-D {V}", "-:1: -D: not what ipvsadm-save -n prints"),
    ("IP Virtual Server version 1.2.1 (size=4096)", "-:1: IP: not what ipvsadm-save -n prints"),
    (f"-A {V} --quiet", "-:1: --quiet: not what"),
    (f"-At 192.0.2.1:80", "-:1: -At: not what"),
    (f"{V} -s rr", "-:1: -A or -a is expected"),
    (f"-A -a {V}", "-:1: -A or -a is expected"),
    ("-A -s rr", "-:1: one of -t, -u, -f and --sctp-service is expected"),
    ("-A -t 192.0.2.1:80 -u 192.0.2.1:80", "-:1: one of -t, -u, -f and"),
    ("-A -t www.example.com:80 -s rr", "-:1: www.example.com:80: not a number for address and "
                                       "port: use ipvsadm-save -n"),
    ("-A -t 192.0.2.1:http -s rr", "-:1: 192.0.2.1:http: not a number for address and port"),
    ("-A -t 192.0.2.1:65536 -s rr", "-:1: 192.0.2.1:65536: not a number"),
    ("-A -t 2001:db8::1:80 -s rr", "-:1: 2001:db8::1:80: not a number"),
    (f"-A {V} -s", "-:1: -s: needs a value"),
    (f"-A {V} -s rr\n-A {V} -s rr", f"-:2: {S}: a second time"),
    (f"-a {V} -r {R} -m", f"-:1: {S}: -A of it is missing above"),
    (f"-A {V} -s rr\n-a {V} -m", "-:2: -r is missing"),
    (f"-A {V} -s rr\n-a {V} -r web1:80 -m", "-:2: web1:80: not a number"),
    (f"-A {V} -s rr\n-a {V} -r {R} -m -w x", "-:2: -w x: not a number"),
    (f"-A {V} -s rr\n-a {V} -r {R} -i --tun-type gue", "-:2: --tun-port is missing"),
)


def run(text, *words):
    return subprocess.run([f"{ROOT}/scripts/xlb-import-ipvs", *words], input=text, text=True,
                          capture_output=True, check=False,
                          env=dict(os.environ, PATH=f"{ROOT}/loader:{os.environ['PATH']}"))


def check_becomes(rules, lines, *words):
    """The lines, each of which xlb takes."""
    done = run(rules + "\n", *words)
    tap.equal((done.returncode, done.stdout, done.stderr), (0, HEADER + lines, ""),
              rules.splitlines()[-1])
    fresh()
    taken = xlb("-batch", "-", text=lines)
    tap.equal((taken.returncode, taken.stderr), (0, ""), "which xlb takes")


def fresh():
    maps_remove()
    maps_make(sizes=SIZES)
    xlb("config", "set", "table", "251", status=0)


def check_table():
    check_becomes(RULES[:-1], LINES[len(HEADER):], "tunnel4", "10.0.0.1", "tunnel6", "fd00::1")
    saved = xlb("save", status=0).stdout
    config, things = saved.splitlines()[1], saved.splitlines()[2:]
    tap.ok(" tunnel4 10.0.0.1 tunnel6 fd00::1 gue 6081" in config, "the settings", config)
    things = "".join(re.sub(r"^\w+ add (.*?)( table .*)?$", r"\1", line) + "\n" for line in things)
    tap.equal(things, SAVED, "is what IPVS had")
    tap.equal(xlb("restore", "-", "print", text="config set table 251\n" + LINES,
                  status=0).stdout, "", "and what xlb restore makes of it")


def check_rules():
    for rule, wanted in CASES:
        check_becomes(rule, wanted.replace("...", f"service add {S}") + "\n")
    for server, mode, wanted in SERVERS:
        tunnel = "ipip" in mode or "gue" in mode
        words = ("tunnel4", "10.0.9.1") if tunnel else ()
        config = f"config set tunnel4 10.0.9.1{' gue 6080' if 'gue' in mode else ''}\n"
        end = server.split()[1]
        check_becomes(f"-A {V} -s wrr\n-a {V} {server}",
                      f"{config if tunnel else ''}service add {S} {mode}\n"
                      f"backend add {end} service {S}{wanted}\n", *words)
    for server, why in LOST:
        check_becomes(f"-A {V} -s rr\n-a {V} {server}",
                      f"service add {S}\n# no equivalent: {why}: -a {V} {server}\n")
    check_becomes(f"-A {V} -s rr\n-a {V} -r {R} -m -w 5",
                  f"service add {S} mode dnat\n"
                  f"backend add {R} service {S} # rr has no weights: 5\n")
    check_becomes(f"-A {V} -s fo\n-a {V} -r {R} -m -w 5",
                  f"# no equivalent: scheduler fo: -A {V} -s fo\n"
                  f"# no equivalent: scheduler fo: -a {V} -r {R} -m -w 5\n")
    check_becomes("-A -t 192.0.2.1:0 -p -s rr\n-a -t 192.0.2.1:0 -r 10.0.0.1:80 -m",
                  "service add 192.0.2.1:*/tcp mode dnat hash source\n"
                  "backend add 10.0.0.1 service 192.0.2.1:*/tcp # the port stays as it is\n")


def check_sources():
    """Without a source, tunnels are announced; xlb then says what is missing, or has it."""
    rules = f"-A {V} -s rr\n-a {V} -r {R} -i -w 1 --tun-type ipip\n"
    lines = ("# tunnels over IPv4 need: config set tunnel4 SOURCE\n"
             f"service add {S} mode ipip\nbackend add {R} service {S}\n")
    done = run(rules)
    tap.equal((done.returncode, done.stdout, done.stderr), (0, HEADER + lines, ""),
              "a source is wanted")
    fresh()
    taken = xlb("-batch", "-", text=lines)
    tap.ok(taken.returncode == 2 and "mode ipip needs a source address" in taken.stderr,
           "without which xlb refuses the server", taken.stderr)
    xlb("config", "set", "tunnel4", "10.0.9.1", status=0)
    tap.equal(xlb("-batch", "-", text=lines).returncode, 0, "unless it is set already")
    two = rules + (f"-A -u 192.0.2.1:53 -s rr\n-a -u 192.0.2.1:53 -r {R[:-2]}53 -i -w 1 "
                   "--tun-type gue --tun-port 6080 --tun-nocsum\n"
                   f"-a -u 192.0.2.1:53 -r 10.0.0.2:53 -i -w 1 --tun-type gue --tun-port 6082 "
                   "--tun-nocsum\n")
    tap.ok("6080\n" in run(two, "tunnel4", "10.0.9.1").stdout and
           "# tunnels go to UDP port 6080, not 6082\n" in run(two).stdout,
           "one UDP port for all tunnels", run(two).stdout)


def check_errors():
    for rules, message in ERRORS:
        done = run(rules + "\n")
        tap.ok(done.returncode == 1 and not done.stdout and done.stderr.count("\n") == 1 and
               done.stderr.startswith(f"xlb-import-ipvs: {message}"),
               f"1: {rules.splitlines()[-1]}", done.returncode, done.stdout, done.stderr)
    for words, message in ((["-x"], "-x: unknown option, see xlb-import-ipvs -h"),
                           (["tunnel4"], "tunnel4: needs a value"),
                           (["tunnel4", "a", "tunnel4", "b"], "tunnel4: given twice"),
                           (["tunnel4", "a b"], "'a b': a word without blanks"),
                           (["file"], "file: unknown keyword, not one of: tunnel4, tunnel6")):
        done = run("", *words)
        tap.ok(done.returncode == 1 and not done.stdout and
               done.stderr.startswith(f"xlb-import-ipvs: {message}"), f"1: {' '.join(words)}",
               done.stdout, done.stderr)
    done = run("", "a\\nb\nc\x1b")
    tap.ok(done.returncode == 1 and
           done.stderr.startswith("xlb-import-ipvs: a\\nb?c?: unknown keyword") and
           done.stderr.count("\n") == 1, "an error is one line, whatever words hold", done.stderr)
    tap.equal(run("", "tunnel4", "10.0.0.1\\nservice").stdout,
              HEADER + "config set tunnel4 10.0.0.1\\nservice\n", "a backslash stays what it is")
    tap.equal(run("", "tunnel4", "\x1b[2J").returncode, 1, "a control character is no word")
    tap.equal(run("").stdout, HEADER, "no rules, no lines")


world.enter()
maps_make(sizes=SIZES)
check_table()
check_rules()
check_sources()
check_errors()
tap.done()
