#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Send a datagram and print the answer: udpask.py ADDRESS PORT TEXT [COUNT [SECONDS]].

COUNT times, each from a socket of its own, which is connected: an answer from
any other address than it was sent to is not one, nor is one after SECONDS (5).
"""
import socket
import sys

address, port, text, count, seconds = sys.argv[1:] + ["1", "5"][len(sys.argv) - 4:]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
for number in range(int(count)):
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(float(seconds))
        client.connect((address, int(port)))
        try:
            client.send(text.encode())
            print(client.recv(65535).decode())
        except OSError as error:
            sys.exit(f"{address} port {port}: datagram {number}: {error}")
