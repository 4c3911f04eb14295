#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""A UDP server that answers each datagram with its own name and the datagram:
udpd.py NAME PORT."""
import socket
import sys

server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
server.bind(("::", int(sys.argv[2])))
print("ready", flush=True)
while True:
    data, client = server.recvfrom(65535)
    server.sendto(sys.argv[1].encode() + b" " + data, client)
