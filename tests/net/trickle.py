#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Downloads that last as long as a test wants.

    trickle.py FLAG BODY FIRST COUNT PATH ADDRESS...

COUNT connections to port 80 of each address, from ports FIRST and up, get PATH, a little at a time while the
file FLAG exists, and then the rest.  Says "ready" once all have begun; ends when all
have what is in the file BODY, or with a message and status 1 as soon as one breaks.
"""
import asyncio
import os
import socket
import sys

PIECE, PAUSE = 1024, 0.05       # bytes and seconds while the flag is there
BUFFER = 16384                  # of a socket: what is on its way is little as well
SILENT = 20                     # seconds without a byte: a connection is lost


async def connect(address, source_port):
    """The stream of an HTTP/1.0 answer's body."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    connection.setblocking(False)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    connection.bind(("", source_port))
    await asyncio.get_running_loop().sock_connect(connection, (address, 80))
    reader, writer = await asyncio.open_connection(sock=connection, limit=BUFFER)
    writer.write(f"GET {PATH} HTTP/1.0\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise OSError(f"{address}: {head.decode()}")
    return reader, writer


async def some(reader, size):
    return await asyncio.wait_for(reader.read(size), SILENT)


async def take(reader):
    body = b""
    while piece := await some(reader, PIECE if os.path.exists(FLAG) else BUFFER):
        body += piece
        if os.path.exists(FLAG):
            await asyncio.sleep(PAUSE)
    return body


async def main(addresses):
    begun = asyncio.gather(*(connect(address, int(FIRST) + number)
                             for number, address in enumerate(addresses)))
    streams = await asyncio.wait_for(begun, SILENT)
    print("ready", flush=True)
    bodies = await asyncio.gather(*(take(reader) for reader, _ in streams))
    with open(BODY, "rb") as file:
        whole = file.read()
    wrong = sum(body != whole for body in bodies)
    return f"{wrong} of {len(bodies)} bodies are not as they were sent" if wrong else 0


FLAG, BODY, FIRST, COUNT, PATH, *ADDRESSES = sys.argv[1:]
sys.exit(asyncio.run(main(ADDRESSES * int(COUNT))))
