# SPDX-License-Identifier: GPL-2.0-only
"""What the maps must hold after each change: from the configuration, from what they held,
and from xlb(7), the comments of xlb_abi.h and table_reference.py; nothing is the helper's.

What they leave open is taken from the maps, where it is one of what they allow: which of
the free ids a new backend gets, the jiffies of a change, the step of a warm-up, and which
service is the first of several that came to have a backend at once.
"""

import functools
import ipaddress

import table_reference
from configuration import ACTIONS, FAILS, HASHES, MODES, PROTOCOLS, REPLYING, STATES, mapped

DELETED = 65535
STEPS = 9
FORWARD = 1


@functools.lru_cache(maxsize=64)
def owners_of(backends, not_up, cold, size):
    """By place in `backends` (address, port, weight), from 1; 0 is nobody."""
    if not any(weight for _, _, weight in backends):
        return [0] * size
    return table_reference.table(not_up, dict(enumerate(cold, 1)), size, backends)


class Seen:
    """A decoded copy of the maps, of the same moment."""

    def __init__(self, world):
        self.config = world.maps["xlb_config"].get(0)
        self.services = {(bytes(key["address"]), key["port"], key["protocol"]): value
                         for key, value in world.services()}
        self.slots = {end: world.table(value) for end, value in self.services.items()}
        self.backends = {(bytes(key["service_address"]), key["service_port"], key["protocol"],
                          bytes(key["address"]), key["port"]): value
                         for key, value in world.backends()}
        btf, targets = world.btf, world.maps["xlb_targets"]
        self.targets = {number: btf.unpack(targets.value, value)
                        for number, value in enumerate(targets.dump().values())}
        self.replies = {(bytes(key["address"]), key["port"], key["protocol"]): value
                        for name in ("xlb_replies4", "xlb_replies6")
                        for key, value in world.maps[name].items()}
        self.vips = {bytes(key["address"]): value
                     for key, value in world.maps["xlb_vips"].items()}
        self.rules = {(key["service"], bytes(key["address"]), value["length"]):
                      (key["bits"], value["action"])
                      for name in ("xlb_acl4", "xlb_acl6")
                      for key, value in world.maps[name].items()}
        # Others are there for their MTU alone, and come and go with the prober's device.
        self.links = {world.number(key): value
                      for key, value in world.maps["xlb_links"].items() if value["redirect"]}
        # (service's end, slot) -> ids of records of flows to it
        self.records = {}
        for name in ("xlb_flows4", "xlb_flows6", "xlb_embryos4", "xlb_embryos6"):
            for key, value in world.maps[name].items():
                if value["direction"] == FORWARD:
                    end = bytes(key["destination"]), key["destination_port"], key["protocol"]
                    self.records.setdefault((end, value["slot"]), set()).add(value["backend"])
        self.refused = world.maps["xlb_budget"].get(0)["refused"]


class Placed:
    """How a service stands: slots, and when they changed."""

    def __init__(self, placing, slots, changed=0, settle_until=0):
        self.placing, self.slots = placing, slots
        self.changed, self.settle_until = changed, settle_until


class Standing:
    def __init__(self, seen, hz):
        self.hz = hz
        self.configuration = None
        self.services = {}                  # by identity
        self.ids = {}                       # of backends, by identity
        self.recovered = {}                 # the same: (jiffies, cold)
        self.generations = {number: target["generation"]
                            for number, target in seen.targets.items()}
        self.replies = {}
        self.numbers = {}                   # of services, by identity
        self.links = seen.links
        self.records = {}
        self.marked = self.cleared = 0      # marks, ever

    def free_ids(self):
        """In the order in which they are to be given out."""
        used = set(self.ids.values())
        for placed in self.services.values():
            for slot in placed.slots:
                used.update(slot)
        return sorted((number for number in self.generations if number and number not in used),
                      key=lambda number: (self.generations[number], number))

    def follow(self, wanted, seen, begun, ended, adds, collected):
        """The standing after a change to `wanted` between two times, and what is wrong with
        it.  `adds`: how many ids were given out; `collected`: names of services whose marks
        were looked at besides those that changed."""
        return Change(self, wanted, seen, begun, ended, adds, collected).run()


