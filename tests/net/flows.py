#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""A client that keeps many flows going to echod.py and notices whatever happens
to any of them.

    flows.py hold SOCKET [PAUSE [PATIENCE]]    keep flows, take orders on a UNIX socket
    flows.py ask SOCKET ORDER...               give one order, print the answer

Orders:
    open GROUP PROTOCOL ADDRESS PORT COUNT   begin flows (tcp, udp), all of one group
    check GROUP                              how the group's flows are doing
    count GROUP                              how many answers they have had
    hush GROUP                               they fall silent
    wake GROUP                               they speak again
    close GROUP                              end them

Each flow sends its own identity and a number about every PAUSE seconds (0.4), and knows
the backend by the name in the answer.  A connection without an answer for PATIENCE
seconds (5) is taken for lost.  check answers once every flow of the group has
exchanged something that was sent after the order, or has failed to:

    flows N     in the group
    alive N     got their answers
    moved N     have been answered by more than one backend
    lost N      UDP datagrams without an answer, ever
    on NAME N   alive and at this backend
    broken NAME HOW N    TCP connections that are no more: reset, closed, stalled
"""
import collections
import heapq
import itertools
import os
import random
import select
import socket
import sys
import time

TCP_STALLED = 5.0   # seconds without an answer: a connection is lost
UDP_LOST = 3.0      # seconds without an answer: a datagram is lost, not just late
SILENT = 3.0        # seconds that check waits for answers, beyond a connection's patience
ASKED = 60.0        # seconds that the asker waits
TICK = 0.02         # seconds between looks at what check waits for
CONNECTING = 32     # connections begun side by side; a veth's ring is short
SOURCE_PORTS = 10000  # the first; none is used twice, lest a balancer know it


class Flow:
    """Both protocols: messages go out, and are named and numbered as they come back."""
    kind = None
    patience = None

    def __init__(self, identity, to, source_port):
        family = socket.AF_INET6 if ":" in to[0] else socket.AF_INET
        self.identity = identity
        self.to = to
        self.home = None        # name of the backend that answered last
        self.answers = self.lost = self.number = 0
        self.moved = False
        self.broken = None      # how
        self.silent = False
        self.due = None         # when to speak, or to stop listening
        self.message = None     # not answered yet
        self.socket = socket.socket(family, self.kind)
        self.socket.setblocking(False)
        self.socket.bind(("", source_port))

    def speak(self):
        """Returns in how many seconds there must be an answer."""
        self.number += 1
        self.message = f"{self.identity} {self.number}\n".encode()
        self.socket.send(self.message)
        return self.patience

    def hear(self, answer):
        name, echo = answer.split(b" ", 1)
        if echo != self.message:
            return False
        name = name.decode()
        self.moved |= self.home not in (None, name)
        self.home = name
        self.answers += 1
        self.message = None
        return True


class Connection(Flow):
    kind = socket.SOCK_STREAM
    patience = TCP_STALLED

    def begin(self):
        self.socket.connect_ex(self.to)
        return self.patience

    def listen(self):
        """Whether an answer is complete; a stream that says anything else is broken."""
        answer = self.socket.recv(4096)
        if not answer:
            self.broken = "closed"
        elif not self.hear(answer):
            self.broken = "garbled"
        return not self.broken

    def expire(self):
        self.broken = "stalled"


class Datagrams(Flow):
    kind = socket.SOCK_DGRAM
    patience = UDP_LOST

    def begin(self):
        self.socket.connect(self.to)
        return self.patience

    def listen(self):
        """Whether this is the answer; one to an earlier datagram is not."""
        return self.hear(self.socket.recv(4096))

    def expire(self):
        self.lost += 1
        self.message = None


class Check:
    """An order to report, once there is something to say of every flow."""

    def __init__(self, flows, asker):
        self.asker = asker
        self.flows = flows
        self.deadline = time.monotonic() + Connection.patience + SILENT
        # An answer under way may be to a message older than the order.
        self.enough = {flow: flow.answers + 2 for flow in flows}

    def heard(self, flow):
        return not flow.broken and flow.answers >= self.enough[flow]

    def ready(self):
        return time.monotonic() > self.deadline or \
            all(flow.broken or self.heard(flow) for flow in self.flows)

    def report(self):
        at = collections.Counter(flow.home for flow in self.flows if self.heard(flow))
        broken = collections.Counter(f"{flow.home or '-'} {flow.broken}"
                                     for flow in self.flows if flow.broken)
        lines = [f"flows {len(self.flows)}", f"alive {at.total()}",
                 f"moved {sum(flow.moved for flow in self.flows)}",
                 f"lost {sum(flow.lost for flow in self.flows)}",
                 *(f"on {name} {at[name]}" for name in sorted(at)),
                 *(f"broken {words} {broken[words]}" for words in sorted(broken))]
        answer(self.asker, lines)


class Holder:
    def __init__(self, path, pause=0.4):
        self.pause = float(pause)   # seconds between an answer and the flow's next message
        self.groups = collections.defaultdict(list)
        self.flows = {}         # by file descriptor, those that have begun
        self.waiting = collections.deque()
        self.connecting = set()
        self.timers = []        # (when, number, flow); stale if the flow's due is another
        self.numbers = itertools.count()
        self.source_ports = itertools.count(SOURCE_PORTS)
        self.checks = []
        self.poll = select.epoll()
        self.orders = socket.socket(socket.AF_UNIX)
        self.orders.bind(path)
        self.orders.listen()
        self.poll.register(self.orders, select.EPOLLIN)

    def schedule(self, flow, seconds):
        flow.due = time.monotonic() + seconds
        heapq.heappush(self.timers, (flow.due, next(self.numbers), flow))

    def begin(self):
        while self.waiting and len(self.connecting) < CONNECTING:
            flow = self.waiting.popleft()
            self.flows[flow.socket.fileno()] = flow
            self.poll.register(flow.socket, select.EPOLLIN | select.EPOLLOUT)
            self.connecting.add(flow)
            self.schedule(flow, flow.begin())

    def end(self, flow):
        flow.due = None
        if flow in self.waiting:
            self.waiting.remove(flow)
        self.connecting.discard(flow)
        if self.flows.pop(flow.socket.fileno(), None):
            self.poll.unregister(flow.socket)
        flow.socket.close()

    def attend(self, flow, act):
        """Whatever happens to a flow's socket happens in here."""
        try:
            act(flow)
        except ConnectionResetError:
            flow.broken = "reset"
        except OSError as error:
            if flow.kind == socket.SOCK_STREAM:
                flow.broken = os.strerror(error.errno).replace(" ", "-")
        if flow.broken:
            self.end(flow)

    def writable(self, flow):
        """Connected, or not: that speaking would tell."""
        self.connecting.remove(flow)
        self.poll.modify(flow.socket, select.EPOLLIN)
        self.speak(flow)

    def readable(self, flow):
        if flow.listen():
            self.await_turn(flow)

    def await_turn(self, flow):
        if flow.silent:
            flow.due = None
        else:
            # Flows that spoke in step would fill a veth's ring.
            self.schedule(flow, self.pause * random.uniform(0.5, 1.5))

    def speak(self, flow):
        # First, since UDP may learn here that nobody listened to the last.
        self.schedule(flow, flow.patience)
        flow.speak()

    def elapsed(self, flow):
        if flow.message or flow in self.connecting:
            flow.expire()
        if not flow.broken:
            self.speak(flow)

    def open(self, asker, group, protocol, address, port, count):
        kind = {"tcp": Connection, "udp": Datagrams}[protocol]
        flows = self.groups[group]
        for _ in range(int(count)):
            flow = kind(f"{group}-{len(flows)}", (address, int(port)),
                        next(self.source_ports))
            flows.append(flow)
            self.waiting.append(flow)
        answer(asker, [f"flows {len(flows)}"])

    def check(self, asker, group):
        self.checks.append(Check(self.groups[group], asker))

    def count(self, asker, group):
        answer(asker, [f"answers {sum(flow.answers for flow in self.groups[group])}"])

    def set_silent(self, asker, group, silent):
        flows = self.groups[group]
        for flow in flows:
            flow.silent = silent
            if not flow.broken and not flow.message:
                self.await_turn(flow)
        answer(asker, [f"flows {len(flows)}"])

    def hush(self, asker, group):
        self.set_silent(asker, group, True)

    def wake(self, asker, group):
        self.set_silent(asker, group, False)

    def close(self, asker, group):
        flows = self.groups.pop(group)
        for flow in flows:
            if not flow.broken:
                self.end(flow)
        answer(asker, [f"flows {len(flows)}"])

    def obey(self):
        asker = self.orders.accept()[0]
        order, *words = asker.makefile().readline().split()
        orders = {"open": self.open, "check": self.check, "count": self.count,
                  "hush": self.hush, "wake": self.wake, "close": self.close}
        orders[order](asker, *words)

    def turn(self):
        """What is due; returns how long there is nothing."""
        now = time.monotonic()
        while self.timers and self.timers[0][0] <= now:
            when, _, flow = heapq.heappop(self.timers)
            if flow.due == when:
                self.attend(flow, self.elapsed)
        self.begin()
        for check in [check for check in self.checks if check.ready()]:
            self.checks.remove(check)
            check.report()
        return TICK

    def hold(self):
        while True:
            for descriptor, events in self.poll.poll(self.turn()):
                flow = self.flows.get(descriptor)
                if descriptor == self.orders.fileno():
                    self.obey()
                elif flow in self.connecting:
                    self.attend(flow, self.writable)
                elif flow:
                    self.attend(flow, self.readable)


def answer(asker, lines):
    asker.sendall("".join(line + "\n" for line in lines).encode())
    asker.close()


def ask(path, words):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ASKED)
        connection.connect(path)
        connection.sendall((" ".join(words) + "\n").encode())
        text = b"".join(iter(lambda: connection.recv(65536), b""))
    sys.stdout.write(text.decode())
    return 0 if text else 1


if __name__ == "__main__":
    role, path, *words = sys.argv[1:]
    if role == "hold" and len(words) > 1:
        Connection.patience = float(words.pop())
    sys.exit(Holder(path, *words).hold() if role == "hold" else ask(path, words))
