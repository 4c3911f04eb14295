#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Send one datagram and print the answer: udpask.py ADDRESS PORT TEXT.

The socket is connected, so an answer from any other address is not one.
"""
import socket
import sys

address, port, text = sys.argv[1:]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
client = socket.socket(family, socket.SOCK_DGRAM)
client.settimeout(5)
client.connect((address, int(port)))
client.send(text.encode())
try:
    print(client.recv(65535).decode())
except OSError as error:
    sys.exit(f"{address} port {port}: {error}")
