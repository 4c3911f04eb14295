#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Bad command lines and refused ones: the status, the message, and nothing changed."""

import json
import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import world  # noqa: E402
from world import World, maps_make, maps_remove, xlb  # noqa: E402
import tap  # noqa: E402

WEB = "192.0.2.1:80/tcp"

# What the commands below find: two services of IPv4 and one of IPv6, some backends.
STATE = f"""
service add {WEB} table 251
service add 192.0.2.2:*/udp table 251
service add [2001:db8::1]:80/tcp table 251
backend add 10.0.0.1:8080 service {WEB}
backend add 10.0.0.2:8080 service {WEB} weight 3
backend add 10.0.0.9 service 192.0.2.2:*/udp
backend add [fd00::1] service [2001:db8::1]:80/tcp
acl add 10.0.0.0/8 deny
acl add 10.0.0.0/16 allow service {WEB}
"""

# {status, words, message}: bad command lines, which never look at the maps ...
USAGE = (
    (1, "", "Usage: xlb"),
    (1, "-x", "xlb: -x: unknown option"),
    (1, "-pin", "xlb: -pin: needs a value"),
    (1, "-batch", "xlb: -batch: needs a value"),
    (1, "-batch /nonexistent", "xlb: -batch /nonexistent: No such file or directory"),
    (1, "vip show", "xlb: vip: unknown object, see `xlb help`"),
    (1, "service remove", "xlb: service: remove: unknown command, not one of: add, change, "
                          "del, warm, show, help"),
    (1, "serv show", "xlb: serv: unknown object"),
    (1, "service ad", "xlb: service: ad: unknown command"),

    (1, "service add", "xlb: service add: which service? ADDRESS:PORT/PROTOCOL"),
    (1, "service add 192.0.2.1", "xlb: service add 192.0.2.1: not ADDRESS:PORT/PROTOCOL: no port"),
    (1, "service add 192.0.2.1:80", "neither /tcp nor /udp"),
    (1, "service add 192.0.2.1:80/sctp", "the protocol is neither tcp nor udp"),
    (1, "service add 192.0.2.1:80/tcp/", "the protocol is neither tcp nor udp"),
    (1, "service add 192.0.2.1:80/TCP", "the protocol is neither tcp nor udp"),
    (1, "service add 192.0.2.1:0/tcp", "the port is not a number from 1 to 65535, nor *"),
    (1, "service add 192.0.2.1:65536/tcp", "the port is not a number from 1 to 65535"),
    (1, "service add 192.0.2.1:99999999999/tcp", "the port is not a number from 1 to 65535"),
    (1, "service add 192.0.2.1:http/tcp", "the port is not a number from 1 to 65535"),
    (1, "service add 192.0.2.1:/tcp", "the port is not a number from 1 to 65535"),
    (1, "service add 192.0.2.1:-1/tcp", "the port is not a number from 1 to 65535"),
    (1, "service add 192.0.2.1:+80/tcp", "the port is not a number from 1 to 65535"),
    (1, "service add 192.0.2.1:80x/tcp", "the port is not a number from 1 to 65535"),
    (1, "service add 192.0.2:80/tcp", "the address is not a.b.c.d or [IPv6]"),
    (1, "service add 192.0.2.256:80/tcp", "the address is not a.b.c.d or [IPv6]"),
    (1, "service add 192.0.02.1:80/tcp", "the address is not a.b.c.d or [IPv6]"),
    (1, "service add 192.0.2.0/24:80/tcp", "no port"),
    (1, "service add www.example.org:80/tcp", "the address is not a.b.c.d or [IPv6]"),
    (1, "service add :80/tcp", "the address is not a.b.c.d or [IPv6]"),
    (1, "service add 224.0.0.1:80/tcp", "not a unicast address"),
    (1, "service add 2001:db8::1:80/tcp", "an IPv6 address stands in [ ]"),
    (1, "service add [2001:db8::1:80/tcp", "[ without ]"),
    (1, "service add [2001:db8::g]:80/tcp", "what is in [ ] is not an IPv6 address"),
    (1, "service add [192.0.2.1]:80/tcp", "what is in [ ] is not an IPv6 address"),
    (1, "service add [::ffff:192.0.2.1]:80/tcp", "stands without [::ffff:]"),
    (1, "service add [ff02::1]:80/tcp", "not a unicast address"),
    (1, "service add [2001:db8::1/64]:80/tcp", "what is in [ ] is not an IPv6 address"),
    (1, "service add *:*/tcp", "any address and any port at once"),
    (1, "service add [::]:*/udp", "any address and any port at once"),
    (1, "service add 192.0.2.3:80/tcp mod dnat", "xlb: service add 192.0.2.3:80/tcp: mod: "
        "unknown keyword, not one of: mode, hash, table, settle, echo, fail, warmup"),
    (1, "config set tunnel4 fd00::1", "tunnel4 fd00::1: not an IPv4 address"),
    (1, "config set tunnel6 10.0.0.1", "tunnel6 10.0.0.1: not an IPv6 address"),
    (1, "config set tunnel4 224.0.0.1", "not an address that others could send to"),
    (1, "config set tunnel6 fe80::1", "not an address that others could send to"),
    (1, "config set tunnel4 10.0.0.1,10.0.0.2", "one address is all it takes"),
    (1, "config set nat4 10.0.0.1,10.0.0.1", "the same address twice"),
    (1, "config set nat4 10.0.0.1,", "not an IPv4 address"),
    (1, "config set nat4 " + ",".join(f"10.0.0.{n}" for n in range(1, 10)), "too many addresses"),
    (1, "config set gue 0", "gue 0: not a number from 1 to 65535"),
    (1, "service add 192.0.2.3:80/tcp mode nat64", "mode nat64: not one of: dnat"),
    (1, "service add 192.0.2.3:80/tcp hash", "hash: needs a value"),
    (1, "service add 192.0.2.3:80/tcp hash flow hash flow", "hash: given twice"),
    (1, "service add 192.0.2.3:80/tcp table 252", "table 252: not a prime number, the next is "
                                                  "257"),
    (1, "service add 192.0.2.3:80/tcp table 241", "table 241: not a number from 251 to 655373"),
    (1, "service add 192.0.2.3:80/tcp table 655379", "not a number from 251 to 655373"),
    (1, "service add 192.0.2.3:80/tcp table 251.0", "not a number from 251 to 655373"),
    (1, "service add 192.0.2.3:80/tcp settle -1", "settle -1: not a number from 0 to 86400"),
    (1, "service add 192.0.2.3:80/tcp settle 30s", "settle 30s: not a number from 0 to 86400"),
    (1, "service add 192.0.2.3:80/tcp warmup 65536", "warmup 65536: not a number from 0 to 65535"),
    (1, "service add 192.0.2.3:80/tcp limit", "limit: needs a value"),
    (1, "service add 192.0.2.3:80/tcp limit 0", "limit 0: neither off nor a number from 1 to "
                                                "1000000"),
    (1, "service add 192.0.2.3:80/tcp limit 1000001", "limit 1000001: neither off nor a number"),
    (1, "service add 192.0.2.3:80/tcp limit 5/s", "limit 5/s: neither off nor a number"),
    (1, "service add 192.0.2.3:80/tcp limit on", "limit on: neither off nor a number"),
    (1, "service add 192.0.2.3:80/tcp limit 5 burst 0", "burst 0: not a number from 1 to 1000000"),
    (1, "service add 192.0.2.3:80/tcp limit off burst 5", "burst: of no limit"),
    (1, "service add 192.0.2.3:80/tcp burst 5", "burst: of no limit: limit PPS"),
    (1, "service warm up", "xlb: service warm: up: nothing more is expected here"),
    (1, "service add 192.0.2.3:80/tcp fail", "fail: needs a value"),
    (1, "service add 192.0.2.3:80/tcp fail up", "fail up: not one of: open, closed"),
    (1, "service change 192.0.2.3:80/tcp", "nothing to change: mode MODE, hash HASH, table SIZE"),
    (1, f"service del {WEB} now", f"xlb: service del {WEB}: now: nothing more is expected here"),
    (1, f"service show {WEB} {WEB}", "nothing more is expected here"),

    (1, "acl allow 10.0.0.0/8", "xlb: acl: allow: unknown command, not one of: add, change, del, "
                                "show, help"),
    (1, "acl add", "xlb: acl add: which prefix? ADDRESS[/LENGTH]"),
    (1, "acl add 10.0.0.0/8", "xlb: acl add 10.0.0.0/8: allow or deny is to follow"),
    (1, "acl add 10.0.0.0/8 drop", "xlb: acl add 10.0.0.0/8: drop: neither allow nor deny"),
    (1, "acl add 10.0.0.0/8 service", "service: neither allow nor deny"),
    (1, "acl add 10.0.0.0/8 deny all", "all: unknown keyword, not one of: service"),
    (1, "acl add 10.0.0.0/8 deny service", "service: needs a value"),
    (1, "acl add 10.0.0.0/8 deny service web", "service web: the address is not a.b.c.d or [IPv6]"),
    (1, f"acl add 10.0.0.0/8 deny service {WEB} service {WEB}", "service: given twice"),
    (1, "acl add 10.0.0.1/8 deny", "xlb: acl add 10.0.0.1/8: bits are set behind the prefix"),
    (1, "acl add 10.0.0.0/31.0 deny", "the length is not a number from 0 to 32"),
    (1, "acl add 10.0.0.0/33 deny", "the length is not a number from 0 to 32"),
    (1, "acl add 10.0.0.0/-1 deny", "the length is not a number from 0 to 32"),
    (1, "acl add 10.0.0.0/ deny", "the length is not a number from 0 to 32"),
    (1, "acl add 10.0.0.0/255.0.0.0 deny", "the length is not a number from 0 to 32"),
    (1, "acl add 10.0.0/24 deny", "not a.b.c.d[/LENGTH] or IPv6[/LENGTH]"),
    (1, "acl add 10.0.0.0:80 deny", "not a.b.c.d[/LENGTH] or IPv6[/LENGTH]"),
    (1, "acl add /8 deny", "not a.b.c.d[/LENGTH] or IPv6[/LENGTH]"),
    (1, "acl add * deny", "not a.b.c.d[/LENGTH] or IPv6[/LENGTH]"),
    (1, "acl add www.example.org deny", "not a.b.c.d[/LENGTH] or IPv6[/LENGTH]"),
    (1, f"acl add {'1' * 80} deny", "the address is too long"),
    (1, "acl add 2001:db8::/129 deny", "the length is not a number from 0 to 128"),
    (1, "acl add 2001:db8::1/127 deny", "bits are set behind the prefix"),
    (1, "acl add [2001:db8::]/32 deny", "an IPv6 prefix stands without [ ]"),
    (1, "acl add ::ffff:10.0.0.0/104 deny", "an IPv4 prefix stands without ::ffff:"),
    (1, "acl change 10.0.0.0/8", "allow or deny is to follow"),
    (1, "acl del", "xlb: acl del: which prefix? ADDRESS[/LENGTH]"),
    (1, "acl del 10.0.0.0/8 deny", "deny: unknown keyword, not one of: service"),
    (1, "acl show 10.0.0.0/8 10.0.0.0/9", "10.0.0.0/9: unknown keyword, not one of: service"),
    (1, "acl show web", "not a.b.c.d[/LENGTH] or IPv6[/LENGTH]"),
    (1, "acl show service", "service: needs a value"),

    (1, "backend add", "xlb: backend add: which backend? ADDRESS[:PORT]"),
    (1, "backend add 10.0.0", "xlb: backend add 10.0.0: the address is not a.b.c.d or [IPv6]"),
    (1, "backend add 10.0.0.0/24", "its protocol is the service's"),
    (1, "backend add 10.0.0.1:8080/tcp", "its protocol is the service's"),
    (1, "backend add 10.0.0.1:0", "the port is not a number from 1 to 65535"),
    (1, "backend add 10.0.0.1:65536", "the port is not a number from 1 to 65535"),
    (1, "backend add 10.0.0.1:http", "the port is not a number from 1 to 65535"),
    (1, "backend add 10.0.0.1:*", "the port is not a number from 1 to 65535"),
    (1, "backend add 10.0.0.1:", "the port is not a number from 1 to 65535"),
    (1, "backend add fd00::1", "an IPv6 address stands in [ ]"),
    (1, "backend add [fd00::1]8080", "not ADDRESS[:PORT]"),
    (1, "backend add *", "not the address of a host"),
    (1, "backend add 0.0.0.0:80", "not the address of a host"),
    (1, "backend add [::]:80", "not the address of a host"),
    (1, "backend add 255.255.255.255", "not a unicast address"),
    (1, f"backend add {'1' * 80}", "the address is too long"),
    (1, "backend add 10.0.0.3 weight 65536", "weight 65536: not a number from 0 to 65535"),
    (1, "backend add 10.0.0.3 weight -1", "weight -1: not a number from 0 to 65535"),
    (1, "backend add 10.0.0.3 weight 99999999999999999999", "not a number from 0 to 65535"),
    (1, "backend add 10.0.0.3 weight 1e3", "weight 1e3: not a number from 0 to 65535"),
    (1, "backend add 10.0.0.3 weight", "weight: needs a value"),
    (1, "backend add 10.0.0.3 weight 1 weight 1", "weight: given twice"),
    (1, "backend add 10.0.0.3 wieght 1", "xlb: backend add 10.0.0.3: wieght: unknown keyword, "
                                         "not one of: service, weight, state, health"),
    (1, "backend add 10.0.0.3 state dead", "state dead: not one of: up, down, drain"),
    (1, "backend add 10.0.0.3 health drain", "health drain: not one of: up, down"),
    (1, "backend add 10.0.0.3 service web", "xlb: backend add 10.0.0.3: service web: "),
    (1, "backend change 10.0.0.1:8080", "nothing to change"),
    (1, "backend del 10.0.0.1:8080 weight 1", "weight: unknown keyword, not one of: service"),
    (1, "backend show 10.0.0.1:8080 all", "all: unknown keyword"),

    (1, "config set", "nothing to set"),
    (1, "config set seed", "seed: needs a value"),
    (1, "config set seed 0x1ffffffffffffffff", "seed 0x1ffffffffffffffff: not a number"),
    (1, "config set seed 0x", "seed 0x: not a number"),
    (1, "config set table 1000", "table 1000: not a prime number, the next is 1009"),
    (1, "config set idle 0", "idle 0: not a number from 1 to 86400"),
    (1, "config set speed 9", "speed: unknown keyword"),
    (1, "config show all", "all: nothing more is expected here"),
    (1, "save all", "xlb: save: all: nothing more is expected here"),
    (1, "flow gc all", "all: unknown keyword, not one of: service"),
    (1, "flow drop", "drop: unknown command, not one of: show, count, gc, flush, help"),
    (1, "stats show service 192.0.2.1", "service 192.0.2.1: not ADDRESS:PORT/PROTOCOL"),

    (1, "monitor drops", "xlb: monitor: drops: unknown keyword, not one of: change, drop, flow, "
                         "link, nexthop, service, backend"),
    (1, "monitor drop drop", "drop: given twice"),
    (1, "monitor service 192.0.2.1", "service 192.0.2.1: not ADDRESS:PORT/PROTOCOL"),
    (1, "monitor service", "service: needs a value"),
    (1, "monitor backend 10.0.0.1:x", "backend 10.0.0.1:x: the port is not a number"),
    (1, "monitor backend drop", "backend drop: the address is not a.b.c.d"),

    (1, "lookup", "xlb: lookup: which client? ADDRESS:PORT"),
    (1, "lookup 10.9.0.1", "xlb: lookup 10.9.0.1: not ADDRESS:PORT: no port"),
    (1, "lookup 10.9.0.1:7", "nothing more: to ADDRESS:PORT/PROTOCOL is to follow"),
    (1, f"lookup 10.9.0.1:7 at {WEB}", "at: to ADDRESS:PORT/PROTOCOL is to follow"),
    (1, "lookup 10.9.0.1:7 to *:80/tcp", "a packet has one address and one port"),
    (1, "lookup 10.9.0.1:7 to [2001:db8::1]:80/tcp", "not of the client's family"),
    (1, f"lookup 10.9.0.1:7 to {WEB} soon", "soon: unknown keyword, not one of: established"),
    (1, "link check all", "xlb: link check: all: nothing more is expected here"),
)

