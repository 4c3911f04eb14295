#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What the ABI versions before have left, to be moved on by xlb load.

    old.py IF...    turn the maps in /sys/fs/bpf/xlb into such, and the program of these
                    interfaces, which has all of them, into one that lets packets pass;
                    they are of the version before
"""

import ctypes
import json
import os
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import world  # noqa: E402
from world import PINS  # noqa: E402
from bpf import LIBBPF, Map, checked  # noqa: E402
from btf import Btf  # noqa: E402

OLDER_ABIS = 2, 3
GENERIC, NATIVE = 2, 4  # XDP_FLAGS_SKB_MODE, XDP_FLAGS_DRV_MODE

# What a version has otherwise, or has not.
ANEW3 = ("xlb_config", "xlb_services4", "xlb_services6", "xlb_drops")
ANEW = {2: (*ANEW3, "xlb_vips", "xlb_backends"), 3: ANEW3}
ABSENT = "xlb_acl4", "xlb_acl6", "xlb_limits", "xlb_watch", "xlb_samples", "xlb_events"

for function in ("open_file", "next_program", "find_map_by_name"):
    getattr(LIBBPF, f"bpf_object__{function}").restype = ctypes.c_void_p


def object_of(abi):
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), f"abi{abi}.o")


def sizes():
    """The same in all versions."""
    maps = Btf(object_of(OLDER_ABIS[-1])).maps()
    return {name: declaration["max_entries"] for name, declaration in maps.items()}


class Old:
    """The maps of an ABI version, pinned, with its program on some interfaces."""

    def __init__(self, links, folder=PINS, mode=GENERIC, entries=None, abi=OLDER_ABIS[-1]):
        os.makedirs(folder, exist_ok=True)
        self.folder = folder
        self.abi = abi
        self.object = self.load(entries or {})
        program = ctypes.c_void_p(LIBBPF.bpf_object__next_program(self.object, None))
        self.program = LIBBPF.bpf_program__fd(program)
        for name in links:
            checked(LIBBPF.bpf_xdp_attach(socket.if_nametoindex(name), self.program, mode, None),
                    name)
        btf = Btf(object_of(abi))
        self.maps = {name: Map(os.path.join(folder, name), btf, declaration)
                     for name, declaration in btf.maps().items()}

    def load(self, entries):
        options = world.OpenOptions(sz=ctypes.sizeof(world.OpenOptions),
                                    pin_root_path=self.folder.encode())
        opened = ctypes.c_void_p(LIBBPF.bpf_object__open_file(object_of(self.abi).encode(),
                                                              ctypes.byref(options)))
        for name, number in entries.items():
            found = ctypes.c_void_p(LIBBPF.bpf_object__find_map_by_name(opened, name.encode()))
            checked(LIBBPF.bpf_map__set_max_entries(found, number), name)
        checked(LIBBPF.bpf_object__load(opened), "load")
        return opened

    def close(self):
        """The program goes on where it is attached."""
        LIBBPF.bpf_object__close(self.object)

    def fill(self, model):
        """With what the model's maps (by name) hold, as far as the version knew it."""
        for name, source in model.items():
            if name in ABSENT:
                continue
            each = self.maps[name]
            known = {member["name"] for member in each.value["members"]}
            same = each.btf.size(each.value) == source.btf.size(source.value)
            for key in list(source.keys()):
                raw = source.raw(key)
                if same and any(raw):
                    each.put(key, raw)
                elif not same:
                    each.put(key, b"".join(each.btf.pack(each.value, {
                        field: value[field] for field in known & set(value)
                        if not field.startswith("reserved")}) for value in source.parts(raw)))
        config = self.maps["xlb_config"]
        config.set(0, dict(config.get(0), abi=self.abi))

    def snapshot(self):
        return {name: each.snapshot() for name, each in self.maps.items()}


def become(links):
    """Other maps than today's take their places, the rest are the same."""
    btf, live, entries = Btf(world.OBJECT), {}, {}
    for name, declaration in btf.maps().items():
        path = os.path.join(PINS, name)
        shown = json.loads(world.sh("bpftool", "-j", "map", "show", "pinned", path))
        entries[name] = shown["max_entries"]
        if name in ABSENT:
            os.unlink(path)
            del entries[name]
        elif name in ANEW[OLDER_ABIS[-1]]:
            live[name] = Map(path, btf, declaration)
            os.unlink(path)
    old = Old(links, mode=NATIVE, entries=entries)
    old.fill(live)


if __name__ == "__main__":
    become(sys.argv[1:])
