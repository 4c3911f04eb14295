# SPDX-License-Identifier: GPL-2.0-only
"""Steps by a seed: lines of a batch, and what they make of the configuration.

The same seed gives the same steps, whatever the maps hold and however long they take.
"""

import random

from configuration import DIRECT, MODES, Backend, Configuration, Service

HOSTS = (1, 2, 3, 4)
VIP4, VIP6 = "192.0.2.10", "2001:db8::10"
# Services that clients talk to all the while; their backends answer on port 80.
WEB, WEB6, DNS = f"{VIP4}:80/tcp", f"[{VIP6}]:80/tcp", f"{VIP4}:53/udp"
STRAIGHT, TWIN = "192.0.2.11:80/tcp", "192.0.2.12:80/tcp"
TRAFFIC = (WEB, WEB6, DNS, STRAIGHT, TWIN)
# Services that nobody talks to; they come and go, and share backends with the others.
OTHERS = (("192.0.2.13", 80, "tcp"), ("192.0.2.10", 8080, "tcp"), ("192.0.2.14", 0, "tcp"),
          ("0.0.0.0", 8080, "tcp"), ("192.0.2.15", 53, "udp"), ("2001:db8::11", 80, "tcp"),
          ("::", 5353, "udp"), ("2001:db8::12", 443, "tcp"))
TABLES = (251, 257, 509)
# None of these has a client that sends anything.
PREFIXES = {4: ("203.0.113.0/24", "203.0.113.7/32", "198.51.100.0/25", "198.51.0.0/16"),
            6: ("2001:db8:f::/48", "2001:db8:f::1/128", "2001:db8:f:1::/64")}
WEIGHTS = (0, 1, 1, 2, 3, 10, 65535)
BACKENDS_MAX, SERVICES_MAX = 34, 11
PHASE = 60      # steps
SETTLE_UDP = 60


def host(number, version):
    return f"10.2.{number}.2" if version == 4 else f"fd00:2:{number}::2"


def host_name(address):
    """Of a backend that is there: b1 to b4."""
    number = address.split(".")[2] if "." in address else address.split(":")[2]
    return f"b{number}"


class Step:
    """Lines that are written together, and what is to come of them."""

    def __init__(self, wanted):
        self.wanted = wanted
        self.lines = []
        self.adds = 0
        self.collected = set()      # services whose marks are looked at
        self.ended = []             # (service, host name or None): whose flows may break
        self.refused = False        # all of it, with nothing changed
        self.how = "single"         # or batch, pipe, restore, load, view
        self.text = None            # of the file to restore


