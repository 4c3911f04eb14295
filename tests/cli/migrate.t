#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""xlb load over maps of the ABI versions before: all is moved, or nothing is touched."""

import ctypes
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import world  # noqa: E402
from world import PINS, World, maps_make, maps_remove, xlb  # noqa: E402
from old import ANEW, OLDER_ABIS, Old, object_of, sizes  # noqa: E402
from bpf import LIBBPF, Map, checked  # noqa: E402
from btf import Btf  # noqa: E402
import tap  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
PASSES = os.path.join(HERE, "passes.o")
ASIDE = os.path.join(PINS, "xlb_new")
MODEL = "/sys/fs/bpf/model"
LINKS = ("first", "second", "third")

WEB = "192.0.2.1:80/tcp"
CONFIGURATION = f"""\
config set seed 77 settle 7 idle 800 table 251 records 99 tunnel6 fd00::99
config set nat4 10.9.0.1,10.9.0.2 nat6 fd00::77 gue 6081
service add {WEB} settle 9
service add 192.0.2.1:53/udp hash source table 257
service add *:8080/tcp mode nat
service add [2001:db8::1]:*/tcp mode ipip
backend add 10.0.0.1:8080 service {WEB} weight 5
backend add 10.0.0.2:8080 service {WEB} state drain
backend add 10.0.0.3:8080 service {WEB} state down
backend add 10.0.0.4:8080 service {WEB} health down
backend add 10.0.0.1 service 192.0.2.1:53/udp weight 0
backend add 10.0.0.5:1 service *:8080/tcp
backend add [fd00::5] service [2001:db8::1]:*/tcp
"""
# Later, so that slots are marked.
CHANGES = f"""\
backend add 10.0.0.6:8080 service {WEB}
backend change 10.0.0.1:8080 service {WEB} weight 9
"""
# As packets leave them.
RECORD = {"source": bytes((198, 51, 100, 7)), "destination": bytes((192, 0, 2, 1)),
          "source_port": 40000, "destination_port": 80, "protocol": 6}
REMEMBERED = {"seen": 123, "slot": 17, "backend": 2, "generation": 1, "direction": 1}


TOOLS = os.pathsep.join([os.path.join(world.ROOT, "loader"), os.path.join(world.ROOT, "scripts"),
                         os.environ["PATH"]])
PROGRAM_PIN = "xlb_program_"


def program_of(name):
    """The id of the program on a link, 0 for none."""
    found = ctypes.c_uint32()
    checked(LIBBPF.bpf_xdp_query_id(socket.if_nametoindex(name), 0, ctypes.byref(found)), name)
    return found.value


def map_id(path):
    return int(re.match(r"\d+", world.sh("bpftool", "map", "show", "pinned", path))[0])


def ids(folder=PINS):
    return {name: map_id(os.path.join(folder, name)) for name in os.listdir(folder)
            if not os.path.isdir(os.path.join(folder, name)) and PROGRAM_PIN not in name}


def maps_of(program):
    """The ids of the maps that a program uses."""
    found = re.search(r"map_ids ([\d,]+)", world.sh("bpftool", "prog", "show", "id", str(program)))
    return {int(number) for number in found[1].split(",")}


def clean():
    for name in LINKS:
        for each in ("xdpgeneric", "xdpdrv"):
            subprocess.run(["ip", "link", "set", name, each, "off"], check=True)
    for folder in (ASIDE, PINS):
        if os.path.isdir(folder):
            maps_remove(folder)
            os.rmdir(folder)


def prepare(model):
    clean()
    old = Old(LINKS[:2], abi=model.older)
    old.fill(model.maps)
    return old


def load(*words, link=LINKS[0], **options):
    return xlb("load", "dev", link, *words, **options)


def contents(seen):
    """What a set holds besides what depends on interfaces."""
    return {name: dump for name, dump in seen.snapshot().items() if name != "xlb_links"}


def saved(folder):
    return xlb("-pin", folder, "save", status=0).stdout


