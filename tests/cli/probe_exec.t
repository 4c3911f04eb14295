#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""xlb-probe and commands that end as they are told: what it makes of them, and when."""

import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import prober  # noqa: E402
import world  # noqa: E402
from prober import PATIENCE, PROBE, Running, fresh, once, read, wait_for, write  # noqa: E402
from world import World, xlb  # noqa: E402
import tap  # noqa: E402

WEB, DNS = "192.0.2.1:80/tcp", "192.0.2.1:53/udp"
SIX = "[2001:db8::1]:80/tcp"
OFTEN = "interval 0.1 timeout 60"


def check_codes():
    """What commands end with, and what becomes of it."""
    cases = (("10.0.0.1", "exit 0", None, ""),
             ("10.0.0.2", "echo slow; exit 1", None, "warning: slow"),
             ("10.0.0.3", "echo gone; echo more; exit 2", "down", "down: gone"),
             ("10.0.0.4", "exit 3", None, "could not be probed: sh: exit status 3: no word"),
             ("10.0.0.5", "echo oops >&2; exit 4", None,
              "could not be probed: sh: exit status 4: oops"),
             ("10.0.0.6", "kill -9 $$", None, "could not be probed: sh: killed by signal 9"),
             ("10.0.0.7", "sleep 1000", "down", "down: no answer within 0.5 seconds"),
             ("10.0.0.8", "yes | head -c 1000000; exit 2", "down", "down: y"),
             ("10.0.0.9", "printf 'a\\033b'; exit 2", "down", "down: a?b"))
    fresh(f"service add {DNS} table 251\n" +
          "".join(f"backend add {address}\n" for address, *_ in cases))
    script = "".join(f"{address}) {does} ;;\n" for address, does, *_ in cases)
    write("codes.sh", f"echo $$ >pid-$1\ncase $1 in\n{script}esac\n")
    said, why = once(f"probe {DNS} exec timeout 0.5 command sh codes.sh {{address}}\n")
    tap.equal(said, {f"{address}:53": health for address, _, health, _ in cases if health},
              "only those that are to be down are told")
    for address, does, _, reason in cases:
        line = f"xlb-probe: {address}:53 service {DNS}: {reason}\n"
        tap.ok(line in why if reason else address not in why, f"{does}: {reason}", why)
    wait_for(lambda: not os.path.exists(f"/proc/{read('pid-10.0.0.7').strip()}"),
             "what takes too long is ended")

    fresh(f"service add {DNS} table 251\nbackend add 10.0.0.1\n")
    said, why = once(f"probe {DNS} exec command /nonexistent\n")
    tap.equal((said, why), ({}, f"xlb-probe: 10.0.0.1:53 service {DNS}: could not be probed: "
                                "/nonexistent: No such file or directory\n"),
              "a command that is missing")


def check_filling():
    fresh(f"service add {SIX} table 251\nbackend add [fd00::1]:8080\n")
    once(f"probe {SIX} exec command sh -c \"echo $0 $1 >filled\" "
         "\"x{address}{port}\" {service}{addres}\n")
    tap.equal(read("filled"), f"xfd00::18080 {SIX}{{addres}}\n", "words in braces are filled in")


def story(results):
    """A command whose runs end as told, and then as the last of them."""
    write("results", "".join(f"{code}\n" for code in results))
    write("story.sh", """
        read -r code <results
        [ "$(wc -l <results)" = 1 ] || sed -i 1d results
        echo "$code" >>runs
        exit "$code"
    """)
    write("runs", "")


def check_rise_and_fall():
    fresh(f"service add {WEB} table 251\nbackend add 10.0.0.1\n")
    told = [0, 2, 2, 0, 2, 3, 2, 0, 2, 2, 2, 2, 0, 2, 0, 3, 0, 0]
    story(told)
    running = Running(f"probe {WEB} exec {OFTEN} rise 2 fall 3 command sh story.sh\n")
    wait_for(lambda: len(read("runs").split()) > len(told), "all of a story is probed")
    tap.equal(running.end(), 0, "SIGTERM ends it well")
    tap.equal(read("said.out"), f"backend change 10.0.0.1:80 service {WEB} health down\n"
                                f"backend change 10.0.0.1:80 service {WEB} health up\n",
              "what flaps is told only when it has lasted")
    tap.equal(read("said.err").count(": could not be probed: "), 2, "the rest is a remark")


