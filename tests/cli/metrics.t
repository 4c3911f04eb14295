#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""xlb-metrics: every number of xlb's is in the exposition, which others can parse; the
file, the answer to a request, and the dashboard over the names."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import world  # noqa: E402
from world import ROOT, World, maps_make, maps_remove, xlb  # noqa: E402
import tap  # noqa: E402

try:
    from prometheus_client.parser import text_string_to_metric_families
except ImportError:
    tap.skip_all("needs python3-prometheus-client")

TOOL = os.path.join(ROOT, "scripts", "xlb-metrics")
DASHBOARD = os.path.join(ROOT, "scripts", "grafana", "xlb.json")
WEB, DNS, IDLE = "192.0.2.1:80/tcp", "[2001:db8::1]:53/udp", "192.0.2.3:80/tcp"
OPEN, SICK, NONE = "192.0.2.4:80/tcp", "[2001:db8::2]:80/tcp", "[2001:db8::3]:80/tcp"
CONFIGURED = f"""\
service add {WEB} table 251 warmup 60000
service add {DNS} table 251 mode nat hash source settle 7 fail open echo off
service add {IDLE} table 251
backend add 10.0.0.1:8080 service {WEB} weight 3
backend add 10.0.0.2:8080 service {WEB} state down
backend add 10.0.0.3:8080 service {WEB} state drain
backend add 10.0.0.4:8080 service {WEB} health down
backend add 10.0.0.5:8080 service {WEB} weight 0
backend add [fd00::1] service {DNS}
backend add 10.0.0.1:8080 service {IDLE}
service add {OPEN} table 251 fail open limit 50 burst 70
service add {SICK} table 251
service add {NONE} table 251 fail open
backend add 10.0.0.6:8080 service {OPEN} health down
backend add [fd00::2]:8080 service {SICK} health down
backend add [fd00::2]:8080 service {NONE} state down health down
acl add 10.1.0.0/16 deny service {OPEN}
acl add 10.2.0.0/16 deny service {OPEN}
"""
COUNTERS = ("connections", "in_packets", "in_bytes", "out_packets", "out_bytes")


def run(*words, text=None, variables=None):
    return subprocess.run([TOOL, *words], capture_output=True, text=True, input=text, check=False,
                          env={**os.environ, **(variables or {})})


def told(*words):
    return json.loads(xlb("-j", "-s", *words, status=0).stdout)