def make_model():
    """A set of today, by which the moved ones are judged."""
    maps_make(folder=MODEL, sizes=sizes())
    for text in (CONFIGURATION, CHANGES):
        xlb("-pin", MODEL, "-batch", "-", text=text, status=0)
    model = World(folder=MODEL, sizes=sizes())
    model.maps["xlb_flows4"].set(RECORD, REMEMBERED)
    model.maps["xlb_stats"].set(1, {"connections": 3, "in_packets": 4})
    model.maps["xlb_drops"].set(0, {"no_backend": 5, "no_source": 6})
    return model


def faults(model):
    """What a set that has been moved lacks."""
    found = []
    moved = World(sizes=sizes())
    before, after = contents(model), contents(moved)
    found += [f"{name} is not what it was" for name in before if before[name] != after[name]]
    if os.path.exists(ASIDE):
        found.append("something is left aside")
    new = set(ids().values())
    pinned = {name for name in os.listdir(PINS) if PROGRAM_PIN in name}
    if pinned != {f"{PROGRAM_PIN}{program_of(name)}" for name in LINKS if program_of(name)}:
        found.append(f"other programs than those that run are pinned: {pinned}")
    for name in LINKS[:2]:
        if not new <= maps_of(program_of(name)):
            found.append(f"{name} does not run with the maps that are pinned")
    return found


def check_moved(model):
    old = prepare(model)
    before, programs = ids(), [program_of(name) for name in LINKS]
    for words in (("service", "show"), ("service", "add", "192.0.2.6:80/tcp")):
        done = xlb(*words, status=2)
        tap.equal(done.stderr, f"xlb: {' '.join(words)}: the maps in {PINS} are of ABI {model.older}, "
                               f"and this xlb speaks {world.ABI}: xlb load dev IF moves them on\n",
                  f"before, refused: {' '.join(words)}")
    done = load()
    tap.equal((done.returncode, done.stderr.splitlines()[0]),
              (0, f"xlb: load dev first: moved the maps in {PINS} to ABI {world.ABI}"),
              f"moved from ABI {model.older}, and said")
    tap.equal(faults(model), [], "all is as if this version had written it")
    tap.equal(saved(PINS), saved(MODEL), "so the configuration is")
    after = ids()
    tap.equal(sorted(name for name in before if before[name] != after[name]),
              sorted(ANEW[model.older]), "what packets wrote is in the very same maps")
    tap.ok(all(program_of(name) != program for name, program in zip(LINKS[:2], programs)),
           "both interfaces have another program")
    tap.equal(program_of(LINKS[2]), 0, "one that had none has none")
    xlb("backend", "change", "10.0.0.2:8080", "service", WEB, "state", "up", status=0)
    tap.ok("10.0.0.2:8080 service 192.0.2.1:80/tcp weight 1 state up" in
           xlb("backend", "show", status=0).stdout, "and can be changed")
    tap.equal(load().returncode, 0, "to load once more is to replace")
    old.close()


def check_tools(model):
    """What looks at the maps of the version before says so, each in one line."""
    old = prepare(model)
    with tempfile.NamedTemporaryFile("w") as config, tempfile.NamedTemporaryFile("w") as empty:
        config.write(f"probe {WEB} tcp\n")
        config.flush()
        wrong = []
        for words in ("xlb-service show", "xlb-service del " + WEB, "xlb-backend show",
                      f"xlb-backend add 10.0.0.9 service {WEB}", "xlb-backend drain 10.0.0.1",
                      "xlb-stat", "xlb-top -b -n 1", "xlb-metrics", "xlb-save",
                      f"xlb-restore {empty.name}", f"xlb-restore -n {empty.name}",
                      f"xlb-probe {config.name}"):
            done = subprocess.run(words.split(), capture_output=True, text=True, check=False,
                                  timeout=20, env=dict(os.environ, PATH=TOOLS))
            if done.returncode != 2 or done.stdout or done.stderr.count("\n") != 1 or \
                    f"are of ABI {model.older}, and this xlb speaks {world.ABI}: xlb load dev IF " \
                    "moves them on" not in done.stderr:
                wrong.append((words, done.returncode, done.stderr))
        tap.equal(wrong, [], "before, every tool refuses, in one line")
        done = subprocess.run(["xlb-doctor", "maps"], capture_output=True, text=True, check=False,
                              env=dict(os.environ, PATH=TOOLS))
        tap.ok(done.returncode == 5 and f"are of ABI {model.older}" in done.stdout,
               "and the doctor finds it", done.stdout, done.stderr)
    old.close()


