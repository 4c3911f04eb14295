# SPDX-License-Identifier: GPL-2.0-only
"""Structures of xlb_abi.h as dicts, their layout read from the object's own BTF."""

import json
import subprocess
import sys

TRANSPARENT = ("TYPEDEF", "CONST", "VOLATILE")


class Btf:
    """Packs and unpacks values of the types that an object's BTF describes."""

    def __init__(self, path):
        dump = subprocess.run(["bpftool", "-j", "btf", "dump", "file", path],
                              check=True, capture_output=True)
        self.types = {t["id"]: t for t in json.loads(dump.stdout)["types"]}
        self.named = {(t["kind"], t["name"]): t for t in self.types.values()}

    def type(self, number):
        found = self.types[number]
        return self.type(found["type_id"]) if found["kind"] in TRANSPARENT else found

    def struct(self, name):
        return self.named["STRUCT", name]

    def enums(self):
        return {v["name"]: v["val"] for t in self.types.values()
                if t["kind"] == "ENUM" for v in t["values"]}

    def maps(self):
        """Name -> {key, value, max_entries, type} of what .maps declares."""
        return {self.types[v["type_id"]]["name"]: self.declaration(self.types[v["type_id"]])
                for v in self.named["DATASEC", ".maps"]["vars"]}

    def declaration(self, variable):
        """libbpf's encoding: a number is the length of the array pointed to."""
        members = {}
        for member in self.type(variable["type_id"])["members"]:
            pointee = self.type(self.type(member["type_id"])["type_id"])
            number = member["name"] not in ("key", "value")
            members[member["name"]] = pointee["nr_elems"] if number else pointee
        return members

    def size(self, kind):
        if kind["kind"] == "ARRAY":
            return kind["nr_elems"] * self.size(self.type(kind["type_id"]))
        return kind["size"]

    def pack(self, kind, value):
        """Fields not named are zero, bytes shorter than their array are padded."""
        size = self.size(kind)
        if kind["kind"] == "STRUCT":
            return self.pack_struct(kind, value)
        if isinstance(value, (bytes, bytearray)):
            assert len(value) <= size, f"{value!r} is longer than {size} bytes"
            return bytes(value).ljust(size, b"\0")
        if kind["kind"] == "ARRAY":
            element = self.type(kind["type_id"])
            return b"".join(self.pack(element, v) for v in value).ljust(size, b"\0")
        return int(value).to_bytes(size, sys.byteorder)

    def pack_struct(self, kind, value):
        packed = bytearray(kind["size"])
        rest = dict(value)
        for member in kind["members"]:
            if member["name"] in rest:
                field = self.pack(self.type(member["type_id"]), rest.pop(member["name"]))
                offset = member["bits_offset"] // 8
                packed[offset:offset + len(field)] = field
        assert not rest, f"{kind['name']} has no field {' '.join(rest)}"
        return bytes(packed)

    def unpack(self, kind, data):
        if kind["kind"] == "STRUCT":
            return {m["name"]: self.unpack(self.type(m["type_id"]), data[m["bits_offset"] // 8:])
                    for m in kind["members"]}
        if kind["kind"] == "ARRAY":
            element = self.type(kind["type_id"])
            step = self.size(element)
            if step == 1:
                return bytes(data[:kind["nr_elems"]])
            return [self.unpack(element, data[i * step:]) for i in range(kind["nr_elems"])]
        return int.from_bytes(data[:kind["size"]], sys.byteorder)
