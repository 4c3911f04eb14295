# SPDX-License-Identifier: GPL-2.0-only
"""Pinned maps in namespaces of their own, xlb to edit them, and what they hold then.

No program runs and no interface is touched: the command line is what is tested.
"""

import ctypes
import hashlib
import mmap
import os
import re
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests", "packet"))

from bpf import LIBBPF, Map, checked  # noqa: E402
from btf import Btf  # noqa: E402

XLB = os.environ.get("XLB", os.path.join(ROOT, "loader", "xlb"))
OBJECT = os.path.join(ROOT, "bpf", "xlb.o")
PINS = "/sys/fs/bpf/xlb"
CLONE_NEWNS, CLONE_NEWNET = 0x20000, 0x40000000
SLOTS_PER_VALUE = 16
DELETED = 65535
with open(os.path.join(ROOT, "bpf", "xlb_abi.h"), encoding="ascii") as header:
    ABI = int(re.search(r"#define XLB_ABI (\d+)", header.read()).group(1))

# Small enough to be read whole before and after each command.
SIZES = {"xlb_services4": 4, "xlb_services6": 4, "xlb_backends": 12, "xlb_targets": 16,
         "xlb_slots": 4 * 512 // SLOTS_PER_VALUE, "xlb_replies4": 12, "xlb_replies6": 12,
         "xlb_nexthops": 16, "xlb_stats": 16, "xlb_flows4": 64, "xlb_flows6": 64,
         "xlb_embryos4": 64, "xlb_embryos6": 64}


def records(flows):
    """What a CPU may record in a second, unless told: all together fill no table in 16."""
    return min(4096, max(1, flows // 16 // os.cpu_count()))


class OpenOptions(ctypes.Structure):
    """The start of struct bpf_object_open_opts, which is all that is needed."""
    _fields_ = [("sz", ctypes.c_size_t), ("object_name", ctypes.c_char_p),
                ("relaxed_maps", ctypes.c_bool), ("pin_root_path", ctypes.c_char_p)]


def skip_all(why):
    print(f"1..0 # SKIP {why}")
    sys.exit(0)


def sh(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def enter():
    """Mounts, links and pins from here on are this process's alone."""
    if os.geteuid():
        skip_all("needs root")
    libc = ctypes.CDLL(None, use_errno=True)
    checked(libc.unshare(CLONE_NEWNS | CLONE_NEWNET), "unshare")
    sh("mount", "--make-rprivate", "/")
    sh("mount", "-t", "bpf", "bpf", "/sys/fs/bpf")
    sh("ip", "link", "set", "lo", "up")
    os.environ.pop("XLB_PIN", None)


def maps_make(folder=PINS, sizes=None):
    """Makes the maps of the object and pins them; its programs are not loaded."""
    for name in ("bpf_object__open_file", "bpf_object__next_program",
                 "bpf_object__find_map_by_name"):
        getattr(LIBBPF, name).restype = ctypes.c_void_p
    os.makedirs(folder, exist_ok=True)
    options = OpenOptions(sz=ctypes.sizeof(OpenOptions), pin_root_path=folder.encode())
    opened = ctypes.c_void_p(LIBBPF.bpf_object__open_file(OBJECT.encode(),
                                                          ctypes.byref(options)))
    program = LIBBPF.bpf_object__next_program(opened, None)
    while program:
        LIBBPF.bpf_program__set_autoload(ctypes.c_void_p(program), ctypes.c_bool(False))
        program = LIBBPF.bpf_object__next_program(opened, ctypes.c_void_p(program))
    for name, entries in (SIZES if sizes is None else sizes).items():
        found = ctypes.c_void_p(LIBBPF.bpf_object__find_map_by_name(opened, name.encode()))
        checked(LIBBPF.bpf_map__set_max_entries(found, entries), name)
    checked(LIBBPF.bpf_object__load(opened), "load")
    LIBBPF.bpf_object__close(opened)


def maps_remove(folder=PINS):
    for name in os.listdir(folder):
        os.unlink(os.path.join(folder, name))


class World:
    """The maps of a folder, decoded."""

    def __init__(self, folder=PINS, sizes=None):
        self.btf = Btf(OBJECT)
        sizes = SIZES if sizes is None else sizes
        self.maps = {}
        for name, declaration in self.btf.maps().items():
            if "key" not in declaration:    # a ring
                continue
            declaration["max_entries"] = sizes.get(name, declaration["max_entries"])
            self.maps[name] = Map(os.path.join(folder, name), self.btf, declaration)
        self.slots = mmap.mmap(self.maps["xlb_slots"].descriptor,
                               self.maps["xlb_slots"].size * SLOTS_PER_VALUE * 4,
                               prot=mmap.PROT_READ)

    def snapshot(self):
        """All bytes of all maps."""
        dump = {name: each.dump() for name, each in self.maps.items() if name != "xlb_slots"}
        dump["xlb_slots"] = hashlib.sha256(self.slots).hexdigest()
        return dump

    def services(self):
        return [(dict(key, family=name[-1]), value)
                for name in ("xlb_services4", "xlb_services6")
                for key, value in self.maps[name].items()]

    def table(self, service):
        """[(current, previous), ...] of a service's value."""
        place = service["table"]
        words = memoryview(self.slots).cast("H")
        first = place["first"] * 2
        return [(words[first + 2 * i], words[first + 2 * i + 1]) for i in range(place["size"])]

    def backends(self):
        return self.maps["xlb_backends"].items()

    def targets(self):
        return {self.number(key): value for key, value in self.maps["xlb_targets"].items()}

    @staticmethod
    def number(key):
        return key if isinstance(key, int) else key["value"]


def router():
    """10.9.1.0/24 is behind one; the link is "left", for who is to delete it."""
    for words in ("link add left type veth peer name right", "address add 10.9.0.1/24 dev left",
                  "link set left up", "link set right up", "route add 10.9.1.0/24 via 10.9.0.9"):
        sh("ip", *words.split())


def xlb(*words, status=None, text=None, variables=None):
    """Runs xlb; with a status, insists on it."""
    done = subprocess.run([XLB, *words], capture_output=True, text=True, input=text,
                          env=dict(os.environ, **(variables or {})))
    if status is not None and done.returncode != status:
        raise AssertionError(f"xlb {' '.join(words)}: {done.returncode}, not {status}: "
                             f"{done.stderr}")
    return done
