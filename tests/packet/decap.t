#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""decap.o: every tunnel it undoes, what it drops and why, and what it leaves alone."""

import itertools
import random

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import (ICMPv6EchoRequest, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,
                                IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, PadN)
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

import tap
from bpf import LOOPBACK, SHORTEST_FRAME
from decap import (GUE, GUE1, HEADER, IPIP, LOCALS, PORT, PROTOCOLS, STRANGERS, TUNNELS, Decap,
                   carried, combinations, counter_of, ethernet, gue, inner, name_of, outer,
                   protocol_of, unwrapped, wrap)
from frame import CLIENT_MAC, TAGS, XLB_MAC
from lab import CLIENTS, DROP, PASS, VERDICTS, VERSIONS, VIPS

decap = Decap()


def check_every_tunnel():
    for combination in combinations():
        for transport, tags in itertools.product((TCP, UDP), TAGS):
            decap.check_undone(f"{transport.__name__}, {len(tags)} VLAN tags", combination,
                               bytes(inner(combination[2], transport)), tags=tags)
    data = wrap(GUE, 4, 4, bytes(inner(4)))
    for program in decap.programs:
        tap.equal(program.run(data, LOOPBACK), (PASS, unwrapped(bytes(inner(4)))),
                  "either section has the same code")
    decap.counted()


def contents(version):
    """What the inner packet may be besides TCP and UDP: nobody looks beyond its header."""
    if version == 4:
        addresses = {"src": CLIENTS[4], "dst": VIPS[4]}
        return {"options": inner(4, options=[IPOption_NOP()] * 40),
                "a fragment": inner(4, flags="MF", frag=3),
                "ICMP": IP(**addresses) / ICMP(),
                "as much as fits": inner(4) / Raw(bytes(1300)),
                "nothing but a header": IP(**addresses)}
    addresses = {"src": CLIENTS[6], "dst": VIPS[6]}
    return {"an extension header": IPv6(**addresses) / IPv6ExtHdrDestOpt() / UDP(),
            "a fragment": IPv6(**addresses) / IPv6ExtHdrFragment(offset=3) / Raw(bytes(16)),
            "ICMPv6": IPv6(**addresses) / ICMPv6EchoRequest(),
            "as much as fits": inner(6) / Raw(bytes(1300)),
            "nothing but a header": IPv6(**addresses)}


def check_whatever_is_inside():
    for combination in combinations():
        for what, packet in contents(combination[2]).items():
            decap.check_undone(what, combination, bytes(packet))


def check_padding():
    """Behind the inner packet, within the outer length or beyond it."""
    for combination in combinations():
        content = bytes(inner(combination[2]))
        decap.check_undone("a padded inner packet", combination, content + bytes(9))
        decap.check(f"{name_of(*combination)}, a padded frame",
                    wrap(*combination, content) + bytes(9), PASS, counter_of(*combination),
                    unwrapped(content) + bytes(9))


def check_ports():
    content = bytes(inner(4))
    decap.local(LOCALS[4], 7000)
    decap.check_undone("another port for an address", (GUE, 4, 4), content, port=7000)
    decap.check("the default port is not its any more", wrap(GUE, 4, 4, content), PASS, None)
    decap.check_undone("another address keeps its own", (GUE, 6, 4), content)
    decap.reset()
    decap.check_undone("a UDP checksum is not looked at", (GUE, 4, 4), content, chksum=0x1234)


def check_private_data():
    for outside, inside in itertools.product(VERSIONS, VERSIONS):
        content = bytes(inner(inside))
        wanted = (PASS, unwrapped(content), {counter_of(GUE, outside, inside): 1})
        wrong = []
        for words in range(32):
            header = gue(PROTOCOLS[inside], private=random.randbytes(4 * words))
            if decap.outcome(wrap(GUE1, outside, inside, header + content)) != wanted:
                wrong.append(words)
        tap.equal(wrong, [], f"{name_of(GUE, outside, inside)}, 0 to 31 words of private data")


# RFC 6040, figure 4: what an inner packet becomes, by the outer header's ECN.
NOT_ECT, ECT1, ECT0, CE = range(4)
ECN = {
    NOT_ECT: {NOT_ECT: NOT_ECT, ECT0: NOT_ECT, ECT1: NOT_ECT, CE: None},
    ECT0: {NOT_ECT: ECT0, ECT0: ECT0, ECT1: ECT1, CE: CE},
    ECT1: {NOT_ECT: ECT1, ECT0: ECT1, ECT1: ECT1, CE: CE},
    CE: {NOT_ECT: CE, ECT0: CE, ECT1: CE, CE: CE},
}