class Change:
    """One step from standing to standing."""

    def __init__(self, old, wanted, seen, begun, ended, adds, collected):
        self.old, self.wanted, self.seen = old, wanted, seen
        self.begun, self.ended = begun, ended
        self.adds, self.collected = adds, collected
        self.faults = []
        self.new = Standing(seen, old.hz)
        self.new.configuration = wanted
        self.new.generations = dict(old.generations)
        self.new.records = seen.records
        self.new.marked, self.new.cleared = old.marked, old.cleared

    def fault(self, what, got, wanted):
        self.faults.append(f"{what}: {got}, not {wanted}")

    def equal(self, what, got, wanted):
        if got != wanted:
            self.fault(what, got, wanted)

    def within(self, what, got, low, high):
        if not low <= got <= high:
            self.fault(what, got, f"{low} to {high}")

    def same_keys(self, what, got, wanted):
        for key in set(got) - set(wanted):
            self.faults.append(f"{what}: left over: {key}")
        for key in set(wanted) - set(got):
            self.faults.append(f"{what}: missing: {key}")
        return set(got) & set(wanted)

    def run(self):
        self.check_backends()
        if not self.faults:
            self.check_targets()
            self.check_services()
            self.check_replies()
            self.check_vips()
            self.check_rules()
            self.check_config()
            self.equal("xlb_links", self.seen.links, self.old.links)
            self.new.links = self.old.links
        return self.new, self.faults

    # --- backends, ids, targets ---

    @staticmethod
    def key(service, backend):
        return (mapped(service.address), service.port, PROTOCOLS[service.protocol],
                mapped(backend.address), backend.port)

    def check_backends(self):
        wanted = {self.key(*pair): pair for pair in self.wanted.pairs()}
        free = self.old.free_ids()[:self.adds]
        for key in self.same_keys("xlb_backends", self.seen.backends, wanted):
            service, backend = wanted[key]
            self.check_backend(f"{backend.name(service)} of {service.name}", service, backend,
                               self.seen.backends[key], free)
        self.equal("ids", len(set(self.new.ids.values())), len(self.new.ids))

    def check_backend(self, name, service, backend, value, free):
        number = value["id"]
        if backend.identity in self.old.ids:
            self.equal(f"{name}: id", number, self.old.ids[backend.identity])
        elif number not in free:
            self.fault(f"{name}: id", number, f"one of {free}")
        else:
            self.new.generations[number] = self.old.generations[number] + 1 & 0xffff
        self.new.ids[backend.identity] = number
        self.equal(f"{name}: weight, state, health",
                   (value["weight"], value["admin"], value["health"]),
                   (backend.weight, STATES[backend.state], STATES[backend.health]))
        self.check_warmth(name, service, backend, value)

    def check_warmth(self, name, service, backend, value):
        since, cold = value["recovered"], value["cold"]
        self.new.recovered[backend.identity] = since, cold
        before = self.was(service, backend)
        if not service.warmup or not backend.healthy or before is None:
            self.equal(f"{name}: warming", (since, cold), (0, 0))
            return
        if before:
            began, was_cold = self.old.recovered[backend.identity]
            if not was_cold:
                self.equal(f"{name}: warming", (since, cold), (0, 0))
                return
            low, high = began, began
        else:
            low, high = self.begun, self.ended
        warmup = service.warmup * self.old.hz
        coldest, warmest = (max(0, STEPS - max(0, now - then) * STEPS // warmup)
                            for now, then in ((self.begun, high), (self.ended, low)))
        self.within(f"{name}: cold", cold, warmest, coldest)
        if cold:
            self.within(f"{name}: recovered", since, low, high)
        else:
            self.equal(f"{name}: recovered", since, 0)

    def was(self, service, backend):
        """Whether it was up before; None: it was not there."""
        for other in self.old.configuration.services.values():
            for each in other.backends.values():
                if each.identity == backend.identity:
                    return each.healthy
        return None

    def check_targets(self):
        by_id = {self.new.ids[backend.identity]: (service, backend)
                 for service, backend in self.wanted.pairs()}
        recorded = self.told_by_flow()
        for number, target in self.seen.targets.items():
            self.equal(f"target {number}: generation", target["generation"],
                       self.new.generations[number])
            if number not in by_id:
                self.equal(f"target {number} of nobody: live", target["live"], 0)
                continue
            service, backend = by_id[number]
            packed = ipaddress.ip_address(backend.address).packed
            self.equal(f"target {number}",
                       (bytes(target["address"]), target["port"], target["live"], target["v6"],
                        target["by_flow"]),
                       (packed.ljust(16, b"\0"), backend.port,
                        service.state(backend) != "down", len(packed) == 16,
                        backend.identity in recorded))

    # --- services and their slots ---

    def check_services(self):
        wanted = {service.end: service for service in self.wanted.services.values()}
        ranges = []
        for end in self.same_keys("services", self.seen.services, wanted):
            service, value = wanted[end], self.seen.services[end]
            ranges.append((value["table"]["first"], value["table"]["size"]))
            self.equal(f"{service.name}",
                       [value[name] for name in ("mode", "hash", "settle", "echo", "fail",
                                                 "warmup", "updating", "limit", "burst",
                                                 "rules")]
                       + [value["table"]["size"]],
                       [MODES[service.mode], HASHES[service.hash], service.settle, service.echo,
                        FAILS[service.fail], service.warmup, 0, service.limit,
                        service.burst, len(service.rules), service.table])
            self.check_number(service, value["number"])
            if value["table"]["size"] == service.table:
                self.check_slots(service, value, self.seen.slots[end])
        free = 0
        for first, size in sorted(ranges):
            if first % 16 or first < free:
                self.fault("slots of two services", first, f"{free} or more, by 16")
            free = first + size

    def fate(self, service, number):
        """Of a slot's owner: "live", "down", or "deleted"."""
        for backend in service.backends.values():
            if self.new.ids[backend.identity] == number:
                return "down" if service.state(backend) == "down" else "live"
        return "deleted"

    def owners(self, service):
        backends = list(service.backends.values())
        numbers = [0] + [self.new.ids[each.identity] for each in backends]
        not_up = frozenset(place for place, each in enumerate(backends, 1)
                           if service.state(each) != "up")
        owners = owners_of(tuple((each.address, each.port, each.weight) for each in backends),
                           not_up, tuple(self.new.recovered[each.identity][1]
                                         for each in backends), service.table)
        return [numbers[owner] for owner in owners]

    @staticmethod
    def becomes(slot, owner, fates):
        """A slot that gets an owner (xlb(7), "Marks and records")."""
        current, previous = slot
        if previous:
            return owner, DELETED if fates[previous] == "deleted" else previous
        kept = owner != current and fates[current] == "live"
        return owner, current if kept else 0

    def check_slots(self, service, value, got):
        placed = self.old.services.get(service.identity)
        first = not placed
        if first or placed.placing != service.placing:
            slots = [(0, 0)] * service.table
        else:
            slots = placed.slots
        numbers = {number for slot in slots for number in slot}
        fates = {number: self.fate(service, number) for number in numbers}
        fates[0] = fates[DELETED] = "deleted"
        settled = self.settled(service, value, placed)
        moved, marked = False, set()
        for place, (old, owner) in enumerate(zip(slots, self.owners(service))):
            kept, cleared = (self.becomes(slot, owner, fates) for slot in (old, (old[0], 0)))
            allowed = self.allowed(service, place, old, kept, cleared, settled)
            if got[place] not in allowed:
                self.fault(f"{service.name}: slot {place}, which was {old}", got[place],
                           " or ".join(map(str, sorted(allowed))))
                return
            moved |= owner != old[0]
            self.new.marked += bool(got[place][1] and not old[1])
            self.new.cleared += bool(old[1] and not got[place][1])
            if got[place][1] and (not old[1] or got[place] != kept):
                marked.add(True)
            elif got[place][1] and cleared in allowed and kept == cleared:
                marked.add(None)            # the mark is the old one, or a new one like it
        self.check_times(service, value, placed, moved,
                         True in marked or (None if marked else False))
        self.new.services[service.identity] = Placed(service.placing, got, value["changed"],
                                                     value["settle_until"])

    def settled(self, service, value, placed):
        """May marks of the service be cleared now?  None: perhaps."""
        if not placed or not self.looked_at(service):
            return False
        due = placed.changed + (service.settle + self.wanted.settings["idle"]) * self.old.hz
        if self.ended <= due:
            return False
        return True if self.begun > due and not self.seen.refused else None

    def looked_at(self, service):
        return service.name in self.collected or any(
            self.new.recovered[each.identity] != self.old.recovered.get(each.identity)
            for each in service.backends.values())

    def allowed(self, service, place, old, kept, cleared, settled):
        if not old[1] or settled is False:
            return {kept}
        key = (service.end, place)
        records = self.old.records.get(key, set()) | self.seen.records.get(key, set())
        if settled and records <= {old[0]}:
            return {cleared}
        return {kept, cleared}

    def check_times(self, service, value, placed, moved, marked):
        for name, changes, low, high in (
                ("changed", moved, self.begun, self.ended),
                ("settle_until", marked, self.begun + service.settle * self.old.hz,
                 self.ended + service.settle * self.old.hz)):
            stood = getattr(placed, name) if placed else 0
            if changes or (changes is None and value[name] != stood):
                self.within(f"{service.name}: {name}", value[name], low, high)
            else:
                self.equal(f"{service.name}: {name}", value[name], stood)

    # --- whose a reply is ---

    def groups(self):
        """For each end of a backend that answers by xlb: who has it, any port included."""
        answering = [(service, backend) for service, backend in self.wanted.pairs()
                     if service.mode in REPLYING]
        ends = {}
        for service, backend in answering:
            end = (ipaddress.ip_address(backend.address).packed, backend.port,
                   PROTOCOLS[service.protocol])
            ends.setdefault(end, []).append((service, backend))
        for end, members in ends.items():
            any_port = ends.get((end[0], 0, end[2]), []) if end[1] else []
            yield end, members, any_port

    @staticmethod
    def vip(service):
        return service.end[0].ljust(16, b"\0"), service.port

    def differ(self, end, members):
        """Is one address not enough to tell whose a packet is?"""
        vips = {(service.end[0], service.port or end[1]) for service, _ in members}
        return len(vips) > 1 or any(service.any or service.mode == "nat"
                                    for service, _ in members)

    def told_by_flow(self):
        """Backends of mode dnat that are among those that differ."""
        return {backend.identity for end, members, any_port in self.groups()
                if self.differ(end, members + any_port)
                for service, backend in members + any_port if service.mode == "dnat"}

    def check_replies(self):
        groups = {end: members + any_port for end, members, any_port in self.groups()}
        for end in self.same_keys("replies", self.seen.replies, groups):
            reply, members = self.seen.replies[end], groups[end]
            name = f"reply of {ipaddress.ip_address(end[0])}:{end[1]}"
            self.equal(f"{name}: by_flow", reply["by_flow"], self.differ(end, members))
            got = bytes(reply["address"]), reply["port"]
            allowed = self.first(end, members)
            if got not in allowed:
                self.fault(name, got, f"one of {allowed}")
            owners = {self.new.ids[backend.identity] for service, backend in members
                      if not any(got[0]) or self.vip(service) == got}
            if reply["backend"] not in owners:
                self.fault(f"{name}: backend", reply["backend"], f"one of {owners}")
            self.new.replies[end] = got

    def first(self, end, members):
        """Whose a packet is that no record tells of: of the first, while he is there; but a
        service on this port comes before one of its address on any."""
        exact = {self.vip(service) for service, _ in members
                 if service.mode == "dnat" and not service.any and service.port == end[1]}
        return {(address, end[1]) if (address, end[1]) in exact else (address, port)
                for address, port in self.oldest(end, members)}

    def oldest(self, end, members):
        named = [(service, backend) for service, backend in members
                 if service.mode == "dnat" and not service.any]
        if not named:
            return {(bytes(16), 0)} | {(bytes(16), service.port) for service, _ in members
                                       if service.any and service.mode == "dnat"}
        vips = {self.vip(service) for service, _ in named}
        for stood in (self.old.replies.get(end), self.old.replies.get((end[0], 0, end[2]))):
            if stood in vips:
                return {stood}
        older = {self.vip(service) for service, backend in named
                 if backend.identity in self.old.ids}
        return older or vips

    # --- the rest ---

    def check_vips(self):
        wanted = {}
        for service in self.wanted.services.values():
            if not service.any:
                count = wanted.setdefault(mapped(service.address), {"services": 0, "echo": 0})
                count["services"] += 1
                count["echo"] += bool(service.echo and service.takes())
        self.equal("xlb_vips", self.seen.vips, wanted)

    def check_number(self, service, number):
        """What its rules are kept under: nothing at first, and then always the same."""
        stood = self.old.numbers.get(service.identity, 0)
        if stood:
            self.equal(f"{service.name}: number", number, stood)
        elif bool(number) < bool(service.rules or service.limit):
            self.fault(f"{service.name}: number", number, "one of its own")
        if number and number in self.new.numbers.values():
            self.fault(f"{service.name}: number", number, "one that no other has")
        self.new.numbers[service.identity] = number

    def check_rules(self):
        scopes = [(0, self.wanted.rules)]
        scopes += [(self.new.numbers.get(service.identity), service.rules)
                   for service in self.wanted.services.values()]
        wanted = {}
        for number, rules in scopes:
            for prefix, action in rules.items():
                network = ipaddress.ip_network(prefix)
                wanted[number, network.network_address.packed, network.prefixlen] = (
                    32 + network.prefixlen, ACTIONS[action])
        self.same_keys("rules", self.seen.rules, wanted)
        for key in set(wanted) & set(self.seen.rules):
            self.equal(f"rule {key}", self.seen.rules[key], wanted[key])
        for version in (4, 6):
            size = 4 if version == 4 else 16
            self.equal(f"config: rules{version}", self.seen.config[f"rules{version}"],
                       sum(len(address) == size and not number
                           for number, address, _ in wanted))
        self.equal("config: rules_updating", self.seen.config["rules_updating"], 0)

    def check_config(self):
        needs = {f"{what}{version}": int(any(
            service.version == version and (service.any if what == "any_address"
                                            else not service.port)
            for service in self.wanted.services.values()))
            for what in ("any_address", "any_port") for version in (4, 6)}
        self.equal("needs", self.seen.config["needs"], needs)
        for name, value in self.wanted.settings.items():
            self.equal(f"config: {name}", self.seen.config[name], value)
