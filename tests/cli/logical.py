# SPDX-License-Identifier: GPL-2.0-only
"""What the maps mean, whatever ids, places and times they say it with."""

import world

SERVICE_FIELDS = ("mode", "hash", "settle", "fail")
DNAT, NAT = 1, 2


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
        self.vips = {bytes(key["address"]): (value["services"], value["echo"])
                     for key, value in seen.maps["xlb_vips"].items()}

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
                                value["weight"], value["admin"], value["health"])
                               for key, value in self.backend_of.values()),
            "live": sorted(self.name(number) for number in self.live),
            "replies": sorted((family_end(key), bytes(value["address"]), value["port"],
                               self.name(value["backend"])) for key, value in self.replies),
        }

    def faults(self):
        """What packets must never find, whenever a writer was stopped."""
        found = []
        answered = {(bytes(key["address"]), key["port"]): value for key, value in self.replies}
        for key, value, table in self.services:
            for slot, (current, _) in enumerate(table):
                if current and current not in self.live:
                    found.append(f"slot {slot} leads to {current}, which is not live")
                if current:
                    found += self.lost(key, value["mode"], current, answered)
            if any(key["address"]) and self.mapped(key) not in self.vips:
                found.append(f"not among the VIPs: {key}")
        if self.services and (self.config["abi"] != world.ABI or not self.config["hz"]
                              or not self.config["seed"]):
            found.append("services, but no configuration")
        for key, _, _ in self.services:
            if not any(key["address"]) and not self.config["needs"]["any_address4"]:
                found.append("a service on any address is never looked for")
        return found[:3]

    def lost(self, key, mode, number, answered):
        """Does a reply to a packet of this service find its way?"""
        reply = answered.get(self.end(number))
        vip = bytes(key["address"]).ljust(16, b"\0"), key["port"]
        if mode == NAT:
            told = reply and reply["by_flow"]
        elif mode != DNAT:
            told = True
        elif any(key["address"]):
            # Of another number: the backend is on its way to another service.
            told = reply and (reply["backend"] != number
                              or (bytes(reply["address"]), reply["port"]) == vip)
        else:
            told = reply and reply["by_flow"] and self.targets[number]["by_flow"]
        return [] if told else [f"a slot leads to {number}, whose replies get lost"]

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
        found += [f"flows are recorded for {number} in mode {value['mode']}"
                  for key, value, table in self.services for number in {each[0] for each in table}
                  if number and self.targets[number]["by_flow"] !=
                  (value["mode"] == DNAT and not any(key["address"]))]
        answering = {self.end(number) for key, value, table in self.services
                     if value["mode"] not in (DNAT, NAT) for number, _ in table if number}
        found += [f"a reply that never comes: {key}" for key, _ in self.replies
                  if (bytes(key["address"]), key["port"]) in answering]
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
