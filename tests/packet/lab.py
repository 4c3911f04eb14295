# SPDX-License-Identifier: GPL-2.0-only
"""The object loaded in namespaces of its own, its maps filled to the last bit by hand.

The maps are written without the helper, so that a test can set any state exactly:
marked slots, times in the past, generations, owners that are gone.
"""

import ctypes
import os
import socket
import subprocess
import tempfile
import time
from typing import NamedTuple

import frame
import tap
from bpf import Clock, Map, Program, Ring, pinned
from btf import Btf
from counters import counters_keep

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
OBJECT = os.environ.get("XLB_OBJECT", os.path.join(ROOT, "bpf", "xlb.o"))
HEADER = os.path.join(ROOT, "bpf", "xlb_abi.h")
PINS = "/sys/fs/bpf"

CLONE_NEWNS, CLONE_NEWNET = 0x20000, 0x40000000
CLOCK_MONOTONIC_COARSE = 6  # <linux/time.h>; its resolution is one jiffy
DROP, PASS, TX, REDIRECT = 1, 2, 3, 4
VERDICTS = ("ABORTED", "DROP", "PASS", "TX", "REDIRECT")
TCP, UDP = "tcp", "udp"
VERSIONS = (4, 6)

WRITTEN_BY_PACKETS = ("xlb_nexthops", "xlb_routes", "xlb_flows4", "xlb_flows6", "xlb_embryos4",
                      "xlb_embryos6", "xlb_fragments", "xlb_budget", "xlb_stats", "xlb_drops",
                      "xlb_limits", "xlb_samples")

# Two links with hosts behind them that never answer: all neighbours are permanent.
# `left` leads to the clients, by a router, and `right` to the backends.
NETWORK = """
    link set lo up
    link add left address 02:00:00:00:00:01 type veth peer name left-peer
    link add right address 02:00:00:00:00:02 type veth peer name right-peer
    link set left-peer up
    link set right-peer up
    link set left up
    link set right up
    address add 198.51.100.254/24 dev left
    address add 10.0.0.254/24 dev right
    address add 2001:db8:1::254/64 dev left nodad
    address add 2001:db8:2::254/64 dev right nodad
    route add default via 198.51.100.2
    route add default via 2001:db8:1::2
    neighbour add 198.51.100.2 lladdr 02:00:00:00:01:02 nud permanent dev left
    neighbour add 2001:db8:1::2 lladdr 02:00:00:00:01:02 nud permanent dev left
"""
OWN = 254                       # the host part of the addresses on both links
MACS = {"left": "02:00:00:00:00:01", "right": "02:00:00:00:00:02"}
ROUTER_MAC = "02:00:00:00:01:02"
CLIENTS = {4: "203.0.113.9", 6: "2001:db8:9::9"}
VIPS = {4: "192.0.2.10", 6: "2001:db8::10"}
NETWORKS = {("left", 4): "198.51.100.", ("left", 6): "2001:db8:1::",
            ("right", 4): "10.0.0.", ("right", 6): "2001:db8:2::"}


def backend_address(number, version=4, link="right"):
    return NETWORKS[link, version] + str(number)


def backend_mac(number):
    return f"02:00:00:00:02:{number:02x}"


