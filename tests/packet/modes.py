# SPDX-License-Identifier: GPL-2.0-only
"""Services of every mode, and the frames that their packets must become."""

import copy
import struct
from typing import NamedTuple

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from flowhash import hash_of
from frame import CLIENT_MAC, XLB_MAC, frame, hop
from lab import (CLIENTS, DROP, MACS, OWN, REDIRECT, ROUTER_MAC, TCP, TX, VERSIONS, VIPS,
                 backend_address, backend_mac, packed)

TRANSLATED = ("dnat", "nat")    # replies come back through xlb
TUNNELS = ("ipip", "gue")
ANY = {4: "0.0.0.0", 6: "::"}
# What xlb sends from in modes nat, ipip and gue.
SOURCES = {version: backend_address(OWN, version) for version in VERSIONS}
SEED = 1
CONFIG = {"seed": SEED, "gue_port": 6080,
          "tunnel4": packed(SOURCES[4]), "tunnel6": packed(SOURCES[6]),
          "nat4": [packed(SOURCES[4])], "nat4_count": 1,
          "nat6": [packed(SOURCES[6])], "nat6_count": 1}
IP_HEADER = {4: 20, 6: 40}
GUE_HEADER = 12                 # with UDP's
PROTOCOL = {4: 4, 6: 41}        # of a packet of this version within another
GUE_PORTS = 0xc000              # and up
FLOW_LABEL = 0xfffff


class Kind(NamedTuple):
    """A mode, the version of client and VIP, and that of the backend."""
    mode: str
    version: int
    outer: int

    def __str__(self):
        inner = f"{self.mode}, IPv{self.version}"
        return f"{inner} in IPv{self.outer}" if self.mode in TUNNELS else inner

    def overhead(self):
        """Bytes that encapsulation adds."""
        if self.mode not in TUNNELS:
            return 0
        return IP_HEADER[self.outer] + (GUE_HEADER if self.mode == "gue" else 0)


KINDS = tuple(Kind(mode, version, version) for mode in (*TRANSLATED, "dr") for version in VERSIONS)
KINDS += tuple(Kind(mode, version, outer) for mode in TUNNELS for version in VERSIONS
               for outer in VERSIONS)


def gue(sport, version, length):
    """UDP's header and GUE's, before a packet of this version and length."""
    return UDP(sport=sport, dport=CONFIG["gue_port"], chksum=0,
               len=length + GUE_HEADER) / Raw(struct.pack("!BBH", 0, PROTOCOL[version], 0))


def encapsulated(kind, packet, destination, flow, *, smac, dmac, tags=(), traffic=0, pad=0):
    """An IP packet, as bytes, in the frame that takes it to a backend.

    `flow` is the hash of its flow, `traffic` its TOS or traffic class, `pad` how many
    bytes the client's Ethernet had put behind it.
    """
    head = Ether(src=smac, dst=dmac)
    for tag in tags:
        head /= tag.copy()
    number = 17 if kind.mode == "gue" else PROTOCOL[kind.version]
    if kind.outer == 4:
        head /= IP(src=SOURCES[4], dst=destination, tos=traffic, id=0, flags="DF", ttl=64,
                   proto=number)
    else:
        head /= IPv6(src=SOURCES[6], dst=destination, tc=traffic, fl=flow & FLOW_LABEL, hlim=64,
                     nh=number)
    if kind.mode == "gue":
        head /= gue(GUE_PORTS | flow & ~GUE_PORTS & 0xffff, kind.version, len(packet))
    return bytes(head / Raw(packet)) + bytes(pad)


