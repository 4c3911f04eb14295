# SPDX-License-Identifier: GPL-2.0-only
"""ICMP errors about packets, made by Scapy, which makes every checksum anew."""

from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import (ICMPv6DestUnreach, ICMPv6PacketTooBig, ICMPv6ParamProblem,
                                ICMPv6TimeExceeded, IPv6)
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from frame import CLIENT_MAC, XLB_MAC, network

# By the version of the packet that an error is about; the first is "too big".
ERRORS = {4: {"fragmentation needed": ICMP(type=3, code=4, nexthopmtu=1400),
              "port unreachable": ICMP(type=3, code=3),
              "time exceeded": ICMP(type=11, code=0),
              "parameter problem": ICMP(type=12, code=0, ptr=20)},
          6: {"packet too big": ICMPv6PacketTooBig(mtu=1400),
              "port unreachable": ICMPv6DestUnreach(code=4),
              "time exceeded": ICMPv6TimeExceeded(code=0),
              "parameter problem": ICMPv6ParamProblem(code=1, ptr=40)}}
HEADER = {4: 20, 6: 40}
ROUTERS = {4: "203.0.113.1", 6: "2001:db8:9::1"}        # on some client's way


def packet_of(data):
    """The IP packet of a frame."""
    return data[network(data):]


def error(kind, quoted, destination, *, source=None, size=None, ttl=64, smac=CLIENT_MAC,
          dmac=XLB_MAC, tags=(), checksum=None, options=()):
    """A frame with an error about this packet, given as bytes, of which it quotes `size`."""
    version = quoted[0] >> 4
    head = Ether(src=smac, dst=dmac)
    for tag in tags:
        head /= tag.copy()
    source = source or ROUTERS[version]
    if version == 4:
        head /= IP(src=source, dst=destination, ttl=ttl, id=7, options=list(options))
    else:
        head /= IPv6(src=source, dst=destination, hlim=ttl)
    message = ERRORS[version][kind].copy() if isinstance(kind, str) else kind.copy()
    if checksum is not None:
        message.setfieldval("chksum" if version == 4 else "cksum", checksum)
    return bytes(head / message / Raw(quoted[:size]))
