#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""Mode nat: packets of a backend that a socket of the balancer's own has asked for."""

import socket

import tap
from lab import PASS, VERSIONS, Lab
from nat import OWN_PORT, nat

lab = Lab()


def socket_of(way, kind, connects):
    """This machine's own, to the backend or for whoever comes."""
    own = socket.socket(socket.AF_INET if way.kind.version == 4 else socket.AF_INET6, kind)
    own.setblocking(False)
    own.bind((way.source, OWN_PORT))
    if connects:
        own.connect_ex((way.backend, way.answered["sport"]))
    elif kind == socket.SOCK_STREAM:
        own.listen()
    return own


def check_own():
    """A reply that this machine has asked for, as a health check does, is its own."""
    for version in VERSIONS:
        for protocol, kind in (("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM)):
            name = f"{protocol} over IPv{version}: "
            way = nat(lab, version, protocol)
            with socket_of(way, kind, True):
                lab.check(name + "a reply to a socket here passes", way.answers(), PASS,
                          link="right")
                lab.check_drop(name + "to another port it does not", way.answers(dport=9),
                               "no_port", link="right")
        way = nat(lab, version)
        with socket_of(way, socket.SOCK_STREAM, False):
            lab.check_drop(f"IPv{version}: nor is who listens one that has asked", way.answers(),
                           "no_port", link="right")
            lab.check(f"IPv{version}: but whom a backend may ask itself",
                      way.answers(flags="S"), PASS, link="right")


check_own()
tap.done()