def check_follow():
    fresh(f"service add {WEB} table 251\nservice add {DNS} table 251\n"
          f"backend add 10.0.0.1 service {WEB}\n")
    write("log", "")
    command = "command sh -c \"echo $0 >>log; exit 2\" {service}={address}"
    running = Running(f"probe {WEB} exec {OFTEN} {command}\n")
    one, two, other = (f"{WEB}=10.0.0.1", f"{WEB}=10.0.0.2", f"{DNS}=10.0.0.3")

    def count(name):
        return read("log").split().count(name)

    wait_for(lambda: count(one), "a backend is probed")
    xlb("backend", "add", "10.0.0.2", "service", WEB, status=0)
    xlb("backend", "add", "10.0.0.3", "service", DNS, status=0)
    wait_for(lambda: count(two), "one that is added is probed, too")
    wait_for(lambda: "10.0.0.2:80" in read("said.out"), "and told of")
    tap.equal(count(other), 0, "that of a service which is not configured is not")
    xlb("backend", "del", "10.0.0.1", "service", WEB, status=0)
    before = count(two)
    wait_for(lambda: count(two) > before + 3, "probing goes on")
    after = count(one)
    wait_for(lambda: count(two) > before + 6, "and on")
    tap.equal(count(one), after, "but not of one that is deleted")

    running.change(f"probe {DNS} exec {OFTEN} {command}\n")
    wait_for(lambda: count(other) > 1, "SIGHUP brings the new configuration")
    before, after = count(two), count(other)
    wait_for(lambda: count(other) > after + 3, "probing goes on")
    tap.equal(count(two), before, "without what it no longer has")
    running.change("probe\n")
    wait_for(lambda: "what was read before stays" in read("said.err"), "a bad one is refused")
    after = count(other)
    wait_for(lambda: count(other) > after + 3, "and the old one goes on")

    os.rename(world.PINS, world.PINS + "_away")
    wait_for(lambda: "no maps of xlb" in read("said.err"), "maps that go are said to be gone")
    after = count(other)
    wait_for(lambda: count(other) > after + 3, "and what was known is probed")
    os.rename(world.PINS + "_away", world.PINS)
    xlb("backend", "add", "10.0.0.4", "service", DNS, status=0)
    wait_for(lambda: count(f"{DNS}=10.0.0.4"), "maps that return are read")
    tap.equal(read("said.err").count("no maps of xlb"), 1, "each is said once")
    wait_for(lambda: read("said.out").count("10.0.0.3:53") == 2,
             "but what they have otherwise is told again")
    config = World().maps["xlb_config"]
    key, value = config.items()[0]
    config.set(key, dict(value, abi=value["abi"] + 1))
    tap.equal(running.process.wait(timeout=PATIENCE), 2, "maps of another version end it")
    tap.equal(read("said.err").count("use the newer"), 1, "and that is said")


def check_first():
    """Somebody changes the map before there is a first result."""
    fresh(f"service add {WEB} table 251\nbackend add 10.0.0.1 health down\n")
    write("log", "")
    write("word", "3")
    running = Running(f"probe {WEB} exec {OFTEN} command sh -c "
                      "\"echo one >>log; exit $(cat word)\"\n")

    def probes(more):
        before = len(read("log").split())
        return wait_for(lambda: len(read("log").split()) >= before + more, "it is probed")

    probes(1)
    xlb("backend", "change", "10.0.0.1", "health", "up", status=0)
    probes(5)
    write("word.new", "2")
    os.rename("word.new", "word")
    wait_for(lambda: read("said.out").endswith("health down\n"),
             "the first result goes by what the map has then")
    running.end()