def check_another_interface(model):
    old = prepare(model)
    load(link=LINKS[2], status=0)
    tap.equal(faults(model), [], "loaded where nothing was: the others are moved, too")
    tap.equal(maps_of(program_of(LINKS[2])) >= set(ids().values()), True, "and it has them")
    old.close()


def check_maps_alone(model):
    old = prepare(model)
    xlb("load", "maps", status=0)
    tap.equal(faults(model), [], "without a word about an interface")
    old.close()


def check_real(model):
    old = prepare(model)
    real = {"XLB_OBJECT": world.OBJECT}
    load(status=0, variables=real)
    tap.equal(faults(model), [], "with the packet program itself")
    words = "lookup", "198.51.100.8:1", "to", WEB
    tap.equal(xlb(*words, status=0, variables=real).stdout,
              xlb("-pin", MODEL, *words, status=0, variables=real).stdout,
              "which finds the backend that the model has")
    old.close()


def refused(model, what, wanted, *words, before=None, variables=None):
    """Refused with these words, and nothing has changed."""
    old = prepare(model)
    undo = before(old) if before else None
    was = old.snapshot(), ids(), [program_of(name) for name in LINKS]
    done = load(*words, variables=variables)
    now = old.snapshot(), ids(), [program_of(name) for name in LINKS]
    tap.ok(done.returncode == 2 and wanted in done.stderr and done.stderr.count("\n") == 1,
           f"refused: {what}", done.returncode, done.stderr)
    tap.ok(was == now and not os.path.exists(ASIDE), f"nothing has changed: {what}")
    if undo:
        undo()
    old.close()


def abi_set(number):
    def edit(old):
        config = old.maps["xlb_config"]
        config.set(0, dict(config.get(0), abi=number))
    return edit


def edit_missing(_):
    os.unlink(os.path.join(PINS, "xlb_flows6"))


def edit_shape(_):
    path = os.path.join(PINS, "xlb_targets")
    os.unlink(path)
    world.sh("bpftool", "map", "create", path, "type", "array", "key", "4", "value", "8",
             "entries", "16", "name", "xlb_targets")


def edit_range(old):
    services = old.maps["xlb_services4"]
    key, value = services.items()[0]
    services.set(key, dict(value, table={"first": 8, "size": 251}))


def edit_elsewhere(_):
    """Another set's program is on the interface."""
    world.sh("ip", "link", "set", LINKS[0], "xdpgeneric", "off")
    other = Old(LINKS[:1], folder="/sys/fs/bpf/other")
    return other.close


def edit_stray(_):
    """The program is on no interface here, but may be elsewhere."""
    stray = Old(())
    return stray.close


def check_refusals(model):
    refused(model, "of a version too old", f"xlb_config in {PINS} is not of ABI {world.ABI}",
            before=abi_set(1))
    refused(model, "newer than the tool", f"the maps in {PINS} are of ABI 77, and this xlb speaks "
                                          f"{world.ABI}: use the newer xlb", before=abi_set(77))
    refused(model, "never written to", f"xlb_config in {PINS} is not of ABI {world.ABI}",
            before=abi_set(0))
    refused(model, "a map is missing", f"xlb_flows6 is missing in {PINS}", before=edit_missing)
    refused(model, "a map of a shape of no version", f"xlb_targets in {PINS} is not of ABI",
            before=edit_shape)
    refused(model, "contradictions", f"the maps in {PINS} contradict themselves",
            before=edit_range)
    refused(model, "a program out of reach",
            "(xlb_xdp) uses them, too, and is on no interface here: unload it where it is",
            before=edit_stray)
    refused(model, "the interface has maps of another place",
            f"runs xlb with maps of another place than {PINS}", before=edit_elsewhere,
            variables={"XLB_PIN": PINS})
    refused(model, "an object of the old version",
            f"obj {object_of(2)}: not of ABI {world.ABI}, which this xlb speaks: give the one of its own "
            "version", "obj", object_of(2))
    refused(model, "other sizes", "maps of other sizes are there already", "backends", "5")
    refused(model, "another mode", "runs xlb in generic mode: xlb unload dev first",
            "mode", "native")
    refused(model, "no object", "obj /nosuch: No such file", "obj", "/nosuch")


