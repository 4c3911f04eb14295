# SPDX-License-Identifier: GPL-2.0-only
"""What the maps mean, whatever ids, places and times they say it with."""

import world

SERVICE_FIELDS = ("mode", "hash", "settle", "fail", "warmup", "limit", "burst")
DNAT, NAT = 1, 2
TUNNELS = (4, 5)
ALLOW, DENY = 1, 2
# Whom rules are asked for.
CLIENTS = [bytes((10, 1, 2, 3)), bytes((10, 2, 3, 4)), bytes((11, 1, 1, 1)), bytes((9, 9, 9, 9))]


def family_end(key):
    return bytes(key["address"]), key["port"], key["protocol"]


def vip_of(key):
    """The address of a backend's service as services and replies have it, and the port."""
    address = bytes(key["service_address"])
    if address[:12] == bytes(10) + b"\xff\xff":
        address = address[12:]
    return address, key["service_port"]


class Logical:
    """A decoded copy of the maps: take it, compare it, and look for faults."""

    def __init__(self, seen):
        self.targets = seen.targets()
        self.live = {number for number, target in self.targets.items() if target["live"]}
        self.backend_of = {value["id"]: (key, value) for key, value in seen.backends()}
        self.services = [(key, value, seen.table(value)) for key, value in seen.services()]
        self.replies = [(key, value) for name in ("xlb_replies4", "xlb_replies6")
                        for key, value in seen.maps[name].items()]
        self.config = seen.maps["xlb_config"].get(0)
        self.vips = {bytes(key["address"]): (value["services"], value["echo"])
                     for key, value in seen.maps["xlb_vips"].items()}

        self.rules = {(key["service"], bytes(key["address"]), value["length"]): value["action"]
                      for name in ("xlb_acl4", "xlb_acl6") for key, value in seen.maps[name].items()}

    def rule_of(self, number, client):
        """(length, whether of a service, action) of the longest prefix with the client."""
        found = [(length, number > 0, action)
                 for (owner, address, length), action in self.rules.items()
                 if owner == number and len(address) == len(client) and
                 not (int.from_bytes(address, "big") ^ int.from_bytes(client, "big"))
                 >> (8 * len(client) - length)]
        return max(found, default=(-1, False, ALLOW))

    def verdicts(self):
        """What a packet of each client finds at each IPv4 service."""
        return {(family_end(key), client):
                max(self.rule_of(0, client) if self.config["rules4"] else (-1, False, ALLOW),
                    self.rule_of(value["number"], client) if value["rules"]
                    else (-1, False, ALLOW))[2]
                for key, value, _ in self.services if key["family"] == "4" for client in CLIENTS}

    def owners(self):
        """Services by the numbers of their rules."""
        return {value["number"]: family_end(key) for key, value, _ in self.services} | {0: None}

    def name(self, number):
        """Who an id is: address and port."""
        if number in (0, world.DELETED):
            return number
        target = self.targets[number]
        return bytes(target["address"]), target["port"]

    def end(self, number):
        """The address as keys of xlb_replies* have it, and the port."""
        address, port = self.name(number)
        return address if any(address[4:]) else address[:4], port

    @staticmethod
    def mapped(key):
        """The address of a service as a key of xlb_vips."""
        address = bytes(key["address"])
        return address if len(address) == 16 else bytes(10) + b"\xff\xff" + address

    def meaning(self):
        return {
            "vips": sorted(self.vips.items()),
            "services": sorted((family_end(key), value["table"]["size"],
                                [value[name] for name in SERVICE_FIELDS],
                                [self.name(current) for current, _ in table])
                               for key, value, table in self.services),
            "backends": sorted((bytes(key["service_address"]), key["service_port"],
                                bytes(key["address"]), key["port"], key["protocol"],
                                value["weight"], value["admin"], value["health"],
                                value["cold"])
                               for key, value in self.backend_of.values()),
            "live": sorted(self.name(number) for number in self.live),
            "rules": sorted(((address, length, action), str(self.owners().get(number, "gone")))
                            for (number, address, length), action in self.rules.items()),
            "verdicts": self.verdicts(),
            # Which of several is the first depends on how it came about.
            "replies": sorted((family_end(key), value["by_flow"],
                               (bytes(value["address"]), value["port"]) if not value["by_flow"]
                               else any(value["address"]),
                               self.name(value["backend"]) if not value["by_flow"] else ())
                              for key, value in self.replies),
        }

    def faults(self):
        """What packets must never find, whenever a writer was stopped."""
        found = []
        for key, value, table in self.services:
            for slot, (current, _) in enumerate(table):
                if current and current not in self.live:
                    found.append(f"slot {slot} leads to {current}, which is not live")
            for number in {current for current, _ in table if current}:
                found += self.lost(key, value["mode"], number)
            if any(current for current, _ in table) and not self.has_source(key, value["mode"]):
                found.append(f"no source for {key}")
            if any(key["address"]) and self.mapped(key) not in self.vips:
                found.append(f"not among the VIPs: {key}")
        if self.services and (self.config["abi"] != world.ABI or not self.config["hz"]
                              or not self.config["seed"]):
            found.append("services, but no configuration")
        for key, _, _ in self.services:
            if not any(key["address"]) and not self.config["needs"]["any_address4"]:
                found.append("a service on any address is never looked for")
        return found[:3]

    def replies_of(self, number, protocol):
        """The entries that a packet of this backend can find."""
        address, port = self.end(number)
        found = {key["port"]: value for key, value in self.replies
                 if bytes(key["address"]) == address and key["protocol"] == protocol}
        exact = found.get(port) or found.get(0)
        return list(found.values()) if not port else [exact] if exact else []

    def has_source(self, key, mode):
        """Is there an address for what the mode sends?  A tunnel's may be of either family."""
        if mode == NAT:
            return self.config["nat4_count" if key["family"] == "4" else "nat6_count"]
        return mode not in TUNNELS or any(self.config["tunnel4"]) or any(self.config["tunnel6"])

    def lost(self, key, mode, number):
        """Does a reply to a packet of this service find its way?"""
        vip = bytes(key["address"]).ljust(16, b"\0"), key["port"]
        replies = self.replies_of(number, key["protocol"])
        if mode == NAT:
            told = replies and all(reply["by_flow"] for reply in replies)
        elif mode != DNAT:
            told = True
        else:
            # Who asks the record finds one of each flow, unless it is not needed.
            told = replies and all(
                self.targets[number]["by_flow"] if reply["by_flow"]
                else any(key["address"]) and (bytes(reply["address"]), reply["port"]) == vip
                for reply in replies)
        return [] if told else [f"a slot leads to {number}, whose replies get lost"]

    def unrecorded(self, before):
        """Flows from before that have no record, and are taken for another service's."""
        modes = {family_end(key): value["mode"] for key, value, _ in self.services}
        found = []
        for key, value, table in before.services:
            if value["mode"] != DNAT or modes.get(family_end(key)) != DNAT:
                continue
            vip = bytes(key["address"]).ljust(16, b"\0"), key["port"]
            found += [f"{number} is not the first any more"
                      for number in {current for current, _ in table if current}
                      if not before.targets[number]["by_flow"] and number in self.backend_of
                      for reply in self.replies_of(number, key["protocol"])
                      if (bytes(reply["address"]), reply["port"]) != vip]
        return found[:3]

    def answering(self):
        """Backends whose replies xlb sees: (key, id, mode)."""
        modes = {family_end(key): value["mode"] for key, value, _ in self.services}
        for key, value in self.backend_of.values():
            mode = modes.get((*vip_of(key), key["protocol"]))
            if mode in (DNAT, NAT):
                yield key, value["id"], mode

    def told_by_flow(self):
        """Ids of mode dnat whose packets are not told by the backend's address."""
        all_of = list(self.answering())
        for key, number, mode in all_of:
            others = [(other, kind) for other, same, kind in all_of if same != number
                      and (other["address"], other["protocol"]) == (key["address"], key["protocol"])
                      and (other["port"] == key["port"] or 0 in (other["port"], key["port"]))]
            port = key["port"] or max((other["port"] for other, _ in others), default=0)
            if mode == DNAT and (not any(vip_of(key)[0]) or any(
                    kind == NAT or vip_of(other)[0] != vip_of(key)[0] or
                    (other["service_port"] or port) != (key["service_port"] or port)
                    for other, kind in others)):
                yield number

    def leftovers_of_rules(self):
        counts = {("all", 4): self.config["rules4"], ("all", 16): self.config["rules6"]}
        counts |= {value["number"]: value["rules"] for _, value, _ in self.services
                   if value["number"]}
        real = dict.fromkeys(counts, 0)
        for number, address, _ in self.rules:
            owner = number or ("all", len(address))
            real[owner] = real.get(owner, 0) + 1
        numbers = [value["number"] for _, value, _ in self.services if value["number"]]
        found = [f"{counts} rules are counted, there are {real}"] if counts != real else []
        found += ["rules are updating"] if self.config["rules_updating"] else []
        return found + (["two services with a number"] if len(numbers) > len(set(numbers)) else [])

    def misjudged(self, before, after):
        """Clients that are treated neither as before nor as they are to be."""
        return [f"{where}: {verdict}" for where, verdict in self.verdicts().items()
                if verdict not in (before["verdicts"].get(where, verdict),
                                   after["verdicts"].get(where, verdict))][:3]

    def missing(self, before, after):
        """Services that stood and are to stand, and do not."""
        stands = {family_end(key) for key, _, _ in self.services}
        both = ({service[0] for service in before["services"]}
                & {service[0] for service in after["services"]})
        return [f"not there meanwhile: {end}" for end in sorted(both - stands)]

    def leftovers(self):
        """What a finished writer does not leave."""
        found = [f"updating: {key}" for key, value, _ in self.services if value["updating"]]
        found += self.leftovers_of_rules()
        found += [f"live without a backend: {number}" for number in self.live
                  if number not in self.backend_of]
        found += [f"reply of nobody: {key}" for key, value in self.replies
                  if value["backend"] not in self.backend_of]
        ends = {(family_end(key)) for key, _, _ in self.services}
        for key, value in self.backend_of.values():
            if (*vip_of(key), key["protocol"]) not in ends:
                found.append(f"backend of no service: {key}")
        recorded = set(self.told_by_flow())
        found += [f"flows are recorded for {number}, or should be" for number in self.backend_of
                  if self.targets[number]["by_flow"] != (number in recorded)]
        ends = {(self.end(number), key["protocol"]) for key, number, _ in self.answering()}
        entries = {((bytes(key["address"]), key["port"]), key["protocol"])
                   for key, _ in self.replies}
        found += [f"a reply that never comes: {end}" for end in entries - ends]
        found += [f"a reply that is not known: {end}" for end in ends - entries]
        found += [f"a VIP of nobody: {address}" for address in self.vips
                  if address not in {self.mapped(key) for key, _, _ in self.services}]
        for _, _, table in self.services:
            found += [f"a mark of {previous}, which is gone" for _, previous in set(table)
                      if previous not in (0, world.DELETED)
                      and previous not in self.backend_of]
        return found[:3]

    def unarmed(self, before, now):
        """Slots that are marked now and were not: their settle time must run."""
        old = {family_end(key): table for key, _, table in before.services}
        return [f"slot {slot} is marked, but no settle time runs"
                for key, value, table in self.services
                for slot, ((_, was), (_, mark)) in enumerate(zip(old.get(family_end(key), ()),
                                                                 table))
                if mark and not was and value["settle_until"] <= now][:3]