def samples(text):
    """(name, sorted labels) -> value; each may be there once."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, key
            found[key] = sample.value
    return found


def values(text, name, **only):
    """The values of a metric by their labels, without those that are given."""
    found = {}
    for (each, labels), value in samples(text).items():
        rest = dict(labels)
        if each == name and all(rest.pop(label, None) == wanted
                                for label, wanted in only.items()):
            found[tuple(value for _, value in sorted(rest.items()))] = value
    return found


def configure():
    """Services and backends, each counter another number, beyond 32 bits."""
    maps_remove()
    maps_make()
    xlb("config", "set", "nat6", "2001:db8::99", status=0)
    xlb("-batch", "-", text=CONFIGURED, status=0)
    xlb("backend", "change", "10.0.0.2:8080", "service", WEB, "state", "up", status=0)
    state = World(sizes=world.SIZES)
    for _, value in state.backends():
        state.maps["xlb_stats"].set(value["id"], {
            name: value["id"] * 10**9 + place for place, name in enumerate(COUNTERS)})
    drops = [member["name"] for member in state.btf.struct("xlb_drops")["members"]]
    state.maps["xlb_drops"].set(0, {name: place for place, name in enumerate(drops)})
    state.maps["xlb_budget"].set(0, {"refused": 5})
    return drops


def check_backends(text):
    backends = told("backend", "show")

    def of_backends(value):
        return {(each["backend"], each["service"]): float(value(each)) for each in backends}

    for name in COUNTERS:
        tap.equal(values(text, f"xlb_backend_{name}_total"), of_backends(lambda each: each[name]),
                  f"{name} of each backend")
    tap.ok(min(values(text, "xlb_backend_in_bytes_total").values()) > 0, "which are not nothing")
    for name, value in (("weight", lambda each: each["weight"]),
                        ("healthy", lambda each: each["health"] == "up"),
                        ("warm_ratio", lambda each: each["warm"] / 100),
                        ("slots", lambda each: each["slots"])):
        tap.equal(values(text, f"xlb_backend_{name}"), of_backends(value),
                  f"{name} of each backend")
    for state in ("up", "drain", "down"):
        tap.equal(values(text, "xlb_backend_state", state=state),
                  of_backends(lambda each: each["state"] == state), f"which backends are {state}")
    tap.equal(values(text, "xlb_backend_warm_ratio", service=WEB)[("10.0.0.2:8080",)], 0.1,
              "a backend that is back has a tenth of its weight")


def check_services(text):
    services = told("service", "show")

    def of_services(name):
        return {(each["service"],): float(each[name]) for each in services}

    for metric, name in (("backends", "backends"), ("slots", "table"), ("marked_slots", "marked"),
                         ("settle_seconds", "settle"), ("warmup_seconds", "warmup"),
                         ("rules", "rules"), ("failed_open", "failed_open")):
        tap.equal(values(text, f"xlb_service_{metric}"), of_services(name),
                  f"{name} of each service")
    tap.ok(values(text, "xlb_service_marked_slots")[(WEB,)] > 0, "there are marked slots")
    serving = values(text, "xlb_service_backends_serving")
    tap.equal(serving, {(WEB,): 2, (DNS,): 1, (IDLE,): 1, (OPEN,): 0, (SICK,): 0, (NONE,): 0},
              "how many backends serve: of one of each kind two, one of which warms up")
    failed_open = values(text, "xlb_service_failed_open")
    tap.equal({name for name in serving if not serving[name] and not failed_open.get(name)},
              {(SICK,), (NONE,)}, "without a backend: not who fails open")
    tap.equal([values(text, f"xlb_service_{name}") for name in ("limit", "burst")],
              [{(OPEN,): 50}, {(OPEN,): 70}], "limits, where there are any")
    tap.equal(values(text, "xlb_service_rules").get((OPEN,)), 2, "how many rules a service has")
    tap.equal(values(text, "xlb_service_info", service=DNS),
              {("false", "open", "source", "nat"): 1}, "how a service is configured")


def check_node(text, drops):
    counted = told("stats", "show")["drops"]
    tap.equal(values(text, "xlb_dropped_packets_total"),
              {(name,): float(counted[name]) for name in drops}, "what has been dropped, by reason")
    flows = told("flow", "count")
    for metric, name in (("", "records"), ("_embryonic", "embryonic"), ("_reply", "reply"),
                         ("_gone", "gone"), ("_refused_total", "refused")):
        tap.equal(values(text, f"xlb_flow_records{metric}"), {(): flows[name]}, f"flows: {name}")
    tap.ok(flows["refused"] > 0, "some have been refused")
    tap.equal(values(text, "xlb_build_info"),
              {(str(world.ABI), xlb("-V").stdout.split()[1]): 1}, "which version this is")


def promtool(*words, text=None):
    return subprocess.run(["promtool", *words], input=text, capture_output=True, text=True,
                          check=False)


def check_format(text):
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    tap.equal(len(set(names)), len(names), "each metric stands in one place")
    tap.ok(text.endswith("\n") and "\n\n" not in text, "every line is one")
    tap.equal(run().stdout, text, "what has not changed is told in the same order")
    if not shutil.which("promtool"):
        tap.ok(True, "promtool finds no fault # SKIP no promtool here")
        return
    done = promtool("check", "metrics", text=text)
    tap.equal((done.returncode, done.stdout + done.stderr), (0, ""), "promtool finds no fault")


def check_page(text):
    with open(os.path.join(ROOT, "man", "xlb-metrics.8"), encoding="utf-8") as file:
        page = file.read().split("\n.SS Metrics\n")[1].split("\n.SS ")[0]
    entries = re.findall(r"^\.TP\n\.BR? ((?:.*\\\n)*.*)", page, re.MULTILINE)
    explained = {}
    for entry in entries:
        labels = set(re.findall(r"\w+", re.search(r"\[.*|$", entry)[0]))
        explained.update((name, labels) for name in re.findall(r"xlb_\w+", entry))
    told = {}
    for name, labels in samples(text):
        told.setdefault(name, {label for label, _ in labels})
    for name in ("xlb_link_info", "xlb_backend_nexthop_info", "xlb_backend_nexthop_age_seconds",
                 "xlb_backend_nexthop_mtu_bytes"):    # of which there is none here
        told[name] = explained.get(name)
    tap.equal(explained, told, "the page has every metric, with its labels")


def check_nothing():
    maps_make()
    done = run()
    tap.ok(done.returncode == 0 and not done.stderr and
           values(done.stdout, "xlb_flow_records") == {(): 0} and
           not values(done.stdout, "xlb_service_slots"), "without services", done.stderr)


def check_file():
    with tempfile.TemporaryDirectory(prefix="with blanks ") as folder:
        path = os.path.join(folder, "xlb.prom")
        done = run("-o", path)
        tap.equal((done.returncode, done.stdout + done.stderr), (0, ""), "-o writes a file")
        with open(path) as old:
            text = old.read()
            tap.equal((text, stat.S_IMODE(os.stat(path).st_mode)), (run().stdout, 0o644),
                      "that all may read")
            xlb("backend", "del", "10.0.0.5:8080", "service", WEB, status=0)
            run("-o", path)
            old.seek(0)
            with open(path) as new:
                tap.ok(old.read() == text and "10.0.0.5:8080" not in new.read(),
                       "it takes the place of the old one, which its readers keep")
        done = run("-o", path, variables={"XLB_PIN": folder})
        with open(path) as new:
            tap.ok(done.returncode == 2 and new.read() == run().stdout,
                   "where there is nothing to tell the file stays", done.stderr)
        tap.equal(os.listdir(folder), ["xlb.prom"], "and nothing else is left behind")
        wanted = {"-o": (1, "-o: which file?"), f"-o {folder}": (2, f"-o {folder}: is a folder"),
                  "-o /nowhere/x": (2, "-o /nowhere/x: cannot be written"),
                  "-o a b": (1, "b: nothing more is expected here"),
                  "-http a": (1, "a: nothing more is expected here"),
                  "-x": (1, "-x: unknown option, see xlb-metrics -h")}
        for words, (status, message) in wanted.items():
            split = ["-o", folder] if folder in words else words.split()
            done = run(*split)
            tap.equal((done.returncode, done.stdout, done.stderr),
                      (status, "", f"xlb-metrics: {message}\n"), f"refused: {words}")


def ask(request, **variables):
    """The status, headers and body of an answer."""
    done = run("-http", text=request.replace("\n", "\r\n"), variables=variables)
    head, _, body = done.stdout.partition("\n\n")
    first, *headers = head.splitlines()
    return first, dict(line.split(": ", 1) for line in headers), body


def check_http():
    text = run().stdout
    for what in ("GET /metrics HTTP/1.1\nHost: x\nAccept: */*\n\n", "GET /metrics HTTP/1.0\n\n",
                 "GET /metrics?a=b HTTP/1.1\nHost: x\n\n"):
        first, headers, body = ask(what)
        tap.ok(first == "HTTP/1.1 200 OK" and body == text and
               headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8" and
               int(headers["Content-Length"]) == len(text.encode()),
               f"answered: {what.splitlines()[0]}", first, headers, body)
    first, headers, body = ask("HEAD /metrics HTTP/1.1\n\n")
    tap.equal((first, headers["Content-Length"], body),
              ("HTTP/1.1 200 OK", str(len(text)), ""), "HEAD is answered without a body")
    for request, wanted in (("GET / HTTP/1.1\n\n", 404), ("GET /metrics/ HTTP/1.1\n\n", 404),
                            ("POST /metrics HTTP/1.1\n\nx", 405), ("GET /metrics\n\n", 400),
                            ("GET /metrics HTTP/1.1 x\n\n", 400), ("\n\n", 400), ("", 400),
                            ("GET /metrics HTTP/2.0\n\n", 400), ("GET * HTTP/1.1\n\n", 404),
                            ("GET /metrics HTTP/1.1\n" + "X: y\n" * 10000, 200)):
        first, headers, body = ask(request)
        tap.ok(first.startswith(f"HTTP/1.1 {wanted} ") and
               int(headers["Content-Length"]) == len(body),
               f"answered with {wanted}: {request[:30]!r}", first, headers)
    first, headers, body = ask("GET /metrics HTTP/1.1\n\n", XLB_PIN="/nowhere")
    tap.equal((first, body), ("HTTP/1.1 503 Service Unavailable", "Service Unavailable\n"),
              "without maps there is nothing to tell")


def expressions(dashboard):
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            inner = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
            yield variable["name"], f"count by ({inner[2]}) ({inner[1]})"


def check_dashboard(text):
    """Every metric and label that a panel asks for is told; the words are PromQL."""
    with open(DASHBOARD, encoding="utf-8") as file:
        dashboard = json.load(file)
    labels = {}
    for name, found in samples(text):
        labels.setdefault(name, {"instance", "job"}).update(label for label, _ in found)
    # These are told of links and next hops alone, which are not here.
    labels["xlb_link_info"] = {"instance", "job", "dev", "mode"}
    asked = list(expressions(dashboard))
    for title, words in asked:
        names = set(re.findall(r"\bxlb_\w+", words))
        by = {label for group in re.findall(r"\b(?:by|on) \(([^)]*)\)", words)
              for label in group.split(", ")}
        selected = set(re.findall(r"(\w+)(?:=~|!~|!=|=)\"", words))
        known = set.union(*(labels.get(name, set()) for name in names)) if names else set()
        tap.ok(names and names <= set(labels) and by | selected <= known,
               f"dashboard, {title}: asks for what is told", words)
    used = set(re.findall(r"\bxlb_\w+", " ".join(words for _, words in asked)))
    missing = {name for name in labels if name.endswith("_total")} - used
    tap.equal(missing, set(), "the dashboard has every counter")
    ids = [panel["id"] for panel in dashboard["panels"]]
    tap.equal(len(set(ids)), len(ids), "the panels have ids of their own")
    check_without(dashboard)
    check_expressions(words for _, words in asked)


def check_without(dashboard):
    """The page's alarm and the dashboard's panel are about the same services; no label is
    left out in comparing, so that of two balancers each is asked for its own."""
    with open(os.path.join(ROOT, "man", "xlb-metrics.8"), encoding="utf-8") as file:
        page = file.read().split("\n.SH EXAMPLES\n")[1]
    rule = re.search(r"^xlb_service_backends_serving == 0.*", page, re.MULTILINE)[0]
    tap.equal(rule, "xlb_service_backends_serving == 0 unless xlb_service_failed_open == 1",
              "the page's alarm spares who fails open")
    panel, = [words for title, words in expressions(dashboard)
              if title == "Services without a backend"]
    tap.equal(re.sub(r"\{[^}]*\}", "", panel), f"count({rule}) or vector(0)",
              "and so does the dashboard")


def check_expressions(asked):
    if not shutil.which("promtool"):
        tap.ok(True, "promtool can parse what the dashboard asks # SKIP no promtool here")
        return
    rules = [{"record": f"rule{place}", "expr": words.replace("$__rate_interval", "1m")}
             for place, words in enumerate(asked)]
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        json.dump({"groups": [{"name": "dashboard", "rules": rules}]}, file)    # is YAML, too
        file.flush()
        done = promtool("check", "rules", "--lint=none", file.name)
        tap.ok(done.returncode == 0, "promtool can parse what the dashboard asks",
               done.stdout, done.stderr)


world.enter()
check_nothing()
all_drops = configure()
exposed = run()
tap.equal((exposed.returncode, exposed.stderr), (0, ""), "xlb-metrics")
check_backends(exposed.stdout)
check_services(exposed.stdout)
check_node(exposed.stdout, all_drops)
check_format(exposed.stdout)
check_page(exposed.stdout)
check_dashboard(exposed.stdout)
check_file()
check_http()
maps_remove()
without = run()
tap.ok(without.returncode == 2 and without.stderr.startswith("xlb-metrics: no maps of xlb") and
       not without.stdout, "without maps", without.stderr)
tap.done()
