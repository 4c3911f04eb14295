# SPDX-License-Identifier: GPL-2.0-only
"""bpflink.py ID DEV: attaches a program by a bpf link, which lasts as long as this runs."""

import ctypes
import os
import signal
import socket
import sys

LIBBPF = ctypes.CDLL("libbpf.so.1", use_errno=True)
ATTACH_XDP = 37                 # <linux/bpf.h>: BPF_XDP

program = LIBBPF.bpf_prog_get_fd_by_id(ctypes.c_uint32(int(sys.argv[1])))
link = LIBBPF.bpf_link_create(program, socket.if_nametoindex(sys.argv[2]), ATTACH_XDP, None)
if link < 0:
    sys.exit(os.strerror(ctypes.get_errno()))
print("ready", flush=True)
signal.pause()
