#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""SYNs of one source, each from another port, until told to stop.

    synflood.py DEV SOURCE_MAC DESTINATION_MAC SOURCE DESTINATION PORT

Scapy makes the frames; the first line of output says that some have been sent, the last
how many.
"""

import signal
import socket
import sys
import time

from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

# No more at a time than a queue of veth takes.
AT_ONCE = 50
PAUSE = 0.01


def frames(source_mac, destination_mac, source, destination, port):
    network = (IPv6 if ":" in source else IP)(src=source, dst=destination)
    head = Ether(src=source_mac, dst=destination_mac)
    return [bytes(head / network / TCP(sport=sport, dport=port, flags="S", seq=sport))
            for sport in range(20000, 21000)]


def main(device, *fields, port):
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    made = frames(*fields, port)
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    wire.bind((device, 0))
    sent = 0
    while not stopped:
        for _ in range(AT_ONCE):
            wire.send(made[sent % len(made)])
            sent += 1
        if sent == len(made):
            print("flooding", flush=True)
        time.sleep(PAUSE)
    print("sent", sent, flush=True)


main(*sys.argv[1:-1], port=int(sys.argv[-1]))