# ... and what the state does not allow.
REFUSED = (
    (2, f"service add {WEB}", f"xlb: service add {WEB}: exists already"),
    (2, "service change 192.0.2.3:80/tcp settle 1", "no such service"),
    (2, f"service change {WEB} hash source", "hash: cannot change while the service has "
                                             "backends: delete them first"),
    (2, f"service change {WEB} mode dr", "backend 10.0.0."),
    (2, f"service change {WEB} mode gue", ":8080: mode gue keeps the service's port"),
    (2, f"service change {WEB} mode nat", ":8080: mode nat needs a source address: xlb config set "
                                          "nat4 ADDRESS"),
    (2, f"service change {WEB} mode nat settle 9", "mode nat needs a source address"),
    (2, "service change [2001:db8::1]:80/tcp mode ipip", "backend [fd00::1]:80: mode ipip needs a "
        "source address: xlb config set tunnel6 ADDRESS"),
    (2, f"service change {WEB} table 257", "table: cannot change while the service has backends"),
    (2, "service del 192.0.2.3:80/tcp", "xlb: service del 192.0.2.3:80/tcp: no such service"),
    (2, "service show 192.0.2.3:80/tcp", "no such service"),
    (2, f"service change {WEB} burst 5", "burst: the service has no limit"),
    (2, f"service change {WEB} settle 9 burst 5", "burst: the service has no limit"),

    (2, "acl add 10.0.0.0/8 allow", "xlb: acl add 10.0.0.0/8: exists already"),
    (2, f"acl add 10.0.0.0/16 deny service {WEB}", "exists already"),
    (2, "acl add 10.0.0.0/8 deny service 192.0.2.3:80/tcp", "service 192.0.2.3:80/tcp: no such "
                                                            "service"),
    (2, f"acl add 2001:db8::/32 deny service {WEB}", f"service {WEB}: not of the prefix's family"),
    (2, "acl change 10.0.0.0/16 deny", "no such rule for all services"),
    (2, f"acl change 10.0.0.0/8 allow service {WEB}", "the service has no such rule"),
    (2, "acl del 10.0.0.0/9", "no such rule for all services"),
    (2, "acl del 10.1.0.0/16", "no such rule for all services"),
    (2, "acl show 10.0.0.0/9", "xlb: acl show 10.0.0.0/9: no such rule"),
    (2, f"acl show 10.0.0.0/8 service {WEB}", "no such rule"),
    (2, "acl show service 192.0.2.3:80/tcp", "no such service"),

    (2, "backend add 10.0.0.3", "xlb: backend add 10.0.0.3: of which of the 3 services?"),
    (2, "backend add 10.0.0.3 service 192.0.2.1:81/tcp",
     "xlb: backend add 10.0.0.3: service 192.0.2.1:81/tcp: no such service"),
    (2, f"backend add [fd00::3] service {WEB}", f"service {WEB}: mode dnat wants backends of the "
        "service's family; ipip and gue take either"),
    (2, "backend add 10.0.0.3 service [2001:db8::1]:80/tcp", "mode dnat wants backends of the "
        "service's family; ipip and gue take either"),
    (2, f"backend add 10.0.0.1:8080 service {WEB}", f"service {WEB}: exists already"),
    (2, "backend add 10.0.0.3:53 service 192.0.2.2:*/udp", "give no port"),
    (2, f"backend change 10.0.0.3:8080 service {WEB} weight 1", f"service {WEB}: no such backend"),
    (2, f"backend change 10.0.0.1 service {WEB} weight 1", "no such backend, but 10.0.0.1:8080\n"),
    (2, "backend del 10.0.0.77", "of which of the 3 services?"),
    (2, f"backend del 10.0.0.1:8081 service {WEB}",
     f"xlb: backend del 10.0.0.1:8081: service {WEB}: no such backend"),
    (2, "backend del 10.0.0.1:8080 service 192.0.2.2:*/udp", "give no port"),
    (2, "backend show 10.0.0.77", "no such backend"),
    (2, "backend show service 192.0.2.3:80/tcp", "service 192.0.2.3:80/tcp: no such service"),
    (2, "flow flush service 192.0.2.3:80/tcp", "no such service"),
    (2, "stats show service 192.0.2.3:80/tcp", "no such service"),
    (2, "config set seed 7", "seed: cannot change while there are services"),
    (2, "config set settle 5 seed 7", "seed: cannot change while there are services"),
    (2, "-n nonexistent service add 192.0.2.3:80/tcp", "xlb: -n nonexistent: no such network namespace"),
)