def check_ecn():
    for combination in combinations():
        inside = combination[2]
        for before, by in itertools.product(ECN, repeat=2):
            content, after = bytes(inner(inside, ecn=before)), ECN[before][by]
            if after is None:
                decap.check(f"{name_of(*combination)}, ECN {before:02b} in {by:02b}",
                            wrap(*combination, content, ecn=by), DROP, "dropped_ecn")
            else:
                decap.check_undone(f"ECN {before:02b} in {by:02b}: {after:02b}", combination,
                                   content, bytes(inner(inside, ecn=after)), ecn=by)


def check_ecn_sums():
    """Inner checksums at both ends of their range, before ECN changes them or after."""
    for before, by in ((ECT0, CE), (ECT1, CE), (ECT0, ECT1)):
        after = ECN[before][by]
        wrong = []
        for ecn, wanted in itertools.product((before, after), (*range(5), *range(0xfffa, 0xffff))):
            number = (IP(bytes(inner(4, ecn=ecn, id=0))).chksum - wanted) % 0xffff
            data = wrap(IPIP, 4, 4, bytes(inner(4, ecn=before, id=number)), ecn=by)
            if decap.run(data) != (PASS, unwrapped(bytes(inner(4, ecn=after, id=number)))):
                wrong.append((ecn, wanted))
        tap.equal(wrong, [], f"sums of any value, ECN {before:02b} in {by:02b}")
    decap.counted()
    decap.check_undone("a sum that nothing changes stays, be it wrong", (IPIP, 4, 4),
                       bytes(inner(4, chksum=0xffff)))


def check_truncated():
    """A frame that ends early: until it is known to be a tunnel's it is not ours."""
    for combination in combinations():
        tunnel, outside, inside = combination
        for tags in TAGS:
            whole = wrap(*combination, bytes(inner(inside)), tags)
            known = len(ethernet(tags)) + HEADER[outside]
            if tunnel != IPIP:
                known += len(UDP())
            elif outside == 6:
                known += 4      # an extension header's, had it been one
            decap.check_all(
                f"{name_of(*combination)}, {len(tags)} VLAN tags, cut at every byte",
                [(length, whole[:length], *((PASS, None) if length < known else
                                            (DROP, "dropped_outer_length")))
                 for length in range(SHORTEST_FRAME, len(whole))])


def check_truncated_inner():
    """An inner packet that ends early, in outer ones that are as they should be."""
    for combination in combinations():
        content = bytes(inner(combination[2]))
        least = 4 if combination[0] == GUE1 else 0      # less is no GUE header
        decap.check_all(f"{name_of(*combination)}, the inner packet cut at every byte",
                        [(length, wrap(*combination, content[:length]).ljust(60, b"\0"), DROP,
                          "dropped_inner_length" if length >= least else "dropped_outer_length")
                         for length in range(len(content))])


