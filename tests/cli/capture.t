#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""xlb-capture before a xdpdump that says what this test wants: what of its packets is
shown and written, and what is said where it fails.  tests/net/capture.t has the real one."""

import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import world  # noqa: E402
from world import ROOT, sh  # noqa: E402
import tap  # noqa: E402

# What it was given goes to $CALLED.  Its packets are in $PACKETS; it ends by a signal as
# the real one does, or at once where it is to fail.
XDPDUMP = """#!/usr/bin/python3
import os, signal, sys
with open(os.environ["CALLED"], "w") as called:
    called.write(" ".join(sys.argv[1:]))
if "FAIL" in os.environ:
    os.write(2, os.environ["FAIL"].encode())
    sys.exit(1)
signals = {signal.SIGINT, signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
os.write(2, b"listening on a stage\\n")
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
with open(os.environ["PACKETS"], "rb") as packets:
    written = packets.read()
os.write(1, written)
while "ENDLESS" in os.environ:
    os.write(1, written[-32:])
signal.sigwait(signals)
os.write(2, b"\\n7 packets captured\\n0 packets dropped by perf ring\\n")
"""

# Interface, the verdict's number or None, bytes of payload, and the word that is shown.
PACKETS = ((0, None, 0, "before"), (1, 3, 0, "tx"), (0, None, 1, "before"),
           (1, 4, 2, "redirect"), (1, 1, 3, "drop"), (1, 2, 1400, "pass"), (1, 0, 5, "aborted"))

# Wrong command lines, and a part of what is said of them.
WRONG = (
    ("", "which interface? dev IF"),
    ("left", "left: which interface? dev IF"),
    ("dev", "dev: needs a value"),
    ("dev left during", "during: not one of: before, after, both"),
    ("dev left both more", "more: nothing more is expected here"),
    ("-c 0 dev left", "-c 0: not a number from 1 to 999999"),
    ("-c 1000000 dev left", "-c 1000000: not a number"),
    ("-c -1 dev left", "-c -1: not a number"),
    ("-c", "-c : not a number"),
    ("-s 262145 dev left", "-s 262145: not a number from 1 to 262144"),
    ("-s 1k dev left", "-s 1k: not a number"),
    ("-w", "-w: needs a FILE, or - for standard output"),
    ("-x dev left", "-x: unknown option, see xlb-capture -h"),
)


def options(*pairs):
    """Those of a pcapng block: a number and bytes each."""
    return b"".join(struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)
                    for code, value in (*pairs, (0, b"")))


def block(kind, body):
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size


def frame(payload):
    """UDP from 192.0.2.1 to 192.0.2.2, its length being what tcpdump tells of it."""
    udp = struct.pack(">HHHH", 1000, 2000, 8 + payload, 0) + bytes(payload)
    ip = struct.pack(">BBHHHBBH4B4B", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0,
                     192, 0, 2, 1, 192, 0, 2, 2)
    return bytes(12) + b"\x08\x00" + ip + udp


def pcapng(packets):
    written = block(0x0a0d0d0a, struct.pack("<IHHq", 0x1a2b3c4d, 1, 0, -1) +
                    options((4, b"xdpdump v1.3.1")))
    for name in (b"left:xlb_xdp()@fentry", b"left:xlb_xdp()@fexit"):
        written += block(1, struct.pack("<HHI", 1, 0, 0) + options((2, name)))
    for number, (interface, verdict, payload, _) in enumerate(packets):
        data = frame(payload)
        # Flags, packet id, queue, and the verdict last, as xdpdump has them; flags whose
        # bytes could be taken for a verdict.
        tail = [(2, struct.pack("<I", 7)), (5, struct.pack("<Q", number)),
                (6, struct.pack("<I", 0))]
        if verdict is not None:
            tail.append((7, struct.pack("<BQ", 2, verdict)))
        written += block(6, struct.pack("<5I", interface, 0, number, len(data), len(data)) +
                         data + bytes(-len(data) % 4) + options(*tail))
        # Others may stand between.
        written += block(5, struct.pack("<3I", 0, 0, 0))
    return written


class Stage:
    """A folder with a xdpdump, and what is told to it."""

    def __init__(self, folder):
        self.folder = folder
        self.bin = os.path.join(folder, "bin")
        self.called = os.path.join(folder, "called")
        self.file = os.path.join(folder, "file")
        self.temporary = os.path.join(folder, "temporary")
        self.variables = {**os.environ, "TMPDIR": self.temporary, "CALLED": self.called,
                          "PATH": f"{self.bin}:{ROOT}/scripts:{os.environ['PATH']}",
                          "PACKETS": os.path.join(folder, "packets")}
        os.mkdir(self.bin)
        os.mkdir(self.temporary)
        stand_in = os.path.join(self.bin, "xdpdump")
        with open(stand_in, "w", encoding="ascii") as file:
            file.write(XDPDUMP)
        os.chmod(stand_in, 0o755)
        with open(self.variables["PACKETS"], "wb") as file:
            file.write(pcapng(PACKETS))

    def start(self, *words, path=None, fail=None):
        variables = {**self.variables, **({"PATH": path} if path else {}),
                     **({"FAIL": fail} if fail else {})}
        return subprocess.Popen([f"{ROOT}/scripts/xlb-capture", *words], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=variables)

    def run(self, *words, **how):
        """Its status, output and errors; what it does must end."""
        process = self.start(*words, **how)
        output, errors = process.communicate(timeout=60)
        return process.returncode, output, errors

    def pipe(self, commands, **variables):
        return subprocess.run(["bash", "-o", "pipefail", "-c", commands], capture_output=True,
                              text=True, timeout=60, check=False,
                              env={**self.variables, **variables})

    def given(self):
        with open(self.called, encoding="ascii") as file:
            return file.read()


def size(path):
    return os.path.getsize(path) if os.path.exists(path) else 0


def tcpdump(path):
    """The payload lengths of the packets in a file."""
    return lengths(sh("tcpdump", "-nr", path))


def lengths(text):
    return [int(length) for length in re.findall(r"UDP, length (\d+)$", text, re.MULTILINE)]


def check_words(stage):
    for words, wanted in WRONG:
        status, output, errors = stage.run(*words.split())
        tap.equal((status, output, wanted in errors, errors.count("\n")), (1, "", True, 1),
                  f"xlb-capture {words}: {wanted}")
    tap.ok(not os.path.exists(stage.called), "xdpdump does not hear of it")


def refused(stage, wanted, description, *words, **how):
    status, output, errors = stage.run(*words, **how)
    tap.equal((status, output, errors), (2, "", f"xlb-capture: {wanted}\n"), description)


def check_refused(stage):
    refused(stage, "dev none: no such interface", "no interface", "dev", "none")
    refused(stage, "dev right: no XDP program runs there: xlb load dev right",
            "no program", "dev", "right")
    refused(stage, "-w /nonexistent/file: cannot be written", "no folder",
            "-w", "/nonexistent/file", "dev", "left")
    other = os.path.join(stage.folder, "other.o")
    sh("clang", "-target", "bpf", "-x", "assembler", "-c", "-o", other,
       f"{ROOT}/tests/net/other.s")
    sh("ip", "link", "set", "right", "xdp", "obj", other, "sec", "xdp")
    refused(stage, "dev right: runs other, which is not xlb's", "another program", "dev", "right")
    sh("ip", "link", "set", "right", "xdp", "off")
    bare = os.path.join(stage.folder, "bare")
    os.mkdir(bare)
    for folder in ("/usr/sbin", "/usr/bin", "/sbin", "/bin"):
        for name in set(os.listdir(folder)) - {"xdpdump", "tcpdump"} - set(os.listdir(bare)):
            os.symlink(os.path.realpath(os.path.join(folder, name)), os.path.join(bare, name))
    # The script looks in /usr/sbin as well, which a user's PATH may not have.
    sh("mount", "-t", "tmpfs", "tmpfs", "/usr/sbin")
    refused(stage, "xdpdump: not in PATH: install the package xdp-tools", "no xdpdump",
            "dev", "left", path=bare)
    refused(stage, "tcpdump: not in PATH: install it, or write to a file: -w FILE", "no tcpdump",
            "dev", "left", path=f"{stage.bin}:{bare}")
    sh("umount", "/usr/sbin")


def check_failures(stage):
    why = "this kernel does not trace XDP programs: xdpdump: Can't load eBPF object: " \
          "Operation not permitted(-1)"
    fail = "Couldn't raise rlimit: Operation not permitted\n" \
           "ERROR: Can't load eBPF object: Operation not permitted(-1)\n"
    for words in ("", "-c 3", "-w -", "-c 3 -w -"):
        refused(stage, f"dev left: {why}", f"a kernel that does not trace: {words or 'printed'}",
                *words.split(), "dev", "left", fail=fail)
    refused(stage, "dev left: xdpdump ended with status 1", "no reason at all", "dev", "left",
            fail="\n")
    sh("mount", "-t", "tmpfs", "tmpfs", "/sys/kernel/btf")
    refused(stage, "dev left: this kernel cannot trace XDP programs: it is built without "
            "CONFIG_DEBUG_INFO_BTF", "a kernel without types", "dev", "left", fail=fail)
    sh("umount", "/sys/kernel/btf")


def check_shown(stage):
    process = stage.start("dev", "left")
    lines = [process.stdout.readline() for _ in PACKETS]
    tap.equal([line.split(" ")[0] for line in lines], [word for *_, word in PACKETS],
              "each packet is shown with what it is")
    tap.equal(lengths("".join(lines)), [payload for _, _, payload, _ in PACKETS],
              "by tcpdump, in order")
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=60)
    tap.equal((process.returncode, output, errors),
              (0, "", "listening on a stage\n7 packets captured\n0 packets dropped by perf ring\n"),
              "a signal ends it, and xdpdump's numbers are shown")
    tap.equal(stage.given(), "-i left --rx-capture entry,exit -s 262144 -w -",
              "xdpdump is asked for both")
    for word, mode in (("before", "entry"), ("after", "exit"), ("both", "entry,exit")):
        status, output, _ = stage.run("-c", "1", "-s", "96", "dev", "left", word)
        tap.equal((status, stage.given()), (0, f"-i left --rx-capture {mode} -s 96 -w -"),
                  f"{word}: xdpdump is asked for that")
        tap.equal(lengths(output), [0], f"{word}: -c 1 is one packet")
    status, output, errors = stage.run("-c", "5", "dev", "left")
    tap.equal((status, [line.split(" ")[0] for line in output.splitlines()]),
              (0, [word for *_, word in PACKETS[:5]]), "-c 5 ends after the fifth packet")


def check_written(stage):
    process = stage.start("-w", stage.file, "dev", "left")
    while process.poll() is None and size(stage.file) < len(pcapng(PACKETS)):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    tap.equal((process.returncode, output), (0, ""), "-w FILE prints nothing")
    with open(stage.file, "rb") as file:
        tap.ok(file.read() == pcapng(PACKETS), "and writes what xdpdump does, names and all")
    for count in (1, 3, len(PACKETS)):
        status, output, _ = stage.run("-c", str(count), "-w", stage.file, "dev", "left")
        tap.equal((status, output, tcpdump(stage.file)),
                  (0, "", [payload for _, _, payload, _ in PACKETS[:count]]),
                  f"-c {count} -w FILE: tcpdump reads so many packets")
    piped = stage.pipe("xlb-capture -c 2 -w - dev left | tcpdump -nr -")
    tap.equal((piped.returncode, lengths(piped.stdout)), (0, [0, 0]), "-w - is for a pipe")
    piped = stage.pipe("xlb-capture -w - dev left | head -c 12 | wc -c", ENDLESS="1")
    tap.equal((piped.returncode, piped.stdout), (0, "12\n"), "whose reader may have had enough")


if not shutil.which("tcpdump", path=f"{os.environ['PATH']}:/usr/sbin"):
    tap.skip_all("needs tcpdump")
# A shell that finds it ignored, as one in the background does, cannot trap it.
signal.signal(signal.SIGINT, signal.default_int_handler)
world.enter()
sh("ip", "link", "add", "left", "type", "veth", "peer", "right")
sh(f"{ROOT}/loader/xlb", "load", "dev", "left")
with tempfile.TemporaryDirectory() as temporary:
    stage = Stage(temporary)
    check_words(stage)
    check_refused(stage)
    check_failures(stage)
    check_shown(stage)
    check_written(stage)
    tap.equal(os.listdir(stage.temporary), [], "nothing is left of any of it")
tap.done()