def check_once():
    """Each backend is probed once, however long another takes."""
    fresh(f"service add {WEB} table 251\nservice add {DNS} table 251\n"
          f"backend add 10.0.0.1 service {WEB}\nbackend add 10.0.0.2 service {DNS}\n")
    write("log", "")
    once(f"probe {WEB} exec timeout 0.1 command sh -c \"echo one >>log\"\n"
         f"probe {DNS} exec timeout 1 command sleep 1000\n")
    tap.equal(read("log"), "one\n", "-once probes once")


def check_early():
    """A signal that comes while the configuration is first read."""
    fresh(f"service add {WEB} table 251\nbackend add 10.0.0.1\n")
    write("log", "")
    os.mkfifo("fifo")
    line = f"probe {WEB} exec {OFTEN} command sh -c \"echo %s >>log\"\n"
    with subprocess.Popen([PROBE, "fifo"]) as process:
        with open("fifo", "w", encoding="ascii") as file:
            process.send_signal(signal.SIGHUP)
            os.rename(write("next", line % "second"), "fifo")
            file.write(line % "first")
        wait_for(lambda: "second" in read("log"), "SIGHUP at the very beginning is taken")
        process.terminate()
        tap.equal(process.wait(timeout=PATIENCE), 0, "and others end it")


def check_again():
    """Deleted and added again between two looks at the map: it is up there, and is not."""
    fresh(f"service add {WEB} table 251\nbackend add 10.0.0.1\n")
    running = Running(f"probe {WEB} exec interval 1 command sh -c \"exit 2\"\n")
    line = f"backend change 10.0.0.1:80 service {WEB} health down\n"
    wait_for(lambda: read("said.out") == line, "a backend is told to be down")
    xlb("-batch", "-", text=f"{line}backend del 10.0.0.1\n", status=0)
    xlb("backend", "add", "10.0.0.1", status=0)
    wait_for(lambda: read("said.out") == line * 2, "and again once it is another")
    running.end()


def check_output():
    """Nobody reads: it ends, and says so, before it has anything to tell."""
    fresh(f"service add {WEB} table 251\nbackend add 10.0.0.1\n")
    write("quiet.conf", f"probe {WEB} exec interval 60 command true\n")
    with subprocess.Popen([PROBE, "quiet.conf"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as process:
        process.stdout.close()
        tap.equal((process.wait(timeout=PATIENCE), process.stderr.read()),
                  (2, "xlb-probe: standard output: Broken pipe\n"), "a reader that is gone")
    with open("/dev/full", "wb") as full:
        done = subprocess.run([PROBE, "-once", write("tell.conf", f"probe {WEB} exec command "
                                                     "sh -c \"exit 2\"\n")],
                              stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    tap.ok(done.returncode == 2 and "xlb-probe: standard output: No space" in done.stderr,
           "a disk that is full", done.returncode, done.stderr)


def check_stop():
    """It is stopped beyond the patience of its probes, and what needs it has to wait."""
    fresh(f"service add {WEB} table 251\n" +
          "".join(f"backend add 10.0.0.{number}\n" for number in range(1, 4)))
    write("stop.sh", """
        touch "begun-$1"
        case $1 in
        *.1) until [ -e stopped ]; do sleep 0.01; done ;;
        *.2) until [ -e continued ]; do sleep 0.01; done ;;
        *.3) sleep 1000 ;;
        esac
    """)
    write("stop.conf", f"probe {WEB} exec timeout 1 command sh stop.sh {{address}}\n")
    with subprocess.Popen([PROBE, "-once", "stop.conf"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: all(os.path.exists(f"begun-10.0.0.{number}") for number in range(1, 4)),
                 "the probes are under way")
        process.send_signal(signal.SIGSTOP)
        write("stopped", "")
        time.sleep(2)
        process.send_signal(signal.SIGCONT)
        write("continued", "")
        said, why = process.communicate(timeout=PATIENCE)
    tap.equal(said, f"backend change 10.0.0.3:80 service {WEB} health down\n",
              "who has answered by then or soon after is up")
    tap.equal(why, f"xlb-probe: 10.0.0.3:80 service {WEB}: down: no answer within 1 seconds\n",
              "who has not is down")


prober.run(check_codes, check_filling, check_rise_and_fall, check_follow, check_again,
           check_first, check_once, check_early, check_output, check_stop)
