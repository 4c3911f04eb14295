# SPDX-License-Identifier: GPL-2.0-only
"""What is configured, as the commands have it: a model that knows nothing of maps."""

import copy
import ipaddress
import itertools

PROTOCOLS = {"tcp": 6, "udp": 17}
MODES = {"dnat": 1, "nat": 2, "dr": 3, "ipip": 4, "gue": 5}
HASHES = {"flow": 1, "source": 2}
STATES = {"up": 1, "drain": 2, "down": 3}
FAILS = {"closed": 0, "open": 1}
ACTIONS = {"allow": 1, "deny": 2}
# Of those that `xlb -j` shows.
SERVICE_FIELDS = ("mode", "hash", "table", "settle", "echo", "fail", "warmup", "limit", "burst")
BACKEND_FIELDS = ("weight", "state", "health")
REPLYING = ("dnat", "nat")
DIRECT = ("dr", "ipip", "gue")

identities = itertools.count(1)


def mapped(address):
    """16 bytes, IPv4 as ::ffff:a.b.c.d."""
    packed = ipaddress.ip_address(address).packed
    return packed if len(packed) == 16 else bytes(10) + b"\xff\xff" + packed


def fields(shown, names):
    return {name: shown[name] for name in names}


def text_of(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


class Backend:
    def __init__(self, address, port, weight=1, state="up", health="up"):
        self.identity = next(identities)    # another one after del and add
        self.address, self.port = address, port
        self.weight, self.state, self.health = weight, state, health

    @property
    def healthy(self):
        return self.state == "up" and self.health == "up"

    def shown(self):
        return fields(vars(self), BACKEND_FIELDS)

    def line(self, service, verb="add"):
        return f"backend {verb} {self.name(service)} service {service.name}"

    def name(self, service):
        if not service.port:
            return f"[{self.address}]" if ":" in self.address else self.address
        return text_of(self.address, self.port)


class Service:
    def __init__(self, address, port, protocol, **more):
        self.identity = next(identities)
        self.placing = next(identities)     # its slots begin anew with another one
        self.address, self.port, self.protocol = address, port, protocol
        self.mode, self.hash, self.table, self.settle = "dnat", "flow", 251, 30
        self.echo, self.fail, self.warmup = 1, "closed", 0
        self.limit = self.burst = 0
        self.backends = {}                  # by address and port
        self.rules = {}                     # prefix -> action
        self.__dict__.update(more)

    @property
    def any(self):
        return not any(ipaddress.ip_address(self.address).packed)

    @property
    def version(self):
        return 6 if ":" in self.address else 4

    @property
    def name(self):
        address = self.address
        if self.any:
            address = "[*]" if self.version == 6 else "*"
        elif self.version == 6:
            address = f"[{address}]"
        return f"{address}:{self.port or '*'}/{self.protocol}"

    @property
    def end(self):
        """As xlb_services* has it."""
        return ipaddress.ip_address(self.address).packed, self.port, PROTOCOLS[self.protocol]

    def unheeded(self):
        """Does health count for nothing?"""
        return self.fail == "open" and not any(each.weight and each.healthy
                                               for each in self.backends.values())

    def state(self, backend):
        """Operator and checker together."""
        failed = backend.health == "down" and not self.unheeded()
        return "down" if failed else backend.state

    def takes(self):
        """Has it a backend for new flows?"""
        return any(self.state(each) == "up" and each.weight for each in self.backends.values())

    def shown(self):
        return dict(fields(vars(self), SERVICE_FIELDS), echo=bool(self.echo),
                    limit=self.limit or None, burst=self.burst or None)

    def words(self):
        echo = "on" if self.echo else "off"
        return (f"mode {self.mode} hash {self.hash} table {self.table} settle {self.settle} "
                f"echo {echo} fail {self.fail} warmup {self.warmup}")


class Configuration:
    def __init__(self, **settings):
        self.settings = settings
        self.services = {}                  # by name
        self.rules = {}                     # for all services: prefix -> action

    def copy(self):
        return copy.deepcopy(self)

    def add(self, service):
        assert service.name not in self.services
        self.services[service.name] = service

    def pairs(self):
        return [(service, backend) for service in self.services.values()
                for backend in service.backends.values()]

    def shown(self):
        """What `xlb -j` shows: services, backends by their service's name and theirs."""
        return ({service.name: service.shown() for service in self.services.values()},
                {(service.name, backend.name(service)): backend.shown()
                 for service, backend in self.pairs()})

    def shown_rules(self):
        """Of each service and of all, by prefix."""
        return {"all": self.rules,
                **{service.name: service.rules for service in self.services.values()}}

    def restored(self, saved):
        """What `xlb restore` makes of this, given the lines of a configuration saved before:
        what is in both stays what it is; the checker's word about it, too."""
        result = saved.copy()
        for name, service in result.services.items():
            old = self.services.get(name)
            stays = old and self.changeable(old, service)
            if stays:
                service.identity, service.placing = old.identity, old.placing
                if old.table != service.table:
                    service.placing = next(identities)
            else:
                service.identity, service.placing = next(identities), next(identities)
            for key, backend in service.backends.items():
                backend.identity = next(identities)
                twin = old.backends.get(key) if old else None
                if twin:
                    backend.health = twin.health
                    if stays:
                        backend.identity = twin.identity
        return result

    @staticmethod
    def changeable(old, new):
        """Without being deleted and added again."""
        if old.backends and (old.table, old.hash) != (new.table, new.hash):
            return False
        return old.mode == new.mode or not set(old.backends) - set(new.backends)
