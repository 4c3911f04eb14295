#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""A backend that gives itself away: every line over TCP and every datagram over
UDP comes back with the backend's name before it.

    echod.py NAME PORT [ADDRESS...]

Listens on the addresses given, else on all of both families; says "ready" on
its standard output once it does."""
import asyncio
import socket
import sys

BACKLOG = 1024  # a test opens hundreds of connections at once


class Lines(asyncio.Protocol):
    def __init__(self, name):
        self.name = name
        self.rest = b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        *lines, self.rest = (self.rest + data).split(b"\n")
        self.transport.write(b"".join(self.name + b" " + line + b"\n" for line in lines))


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self, name):
        self.name = name

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, sender):
        self.transport.sendto(self.name + b" " + data, sender)


def datagram_socket(address, port):
    """Unlike the one that asyncio makes, of one family alone."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    server.bind((address, port))
    return server


async def serve(name, port, addresses):
    loop = asyncio.get_running_loop()
    for address in addresses:
        await loop.create_server(lambda: Lines(name), address, port, backlog=BACKLOG)
        await loop.create_datagram_endpoint(lambda: Datagrams(name),
                                            sock=datagram_socket(address, port))
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    name, port, *addresses = sys.argv[1:]
    asyncio.run(serve(name.encode(), int(port), addresses or ["0.0.0.0", "::"]))
