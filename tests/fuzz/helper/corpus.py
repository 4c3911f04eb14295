#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""A folder of inputs as one text, an input a line, and back: corpus.py { pack | unpack } TEXT FOLDER"""

import os
import sys


def unpack(path, folder):
    os.makedirs(folder, exist_ok=True)
    with open(path, encoding="ascii") as text:
        for number, line in enumerate(text, 1):
            with open(os.path.join(folder, f"{number:04}"), "wb") as file:
                file.write(line.rstrip("\n").encode("ascii").decode("unicode_escape").encode("latin-1"))


def pack(path, folder):
    inputs = []
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as file:
            inputs.append(file.read())
    with open(path, "w", encoding="ascii") as text:
        for each in sorted(inputs, key=lambda each: (len(each), each)):
            text.write(each.decode("latin-1").encode("unicode_escape").decode("ascii") + "\n")


{"pack": pack, "unpack": unpack}[sys.argv[1]](*sys.argv[2:])
