#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Ask a UDP echod.py fifty times a second, and print the time and the name of whoever
answers: watch.py ADDRESS PORT."""
import socket
import sys
import time

PAUSE = 0.02  # seconds

address, port = sys.argv[1:]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
client = socket.socket(family, socket.SOCK_DGRAM)
client.settimeout(PAUSE)
client.connect((address, int(port)))
while True:
    asked = time.time()
    try:
        client.send(b"?")
        name = client.recv(2048).split(b" ")[0].decode()
        print(f"{time.time():.3f} {name}", flush=True)
    except (TimeoutError, OSError):  # nobody there, or refused
        pass
    time.sleep(max(0, asked + PAUSE - time.time()))