def one_line(text):
    return text.startswith("xlb: ") and text.count("\n") == 1


def check(case, before, seen, **options):
    status, words, message = case
    done = xlb(*words.split(), **options)
    usage = message.startswith("Usage")
    tap.ok(done.returncode == status and message in done.stderr
           and (usage or one_line(done.stderr)) and not done.stdout and seen.snapshot() == before,
           f"{status}: xlb {words}", f"status {done.returncode}", done.stderr, done.stdout,
           "" if seen.snapshot() == before else "the maps have changed")


def check_shared(seen):
    """A service has a backend once; others may have it, too, and each is spoken of apart."""
    other, ports = "192.0.2.3:81/tcp", "192.0.2.1:*/tcp"
    xlb("-batch", "-", text=f"service add {other} table 251\nservice add {ports} table 251\n"
                            f"backend add 10.0.0.1:8080 service {other}\n"
                            f"backend add 10.0.0.1 service {ports}\n", status=0)
    before = seen.snapshot()
    for case in (
            (2, f"backend add 10.0.0.1:8080 service {other}", f"service {other}: exists already"),
            (2, f"backend add 10.0.0.1 service {ports}", f"service {ports}: exists already"),
            (2, f"backend del 10.0.0.2:8080 service {other}",
             f"service {other}: no such backend"),
            (2, f"backend change 10.0.0.1 service {other} weight 2",
             f"service {other}: no such backend")):
        check(case, before, seen)
    for words in "change 10.0.0.1:8080 weight 2", "del 10.0.0.1:8080":
        check((2, f"backend {words}", "of which of the 5 services?"), before, seen)
    xlb("-batch", "-", text="backend change 10.0.0.2:8080 weight 4\nbackend del 10.0.0.1\n",
        status=0)
    tap.equal((xlb("backend", "show", "service", ports).stdout,
               xlb("backend", "show", "10.0.0.2:8080").stdout),
              ("", f"10.0.0.2:8080 service {WEB} weight 4 state up\n"),
              "but one that a single service has needs no more words")
    xlb("backend", "change", "10.0.0.2:8080", "weight", "3", status=0)
    xlb("-batch", "-", text=f"service del {other}\nservice del {ports}\n", status=0)


