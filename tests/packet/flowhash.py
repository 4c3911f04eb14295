# SPDX-License-Identifier: GPL-2.0-only
"""The flow hash once more, from its description: nodes of any version must agree on it."""

MASK = (1 << 64) - 1
# 64 bits of the fractional part of the square roots of 2, 3, 5, 7, 11 and 13, made odd.
CONSTANTS = (0x6a09e667f3bcc909, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b,
             0xa54ff53a5f1d36f1, 0x510e527fade682d1, 0x9b05688c2b3e6c1f)


def hash_of(source, destination, sport, dport, protocol, seed, kind):
    """32 bits; addresses are packed, `kind` is what the service hashes."""
    ends = sport | dport << 16 | protocol << 32
    little = [int.from_bytes(address, "little") for address in (source, destination)]
    if kind == "source":
        words = [little[0]] if len(source) == 4 else [little[0] & MASK, little[0] >> 64]
    elif len(source) == 4:
        words = [little[0] | little[1] << 32, ends]
    else:
        words = [half for each in little for half in (each & MASK, each >> 64)] + [ends]
    constants = CONSTANTS[:len(words)]
    if len(words) == 2 and kind == "flow":
        constants = CONSTANTS[0], CONSTANTS[4]
    total = 0
    for number, (word, constant) in enumerate(zip(words, constants)):
        # The halves of an IPv6 client's address one after the other, all else in parallel.
        chained = number == 1 and len(source) == 16
        product = ((word ^ total if chained else word) ^ seed) * constant & MASK
        total = (product ^ product >> 32) + (0 if chained else total)
    return (total * CONSTANTS[5] & MASK) >> 32
