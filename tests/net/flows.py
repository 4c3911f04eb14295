#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""A client that keeps many flows going to echod.py and notices whatever happens
to any of them.

    flows.py hold SOCKET            keep flows, take orders on a UNIX socket
    flows.py ask SOCKET ORDER...    give one order, print its report

Orders:
    open GROUP PROTOCOL ADDRESS PORT COUNT   begin flows, each in the group
    check GROUP                              how the group's flows are doing
    close GROUP                              end them

Each flow sends its own identity and a number every PAUSE seconds, and knows the
backend by the name in the answer.  A report comes once every flow of the group
has exchanged something that was sent after the order, or has failed to:

    flows N     in the group
    alive N     got their answers
    moved N     have been answered by more than one backend
    lost N      UDP datagrams without an answer, ever
    on NAME N   alive and at this backend
    broken NAME HOW N    TCP connections that are no more: reset, closed, stalled
"""
import asyncio
import collections
import itertools
import random
import socket
import sys
import time

PAUSE = 0.25        # seconds between an answer and the flow's next message
TCP_STALLED = 8.0   # seconds without an answer: a connection is lost
UDP_LOST = 1.0      # seconds without an answer: a datagram is lost
UDP_SILENT = 4.0    # seconds a report waits for UDP flows that get no answers
REPORT = 60.0       # seconds the asker waits for a report
CONNECTING = 32     # connections begun side by side; a veth's ring is short
UDP_PORTS = 10000   # first source port; none is used twice, lest it have a record


class Flow:
    def __init__(self, identity):
        self.identity = identity
        self.home = None        # name of the backend that answered last
        self.answers = 0
        self.moved = False
        self.lost = 0
        self.broken = None      # how
        self.task = None

    def message(self, number):
        return f"{self.identity} {number}\n".encode()

    def take(self, name):
        self.moved |= self.home not in (None, name)
        self.home = name
        self.answers += 1


async def tcp_converse(flow, reader, writer):
    number = 0
    while True:
        number += 1
        message = flow.message(number)
        writer.write(message)
        answer = await asyncio.wait_for(reader.readline(), TCP_STALLED)
        if not answer:
            raise EOFError
        name, echo = answer.split(b" ", 1)
        if echo != message:
            raise ValueError
        flow.take(name.decode())
        await asyncio.sleep(PAUSE)


async def tcp_flow(flow, address, port, gate):
    how = {ConnectionError: "reset", OSError: "failed", asyncio.TimeoutError: "stalled",
           EOFError: "closed", ValueError: "garbled"}
    writer = None
    try:
        async with gate:
            reader, writer = await asyncio.wait_for(asyncio.open_connection(address, port),
                                                    TCP_STALLED)
        await tcp_converse(flow, reader, writer)
    except tuple(how) as error:
        flow.broken = next(how[kind] for kind in how if isinstance(error, kind))
    finally:
        if writer:
            writer.close()


async def udp_answer(flow, connection, message):
    """The name before `message` as it comes back; answers to earlier ones don't count."""
    loop = asyncio.get_running_loop()
    while True:
        name, echo = (await loop.sock_recv(connection, 2048)).split(b" ", 1)
        if echo == message:
            return name.decode()


async def udp_flow(flow, address, port, source_ports):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as connection:
        connection.setblocking(False)
        connection.bind(("", next(source_ports)))
        connection.connect((address, port))
        number = 0
        await asyncio.sleep(random.uniform(0, PAUSE))
        while True:
            number += 1
            message = flow.message(number)
            try:
                connection.send(message)
                flow.take(await asyncio.wait_for(udp_answer(flow, connection, message),
                                                 UDP_LOST))
            except (OSError, asyncio.TimeoutError):
                flow.lost += 1
            await asyncio.sleep(PAUSE)


class Holder:
    def __init__(self):
        self.groups = collections.defaultdict(list)
        self.gate = asyncio.Semaphore(CONNECTING)
        self.source_ports = itertools.count(UDP_PORTS)

    async def open(self, group, protocol, address, port, count):
        converse, common = {"tcp": (tcp_flow, self.gate),
                            "udp": (udp_flow, self.source_ports)}[protocol]
        for _ in range(int(count)):
            flows = self.groups[group]
            flow = Flow(f"{group}-{len(flows)}")
            flow.task = asyncio.create_task(converse(flow, address, int(port), common))
            flows.append(flow)
        return await self.check(group)

    async def check(self, group):
        flows = self.groups[group]
        # The answer under way may be to a message older than the order.
        enough = {flow: flow.answers + 2 for flow in flows}
        deadline = time.monotonic() + max(TCP_STALLED * 2, UDP_SILENT)
        silent_after = time.monotonic() + UDP_SILENT

        def waiting(flow):
            if flow.broken or flow.answers >= enough[flow]:
                return False
            return time.monotonic() < (silent_after if flow.lost else deadline)

        while any(map(waiting, flows)):
            await asyncio.sleep(0.02)
        alive = [flow for flow in flows if not flow.broken and flow.answers >= enough[flow]]
        return self.report(flows, alive)

    async def close(self, group):
        flows = self.groups.pop(group)
        pending = {flow.task for flow in flows}
        while pending:
            # More than once: wait_for() forgets that it was cancelled if what it
            # waits for happens at that moment (before Python 3.12).
            for task in pending:
                task.cancel()
            _, pending = await asyncio.wait(pending, timeout=PAUSE)
        return [f"flows {len(flows)}"]

    @staticmethod
    def report(flows, alive):
        at = collections.Counter(flow.home for flow in alive)
        broken = collections.Counter((flow.home or "-", flow.broken)
                                     for flow in flows if flow.broken)
        return [f"flows {len(flows)}", f"alive {len(alive)}",
                f"moved {sum(flow.moved for flow in flows)}",
                f"lost {sum(flow.lost for flow in flows)}",
                *(f"on {name} {count}" for name, count in sorted(at.items())),
                *(f"broken {name} {how} {count}"
                  for (name, how), count in sorted(broken.items()))]

    async def obey(self, reader, writer):
        order, *words = (await reader.readline()).decode().split()
        verb = {"open": self.open, "check": self.check, "close": self.close}[order]
        writer.write("\n".join([*await verb(*words), ""]).encode())
        writer.close()


async def hold(path):
    await asyncio.start_unix_server(Holder().obey, path)
    await asyncio.Event().wait()


def ask(path, words):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(REPORT)
        connection.connect(path)
        connection.sendall((" ".join(words) + "\n").encode())
        report = b"".join(iter(lambda: connection.recv(65536), b""))
    sys.stdout.write(report.decode())
    return 0 if report else 1


if __name__ == "__main__":
    role, path, *words = sys.argv[1:]
    sys.exit(asyncio.run(hold(path)) if role == "hold" else ask(path, words))