def check_modes(seen):
    """What each mode asks of backends and of the configuration."""
    dr, tunnel = "192.0.2.7:80/tcp", "192.0.2.8:80/tcp"
    xlb("-batch", "-", text=f"service add {dr} table 251 mode dr\n"
                            f"service add {tunnel} table 251 mode ipip\n"
                            "config set tunnel4 10.0.0.100\n"
                            f"backend add 10.0.1.1 service {tunnel}\n"
                            f"backend add 10.0.1.2 service {dr}\n", status=0)
    before = seen.snapshot()
    for case in (
            (2, f"backend add 10.0.1.3:81 service {dr}",
             f"service {dr}: mode dr keeps the service's port"),
            (2, f"backend add [fd00::3] service {dr}", "mode dr wants backends of the service's"),
            (2, f"backend add [fd00::3] service {tunnel}", f"service {tunnel}: mode ipip needs a "
                "source address: xlb config set tunnel6 ADDRESS"),
            (2, "config set tunnel4 none", f"service {tunnel} needs it for 10.0.1.1:80"),
            (2, f"service change {tunnel} mode nat", "backend 10.0.1.1:80: mode nat needs a source "
                "address: xlb config set nat4 ADDRESS")):
        check(case, before, seen)
    xlb("-batch", "-", text="config set tunnel6 fd00::100\n"
                            f"backend add [fd00::3] service {tunnel}\n", status=0)
    before = seen.snapshot()
    check((2, f"service change {tunnel} mode dr", "backend [fd00::3]:80: mode dr wants backends of "
                                                  "the service's family"), before, seen)
    xlb("-batch", "-", text=f"service del {tunnel}\nservice del {dr}\n"
                            "config set tunnel4 none tunnel6 none\n", status=0)