def sh(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def ip(line):
    sh("ip", *line.split())


def sysctl(name, value):
    with open(f"/proc/sys/{name}", "w", encoding="ascii") as setting:
        setting.write(str(value))


def family(address):
    return 6 if ":" in address else 4


def packed(address):
    return socket.inet_pton(socket.AF_INET6 if family(address) == 6 else socket.AF_INET, address)


def text(address):
    """As the helper wants it, before a port."""
    return f"[{address}]" if family(address) == 6 else address


def mapped(address):
    """In 16 bytes, IPv4 as ::ffff:a.b.c.d."""
    return packed(address) if family(address) == 6 else bytes(10) + b"\xff\xff" + packed(address)


def enter_namespaces():
    """Mounts, pins and links of this process's own: all are gone when it exits."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS | CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    sh("mount", "--make-rprivate", "/")
    sh("mount", "-t", "bpf", "bpf", PINS)


def header_btf():
    """BTF of what the header has and the object has not: no map holds these."""
    anchors = ("struct xlb_lookup answer;"
               "struct xlb_event event;"
               "enum { ABI = XLB_ABI, DELETED = XLB_BACKEND_DELETED,"
               " EVENTS_MAX = XLB_EVENTS_MAX, EVENT_FRAME = XLB_EVENT_FRAME } number;")
    with tempfile.TemporaryDirectory() as folder:
        source, output = (os.path.join(folder, name) for name in ("header.c", "header.o"))
        with open(source, "w", encoding="ascii") as text:
            text.write(anchors)
        sh("clang", "-target", "bpf", "-g", "-include", HEADER, "-c", source, "-o", output,
           "-idirafter", f"/usr/include/{os.uname().machine}-linux-gnu")
        return Btf(output)


class Service(NamedTuple):
    """A service's map, its key there, and where its slots are."""
    services: Map
    key: dict
    first: int
    size: int


class Path(NamedTuple):
    """The four forms of a flow's packets, as fields, and the backend's side."""
    link: str
    asked: dict
    forwarded: dict
    answered: dict
    restored: dict

    def sent(self):
        """The verdict that sends such packets on, either way."""
        return TX if self.link == "left" else REDIRECT


class Lab:
    """The loaded object, its maps by name, its network, and checks of what it does."""

    def __init__(self):
        if os.geteuid():
            tap.skip_all("only root can make namespaces and load programs")
        enter_namespaces()
        os.sched_setaffinity(0, {0})  # budgets and routes are a CPU's own
        for line in NETWORK.strip().splitlines():
            ip(line)
        sysctl("net/ipv4/conf/all/forwarding", 1)
        sysctl("net/ipv6/conf/all/forwarding", 1)
        self.ifindex = {name: socket.if_nametoindex(name) for name in ("lo", "left", "right")}
        sh("bpftool", "prog", "loadall", OBJECT, f"{PINS}/programs", "type", "xdp")
        counters_keep(f"{PINS}/programs/xlb_xdp")
        self.btf = Btf(OBJECT)
        self.maps = {name: Map(f"{PINS}/{name}", self.btf, declared)
                     for name, declared in self.btf.maps().items() if "key" in declared}
        self.ring = Ring(f"{PINS}/xlb_events", self.btf.maps()["xlb_events"]["max_entries"])
        self.program = Program(pinned(f"{PINS}/programs/xlb_xdp"))
        self.dry = Program(pinned(f"{PINS}/programs/xlb_lookup"))
        self.header = header_btf()
        self.numbers = self.header.enums() | self.btf.enums()
        self.reasons = [member["name"] for member in self.btf.struct("xlb_drops")["members"]]
        self.clock = Clock()
        self.hz = round(1 / time.clock_getres(CLOCK_MONOTONIC_COARSE))
        self.next_slot = 0
        self.reset()

    # The network.

    @staticmethod
    def neighbour(address, mac, link):
        ip(f"neighbour replace {address} lladdr {mac} nud permanent dev {link}")

    # The maps.

    def xlb(self, *lines):
        """The helper fills them: each line is a change of its own, and leaves the links as
        they are here."""
        for line in lines:
            done = subprocess.run([os.path.join(ROOT, "loader", "xlb"), *line.split()],
                                  check=False, capture_output=True, text=True)
            assert not done.returncode, done.stderr
        for name in ("left", "right"):
            self.redirects(name)

    def reset(self, **config):
        """Nothing configured, nothing counted, nothing remembered; slots stay."""
        for name, content in self.maps.items():
            if name != "xlb_slots":
                content.clear()
        self.config(**config)
        for name in ("left", "right"):
            self.redirects(name)

    def config(self, **fields):
        self.maps["xlb_config"].set(0, {"abi": self.numbers["ABI"], "hz": self.hz, "seed": 1,
                                        "settle": 30, "idle": 900, "records": 1000} | fields)

    def redirects(self, link, takes=1, veth=0, mtu=1500):
        self.maps["xlb_links"].set(self.ifindex[link], {"redirect": takes, "veth": veth,
                                                        "mtu": mtu})

    def protocol(self, name):
        return self.numbers[f"XLB_{name.upper()}"]

    def by_family(self, name, address):
        return self.maps[f"{name}{family(address)}"]

    def endpoint(self, address, port, protocol):
        return {"address": packed(address), "port": port, "protocol": self.protocol(protocol)}

    def service(self, address, port, protocol=TCP, *, current=0, previous=0, size=251,
                hash="flow", settle_until=0, mode="dnat"):
        """A service all of whose slots are {current, previous}."""
        made = Service(self.by_family("xlb_services", address),
                       self.endpoint(address, port, protocol), self.next_slot, size)
        self.next_slot += (size + 15) // 16 * 16
        self.owners(made, [(current, previous)] * size)
        made.services.set(made.key, {"table": {"first": made.first, "size": size},
                                     "mode": self.numbers[f"XLB_{mode.upper()}"],
                                     "hash": self.numbers[f"XLB_HASH_{hash.upper()}"],
                                     "settle": 30, "settle_until": settle_until})
        if any(packed(address)):
            self.vip(address)
        return made

    def vip(self, address):
        """One more service on the address."""
        vips, key = self.maps["xlb_vips"], {"address": mapped(address)}
        vips.set(key, {"services": (vips.get(key) or {"services": 0})["services"] + 1})

    def guard(self, service, **fields):
        """More fields of a service: its number, how many rules it has, its limit."""
        service.services.set(service.key, service.services.get(service.key) | fields)

    def rule(self, prefix, action, service=None):
        """For the service, which has a number, or for all; counted where packets look."""
        address, length = prefix.split("/")
        version = family(address)
        number = service.services.get(service.key)["number"] if service else 0
        self.maps[f"xlb_acl{version}"].set(
            {"bits": 32 + int(length), "service": number, "address": packed(address)},
            {"action": self.numbers[f"XLB_{action.upper()}"], "length": int(length)})
        if service:
            self.guard(service, rules=1)
        else:
            config = self.maps["xlb_config"]
            config.set(0, config.get(0) | {f"rules{version}": 1})

    def owners(self, service, pairs):
        """Slot by slot: (current, previous)."""
        slots = [{"current": current, "previous": previous} for current, previous in pairs]
        for at in range(0, len(slots), 16):
            self.maps["xlb_slots"].set((service.first + at) // 16, {"slot": slots[at:at + 16]})

    def mark(self, service, current, previous):
        self.owners(service, [(current, previous)] * service.size)

    def backend(self, number, version=4, link="right", port=8080, *, generation=1, live=1):
        """A target, and a neighbour that answers to its address, which is returned."""
        address = backend_address(number, version, link)
        self.neighbour(address, backend_mac(number), link)
        self.target(number, address, port, generation=generation, live=live)
        return address

    def target(self, number, address, port=8080, *, generation=1, live=1):
        self.maps["xlb_targets"].set(number, {"address": packed(address), "port": port,
                                              "generation": generation, "live": live,
                                              "v6": family(address) == 6})

    def by_flow(self, number):
        """Records tell where the replies of this target come from."""
        target = self.maps["xlb_targets"].get(number)
        self.maps["xlb_targets"].set(number, target | {"by_flow": 1})

    def replies(self, address, port, vip, vip_port, backend, protocol=TCP, by_flow=0):
        self.by_family("xlb_replies", address).set(
            self.endpoint(address, port, protocol),
            {"address": packed(vip), "port": vip_port, "backend": backend, "by_flow": by_flow})
        if by_flow:
            self.by_flow(backend)

    def tuple(self, fields):
        return {"source": packed(fields["source"]), "destination": packed(fields["destination"]),
                "source_port": fields["sport"], "destination_port": fields["dport"],
                "protocol": self.protocol(fields["protocol"])}

    def records(self, fields):
        """The flow's records: (established, embryonic), None where there is none."""
        return tuple(self.by_family(name, fields["source"]).get(self.tuple(fields))
                     for name in ("xlb_flows", "xlb_embryos"))

    def record(self, fields, backend, *, generation=1, age=0, embryonic=False,
               direction="forward", **more):
        """Puts a record of the flow in its map, last seen `age` seconds ago."""
        seen = self.jiffies() - round(age * self.hz) & 0xffffffff
        self.by_family("xlb_embryos" if embryonic else "xlb_flows", fields["source"]).set(
            self.tuple(fields), {"seen": seen, "backend": backend, "generation": generation,
                                 "direction": self.numbers[f"XLB_{direction.upper()}"]} | more)

    def jiffies(self):
        return self.clock.jiffies()

    @staticmethod
    def clock_nanoseconds():
        """By the clock that events have their time from."""
        return time.clock_gettime_ns(time.CLOCK_MONOTONIC)

    def drops(self):
        """Reasons with a count."""
        return {name: count for name, count in self.maps["xlb_drops"].get(0).items() if count}

    def stats(self, backend):
        return self.maps["xlb_stats"].get(backend)

    def balanced(self, version=4, protocol=TCP, link="right", number=1, port=8080, **service):
        """A service on VIPS[version]:80 with one backend, and how its packets look:
        asked by a client, forwarded to the backend, answered by it, restored."""
        address = self.backend(number, version, link, port)
        vip, client = VIPS[version], CLIENTS[version]
        self.service(vip, 80, protocol, current=number, **service)
        self.replies(address, port, vip, 80, number, protocol)
        asked = {"source": client, "destination": vip, "sport": 40000, "dport": 80,
                 "protocol": protocol}
        answered = {"source": address, "destination": client, "sport": port, "dport": 40000,
                    "protocol": protocol, "smac": backend_mac(number), "dmac": MACS[link]}
        return Path(link, asked,
                    asked | {"destination": address, "dport": port}
                    | frame.hop(MACS[link], backend_mac(number)),
                    answered,
                    answered | {"source": vip, "sport": 80}
                    | frame.hop(MACS["left"], ROUTER_MAC))

    def watch(self, *kinds, until=10):
        """Somebody wants events of these kinds for so many seconds; what was told is gone."""
        wanted = sum(1 << self.numbers[f"XLB_EVENT_{kind.upper()}"] for kind in kinds)
        self.maps["xlb_watch"].set(0, {"until": self.jiffies() + round(until * self.hz),
                                       "interval": self.hz, "kinds": wanted})
        self.ring.read()

    def events(self):
        """What packets have told since; frames without what was cut off."""
        kind = self.header.struct("xlb_event")
        events = [self.header.unpack(kind, raw) for raw in self.ring.read()]
        return [event | {"frame": event["frame"][:event["length"]]} for event in events]

    # Frames.

    def run(self, data, link="left"):
        return self.program.run(data, self.ifindex[link])

    def lookup(self, data):
        verdict, out = self.dry.run(data.ljust(128, b"\0"), self.ifindex["left"])
        assert verdict == PASS
        return self.header.unpack(self.header.struct("xlb_lookup"), out)

    def quiet(self):
        """Has nothing been counted, recorded or cached since the reset?"""
        return not any(any(value) for name in WRITTEN_BY_PACKETS
                       for value in self.maps[name].dump().values())

    def check(self, description, data, verdict, expected=None, link="left"):
        """One line of a test: this frame, that verdict, that frame afterwards."""
        got, left = self.run(data, link)
        expected = data if expected is None else expected
        return tap.ok((got, left) == (verdict, expected), description,
                      f"verdict {VERDICTS[got]}, wanted {VERDICTS[verdict]}",
                      *(() if left == expected else frame.compare(left, expected)))

    def check_drop(self, description, data, reason, link="left"):
        """Dropped as it came, counted under the reason and told of, and nothing else
        (but a record, of a flow that is dropped later on its way)."""
        self.maps["xlb_drops"].clear()
        self.maps["xlb_stats"].clear()
        self.maps["xlb_samples"].clear()
        self.watch("drop", "flow")
        self.check(description, data, DROP, link=link)
        told = [(self.reasons[event["reason"]], event["ifindex"], event["frame"])
                for event in self.events() if event["kind"] == self.numbers["XLB_EVENT_DROP"]]
        whole = data[:min(len(data) // 4 * 4, self.numbers["EVENT_FRAME"])]
        tap.equal(told, [(reason, self.ifindex[link], whole)], f"{description}: told of")
        counted = [backend for backend, value in enumerate(self.maps["xlb_stats"].dump().values())
                   if any(value)]
        tap.equal((self.drops(), counted), ({reason: 1}, []),
                  f"{description}: counted as {reason}")
