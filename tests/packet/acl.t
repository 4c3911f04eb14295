#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""Rules for sources: the longest prefix decides, of whatever packet of a client."""

import ipaddress
import random

from scapy.layers.inet import ICMP, IPOption_RR
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6ExtHdrDestOpt
from scapy.layers.l2 import Ether

import tap
from errors import ROUTERS, error, packet_of
from frame import TAGS, fragments, frame
from lab import CLIENTS, DROP, PASS, TX, VERSIONS, VIPS, Lab, backend_mac, MACS, mapped
from modes import KINDS, TRANSLATED, Kind, start

lab = Lab()
PROTOCOLS = ("tcp", "udp")
ALL = {4: "0.0.0.0/0", 6: "::/0"}
HOST = {version: f"{address}/{32 if version == 4 else 128}" for version, address in CLIENTS.items()}
ERROR = {4: "port unreachable", 6: "port unreachable"}
# From the shortest to the longest, each within the one before: an address that is in all
# up to here, and in none beyond.
NESTED = {4: (("0.0.0.0/0", "9.9.9.9"), ("128.0.0.0/1", "129.0.0.1"), ("203.0.0.0/8", "203.1.0.1"),
              ("203.0.96.0/19", "203.0.97.1"), ("203.0.113.0/24", "203.0.113.99"),
              ("203.0.113.8/31", "203.0.113.8"), ("203.0.113.9/32", "203.0.113.9")),
          6: (("::/0", "fd00::1"), ("2000::/3", "2a00::1"), ("2001:db8::/32", "2001:db8:8::1"),
              ("2001:db8:9::/48", "2001:db8:9:1::1"), ("2001:db8:9::/64", "2001:db8:9::1"),
              ("2001:db8:9::8/127", "2001:db8:9::8"), ("2001:db8:9::9/128", "2001:db8:9::9"))}


def is_denied(data, link="left"):
    """Whether it is dropped, and that for no other reason."""
    lab.maps["xlb_drops"].clear()
    verdict, _ = lab.run(data, link)
    counted = lab.drops()
    assert counted == ({"denied": 1} if verdict == DROP else {}), counted
    return verdict == DROP


def check_nested(version):
    """One more rule at a time, in any order: those beyond the longest do not matter."""
    for first in ("deny", "allow"):
        order = list(range(len(NESTED[version])))
        random.shuffle(order)
        way = start(lab, Kind("dnat", version, version))
        wanted = []
        for place in order:
            prefix, client = NESTED[version][place]
            action = first if place % 2 == 0 else {"deny": "allow", "allow": "deny"}[first]
            lab.rule(prefix, action)
            wanted.append((prefix, client, action == "deny"))
        for prefix, client, denied in wanted:
            tap.equal(is_denied(way.of(client).asks()), denied,
                      f"IPv{version}: {client} finds {prefix}, {first} being the first")


def check_scopes(version):
    """Rules of all services and of one: the longer decides, the service's own of two."""
    narrow = NESTED[version][4][0]
    wide = NESTED[version][2][0]
    for all_prefix, own_prefix, decides in ((wide, wide, "own"), (wide, narrow, "own"),
                                            (narrow, wide, "all"), (narrow, narrow, "own"),
                                            (None, wide, "own"), (wide, None, "all"),
                                            (NESTED[version][5][0].replace("8/", "6/"), wide,
                                             "own")):
        for action, other in (("deny", "allow"), ("allow", "deny")):
            way = start(lab, Kind("dnat", version, version))
            second = lab.service(VIPS[version], 81, current=1)
            lab.guard(way.service, number=7)
            lab.guard(second, number=8)
            if own_prefix:
                lab.rule(own_prefix, action if decides == "own" else other, way.service)
            if all_prefix:
                lab.rule(all_prefix, action if decides == "all" else other)
            name = f"IPv{version}: {own_prefix} of the service, {all_prefix} of all"
            tap.equal(is_denied(way.asks()), action == "deny", f"{name}: {decides} {action}")
            expected = {"own": other, "all": action}[decides] if all_prefix else "allow"
            if decides == "own" and all_prefix and not contains(all_prefix, CLIENTS[version]):
                expected = "allow"
            tap.equal(is_denied(way.asks(dport=81)), expected == "deny",
                      f"{name}: another service has only those of all")


def contains(prefix, address):
    return ipaddress.ip_address(address) in ipaddress.ip_network(prefix)