def check_batch(seen):
    before = seen.snapshot()
    for status, line, message in (
            (1, "backend add 10.0.0.3 weight x", "xlb: -:3: backend add 10.0.0.3: weight x: not a"),
            (2, f"service add {WEB}", f"xlb: -:3: service add {WEB}: exists already"),
            (1, "nonsense", "xlb: -:3: nonsense: unknown object"),
            (1, "x " * 100, "xlb: -:3: too many words"),
            (1, "service help", "xlb: -:3: service: help: no line of a batch, see `xlb service "
                                "help`"),
            (1, "backend del -h", "xlb: -:3: backend del: help: no line of a batch"),
            (1, "monitor drop", "xlb: -:3: monitor: no line of a batch: it does not end"),
            (1, "service del 192.0.2.2:*/udp\0 # and", "xlb: -:3: a NUL byte: not a line of "
                                                       "text")):
        done = xlb("-batch", "-", text=f"# a comment\n\n{line}\n")
        tap.ok(done.returncode == status and done.stderr.startswith(message)
               and one_line(done.stderr) and seen.snapshot() == before,
               f"{status}: a batch with {line[:40]}", done.returncode, done.stderr)


def check_batch_json():
    """One document, whatever else a batch asks for."""
    done = xlb("-j", "-force", "-batch", "-", text="config show\nconfig help\nservice show\n")
    tap.ok(done.returncode == 1 and one_line(done.stderr) and
           [type(each) for each in json.loads(done.stdout)] == [dict, list],
           "-j -batch: help does not spoil the document", done.stdout, done.stderr)