def check_outer_lengths():
    for combination in combinations():
        tunnel, outside, inside = combination
        name, content = name_of(*combination), bytes(inner(inside))
        room = len(wrap(*combination, content)) - len(ethernet()) - HEADER[outside]
        lies = [{"len": length} for length in (0, 1, 19, HEADER[4] + room + 1, 0xffff)] \
            if outside == 4 else [{"plen": length} for length in (room + 1, 0xffff)]
        decap.check_all(f"{name}, outer lengths that lie",
                        [(lie, wrap(*combination, content, more=lie), DROP, "dropped_outer_length")
                         for lie in lies])
        if tunnel == IPIP:
            continue
        for length in (0, 7, 8, 11, room + 1, 0xffff):
            decap.check(f"{name}, a UDP length of {length}",
                        wrap(*combination, content, len=length), DROP, "dropped_outer_length")
        for length in (12, room - 1):
            decap.check(f"{name}, a UDP length of {length}",
                        wrap(*combination, content, len=length), DROP, "dropped_inner_length")
    for outside in VERSIONS:
        first = bytes((len(inner(4)) // 4 + 1,))
        decap.check(f"{name_of(GUE, outside, 4)}, more private data than there is",
                    wrap(GUE1, outside, 4, first + gue(4)[1:] + bytes(inner(4))), DROP,
                    "dropped_outer_length")


def check_inner_headers():
    for combination in combinations():
        tunnel, _, inside = combination
        content = bytes(inner(inside))
        firsts = [version << 4 | content[0] & 15 for version in range(16) if version != inside
                  and (tunnel != GUE1 or version in (5, 7))]
        if inside == 4:
            firsts += [4 << 4 | words for words in range(5)]
        decap.check_all(f"{name_of(*combination)}, inner versions and header lengths",
                        [(first, wrap(*combination, bytes((first,)) + content[1:]), DROP,
                          "dropped_inner_header") for first in firsts])
        lies = [{"len": length} for length in (0, 19, len(content) + 1, 0xffff)] + [{"ihl": 15}] \
            if inside == 4 else [{"plen": length} for length in (len(content) - 39, 0xffff)]
        decap.check_all(f"{name_of(*combination)}, inner lengths that lie",
                        [(lie, wrap(*combination, bytes(inner(inside, **lie))), DROP,
                          "dropped_inner_length") for lie in lies])


def check_outer_sum():
    """No bit of an outer IPv4 header can be wrong and the packet be undone."""
    for tunnel in TUNNELS:
        content = bytes(inner(4))
        decap.check(f"{tunnel}, a wrong outer checksum",
                    wrap(tunnel, 4, 4, content, more={"chksum": 1}), DROP, "dropped_outer_checksum")
        wrong = []
        for bit in range(8 * HEADER[4]):
            data = bytearray(wrap(tunnel, 4, 4, content))
            data[len(ethernet()) + bit // 8] ^= 1 << bit % 8
            verdict, left, counts = decap.outcome(bytes(data))
            allowed = (["dropped_outer_checksum"],) if verdict == DROP else \
                ([], ["passed_options"], ["passed_fragment"])
            if left != data or list(counts) not in allowed:
                wrong.append((bit, VERDICTS[verdict], counts))
        tap.equal(wrong, [], f"{tunnel}, any bit of the outer header wrong")


def check_fragments():
    for tunnel, inside in itertools.product(TUNNELS, VERSIONS):
        content, protocol = bytes(inner(inside)), protocol_of(tunnel, inside)
        for fields, counted in (({"flags": "MF"}, "passed_fragment"),
                                ({"flags": "MF", "frag": 1}, None), ({"frag": 185}, None)):
            decap.check(f"{name_of(tunnel, 4, inside)}, fragment {fields}",
                        wrap(tunnel, 4, inside, content, more=fields), PASS, counted)
        for fields, counted in (({"m": 1}, "passed_fragment"), ({"m": 1, "offset": 1}, None),
                                ({"offset": 185}, None)):
            header = IPv6ExtHdrFragment(nh=protocol, id=9, **fields)
            decap.check(f"{name_of(tunnel, 6, inside)}, fragment {fields}",
                        bytes(ethernet() / outer(6) / header / carried(tunnel, inside, content)),
                        PASS, counted)


def check_options():
    for tunnel, inside in itertools.product(TUNNELS, VERSIONS):
        content, protocol = bytes(inner(inside)), protocol_of(tunnel, inside)
        for count in (1, 40):
            options = {"options": [IPOption_NOP()] * count}
            decap.check(f"{name_of(tunnel, 4, inside)}, {count} options",
                        wrap(tunnel, 4, inside, content, more=options), PASS, "passed_options")
        for header in (IPv6ExtHdrHopByHop(), IPv6ExtHdrRouting(), IPv6ExtHdrDestOpt(),
                       IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(200))])):
            header.nh = protocol
            decap.check(f"{name_of(tunnel, 6, inside)}, {header.name} of {len(header)} bytes",
                        bytes(ethernet() / outer(6) / header / carried(tunnel, inside, content)),
                        PASS, "passed_options")
    for transport in (TCP(dport=80), UDP(dport=53)):
        for header in (outer(4, options=[IPOption_NOP()]), outer(6) / IPv6ExtHdrDestOpt()):
            decap.check(f"IPv{header.version}, options of no tunnel's {transport.name}",
                        bytes(ethernet() / header / transport), PASS, None)


