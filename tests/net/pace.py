#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Sends datagrams of so many bytes at a steady rate until it is stopped:
pace.py ADDRESS PORT PER_SECOND BYTES.  What is late is made up for."""

import socket
import sys
import time

address, port, rate, size = sys.argv[1], *map(int, sys.argv[2:])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
with socket.socket(family, socket.SOCK_DGRAM) as sender:
    print("ready", flush=True)
    begun = time.monotonic()
    sent = 0
    while True:
        due = int((time.monotonic() - begun) * rate)
        for _ in range(sent, due):
            sender.sendto(bytes(size), (address, port))
        sent = due
        time.sleep(0.005)