CALLS = ("bpf", "sendto", "mkdir", "rename", "rmdir")
WRITES = re.compile(r'\w+\((?:"[^"]*xlb|BPF_MAP_UPDATE_ELEM|BPF_OBJ_PIN|.*RTM_SETLINK)')
# Changes nothing, but would be done.
EDIT = "config", "set", "settle", "7"


def traced(*options):
    with tempfile.NamedTemporaryFile() as log:
        done = subprocess.run(["strace", "-o", log.name, "-e", "trace=" + ",".join(CALLS),
                               *options, world.XLB, "load", "dev", LINKS[0]],
                              capture_output=True, text=True)
        return done, log.read().decode()


def places(log):
    """(system call, how manieth) of each that writes."""
    count, found = dict.fromkeys(CALLS, 0), []
    for line in log.splitlines():
        call = line.partition("(")[0]
        if call not in CALLS:
            continue
        count[call] += 1
        if WRITES.match(line) and not line.endswith("(No such file or directory)"):
            found.append((call, count[call]))
    return found


def stop_at(model, where, number, inject):
    """Stops a call at the write of this number: where that is among all calls depends on
    how many programs the whole machine has, which are looked at, too."""
    for _ in range(20):
        place = where[number]
        old = prepare(model)
        was, programs = old.snapshot(), [program_of(name) for name in LINKS]
        old.close()
        done, log = traced("-e", f"inject={place[0]}:{inject}:when={place[1]}")
        stopped = [number for number, each in enumerate(places(log)) if each == place]
        if stopped == [number]:
            break
        prepare(model).close()
        where[:] = places(traced()[1])
    return old, was, programs, done


def abi_pinned():
    declaration = Btf(world.OBJECT).maps()["xlb_config"]
    return Map(os.path.join(PINS, "xlb_config"), Btf(world.OBJECT), declaration).get(0)["abi"]


def stopped_at(model, where, number, inject, status):
    """What is wrong then, or after the next call."""
    old, was, programs, done = stop_at(model, where, number, inject)
    found = []
    # Without its pin a program runs as well.
    if done.returncode != status and "the program is not pinned" not in done.stderr:
        found.append(f"ended with {done.returncode}: {done.stderr}")
    if old.snapshot() != was:
        found.append("the old maps are not what they were")
    if abi_pinned() == model.older and [program_of(name) for name in LINKS] != programs:
        found.append("a program has been replaced while old tools may still write")
    if xlb(*EDIT).returncode != 2:
        return found + faults(model)
    again = load()
    if again.returncode:
        found.append(f"not completed: {again.stderr}")
    return found + faults(model)


def check_stopped(model):
    prepare(model).close()
    done, log = traced()
    where = places(log)
    tap.equal((done.returncode, {call for call, _ in where}), (0, set(CALLS)),
              "every kind of write is there")
    for inject, status, what in (("signal=KILL", -9, "killed"),
                                 ("error=ENOMEM", 2, "refused by the kernel")):
        wrong = [f"{number} {where[number]}: {fault}" for number in range(len(where))
                 for fault in stopped_at(model, where, number, inject, status)]
        tap.equal(wrong[:12], [], f"{what} at each of {len(where)} writes, the next completes it")


def main():
    if not shutil.which("strace"):
        world.skip_all("needs strace")
    world.enter()
    os.environ["XLB_OBJECT"] = PASSES
    for name in LINKS:
        world.sh("ip", "link", "add", name, "type", "veth", "peer", "name", f"to-{name}")
        world.sh("ip", "link", "set", name, "up")
    model = make_model()
    for model.older in OLDER_ABIS:
        check_moved(model)
        check_tools(model)
        check_real(model)
    check_another_interface(model)
    check_maps_alone(model)
    check_refusals(model)
    model.older = OLDER_ABIS[0]
    check_stopped(model)
    tap.done()


main()