def check_hostile(seen):
    """What words hold ends no line, and is no order to a terminal."""
    before = seen.snapshot()
    for words, told in (
            (("a\nxlb: done",), "xlb: a\\x0axlb: done: unknown object"),
            (("backend", "add", "10.0.0.3", "state", "\x1b[2J\x7f\t"),
             "state \\x1b[2J\\x7f\\x09: not one of"),
            (("service", "add", "%s%n" + "\r" * 100000), "xlb: service add %s%n\\x0d\\x0d")):
        done = xlb(*words)
        tap.ok(done.returncode == 1 and told in done.stderr and one_line(done.stderr)
               and not any(ord(each) < 32 for each in done.stderr[:-1])
               and seen.snapshot() == before, f"1: an error tells {told[-20:]}", done.stderr[:200])


def check_full():
    """Each pool is filled to its last place, and then is full."""
    maps_remove()
    maps_make(sizes=dict(world.SIZES, xlb_services4=2))
    seen = World()
    xlb("service", "add", "192.0.2.1:1/tcp", "table", "251", status=0)
    xlb("service", "add", "192.0.2.1:2/tcp", "table", "251", status=0)
    check((2, "service add 192.0.2.1:3/tcp table 251", "xlb_services4 is full (2 entries)"),
          seen.snapshot(), seen)
    xlb("service", "del", "192.0.2.1:2/tcp", status=0)
    xlb("config", "set", "table", "509", status=0)
    # Of 2048 slots, 256 are taken.
    check((2, "service add 192.0.2.1:3/tcp table 1801", "xlb_slots is full: no room for this "
           "table in its 2048 slots, a smaller one may fit"), seen.snapshot(), seen)
    check((2, "service change 192.0.2.1:1/tcp table 2039", "xlb_slots is full"),
          seen.snapshot(), seen)
    xlb("service", "add", "192.0.2.1:3/tcp", "table", "1789", status=0)
    tap.ok(xlb("service", "del", "192.0.2.1:3/tcp").returncode == 0, "the last slot can be used")

    for name, entries in (("xlb_backends", 3), ("xlb_replies4", 3), ("xlb_targets", 4)):
        maps_remove()
        sizes = dict(world.SIZES, **{name: entries})
        maps_make(sizes=sizes)
        seen = World(sizes=sizes)
        xlb("service", "add", "192.0.2.1:1/tcp", "table", "251", status=0)
        for number in (1, 2, 3):
            xlb("backend", "add", f"10.0.0.{number}", status=0)
        check((2, "backend add 10.0.0.4", f"{name} is full ({entries} entries)"),
              seen.snapshot(), seen)


