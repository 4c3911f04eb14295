#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Sends one datagram from each of some ports and prints who answered which.

    datagrams.py ADDRESS PORT FIRST LAST

A line for each: the answer, "-" if none came within two seconds, and the port."""
import socket
import sys


def ask(address, port, local_port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(2)
        client.bind(("", local_port))
        client.connect((address, port))  # answers of anybody else are none
        client.send(b"who are you?")
        try:
            return client.recv(2048).decode()
        except OSError:
            return "-"


if __name__ == "__main__":
    address, port, first, last = sys.argv[1], *map(int, sys.argv[2:])
    for local_port in range(first, last + 1):
        print(ask(address, port, local_port), local_port)
