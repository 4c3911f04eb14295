# SPDX-License-Identifier: GPL-2.0-only
"""Frames made by Scapy from a dict of fields, so that every checksum is Scapy's."""

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import Dot1AD, Dot1Q, Ether
from scapy.packet import Raw

TAGS = ((), (Dot1Q(vlan=7, prio=3),), (Dot1AD(vlan=100), Dot1Q(vlan=7)))

CLIENT_MAC = "02:00:00:00:01:00"
XLB_MAC = "02:00:00:00:00:01"


def frame(source, destination, sport, dport, protocol="tcp", *, ttl=64, flags="A",
          payload=b"payload", tags=(), smac=CLIENT_MAC, dmac=XLB_MAC, options=(),
          checksum=None, pad=0, extensions=(), fragment=None, header=()):
    """A whole frame; fields that are not given are as in any ordinary packet.

    `tags` are VLAN headers from the outside in, `options` IPv4 options, `header` more
    fields of the IP header, `extensions` IPv6 headers after it, `fragment` the fields of
    IPv6's fragment header, `pad` the length that Ethernet pads the frame to.
    """
    packet = Ether(src=smac, dst=dmac)
    for tag in tags:
        packet /= tag.copy()
    if ":" in destination:
        packet /= IPv6(src=source, dst=destination, hlim=ttl, **dict(header))
        for extension in extensions:
            packet /= extension.copy()
        if fragment is not None:
            packet /= IPv6ExtHdrFragment(**fragment)
    else:
        packet /= IP(**{"src": source, "dst": destination, "ttl": ttl, "options": list(options),
                        "id": 1} | dict(header))
    transport = {"sport": sport, "dport": dport}
    if checksum is not None:
        transport["chksum"] = checksum
    packet /= UDP(**transport) if protocol == "udp" else TCP(flags=flags, seq=1, **transport)
    return bytes(packet / Raw(payload)).ljust(pad, b"\0")


def network(data):
    """Where in a frame the IP header is."""
    at = 14
    while data[at - 2:at] in (b"\x81\x00", b"\x88\xa8"):
        at += 4
    return at


def fragments(data, size, number):
    """The frames that a whole one becomes where only `size` bytes of payload, a multiple
    of 8, fit; `number` is their identification (RFC 791, 3.2; RFC 8200, 4.5)."""
    at = network(data)
    packet = (IP if data[at] >> 4 == 4 else IPv6)(data[at:])
    header = packet.copy()
    header.remove_payload()
    payload = bytes(packet.payload)
    frames = []
    for start in range(0, len(payload), size):
        piece, more = payload[start:start + size], start + size < len(payload)
        if packet.version == 4:
            fields = {"len": None, "chksum": None, "id": number, "frag": start // 8,
                      "flags": "MF" if more else 0}
            head = IP(**header.fields | fields)
        else:
            head = IPv6(**header.fields | {"plen": None, "nh": 44})
            head /= IPv6ExtHdrFragment(nh=packet.nh, offset=start // 8, m=int(more), id=number)
        frames.append(data[:at] + bytes(head / Raw(piece)))
    return frames


def hop(source, destination):
    """The fields that a router changes."""
    return {"ttl": 63, "smac": source, "dmac": destination}


def compare(got, expected):
    """Both as Scapy reads them, to be printed; what is beyond the headers is cut."""
    return [f"{name} {Ether(data).command()[:500]}"
            for name, data in (("got:   ", got), ("wanted:", expected))]


def with_sum(fields, wanted):
    """The fields with a payload for which the TCP or UDP checksum comes out as `wanted`."""
    layer = UDP if fields["protocol"] == "udp" else TCP
    without = Ether(frame(**fields | {"payload": b"\0\0"}))[layer].chksum
    return fields | {"payload": ((without - wanted) % 0xffff).to_bytes(2, "big")}


def with_header_sum(fields, wanted):
    """The fields with an IPv4 identification that makes the header's checksum `wanted`."""
    without = Ether(frame(**fields | {"header": {"id": 0}}))[IP].chksum
    return fields | {"header": {"id": (without - wanted) % 0xffff}}
