# SPDX-License-Identifier: GPL-2.0-only
"""Pinned maps and programs through libbpf's wrappers of bpf(2)."""

import ctypes
import mmap
import os
import struct
import sys

LIBBPF = ctypes.CDLL("libbpf.so.1", use_errno=True)
PERCPU_TYPES = (5, 6, 10)  # per-CPU hash, array and LRU hash
ARRAY_TYPES = (2, 6)
TYPE_XDP = 6
LIVE_FRAMES = 1 << 1
LOOPBACK = 1
SHORTEST_FRAME = 14


class TestRunOptions(ctypes.Structure):
    """struct bpf_test_run_opts."""
    _fields_ = [("sz", ctypes.c_size_t), ("data_in", ctypes.c_char_p),
                ("data_out", ctypes.c_void_p), ("data_size_in", ctypes.c_uint32),
                ("data_size_out", ctypes.c_uint32), ("ctx_in", ctypes.c_char_p),
                ("ctx_out", ctypes.c_void_p), ("ctx_size_in", ctypes.c_uint32),
                ("ctx_size_out", ctypes.c_uint32), ("retval", ctypes.c_uint32),
                ("repeat", ctypes.c_int), ("duration", ctypes.c_uint32),
                ("flags", ctypes.c_uint32), ("cpu", ctypes.c_uint32),
                ("batch_size", ctypes.c_uint32)]


def checked(result, what):
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")
    return result


def pinned(path):
    return checked(LIBBPF.bpf_obj_get(os.fsencode(path)), path)


def possible_cpus():
    with open("/sys/devices/system/cpu/possible") as listed:
        return int(listed.read().strip().replace(",", "-").split("-")[-1]) + 1


