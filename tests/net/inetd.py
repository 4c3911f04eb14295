#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Runs a command for each connection, as a systemd socket with Accept=yes does:
inetd.py ADDRESS PORT COMMAND..."""

import socket
import subprocess
import sys

address, port, *command = sys.argv[1:]
with socket.create_server((address, int(port))) as server:
    print("ready", flush=True)
    while True:
        connection, _ = server.accept()
        with connection:
            subprocess.run(command, stdin=connection, stdout=connection, check=False)
