# SPDX-License-Identifier: GPL-2.0-only
"""xlb monitor at work, and what it says."""

import json
import os
import signal
import subprocess
import threading
import time

XLB = os.environ.get("XLB", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..",
                                         "loader", "xlb"))
PATIENCE = 30                   # seconds, for busy machines


def until(condition):
    """Whether it came true, sooner or later."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


class Monitor:
    """Runs from the moment that it waits for events."""

    def __init__(self, *words, options=()):
        self.json = "-j" in options
        self.process = subprocess.Popen([XLB, *options, "monitor", *words], text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.lines = []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        assert until(self.waits), self.process.stderr.read()

    def waits(self):
        """In ppoll(), which it gets to once it has looked at everything."""
        if self.process.poll() is not None:
            return True
        with open(f"/proc/{self.process.pid}/wchan", encoding="ascii") as where:
            return "poll" in where.read()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(json.loads(line) if self.json else line.rstrip("\n"))

    def take(self, count):
        """The next lines, as many as are wanted; fewer if no more come."""
        until(lambda: len(self.lines) >= count)
        taken, self.lines[:count] = self.lines[:count], []
        return taken

    def end(self, number=signal.SIGTERM):
        """What else it said, its status, and errors."""
        if number:
            self.process.send_signal(number)
        self.reader.join(PATIENCE)
        if self.reader.is_alive():
            self.process.kill()
        errors = self.process.stderr.read()
        rest, self.lines = self.lines, []
        return rest, self.process.wait(PATIENCE), errors
