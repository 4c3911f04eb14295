# SPDX-License-Identifier: GPL-2.0-only
"""The Test Anything Protocol, as prove reads it."""

import sys

count = failed = 0


def ok(passed, description, *details):
    global count, failed
    count += 1
    failed += not passed
    print("ok" if passed else "not ok", count, "-", description.replace("#", "\\#"))
    for detail in () if passed else details:
        print("#  ", str(detail).replace("\n", "\n#   "))
    return passed


def equal(got, wanted, description):
    return ok(got == wanted, description, f"got:    {got!r}", f"wanted: {wanted!r}")


def skip_all(why):
    print(f"1..0 # SKIP {why}", flush=True)
    sys.exit(0)


def done():
    print(f"1..{count}", flush=True)
    sys.exit(failed > 0)