class Map:
    """A map of dicts: keys and values as its BTF lays them out."""

    def __init__(self, path, btf, declaration):
        self.descriptor = pinned(path)
        self.path = path
        self.btf = btf
        self.key = declaration["key"]
        self.value = declaration["value"]
        self.size = declaration["max_entries"]
        self.array = declaration["type"] in ARRAY_TYPES
        self.cpus = possible_cpus() if declaration["type"] in PERCPU_TYPES else 0

    def __del__(self):
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)

    def value_bytes(self):
        size = self.btf.size(self.value)
        return (size + 7) // 8 * 8 * self.cpus if self.cpus else size

    def raw(self, key):
        """The value of a packed key as bytes, None where there is none."""
        buffer = ctypes.create_string_buffer(self.value_bytes())
        if LIBBPF.bpf_map_lookup_elem(self.descriptor, key, buffer) < 0:
            return None
        return buffer.raw

    def parts(self, raw):
        step = len(raw) // (self.cpus or 1)
        return [self.btf.unpack(self.value, raw[i:i + step]) for i in range(0, len(raw), step)]

    def get(self, key):
        """A dict, summed over the CPUs where each has its own; None if absent."""
        raw = self.raw(self.btf.pack(self.key, key))
        if raw is None:
            return None
        parts = self.parts(raw)
        return {name: sum(part[name] for part in parts) for name in parts[0]} \
            if self.cpus else parts[0]

    def set(self, key, value):
        packed = self.btf.pack(self.value, value)
        if self.cpus:
            packed = packed.ljust(self.value_bytes() // self.cpus, b"\0") * self.cpus
        self.put(self.btf.pack(self.key, key), packed)

    def put(self, key, value):
        """Both packed."""
        checked(LIBBPF.bpf_map_update_elem(self.descriptor, key, value, ctypes.c_uint64(0)),
                self.path)

    def delete(self, key):
        checked(LIBBPF.bpf_map_delete_elem(self.descriptor, self.btf.pack(self.key, key)),
                self.path)

    def keys(self):
        size = self.btf.size(self.key)
        key, following = None, ctypes.create_string_buffer(size)
        while LIBBPF.bpf_map_get_next_key(self.descriptor, key, following) == 0:
            key = following.raw
            yield key

    def items(self):
        """What is deleted meanwhile is not there."""
        found = [(key, self.raw(key)) for key in list(self.keys())]
        return [(self.btf.unpack(self.key, key), self.parts(raw)[0])
                for key, raw in found if raw is not None]

    def snapshot(self):
        """All of it as bytes, to compare."""
        return self.array_bytes() if self.array else self.dump()

    def dump(self):
        """Packed keys and the bytes of their values."""
        if not self.array:
            return {key: self.raw(key) for key in list(self.keys())}
        size, raw = self.value_bytes(), self.array_bytes()
        return {i.to_bytes(4, sys.byteorder): raw[i * size:(i + 1) * size]
                for i in range(self.size)}

    def array_bytes(self):
        """In one system call: an array has thousands of elements, nearly all zero."""
        keys = ctypes.create_string_buffer(4 * self.size)
        values = ctypes.create_string_buffer(self.value_bytes() * self.size)
        count, place = ctypes.c_uint32(self.size), ctypes.c_uint32()
        LIBBPF.bpf_map_lookup_batch(self.descriptor, None, ctypes.byref(place), keys, values,
                                    ctypes.byref(count), None)
        assert count.value == self.size, self.path
        return values.raw

    def clear(self):
        if self.array:
            zero = bytes(self.value_bytes())
            for key, value in self.dump().items():
                if value != zero:
                    LIBBPF.bpf_map_update_elem(self.descriptor, key, zero, ctypes.c_uint64(0))
        else:
            for key in list(self.keys()):
                LIBBPF.bpf_map_delete_elem(self.descriptor, key)


class Ring:
    """The reader of a ring buffer; Documentation/bpf/ringbuf.rst of Linux has the layout."""

    BUSY, DISCARDED, HEADER = 1 << 31, 1 << 30, 8

    def __init__(self, path, size):
        descriptor = pinned(path)
        self.size = size
        self.place = mmap.mmap(descriptor, mmap.PAGESIZE)
        self.data = mmap.mmap(descriptor, mmap.PAGESIZE + 2 * size, prot=mmap.PROT_READ,
                              offset=mmap.PAGESIZE)

    def read(self):
        """All records since the last call, as bytes."""
        found = []
        at, = struct.unpack_from("=Q", self.place)
        end, = struct.unpack_from("=Q", self.data)
        while at < end:
            start = mmap.PAGESIZE + at % self.size
            word, = struct.unpack_from("=I", self.data, start)
            assert not word & self.BUSY
            length = word & ~self.DISCARDED
            if not word & self.DISCARDED:
                found.append(self.data[start + self.HEADER:start + self.HEADER + length])
            at += (self.HEADER + length + 7) // 8 * 8
        struct.pack_into("=Q", self.place, 0, at)
        return found


class Program:
    """A program to run over frames with BPF_PROG_TEST_RUN."""

    def __init__(self, descriptor):
        self.descriptor = descriptor

    def run(self, frame, ifindex):
        """The verdict and the frame it left; the kernel wants SHORTEST_FRAME bytes.
        Without a word it comes in by lo, and before Linux 5.15 by nothing else."""
        out = ctypes.create_string_buffer(len(frame) + 256)
        options = TestRunOptions(sz=ctypes.sizeof(TestRunOptions), data_in=frame,
                                 data_size_in=len(frame), data_out=ctypes.addressof(out),
                                 data_size_out=len(out), repeat=1)
        if ifindex != LOOPBACK:
            context = struct.pack("=6I", 0, len(frame), 0, ifindex, 0, 0)
            options.ctx_in, options.ctx_size_in = context, len(context)
        checked(LIBBPF.bpf_prog_test_run_opts(self.descriptor, ctypes.byref(options)), "run")
        return options.retval, out.raw[:options.data_size_out]

    def run_live(self, frame, ifindex):
        """The verdict is carried out: the frame is sent, redirected or passed up."""
        context = struct.pack("=6I", 0, len(frame), 0, ifindex, 0, 0)
        options = TestRunOptions(sz=ctypes.sizeof(TestRunOptions), data_in=frame,
                                 data_size_in=len(frame), ctx_in=context,
                                 ctx_size_in=len(context), repeat=1, batch_size=1,
                                 flags=LIVE_FRAMES)
        checked(LIBBPF.bpf_prog_test_run_opts(self.descriptor, ctypes.byref(options)), "run")


def instruction(code, destination=0, source=0, offset=0, immediate=0):
    return struct.pack("=BBhi", code, source << 4 | destination, offset, immediate)


class Clock:
    """jiffies, which no system call tells: read by a program of nine instructions."""

    JIFFIES64 = 118

    def __init__(self):
        code = b"".join((
            instruction(0x61, 6, 1, 0),         # r6 = ctx->data
            instruction(0x61, 2, 1, 4),         # r2 = ctx->data_end
            instruction(0xbf, 3, 6),            # r3 = r6
            instruction(0x07, 3, immediate=8),  # r3 += 8
            instruction(0x2d, 3, 2, 2),         # if r3 > r2 goto exit
            instruction(0x85, immediate=self.JIFFIES64),  # r0 = jiffies64()
            instruction(0x7b, 6, 0),            # *(u64 *)r6 = r0
            instruction(0xb7, 0),               # exit: r0 = 0
            instruction(0x95)))
        self.program = Program(checked(LIBBPF.bpf_prog_load(
            TYPE_XDP, b"clock", b"GPL", code, ctypes.c_size_t(len(code) // 8), None), "clock"))

    def jiffies(self):
        return struct.unpack("=Q", self.program.run(bytes(64), LOOPBACK)[1][:8])[0]
