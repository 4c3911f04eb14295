# SPDX-License-Identifier: GPL-2.0-only
"""What the maps mean, whatever ids, places and times they say it with."""

import world

SERVICE_FIELDS = ("mode", "hash", "settle")


def family_end(key):
    return bytes(key["address"]), key["port"], key["protocol"]


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

    def meaning(self):
        return {
            "services": sorted((family_end(key), value["table"]["size"],
                                [value[name] for name in SERVICE_FIELDS],
                                [self.name(current) for current, _ in table])
                               for key, value, table in self.services),
            "backends": sorted((bytes(key["service_address"]), key["service_port"],
                                bytes(key["address"]), key["port"], key["protocol"],
                                value["weight"], value["admin"], value["health"])
                               for key, value in self.backend_of.values()),
            "live": sorted(self.name(number) for number in self.live),
            "replies": sorted((family_end(key), bytes(value["address"]), value["port"],
                               self.name(value["backend"])) for key, value in self.replies),
        }

    def faults(self):
        """What packets must never find, whenever a writer was stopped."""
        found = []
        answered = {(bytes(key["address"]), key["port"]) for key, _ in self.replies}
        for key, value, table in self.services:
            for slot, (current, _) in enumerate(table):
                if current and current not in self.live:
                    found.append(f"slot {slot} leads to {current}, which is not live")
                if current and self.end(current) not in answered:
                    found.append(f"slot {slot} leads to {current}, whose replies get lost")
        if self.services and (self.config["abi"] != 2 or not self.config["hz"]
                              or not self.config["seed"]):
            found.append("services, but no configuration")
        for key, _, _ in self.services:
            if not any(key["address"]) and not self.config["needs"]["any_address4"]:
                found.append("a service on any address is never looked for")
        return found[:3]

    def leftovers(self):
        """What a finished writer does not leave."""
        found = [f"updating: {key}" for key, value, _ in self.services if value["updating"]]
        found += [f"live without a backend: {number}" for number in self.live
                  if number not in self.backend_of]
        found += [f"reply of nobody: {key}" for key, value in self.replies
                  if value["backend"] not in self.backend_of]
        ends = {(family_end(key)) for key, _, _ in self.services}
        for key, value in self.backend_of.values():
            address = bytes(key["service_address"])
            if (address[12:] if address[:12] == bytes(10) + b"\xff\xff" else address,
                    key["service_port"], key["protocol"]) not in ends:
                found.append(f"backend of no service: {key}")
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
