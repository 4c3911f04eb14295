#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""What xlb monitor says of drops and flows, packet by packet."""

import time

from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import ICMPv6DestUnreach, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

import tap
from frame import CLIENT_MAC, TAGS, XLB_MAC, fragments, frame
from lab import CLIENTS, MACS, VERSIONS, VIPS, Lab, backend_address, backend_mac, ip, text
from monitor import Monitor

lab = Lab()
ROUTERS = {4: "198.51.100.2", 6: "2001:db8:1::2"}
OTHER = {4: "192.0.2.77", 6: "2001:db8::77"}


class Side:
    """A service and its backend, of one family, and their names."""

    def __init__(self, version, protocol="tcp", **more):
        self.version, self.protocol = version, protocol
        self.backend = backend_address(1, version)
        lab.neighbour(self.backend, backend_mac(1), "right")
        self.service = f"{text(VIPS[version])}:80/{protocol}"
        words = " ".join(f"{key} {value}" for key, value in more.items())
        lab.xlb(f"service add {self.service} table 251 {words}")
        self.asked = {"source": CLIENTS[version], "destination": VIPS[version], "sport": 40000,
                      "dport": 80, "protocol": protocol}
        self.answered = {"source": self.backend, "destination": CLIENTS[version], "sport": 8080,
                         "dport": 40000, "protocol": protocol, "smac": backend_mac(1),
                         "dmac": MACS["right"]}
        self.client = f"{text(CLIENTS[version])}:40000"
        self.asks = f"{self.client} to {self.service}"

    def add(self, port=8080):
        lab.xlb(f"backend add {text(self.backend)}:{port} service {self.service}")
        return self

    def delete(self):
        lab.xlb(f"service del {self.service}")


def check(monitor, description, data, wanted, link="left"):
    """This frame, and the one line that it makes."""
    lab.run(data, link)
    tap.equal(monitor.take(1), [wanted], description)


def check_ends(version, protocol):
    """From whom and for whom, as far as the frame says."""
    side = Side(version, protocol)
    name = f"{protocol} over IPv{version}: "
    monitor = Monitor("drop")
    for tags in TAGS:
        check(monitor, name + f"nobody to serve it, behind {len(tags)} tags",
              frame(**side.asked, tags=tags), f"drop no_backend {side.asks} dev left")
    whole = frame(**side.asked, payload=bytes(64))
    later = fragments(whole, 32, 7)[-1]
    check(monitor, name + "a later fragment has no ports", later,
          f"drop fragment {text(CLIENTS[version])} to {text(VIPS[version])}/{protocol} dev left")
    check(monitor, name + "a length that lies", frame(**side.asked)[:-3],
          f"drop bad_length {side.asks} dev left")
    monitor.end()
    side.add()
    monitor = Monitor("drop")
    check(monitor, name + "a reply", frame(**side.answered, ttl=1),
          f"drop ttl {text(side.backend)}:8080 to {side.client}/{protocol} "
          f"backend {text(side.backend)}:8080 dev right", "right")
    tap.equal(monitor.end(), ([], 0, ""), name + "nothing else is said")
    side.delete()


def check_about(version):
    """An ICMP error, and the packet that it quotes."""
    side = Side(version)
    network = IP if version == 4 else IPv6
    quoted = network(src=VIPS[version], dst=CLIENTS[version]) / TCP(sport=80, dport=40000)
    error = ICMP(type=3, code=1) if version == 4 else ICMPv6DestUnreach()
    data = bytes(Ether(src=CLIENT_MAC, dst=XLB_MAC) /
                 network(src=ROUTERS[version], dst=VIPS[version]) / error / Raw(bytes(quoted)))
    name = "icmp" if version == 4 else "icmp6"
    monitor = Monitor("drop", options=("-j",))
    before = time.time()
    lab.run(data)
    event = monitor.take(1)[0]
    tap.ok(before - 1 < event.pop("time") < time.time() + 1, f"IPv{version}: and when it was")
    tap.equal(event, {"event": "drop", "action": "no_backend", "from": text(ROUTERS[version]),
                      "to": f"{text(VIPS[version])}/{name}",
                      "about": {"from": f"{text(VIPS[version])}:80", "to": f"{side.client}/tcp"},
                      "service": side.service, "backend": None, "dev": "left"},
              f"IPv{version}: an ICMP error says what it is about")
    monitor.end()
    monitor = Monitor("drop")
    check(monitor, f"IPv{version}: in words as well", data,
          f"drop no_backend {text(ROUTERS[version])} to {text(VIPS[version])}/{name} "
          f"about {text(VIPS[version])}:80 to {side.client}/tcp dev left")
    monitor.end()
    side.delete()