def check_packets(kind, protocol):
    """Each packet is asked, whatever it is, whatever is recorded of its flow."""
    name = f"{protocol}, {kind}"
    way = start(lab, kind, protocol)
    lab.guard(way.service, number=3)
    flags = ("S", "SEC", "SA", "A", "FA", "R") if protocol == "tcp" else ("A",)
    for each in flags:
        lab.run(way.asks(flags=each))
    lab.rule(HOST[kind.version], "deny")
    for each in flags:
        lab.check_drop(f"{name}: {each} of a flow that is open", way.asks(flags=each), "denied")
    for tags in TAGS[1:]:
        lab.check_drop(f"{name}: with {len(tags)} VLAN tags", way.asks(tags=tags), "denied")
    odd = {"options": [IPOption_RR(routers=["0.0.0.0"])]} if kind.version == 4 \
        else {"extensions": [IPv6ExtHdrDestOpt()]}
    lab.check_drop(f"{name}: with options", way.asks(**odd), "denied")
    for number, piece in enumerate(fragments(way.asks(payload=bytes(64)), 24, 5)):
        lab.check_drop(f"{name}: fragment {number}", piece, "denied")
    neighbour = ipaddress.ip_address(CLIENTS[kind.version]) + 1
    way.of(str(neighbour)).check(f"{name}: the neighbour of who is denied", sport=40001)
    lab.rule(HOST[kind.version], "allow", way.service)
    way.check(f"{name}: allowed again by the service", flags="A")


def check_replies(kind):
    """Who answers is not asked, nor for whom."""
    way = start(lab, kind)
    lab.run(way.asks(flags="S"))
    lab.run(way.asks())
    lab.guard(way.service, number=3)
    for service in (None, way.service):
        lab.rule(ALL[kind.version], "deny", service)
    lab.check(f"{kind}: an answer passes", way.answers(), way.sent(), way.restored(),
                  way.link)
    quoted = packet_of(frame(**way.translated()))
    comes = error(ERROR[kind.version], quoted, way.source, source=way.backend,
                  smac=backend_mac(1), dmac=MACS["right"])
    tap.equal(is_denied(comes, "right"), False, f"{kind}: so does an error of the backend's")


def check_errors(kind):
    """An error is judged by the client whose flow it is about."""
    way = start(lab, kind)
    lab.run(way.asks(flags="S"))
    lab.run(way.asks())
    comes = error(ERROR[kind.version], packet_of(frame(**way.back())), way.vip)
    lab.rule(ALL[kind.version], "deny")
    lab.rule(HOST[kind.version], "allow")
    tap.equal(is_denied(way.of(ROUTERS[kind.version]).asks()), True,
              f"{kind}: the router itself is denied")
    tap.equal(is_denied(comes), False, f"{kind}: its error about an allowed client is not")
    lab.rule(ALL[kind.version], "allow")
    lab.rule(HOST[kind.version], "deny")
    lab.check_drop(f"{kind}: an error about a denied client", comes, "denied")


def echo(version, source=None, **header):
    request = frame(source or CLIENTS[version], VIPS[version], 1, 1, "udp", **header)
    packet = Ether(request)
    network = packet.payload
    network.remove_payload()
    if version == 4:
        network.proto, network.len, network.chksum = 1, None, None
        return bytes(packet / ICMP(type=8, id=7, seq=1))
    network.nh, network.plen = 58, None
    return bytes(packet / ICMPv6EchoRequest(id=7, seq=1))


def check_echo(version):
    """By the rules for all services, whoever answers."""
    way = start(lab, Kind("dnat", version, version))
    lab.guard(way.service, number=3)
    vips, key = lab.maps["xlb_vips"], {"address": mapped(VIPS[version])}
    for answers, verdict in ((1, TX), (0, PASS)):
        lab.config()
        vips.set(key, {"services": 1, "echo": answers})
        lab.rule(ALL[version], "deny", way.service)
        tap.equal(lab.run(echo(version))[0], verdict,
                  f"IPv{version}: echo {answers}: a service's own rule is about its port")
        lab.rule(HOST[version], "deny")
        lab.check_drop(f"IPv{version}: echo {answers}: a rule for all services", echo(version),
                       "denied")
        tap.equal(lab.run(echo(version, ROUTERS[version]))[0], verdict,
                  f"IPv{version}: echo {answers}: another client")
    lab.maps["xlb_vips"].clear()
    lab.check(f"IPv{version}: an echo request to no VIP", echo(version), PASS)


