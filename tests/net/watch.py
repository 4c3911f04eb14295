#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Ask a UDP echod.py fifty times a second, and print the time and the name of whoever
answers: watch.py ADDRESS PORT.  When it is to stop (SIGTERM) it waits for what may still
come, and says how often it has asked, and how often it was answered."""
import select
import signal
import socket
import sys
import time

PAUSE = 0.02    # seconds
LAST = 0.5      # seconds

stopping = []
signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))

address, port = sys.argv[1:]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
client = socket.socket(family, socket.SOCK_DGRAM)
client.setblocking(False)
client.connect((address, int(port)))
asked = answered = 0


def listen(seconds):
    global answered
    end = time.monotonic() + seconds
    while select.select([client], [], [], max(0, end - time.monotonic()))[0]:
        try:
            name = client.recv(2048).split(b" ")[0].decode()
        except OSError:         # nobody there
            continue
        answered += 1
        print(f"{time.time():.3f} {name}", flush=True)


while not stopping:
    try:
        client.send(b"?")
        asked += 1
    except OSError:             # refused before
        pass
    listen(PAUSE)
listen(LAST)
print(f"asked {asked} answered {answered}", flush=True)