class Churn:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.number = 0
        self.saved = None
        self.warms = True
        self.active = ()

    # --- the beginning ---

    @staticmethod
    def begin(records):
        """The configuration that all starts with, and its lines; records: that setting, of
        which they say nothing."""
        wanted = Configuration(settle=3, idle=8, table=251, records=records)
        lines = ["config set settle 3 idle 8 table 251 nat4 10.9.0.1 nat6 fd00:9::1 "
                 "tunnel4 10.1.0.1 tunnel6 fd00:1::1"]
        for service in (Service(VIP4, 80, "tcp"), Service(VIP6, 80, "tcp", mode="nat"),
                        Service(VIP4, 53, "udp", settle=SETTLE_UDP),
                        Service("192.0.2.11", 80, "tcp", mode="dr"),
                        Service("192.0.2.12", 80, "tcp")):
            if service.protocol == "tcp":
                service.settle = 3
            wanted.add(service)
            lines.append(f"service add {service.name} {service.words()}")
            for number in HOSTS[:3]:
                backend = Backend(host(number, service.version), 80)
                service.backends[backend.address, 80] = backend
                lines.append(backend.line(service))
        return wanted, lines

    # --- one step ---

    def next(self, configuration):
        """The next step from a configuration."""
        if self.number % PHASE == 0:
            return self.phase(configuration)
        self.number += 1
        step = Step(configuration.copy())
        kinds = {"edit": 70, "batch": 14, "view": 5, "gc": 4, "wrong": 4, "save": 2, "load": 2,
                 "restore": 2}
        kind = self.random.choices(list(kinds), kinds.values())[0]
        getattr(self, f"step_{kind}")(step)
        if not step.lines and step.how == "single":
            step.lines = ["service warm"]
        # Of what warms up, a pipe takes steps by itself.
        warm = not any(service.warmup for each in (configuration, step.wanted)
                       for service in each.services.values())
        if self.random.random() < 0.4 and warm and not step.refused \
                and step.how in ("single", "batch"):
            step.how = "pipe"
        return step

    def phase(self, configuration):
        """Some services rest, so that their marks settle; and warm-ups come and go."""
        self.number += 1
        step = Step(configuration.copy())
        step.how = "batch"
        names = sorted(configuration.services)
        self.active = set(self.random.sample(names, max(2, len(names) // 2)))
        self.warms = not self.warms
        for service in step.wanted.services.values():
            warmup = self.random.choice((0, 2, 20)) if self.warms else 0
            if service.warmup != warmup:
                service.warmup = warmup
                step.lines.append(f"service change {service.name} warmup {warmup}")
        step.lines.append("service warm")
        return step

    def step_edit(self, step):
        self.edit(step)

    def step_batch(self, step):
        step.how = "batch"
        for _ in range(self.random.randint(2, 6)):
            self.edit(step, alone=False)
        if not step.lines:
            step.how = "single"

    def step_view(self, step):
        step.how = "view"

    def step_load(self, step):
        step.how = "load"
        step.lines = [f"load dev {self.random.choice(('client', 'b1', 'b2', 'b3', 'b4'))}"]

    def step_save(self, step):
        step.how = "view"
        self.saved = step.wanted.copy()

    def step_gc(self, step):
        service = self.pick(step, rest=True)
        if self.random.random() < 0.5:
            step.lines = [f"flow gc service {service.name}"]
            step.collected = {service.name}
        else:
            step.lines = ["flow gc"]
            step.collected = set(step.wanted.services)

    def step_restore(self, step):
        """Back to what was saved once, except that the checker's word stays."""
        if not self.saved:
            return
        step.how = "restore"
        saved, before = self.saved, step.wanted
        step.text = saved
        step.wanted = before.restored(saved)
        known = {backend.identity: (service, backend) for service, backend in before.pairs()}
        for service, backend in step.wanted.pairs():
            if backend.identity not in known:
                step.adds += 1
        step.adds += len(known)
        for name, old in before.services.items():
            new = step.wanted.services.get(name)
            same = new and new.identity == old.identity
            if not same or (new.mode != old.mode and not {new.mode, old.mode} <= set(DIRECT)):
                step.ended.append((name, None))
                if same:
                    step.collected.add(name)
                continue
            self.compare(step, old, new)

    def compare(self, step, old, new):
        """A service that is changed into what it is in a saved file."""
        def told(service):
            return {key: (each.identity, each.weight, each.state, each.health)
                    for key, each in service.backends.items()}
        if told(old) != told(new) or (old.mode, old.fail) != (new.mode, new.fail):
            step.collected.add(new.name)
        for key, backend in old.backends.items():
            after = new.backends.get(key)
            if not after or after.identity != backend.identity or new.state(after) == "down":
                step.ended.append((new.name, host_name(backend.address)))

    def step_wrong(self, step):
        """What is refused, in a batch with what would not be."""
        before = step.wanted.copy()
        self.edit(step)
        wrong = ["service del 192.0.2.99:1/tcp", "config set seed 5"]
        service = self.random.choice(list(step.wanted.services.values()))
        wrong += [f"service add {service.name}",
                  f"backend del 10.99.0.1 service {service.name}"]
        if service.backends:
            backend = self.random.choice(list(service.backends.values()))
            wrong += [backend.line(service),
                      f"service change {service.name} table {self.other_table(service)}"]
        step.lines.append(self.random.choice(wrong))
        step.wanted = before
        step.how, step.refused = "batch", True
        step.collected, step.ended, step.adds = set(), [], 0

    # --- edits, single lines ---

    def pick(self, step, rest=False):
        names = sorted(step.wanted.services)
        awake = [name for name in names if name in self.active or name not in TRAFFIC]
        return step.wanted.services[self.random.choice(names if rest else awake or names)]

    def edit(self, step, alone=True):
        edits = {"add": 12, "del": 8, "weight": 14, "state": 16, "health": 20, "service": 8,
                 "service_add": 6, "service_del": 4, "mode": 5 if alone else 0,
                 "empty": 2 if alone else 0, "config": 2, "rule": 10, "limit": 4}
        name = self.random.choices(list(edits), edits.values())[0]
        getattr(self, f"edit_{name}")(step)

    def change(self, step, service, backend, words):
        step.lines.append(f"{backend.line(service, 'change')} {words}")
        step.collected.add(service.name)
        # Those that health does not count for any more, too.
        for each in service.backends.values():
            if service.state(each) == "down":
                step.ended.append((service.name, host_name(each.address)))

    def backend_of(self, service):
        return self.random.choice(list(service.backends.values())) if service.backends else None

    def edit_add(self, step):
        service = self.pick(step)
        if len(step.wanted.pairs()) >= BACKENDS_MAX:
            return
        backend = self.new_backend(service)
        if (backend.address, backend.port) in service.backends:
            return
        service.backends[backend.address, backend.port] = backend
        step.adds += 1
        words = f"weight {backend.weight} state {backend.state} health {backend.health}"
        self.change(step, service, backend, "")
        step.lines[-1] = f"{backend.line(service)} {words}"

    def new_backend(self, service):
        version = service.version
        if service.mode in ("ipip", "gue") and service.name not in TRAFFIC:
            version = self.random.choice((4, 6))
        port = 80
        if service.mode in DIRECT or not service.port:
            port = service.port
        elif service.name not in TRAFFIC:
            port = self.random.choice((80, 8080, service.port))
        return Backend(host(self.random.choice(HOSTS), version), port,
                       self.random.choice(WEIGHTS),
                       self.random.choice(("up", "up", "up", "down", "drain")),
                       self.random.choice(("up", "up", "up", "down")))

    def edit_del(self, step):
        service = self.pick(step)
        backend = self.backend_of(service)
        if not backend:
            return
        del service.backends[backend.address, backend.port]
        self.change(step, service, backend, "")
        step.lines[-1] = backend.line(service, "del")
        step.ended.append((service.name, host_name(backend.address)))

    def edit_weight(self, step):
        service = self.pick(step)
        backend = self.backend_of(service)
        if backend:
            backend.weight = self.random.choice(WEIGHTS)
            self.change(step, service, backend, f"weight {backend.weight}")

    def edit_state(self, step):
        service = self.pick(step)
        backend = self.backend_of(service)
        if backend:
            backend.state = self.random.choice(("up", "up", "drain", "drain", "down"))
            self.change(step, service, backend, f"state {backend.state}")

    def edit_health(self, step):
        service = self.pick(step)
        backend = self.backend_of(service)
        if backend:
            backend.health = "up" if backend.health == "down" else "down"
            self.change(step, service, backend, f"health {backend.health}")

    def edit_service(self, step):
        service = self.pick(step)
        words = []
        if self.random.random() < 0.5:
            service.echo = self.random.randint(0, 1)
            words.append(f"echo {'on' if service.echo else 'off'}")
        if self.random.random() < 0.5:
            service.fail = self.random.choice(("open", "closed"))
            words.append(f"fail {service.fail}")
            step.collected.add(service.name)
        if service.protocol == "tcp" or not words:
            if service.name != DNS:
                service.settle = self.random.choice((1, 2, 3))
            words.append(f"settle {service.settle}")
        step.lines.append(f"service change {service.name} {' '.join(words)}")
        for each in service.backends.values():
            if service.state(each) == "down":
                step.ended.append((service.name, host_name(each.address)))

    def edit_service_add(self, step):
        free = [service for service in map(lambda each: Service(*each), OTHERS)
                if service.name not in step.wanted.services]
        if not free or len(step.wanted.services) >= SERVICES_MAX:
            return
        service = self.random.choice(free)
        service.mode = self.random.choice([mode for mode in MODES
                                           if self.mode_fits(service, mode)])
        service.hash = self.random.choice(("flow", "source"))
        service.table = self.random.choice(TABLES)
        service.fail = self.random.choice(("open", "closed"))
        words = f"mode {service.mode} hash {service.hash} table {service.table} fail {service.fail}"
        service.settle = step.wanted.settings["settle"]
        step.wanted.add(service)
        step.lines.append(f"service add {service.name} {words}")
        for _ in range(self.random.randint(0, 3)):
            backend = self.new_backend(service)
            if (backend.address, backend.port) not in service.backends \
                    and len(step.wanted.pairs()) < BACKENDS_MAX:
                service.backends[backend.address, backend.port] = backend
                step.adds += 1
                step.lines.append(f"{backend.line(service)} weight {backend.weight} "
                                  f"state {backend.state} health {backend.health}")
        if step.how == "single" and len(step.lines) > 1:
            step.how = "batch"

    def edit_service_del(self, step):
        service = self.pick(step)
        if service.name in TRAFFIC:
            return
        del step.wanted.services[service.name]
        step.lines.append(f"service del {service.name}")

    @staticmethod
    def mode_fits(service, mode):
        if service.any and mode not in ("dnat", "nat"):
            return False
        return all((mode in ("ipip", "gue") or (":" in each.address) == (service.version == 6))
                   and (mode not in DIRECT or each.port == service.port)
                   for each in service.backends.values())

    def edit_mode(self, step):
        """Where connections survive it, or nobody has any."""
        service = self.pick(step)
        if service.name == STRAIGHT:
            modes = DIRECT
        elif service.name == TWIN:
            modes = ("dnat", "nat")
        elif service.name in TRAFFIC:
            return
        else:
            modes = tuple(MODES)
        mode = self.random.choice([mode for mode in modes if self.mode_fits(service, mode)])
        if mode == service.mode:
            return
        if not {mode, service.mode} <= set(DIRECT):
            step.ended.append((service.name, None))
        service.mode = mode
        step.lines.append(f"service change {service.name} mode {mode}")
        step.collected.add(service.name)

    def other_table(self, service):
        return self.random.choice([size for size in TABLES if size != service.table])

    def edit_empty(self, step):
        """A table of another size, which a service without backends may get."""
        empty = [service for service in step.wanted.services.values() if not service.backends]
        if empty:
            service = self.random.choice(empty)
            service.table = self.other_table(service)
            service.placing = -self.number
            service.hash = self.random.choice(("flow", "source"))
            step.lines.append(f"service change {service.name} table {service.table} "
                              f"hash {service.hash}")

    def edit_rule(self, step):
        """A prefix is let in or kept out, otherwise than before, or not any more."""
        service = self.pick(step) if self.random.random() < 0.6 else None
        rules = service.rules if service else step.wanted.rules
        version = service.version if service else self.random.choice((4, 6))
        prefix = self.random.choice(PREFIXES[version])
        action, verb = self.random.choice(("allow", "deny")), "add"
        if prefix in rules:
            verb = self.random.choice(("change", "del"))
        of = f" service {service.name}" if service else ""
        if verb == "del":
            del rules[prefix]
            step.lines.append(f"acl del {prefix}{of}")
        else:
            rules[prefix] = action
            step.lines.append(f"acl {verb} {prefix} {action}{of}")

    def edit_limit(self, step):
        service = self.pick(step)
        service.limit = self.random.choice((0, 1000, 5000))
        words = f"{service.limit} burst {service.limit + 1}" if service.limit else "off"
        service.burst = service.limit + 1 if service.limit else 0
        step.lines.append(f"service change {service.name} limit {words}")

    def edit_config(self, step):
        name = self.random.choice(("settle", "records", "table"))
        value = self.random.choice({"settle": (2, 3, 5), "records": (4096, 5000),
                                    "table": TABLES}[name])
        step.wanted.settings[name] = value
        step.lines.append(f"config set {name} {value}")
