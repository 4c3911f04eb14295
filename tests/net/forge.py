#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Says on a link, ten times a second, that addresses are at this link's MAC, whosever they
are (gratuitous ARP, unsolicited NA): forge.py DEV ADDRESS...  Until SIGTERM."""
import sys

from scapy.all import (ARP, Ether, ICMPv6ND_NA, ICMPv6NDOptDstLLAddr, IPv6, get_if_hwaddr,
                       sendp)

dev, *addresses = sys.argv[1:]
mac = get_if_hwaddr(dev)


def announcement(address):
    if ":" in address:
        return (Ether(src=mac, dst="33:33:00:00:00:01") / IPv6(src=address, dst="ff02::1")
                / ICMPv6ND_NA(R=0, S=0, O=1, tgt=address) / ICMPv6NDOptDstLLAddr(lladdr=mac))
    return (Ether(src=mac, dst="ff:ff:ff:ff:ff:ff")
            / ARP(op="is-at", hwsrc=mac, psrc=address, hwdst=mac, pdst=address))


frames = [announcement(address) for address in addresses]
print("ready", flush=True)
sendp(frames, iface=dev, loop=1, inter=0.1 / len(frames), verbose=False)