def check_others(version):
    """What is none of a service's, and what is wrong anyhow."""
    way = start(lab, Kind("dnat", version, version))
    lab.rule(ALL[version], "deny")
    lab.check(f"IPv{version}: to a port of no service", way.asks(dport=81), PASS)
    lab.check(f"IPv{version}: to another address",
              way.asks(destination=str(ipaddress.ip_address(VIPS[version]) + 1)), PASS)
    lab.check_drop(f"IPv{version}: cut short", way.asks()[:-1], "bad_length")
    # Nobody looks where no rule is counted.
    lab.config()
    lab.check(f"IPv{version}: rules that the configuration does not count", way.asks(),
              way.sent(), way.forwarded())
    other = 10 - version
    lab.rule(ALL[other], "deny")
    lab.check(f"IPv{version}: rules of the other family", way.asks(), way.sent(),
              way.forwarded())


def check_any(version):
    """A service on any address has its own rules as well."""
    lab.reset(needs={f"any_address{version}": 1})
    address = lab.backend(1, version)
    service = lab.service("0.0.0.0" if version == 4 else "::", 80, current=1)
    lab.replies(address, 8080, VIPS[version], 80, 1, by_flow=1)
    lab.guard(service, number=9)
    lab.rule(HOST[version], "deny", service)
    fields = {"source": CLIENTS[version], "destination": VIPS[version], "sport": 1, "dport": 80}
    lab.check_drop(f"IPv{version}: a service on any address", frame(**fields), "denied")
    lab.check_drop(f"IPv{version}: where it does not listen",
                   frame(**fields | {"destination": "224.0.0.1" if version == 4 else "ff02::1"}),
                   "bad_destination")


def check_lookup(version):
    way = start(lab, Kind("dnat", version, version))
    lab.rule(HOST[version], "deny")
    tap.equal(lab.lookup(way.asks())["choice"], lab.numbers["XLB_CHOICE_DENIED"],
              f"IPv{version}: a dry run tells it")
    tap.equal(lab.lookup(way.of(ROUTERS[version]).asks())["choice"],
              lab.numbers["XLB_CHOICE_TABLE"], f"IPv{version}: and of another client as before")


def some_address(version):
    """Few bits, so that prefixes overlap."""
    bits = 32 if version == 4 else 128
    base = int(ipaddress.ip_address("9.0.0.0" if version == 4 else "2001:db8::"))
    spread = sum(1 << random.randrange(bits - 8) for _ in range(3))
    return ipaddress.ip_address(base ^ spread % (1 << bits - 9))


def check_random(version, rules=150, clients=400):
    """Judged by what Python makes of networks."""
    bits = 32 if version == 4 else 128
    way = start(lab, Kind("dnat", version, version))
    lab.guard(way.service, number=3)
    known = {}
    for _ in range(rules):
        network = ipaddress.ip_network((some_address(version), random.randrange(bits + 1)),
                                       strict=False)
        own, action = random.random() < 0.5, random.choice(("allow", "deny"))
        known[network, own] = action
        lab.rule(str(network), action, way.service if own else None)
    wrong, denied = [], 0
    for _ in range(clients):
        client = random.choice([some_address(version),
                                random.choice(list(known))[0].network_address])
        if client in ipaddress.ip_network(VIPS[version]) or client.is_multicast or \
                client.is_loopback or client.is_unspecified:
            continue
        found = [((network.prefixlen, own), action) for (network, own), action in known.items()
                 if client in network]
        wanted = max(found, default=(None, "allow"))[1]
        denied += wanted == "deny"
        if is_denied(way.of(str(client)).asks()) != (wanted == "deny"):
            wrong.append((str(client), max(found, default=None)))
    tap.equal(wrong, [], f"IPv{version}: {rules} rules at random, {denied} of {clients} denied")
    tap.ok(clients / 10 < denied < clients * 9 / 10, f"IPv{version}: and not all")


random.seed(5)
for version in VERSIONS:
    check_nested(version)
    check_scopes(version)
    check_echo(version)
    check_others(version)
    check_any(version)
    check_lookup(version)
    check_random(version)
for kind in KINDS:
    for protocol in PROTOCOLS:
        check_packets(kind, protocol)
    check_errors(kind)
    if kind.mode in TRANSLATED:
        check_replies(kind)
tap.done()