def check_full_of_rules():
    """Those of services and of all have one place; what is full can still be changed."""
    maps_remove()
    sizes = dict(world.SIZES, xlb_acl4=3)
    maps_make(sizes=sizes)
    seen = World(sizes=sizes)
    xlb("-batch", "-", status=0, text=f"service add {WEB} table 251\nacl add 10.0.0.0/8 deny\n"
        f"acl add 10.1.0.0/16 allow service {WEB}\nacl add 10.0.0.0/16 allow service {WEB}\n")
    for words in ("acl add 10.2.0.0/16 deny", f"acl add 10.2.0.0/16 deny service {WEB}"):
        check((2, words, "xlb_acl4 is full (3 entries)"), seen.snapshot(), seen)
    for words in ("acl change 10.0.0.0/8 allow", "acl add ::/0 deny",
                  f"acl del 10.1.0.0/16 service {WEB}", "acl add 10.3.0.0/16 deny"):
        done = xlb(*words.split())
        tap.equal((done.returncode, done.stderr), (0, ""), f"where it is full: {words}")


def check_without_maps():
    maps_remove()
    for words, message in (
            (("service", "add", WEB), "xlb: service add 192.0.2.1:80/tcp: no maps of xlb: load it "
                                      "first (xlb load dev IF)\n"),
            (("service", "show"), "xlb: service show: no maps of xlb: load it first (xlb load dev "
                                  "IF)\n"),
            (("-pin", "/sys/fs/bpf/mine", "config", "show"),
             "xlb: config show: no maps of xlb in /sys/fs/bpf/mine: load it there first "
             "(xlb -pin /sys/fs/bpf/mine load dev IF)\n")):
        done = xlb(*words)
        tap.equal((done.returncode, done.stderr), (2, message), f"no maps: {' '.join(words)}")
    done = xlb("-j", "backend", "show")
    tap.equal((done.returncode, done.stdout), (2, "[]\n"), "no maps, but a JSON document")


def check_two_sets():
    maps_make("/sys/fs/bpf/xlb")
    maps_make("/sys/fs/bpf/tc/globals")
    sets = World("/sys/fs/bpf/xlb"), World("/sys/fs/bpf/tc/globals")
    before = [each.snapshot() for each in sets]
    done = xlb("service", "add", WEB)
    tap.ok(done.returncode == 2 and [each.snapshot() for each in sets] == before
           and "in both /sys/fs/bpf/xlb and /sys/fs/bpf/tc/globals: choose with -pin DIR or "
               "$XLB_PIN" in done.stderr, "two sets of maps", done.stderr)
    xlb("-pin", "/sys/fs/bpf/xlb", "service", "add", WEB, "table", "251", status=0)
    xlb("service", "add", "192.0.2.5:80/tcp", "table", "251", status=0,
        variables={"XLB_PIN": "/sys/fs/bpf/tc/globals"})
    tap.equal([len(each.services()) for each in sets], [1, 1], "-pin and $XLB_PIN choose")
    maps_remove("/sys/fs/bpf/tc/globals")


