#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Writers at the same time take turns, and readers never see half of anything."""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import world  # noqa: E402
from logical import Logical  # noqa: E402
from world import World, maps_make, xlb  # noqa: E402
import tap  # noqa: E402

WRITERS = 10
ROUNDS = 5
WEB = "192.0.2.1:80/tcp"
SIZES = dict(world.SIZES, xlb_backends=64, xlb_targets=64, xlb_replies4=64, xlb_nexthops=64,
             xlb_stats=64)


def writer(number):
    """A process that adds, changes and deletes backends of its own, one call each."""
    end = f"10.0.{number}."
    script = "set -e\n" + "".join(
        f'"$0" backend add {end}{turn}\n'
        f'"$0" backend change {end}{turn} weight {turn + 1}\n'
        f'"$0" backend change {end}{turn} state down\n'
        f'"$0" backend change {end}{turn} state up\n'
        + (f'"$0" backend del {end}{turn}\n' if turn else "") for turn in range(ROUNDS))
    return subprocess.Popen(["sh", "-c", script.replace(f"{end}0", f"{end}100"), world.XLB],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def check_readers(writers):
    """Shows while they are at it: valid documents, and never a fault."""
    wrong = []
    shows = 0
    while any(each.poll() is None for each in writers):
        for words in (("-j", "-s", "backend", "show"), ("-j", "-s", "service", "show")):
            done = xlb(*words)
            shows += 1
            if done.returncode or done.stderr or not json.loads(done.stdout) and shows > 20:
                wrong.append(f"{words}: {done.returncode} {done.stderr} {done.stdout[:200]}")
    tap.equal(wrong[:5], [], "showing meanwhile works each time")


def main():
    world.enter()
    maps_make(sizes=SIZES)
    seen = World(sizes=SIZES)
    xlb("service", "add", WEB, "table", "251", status=0)
    writers = [writer(number) for number in range(WRITERS)]
    check_readers(writers)
    errors = [each.communicate()[1] for each in writers]
    tap.equal([each.returncode for each in writers], [0] * WRITERS,
              f"{WRITERS} writers succeed, {ROUNDS * 5 - 1} times each")
    tap.equal(errors, [""] * WRITERS, "and complain of nothing")

    state = Logical(seen)
    tap.equal(state.faults() + state.leftovers(), [], "they leave nothing")
    tap.equal(xlb("backend", "show").stdout,
              "".join(f"10.0.{number}.100:80 service {WEB} weight 1 state up\n"
                      for number in range(WRITERS)), "but what each wanted to leave")
    owners = [bytes(state.name(current)[0])[:3] for current, _ in state.services[0][2]]
    shares = sorted(owners.count(owner) for owner in set(owners))
    tap.ok(len(shares) == WRITERS and shares[-1] - shares[0] <= 1,
           "and the table is that of all of them", shares)

    # The same, made at once: what was done before leaves no trace in the owners.
    after = state.meaning()
    world.maps_remove()
    maps_make(sizes=SIZES)
    xlb("-batch", "-", text=f"service add {WEB} table 251\n"
        + "".join(f"backend add 10.0.{number}.100\n" for number in range(WRITERS)), status=0)
    tap.equal(Logical(World(sizes=SIZES)).meaning(), after, "as if it were made at once")
    tap.done()


main()
