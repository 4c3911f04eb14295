#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Connections on which only the server speaks, and only when a test wants it.

    speak.py serve PORT                  says its number to all at each SIGUSR1
    speak.py listen PORT FIRST COUNT ADDRESS...

The listener keeps COUNT connections to each address, from its ports FIRST and up.  Both say "ready" on standard
output; the listener adds "heard N from M" when all M connections have had the number N.
"""
import asyncio
import signal
import socket
import sys


async def serve(port):
    said, writers = 0, []

    async def greet(_, writer):
        writer.write(b"0\n")
        writers.append(writer)

    def speak():
        nonlocal said
        said += 1
        for writer in writers:
            writer.write(b"%d\n" % said)

    listener = socket.create_server(("::", port), family=socket.AF_INET6, backlog=1024,
                                    dualstack_ipv6=True)
    await asyncio.start_server(greet, sock=listener)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, speak)
    print("ready", flush=True)
    await asyncio.Event().wait()


async def connect(address, port, source_port):
    own = ("::" if ":" in address else "0.0.0.0", source_port)
    return (await asyncio.open_connection(address, port, local_addr=own))[0]


async def listen(port, first, addresses):
    readers = [await connect(address, port, first + number)
               for number, address in enumerate(addresses)]
    last = None
    while True:
        lines = await asyncio.gather(*(reader.readline() for reader in readers))
        if len(set(lines)) > 1 or not lines[0]:
            sys.exit(f"after {last}: {sorted(set(lines))}")
        if last is None:
            print("ready", flush=True)
        last = int(lines[0])
        print(f"heard {last} from {len(lines)}", flush=True)


if __name__ == "__main__":
    role, port, *words = sys.argv[1:]
    if role == "serve":
        asyncio.run(serve(int(port)))
    else:
        first, count, *addresses = words
        asyncio.run(listen(int(port), int(first), addresses * int(count)))