def check_made(version):
    """What something else was made of is told of as it was."""
    side = Side(version, mode="dr").add(80)
    monitor = Monitor("drop")
    ip("link set right mtu 1400")
    big = frame(**side.asked, payload=bytes(1400),
                **{"header": {"flags": "DF"}} if version == 4 else {})
    check(monitor, f"IPv{version}: too big, which the client is told", big,
          f"drop too_big {side.asks} dev left")
    ip("link set right mtu 1500")
    ip(f"neighbour del {side.backend} dev right")
    lab.maps["xlb_nexthops"].clear()
    check(monitor, f"IPv{version}: no neighbour, whom the kernel is made to look for",
          frame(**side.asked),
          f"drop no_neighbour {side.asks} backend {text(side.backend)}:80 dev left")
    monitor.end()
    side.delete()


def check_flow(version):
    """A service on any address records each flow."""
    anyone = "*:8080/tcp" if version == 4 else "[*]:8080/tcp"
    side = Side(version)
    lab.xlb(f"service add {anyone} table 251",
        f"backend add {text(side.backend)}:9 service {anyone}")
    monitors = [Monitor("flow"), Monitor("link", "change")]
    other = {"source": CLIENTS[version], "destination": OTHER[version], "sport": 40000,
             "dport": 8080, "flags": "S"}
    check(monitors[0], f"IPv{version}: a recorded flow", frame(**other),
          f"flow recorded {side.client} to {text(OTHER[version])}:8080/tcp "
          f"backend {text(side.backend)}:9 dev left")
    lab.run(frame(**side.asked))
    tap.equal([each.end() for each in monitors], [([], 0, ""), ([], 0, "")],
              f"IPv{version}: a drop is no flow, and neither is a change")
    side.delete()
    lab.xlb(f"service del {anyone}")


def check_filters():
    """Only what is about a service, or a backend."""
    web, dns = Side(4).add(), Side(4, "udp").add()
    other = Side(6)
    packets = ((web.asked | {"ttl": 1}, "left"), (web.answered | {"ttl": 1}, "right"),
               (dns.answered | {"ttl": 1}, "right"), (other.asked, "left"))
    said = {}
    for words in ("", f"service {web.service}", f"backend {web.backend}:8080",
                  f"service {dns.service} backend {web.backend}", "backend 10.0.0.7"):
        monitor = Monitor("drop", *words.split(), options=("-j",))
        for fields, link in packets:
            lab.run(frame(**fields), link)
        said[words] = [(event["service"], event["backend"]) for event in monitor.end()[0]]
    at = f"{web.backend}:8080"
    tap.equal(said, {
        "": [(web.service, None), (web.service, at), (dns.service, at), (other.service, None)],
        f"service {web.service}": [(web.service, None), (web.service, at)],
        f"backend {web.backend}:8080": [(web.service, at), (dns.service, at)],
        f"service {dns.service} backend {web.backend}": [(dns.service, at)],
        "backend 10.0.0.7": []}, "of a service, of a backend, of both")
    for side in (web, dns, other):
        side.delete()


def check_missed():
    """What is more than is told of is counted, and said once."""
    side = Side(4)
    data = frame(**side.asked)
    lab.watch("drop")
    lab.run(data)
    monitor = Monitor("drop")
    lab.run(data)
    lab.maps["xlb_samples"].set(0, {"since": lab.jiffies() & 0xffffffff,
                                    "sent": lab.numbers["EVENTS_MAX"]})
    for _ in range(5):
        lab.run(data)
    tap.equal(monitor.take(2), [f"drop no_backend {side.asks} dev left", "drop missed packets 5"],
              "what was not told is counted, and what a dead reader left is not told")
    tap.equal(monitor.end(), ([], 0, ""), "once")
    side.delete()


for version in VERSIONS:
    for protocol in ("tcp", "udp"):
        check_ends(version, protocol)
    check_about(version)
    check_made(version)
    check_flow(version)
check_filters()
check_missed()
tap.done()
