# SPDX-License-Identifier: GPL-2.0-only
"""A service of mode nat, its records, and the source ports that flows get."""

import struct

from lab import DROP, REDIRECT, VIPS, packed
from modes import Kind, start

NONE = (None, None)
ESTABLISHED, EMBRYONIC = (True, False), (False, True)
OWN_PORT = 40000                # the client's
PORT_MIN = 1024                 # of ports that are not the client's own
CLOSED = 60                     # seconds that a closed flow's port stays its own
IDLE = 900                      # and an established one's
CLIENT, BACKEND, RESET = 1, 2, 4        # enum xlb_closing
BOTH = CLIENT | BACKEND
SOURCE_PORT = {4: 34, 6: 54}    # where in an untagged frame


def nat(lab, version, protocol="tcp", **more):
    return start(lab, Kind("nat", version, version), protocol, **more)


def places(way, fields):
    """In which maps a flow has a record: (established, embryonic)."""
    return tuple(record is not None for record in way.lab.records(fields))


def both(way, port=OWN_PORT):
    """Where the records of the way there and of the way back are, by the source port used."""
    return places(way, way.asked), places(way, way.answered | {"dport": port})


def found(way, fields):
    """The flow's record, wherever it is."""
    return next(record for record in way.lab.records(fields) if record)


def send(way, **fields):
    """The source port that the packet goes on with; 0 when dropped."""
    verdict, out = way.lab.run(way.asks(**fields))
    assert verdict in (DROP, REDIRECT), verdict
    return 0 if verdict == DROP else struct.unpack_from("!H", out, SOURCE_PORT[way.kind.version])[0]


def stranger(way, number=1):
    """A client of another address."""
    return way.client[:-1] + f"{number}0"


def taken(way, port=OWN_PORT, **fields):
    """Somebody else's flow has this port towards the backend."""
    key = way.answered | {"dport": port, "protocol": fields.pop("protocol", way.asked["protocol"])}
    way.lab.record(key, 1, **{"direction": "nat_reply", "address": packed(VIPS[way.kind.version]),
                              "port": 80, "client": packed(stranger(way)),
                              "client_port": port} | fields)