def check_other_gue():
    for outside in VERSIONS:
        cases = [("control message", gue(0, control=1), "passed_gue_control")]
        cases += [(f"version {number}", gue(4, number), "passed_gue_version") for number in (2, 3)]
        cases += [(f"flag {bit}", gue(4, flags=1 << bit), "passed_gue_flags") for bit in range(16)]
        cases += [(f"protocol {number}", gue(number), "passed_gue_protocol")
                  for number in (0, 6, 17, 47, 59, 255)]
        for what, header, counted in cases:
            decap.check(f"GUE over IPv{outside}, {what}",
                        wrap(GUE1, outside, 4, header + bytes(inner(4))), PASS, counted)


def check_whoever_sends():
    """No source is asked for, of the outer packet or the inner one: the claim of README.md."""
    for version, source, within in ((4, "203.0.113.66", "192.0.2.99"),
                                    (6, "2001:db8:666::1", "2001:db8:99::9")):
        content = bytes(inner(version, src=within))
        protocol = {"proto": 4} if version == 4 else {"nh": 41}
        data = bytes(ethernet() / outer(version, src=source, **protocol) / Raw(content))
        decap.check(f"IPv{version}: whoever sends, and in whose name", data, PASS,
                    counter_of(IPIP, version, version), unwrapped(content))


def strangers():
    """What is no tunnel's, or not one that would be looked for."""
    for version in VERSIONS:
        yield f"IPv{version}, a client's packet", unwrapped(bytes(inner(version)))
        for transport in (TCP(dport=PORT), UDP(dport=53), Raw(bytes(40))):
            yield f"IPv{version}, {transport.name}", ethernet() / outer(version) / transport
        other = bytearray(wrap(IPIP, version, 4, bytes(inner(4))))
        other[len(ethernet())] ^= 0x10
        yield f"IPv{version}, another version", other
    yield "ARP", Ether(src=CLIENT_MAC, dst=XLB_MAC) / ARP(hwsrc=CLIENT_MAC, pdst=LOCALS[4])
    yield "unknown ethertype", Ether(src=CLIENT_MAC, dst=XLB_MAC, type=0x88cc) / Raw(bytes(60))
    yield "IHL 4", wrap(IPIP, 4, 4, bytes(inner(4)), more={"ihl": 4})
    yield "zeroes", bytes(60)


def check_strangers():
    """All of it passes as it came, without a trace."""
    for name, packet in strangers():
        decap.check(name, bytes(packet), PASS, None)
    for combination in combinations():
        name, content = name_of(*combination), bytes(inner(combination[2]))
        elsewhere = {"dst": STRANGERS[combination[1]]}
        decap.check(f"{name}, to another address", wrap(*combination, content, more=elsewhere),
                    PASS, None)
        decap.check(f"{name}, three VLAN tags",
                    wrap(*combination, content, [Dot1Q(vlan=1 + n) for n in range(3)]), PASS, None)
        if combination[0] != IPIP:
            decap.check(f"{name}, to another port", wrap(*combination, content, port=6081), PASS,
                        None)
    decap.locals.clear()
    for combination in combinations():
        decap.check(f"{name_of(*combination)}, nothing configured",
                    wrap(*combination, bytes(inner(combination[2]))), PASS, None)
    decap.reset()


def check_random():
    """Any bytes of a tunnel's frame wrong: it is undone, dropped or passed, and that once."""
    wrong = []
    for combination in combinations():
        whole = wrap(*combination, bytes(inner(combination[2])), random.choice(TAGS))
        for number in range(400):
            data = bytearray(whole)
            for _ in range(1 + number % 3):
                data[random.randrange(12, len(data))] = random.randrange(256)
            verdict, left, counts = decap.outcome(bytes(data))
            undone = any(name.startswith(("ipip", "gue")) for name in counts)
            if verdict not in (PASS, DROP) or (left != data) != undone or sum(counts.values()) > 1:
                wrong.append((bytes(data).hex(), VERDICTS[verdict], counts))
    tap.equal(wrong[:3], [], "frames with random bytes")


random.seed(3)
check_every_tunnel()
check_whatever_is_inside()
check_padding()
check_ports()
check_private_data()
check_ecn()
check_ecn_sums()
check_truncated()
check_truncated_inner()
check_outer_lengths()
check_inner_headers()
check_outer_sum()
check_fragments()
check_options()
check_other_gue()
check_whoever_sends()
check_strangers()
tap.equal({member["name"] for member in decap.btf.struct("decap_stats")["members"]} - decap.seen,
          set(), "every counter has been reached")
check_random()
tap.done()
