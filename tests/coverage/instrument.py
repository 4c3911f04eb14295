# SPDX-License-Identifier: GPL-2.0-only
"""Packet programs that count how often each branch is taken, and what they have counted.

clang can have a program count for itself, source line by source line
(-fprofile-instr-generate), but wants a runtime library to fetch the counts.  BPF has
none, and needs none: in a section whose name begins with .data the counters are a map.
Where they are, and whose, is in the object; llvm-cov reads the rest of it.
"""

import glob
import hashlib
import os
import re
import struct
import subprocess

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
# As BPF_CFLAGS in the Makefile; of a Linux target nothing is registered at run time.
CLANG = ["clang", "-target", "bpfel-unknown-linux", "-O2", "-g", "-mcpu=v3", "-std=gnu11",
         "-Wno-parentheses-equality", "-idirafter", f"/usr/include/{os.uname().machine}-linux-gnu",
         "-fprofile-instr-generate", "-fcoverage-mapping",
         "-mllvm", "-enable-name-compression=false", "-S", "-emit-llvm"]
COUNTERS = ".data.counters"     # its map's name, too
NUMBER = struct.calcsize("Q")


def run(*words, text=None):
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, input=text).stdout


class Function:
    """One of the source's, with its counters."""

    def __init__(self, name, fingerprint, count, first):
        self.name, self.fingerprint, self.count, self.first = name, fingerprint, count, first


def sources_copy(folder):
    """The sources, without hints to the compiler that hide conditions from llvm-cov."""
    place = os.path.join(folder, "bpf")
    os.makedirs(place, exist_ok=True)
    for path in glob.glob(os.path.join(ROOT, "bpf", "*.[ch]")):
        with open(path, encoding="utf-8") as file:
            text = re.sub(r"^(?!#define)(.*)$",
                          lambda line: re.sub(r"\b(un)?likely\(", "(", line.group()),
                          file.read(), flags=re.M)
        with open(os.path.join(place, os.path.basename(path)), "w", encoding="utf-8") as file:
            file.write(text)
    return place


class Instrumented:
    def __init__(self, name, folder):
        """Builds it in a folder, whole and as what is to be loaded."""
        source = os.path.join(sources_copy(folder), f"{name}.bpf.c")
        self.whole = os.path.join(folder, f"{name}.whole.o")
        self.object = os.path.join(folder, f"{name}.o")
        code = self.gathered(run(*CLANG, source, "-o", "-"))
        run("llc", "-march=bpf", "-mcpu=v3", "-filetype=obj", "-o", self.whole, text=code)
        # libbpf would say of each of these sections that it does not know it.
        run("llvm-objcopy", "--remove-section=__llvm_*", "--remove-section=.rel__llvm_*",
            "--remove-section=.group", self.whole, self.object)
        self.functions = self.find(code)

    @staticmethod
    def gathered(code):
        """All counters in one section, which then is a map, and with names in the object."""
        return re.sub(r'^(@__profc_\S+ =) private (global .*section )"__llvm_prf_cnts", '
                      r'comdat(\([^)]*\))?', rf'\1 internal \2"{COUNTERS}"', code, flags=re.M)

    def find(self, code):
        names = {}
        for name in self.names(code):
            names[struct.unpack("<q", hashlib.md5(name.encode()).digest()[:8])[0]] = name
        places = self.places()
        return [Function(names[int(name)], int(fingerprint) & 2**64 - 1, int(count),
                         places[symbol])
                for symbol, name, fingerprint, count in re.findall(
                    r"^@__profd_(\S+) = .*? \{ i64 (-?\d+), i64 (-?\d+), .*i32 (\d+), \[2",
                    code, flags=re.M)]

    @staticmethod
    def names(code):
        """Of all functions: two lengths, then the names, with 1 between them."""
        escaped = re.search(r'^@__llvm_prf_nm = .*? c"(.*?)"', code, flags=re.M).group(1)
        text = re.sub(r"\\([0-9A-F]{2})", lambda byte: chr(int(byte.group(1), 16)), escaped)
        at = 0
        for _ in range(2):
            while ord(text[at]) & 0x80:
                at += 1
            at += 1
        return text[at:].split("\1")

    def places(self):
        """Where each function's counters begin."""
        return {name.removeprefix("__profc_"): int(value, 16) // NUMBER for value, name in
                re.findall(r"^\s*\d+: ([0-9a-f]+) .* OBJECT .* __profc_(\S+)$",
                           run("llvm-readelf", "-sW", self.whole), flags=re.M)}

    def export(self, counts, folder):
        """What llvm-cov makes of the counts, as JSON."""
        profile = os.path.join(folder, "profile")
        with open(f"{profile}.text", "w", encoding="ascii") as file:
            for each in self.functions:
                numbers = counts[each.first:each.first + each.count]
                print(each.name, each.fingerprint, each.count, *numbers, "", sep="\n", file=file)
        run("llvm-profdata", "merge", f"{profile}.text", "-o", profile)
        return run("llvm-cov", "export", "-instr-profile", profile, self.whole)


def counted(folder):
    """The sum of all files of counts in a folder."""
    total = None
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as file:
            numbers = [number for number, in struct.iter_unpack("=Q", file.read())]
        total = [a + b for a, b in zip(total, numbers)] if total else numbers
    return total