def check_other_maps():
    seen = World()
    config = seen.maps["xlb_config"]
    ours = config.get(0)
    pins = "/sys/fs/bpf/xlb"
    for abi, why in ((1, f"xlb_config in {pins} is not of ABI {world.ABI}, which this xlb speaks"),
                     (world.ABI - 1, f"the maps in {pins} are of ABI {world.ABI - 1}, and this xlb "
                                     f"speaks {world.ABI}: xlb load dev IF moves them on"),
                     (77, f"the maps in {pins} are of ABI 77, and this xlb speaks {world.ABI}: "
                          "use the newer xlb")):
        config.set(0, dict(ours, abi=abi))
        before = seen.snapshot()
        for words in ("service show", "service add 192.0.2.6:80/tcp"):
            check((2, words, why), before, seen)
    config.set(0, ours)
    os.mkdir(f"{pins}/xlb_new")
    for words in ("service show", "service add 192.0.2.6:80/tcp"):
        check((2, words, f"the maps in {pins} are still on their way to ABI {world.ABI}: xlb load "
                         "dev IF completes it"), seen.snapshot(), seen)
    os.rmdir(f"{pins}/xlb_new")
    os.unlink(os.path.join(world.PINS, "xlb_flows6"))
    check((2, "service show", "xlb_flows6 is missing in /sys/fs/bpf/xlb: xlb load dev IF pins "
                              "it again where xlb runs; else remove what is left there and load "
                              "again"), seen.snapshot(), seen)
    world.sh("bpftool", "map", "create", os.path.join(world.PINS, "xlb_flows6"), "type",
             "lru_hash", "key", "8", "value", "8", "entries", "8", "name", "xlb_flows6")
    check((2, "service show", f"xlb_flows6 in /sys/fs/bpf/xlb is not of ABI {world.ABI}"),
          seen.snapshot(), seen)
    os.unlink(os.path.join(world.PINS, "xlb_flows6"))


def check_no_objects():
    """Files that are there, but are no objects; libbpf has its own numbers for that."""
    before = World().snapshot()
    for what in "/etc/passwd", world.XLB:
        for words in f"load maps obj {what}", f"lookup 10.9.0.1:7 to {WEB}":
            done = xlb(*words.split(), variables={"XLB_OBJECT": what})
            where = "load maps: obj" if "maps" in words else "lookup 10.9.0.1:7:"
            tap.equal((done.returncode, done.stderr),
                      (2, f"xlb: {where} {what}: not a BPF object file\n"), words)
    tap.ok(World().snapshot() == before, "nothing has changed")


def check_contradictions():
    """What no xlb has written: refused, rather than made worse."""
    maps_remove()
    maps_make()
    seen = World()
    xlb("service", "add", WEB, "table", "251", status=0)
    services = seen.maps["xlb_services4"]
    key, value = services.items()[0]
    for what, place in (("outside of xlb_slots", {"first": 1920, "size": 251}),
                        ("at an odd place", {"first": 8, "size": 251}),
                        ("of no slots", {"first": 0, "size": 0})):
        services.set(key, dict(value, table=place))
        check((2, "backend add 10.0.0.1", "the maps in /sys/fs/bpf/xlb contradict themselves"),
              seen.snapshot(), seen)


def check_privilege():
    maps_remove()
    maps_make()
    seen = World()
    before = seen.snapshot()
    # An ordinary user may not get into the tree, which may be in root's home.
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        world.XLB = shutil.copy(world.XLB, folder)
        status = ordinary_user_adds()
    tap.ok(status == 0 and seen.snapshot() == before, "2: an ordinary user")


def ordinary_user_adds():
    """0 if xlb says what it should."""
    child = os.fork()
    if not child:
        os.setgid(65534)
        os.setuid(65534)
        done = xlb("service", "add", WEB)
        os._exit(0 if done.returncode == 2 and one_line(done.stderr)
                 and f"the maps in {world.PINS} are not for this user to change" in done.stderr
                 and "run as root" in done.stderr else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main():
    world.enter()
    maps_make()
    seen = World()
    before = seen.snapshot()
    for case in USAGE:
        check(case, before, seen)
    check((2, "backend add 10.0.0.3", "there is no service: xlb service add "
                                      "ADDRESS:PORT/PROTOCOL"), before, seen)
    xlb("-batch", "-", text=STATE, status=0)
    before = seen.snapshot()
    for case in REFUSED:
        check(case, before, seen)
    check_modes(seen)
    check_batch(seen)
    check_batch_json()
    check_hostile(seen)
    check_shared(seen)
    check_no_objects()
    check_full()
    check_full_of_rules()
    check_without_maps()
    check_two_sets()
    check_other_maps()
    check_contradictions()
    check_privilege()
    tap.done()


main()