class Way:
    """A service on port 80 with one backend, whose id is `number`, and how its packets look.

    Each of the four kinds of frames takes fields to put on top of the usual ones: those
    of the packet as it comes to xlb.  `port` is the source that mode nat gives.
    """

    def __init__(self, lab, kind, protocol=TCP, link="right", *, vip=None, number=1, **service):
        self.lab, self.kind, self.link, self.host = lab, kind, link, 1
        self.port = 8080 if kind.mode in TRANSLATED else 80
        self.vip, self.client = vip or VIPS[kind.version], CLIENTS[kind.version]
        self.backend = lab.backend(1, kind.outer, link, self.port)
        lab.target(number, self.backend, self.port)
        self.service = lab.service(self.vip, 80, protocol, current=number, mode=kind.mode,
                                   **service)
        self.source = SOURCES[kind.version] if kind.mode == "nat" else self.client
        if kind.mode in TRANSLATED:
            by_flow = kind.mode == "nat"
            lab.replies(self.backend, self.port, ANY[kind.version] if by_flow else self.vip,
                        0 if by_flow else 80, number, protocol, by_flow=by_flow)
        self.asked = {"source": self.client, "destination": self.vip, "sport": 40000, "dport": 80,
                      "protocol": protocol}
        self.answered = {"source": self.backend, "destination": self.source, "sport": self.port,
                         "dport": 40000, "protocol": protocol, "smac": backend_mac(1),
                         "dmac": MACS[link]}

    def sent(self):
        """The verdict that sends a packet on, either way."""
        return TX if self.link == "left" else REDIRECT

    def of(self, client):
        """The same for another client."""
        way = copy.copy(self)
        way.client, way.asked = client, self.asked | {"source": client}
        if self.kind.mode != "nat":
            way.source, way.answered = client, self.answered | {"destination": client}
        return way

    def translated(self, port=None, **fields):
        """The fields that the client's packet has towards the backend."""
        asked = self.asked | fields
        if self.kind.mode in TRANSLATED:
            asked |= {"destination": self.backend, "dport": self.port}
        if self.kind.mode == "nat":
            asked |= {"source": self.source, "sport": port or asked["sport"]}
        return asked

    def asks(self, **fields):
        return frame(**self.asked | fields)

    def macs(self):
        """Towards the backend."""
        return {"smac": MACS[self.link], "dmac": backend_mac(self.host)}

    def forwarded(self, **fields):
        """The client's packet when xlb sends it on."""
        ttl = (self.asked | fields).get("ttl", 64)
        if self.kind.mode in TUNNELS:
            return self.encapsulated(self.macs(), **fields)
        return frame(**self.translated(**fields) | self.macs() |
                     {"ttl": ttl if self.kind.mode == "dr" else ttl - 1})

    def finished(self, **fields):
        """The client's packet when the kernel is to send it on."""
        if self.kind.mode in TUNNELS:
            return self.encapsulated({"smac": CLIENT_MAC, "dmac": XLB_MAC}, **fields)
        return frame(**self.translated(**fields))

    def encapsulated(self, macs, **fields):
        """Being taken up by a tunnel is a hop, whoever sends the outer packet."""
        asked = self.asked | fields
        whole = frame(**asked | {"pad": 0})
        inner = frame(**asked | {"pad": 0, "tags": (), "ttl": asked.get("ttl", 64) - 1})[14:]
        header = asked.get("header", {})
        return encapsulated(self.kind, inner, self.backend, self.flow(asked), **macs,
                            tags=asked.get("tags", ()),
                            pad=max(0, asked.get("pad", 0) - len(whole)),
                            traffic=header.get("tos", header.get("tc", 0)))

    @staticmethod
    def flow(fields):
        """The hash of a packet's flow."""
        return hash_of(packed(fields["source"]), packed(fields["destination"]), fields["sport"],
                       fields["dport"], 6 if fields["protocol"] == TCP else 17, SEED, "flow")

    def answers(self, **fields):
        return frame(**self.answered | fields)

    def back(self, **fields):
        """The fields that the backend's packet has towards the client."""
        back = self.answered | fields | {"source": self.vip, "sport": 80}
        if self.kind.mode == "nat":
            back |= {"destination": self.client, "dport": self.asked["sport"]}
        return back

    def restored(self, **fields):
        """The backend's packet when xlb sends it on."""
        ttl = (self.answered | fields).get("ttl", 64)
        return frame(**self.back(**fields) | hop(MACS["left"], ROUTER_MAC) | {"ttl": ttl - 1})

    def check(self, description, **fields):
        """To the backend, exactly."""
        self.lab.check(f"{description}: to the backend", self.asks(**fields), self.sent(),
                       self.forwarded(**fields))

    def check_both(self, description, **fields):
        """And, where replies come back through xlb, to the client."""
        self.check(description, **fields)
        if self.kind.mode in TRANSLATED:
            self.lab.check(f"{description}: to the client", self.answers(**fields), self.sent(),
                           self.restored(**fields), link=self.link)

    def reached(self, **fields):
        """The backend that a packet is sent to, by its MAC; 0 when dropped."""
        verdict, out = self.lab.run(self.asks(**fields))
        return 0 if verdict == DROP else out[5]


def start(lab, kind, protocol=TCP, link="right", config=(), **service):
    """Everything anew: a service of this kind, and what its mode needs."""
    lab.reset(**CONFIG | dict(config))
    return Way(lab, kind, protocol, link, **service)
