"""The per-connection classifier, bit for bit.

A classifier hashes the chosen fields of a packet. The key is the fields packed without gaps: source address,
destination address (4 or 16 bytes each, network order), source port, destination port (2 bytes each, network
order). Ports enter only for the protocols in `PORT_PROTOCOLS`; for the others the key is so much shorter.

Rules over the same fields share one hash value, also where their denominators differ: the hash is scaled once to
`0 <= v < L` with `v = hash * L >> 32` (what nf_tables' `jhash … mod L` computes: Linux, net/netfilter/nft_hash.c),
L being the least common multiple of the denominators, and "remainder R of denominator D" means `v % D == R`.
RouterOS takes `hash % D`; with its seed unknown the joint distribution of all rules is the same.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

from evenflow.model.matcher import PccMatch
from evenflow.model.router import SpreadAction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.model.flow import Family, Packet
    from evenflow.model.matcher import Classifier
    from evenflow.model.router import MangleRule, NatRule, Router

_MASK = 0xFFFF_FFFF

#: JHASH_INITVAL of Linux's include/linux/jhash.h: an arbitrary number chosen there.
_INITVAL = 0xDEAD_BEEF

#: Most buckets that one hash may be scaled to. Above it the maps in the kernel outgrow what loads in a moment;
#: no real set of denominators comes near (2, 3, 4, 6, 7 and 9 together make 252).
MODULUS_LIMIT = 65536


def _rotate(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (32 - bits))) & _MASK


def _mix(a: int, b: int, c: int) -> Iterator[int]:
    """Bob Jenkins' lookup3 mix(): the three words after it."""
    a = ((a - c) & _MASK) ^ _rotate(c, 4)
    c = (c + b) & _MASK
    b = ((b - a) & _MASK) ^ _rotate(a, 6)
    a = (a + c) & _MASK
    c = ((c - b) & _MASK) ^ _rotate(b, 8)
    b = (b + a) & _MASK
    a = ((a - c) & _MASK) ^ _rotate(c, 16)
    c = (c + b) & _MASK
    b = ((b - a) & _MASK) ^ _rotate(a, 19)
    a = (a + c) & _MASK
    c = ((c - b) & _MASK) ^ _rotate(b, 4)
    b = (b + a) & _MASK
    yield from (a, b, c)


def _final(a: int, b: int, c: int) -> int:
    """Bob Jenkins' lookup3 final(): its last word."""
    c = ((c ^ b) - _rotate(b, 14)) & _MASK
    a = ((a ^ c) - _rotate(c, 11)) & _MASK
    b = ((b ^ a) - _rotate(a, 25)) & _MASK
    c = ((c ^ b) - _rotate(b, 16)) & _MASK
    a = ((a ^ c) - _rotate(c, 4)) & _MASK
    b = ((b ^ a) - _rotate(a, 14)) & _MASK
    return ((c ^ b) - _rotate(b, 24)) & _MASK


def jhash(key: bytes, seed: int) -> int:
    """`jhash(key, len(key), seed)` of Linux's include/linux/jhash.h, as an unsigned 32-bit number.

    Whole blocks of 12 bytes are read as words of the machine's byte order, the rest byte by byte, as there.
    """
    a = b = c = (_INITVAL + len(key) + seed) & _MASK
    position = 0
    while len(key) - position > 12:
        first, second, third = struct.unpack_from("=3I", key, position)
        a, b, c = _mix((a + first) & _MASK, (b + second) & _MASK, (c + third) & _MASK)
        position += 12
    rest = key[position:]
    if not rest:
        return c
    # The tail is read byte by byte in little-endian order on every machine; a missing byte counts as 0.
    first, second, third = struct.unpack("<3I", rest.ljust(12, b"\0"))
    return _final((a + first) & _MASK, (b + second) & _MASK, (c + third) & _MASK)


def key_of(packet: Packet, classifier: Classifier) -> bytes:
    """The bytes that are hashed: 0 to 36 of them."""
    fields = classifier.fields
    parts = []
    if fields.source_address:
        parts.append(packet.source.packed)
    if fields.destination_address:
        parts.append(packet.destination.packed)
    if packet.has_ports:
        if fields.source_port:
            parts.append(struct.pack("!H", packet.source_port))
        if fields.destination_port:
            parts.append(struct.pack("!H", packet.destination_port))
    return b"".join(parts)


def key_length_bytes(classifier: Classifier, family: Family, *, with_ports: bool) -> int:
    """Length of `key_of` for packets of that family, of a protocol with or without ports."""
    fields = classifier.fields
    addresses = fields.source_address + fields.destination_address
    ports = (fields.source_port + fields.destination_port) if with_ports else 0
    return addresses * family.address_bits // 8 + ports * 2


def scale(hash_value: int, modulus: int) -> int:
    """The bucket of a hash: 0 to modulus - 1, equally likely (Linux, reciprocal_scale())."""
    return (hash_value * modulus) >> 32


def classify(packet: Packet, classifier: Classifier, modulus: int, seed: int) -> int:
    """The bucket of a packet."""
    return scale(jhash(key_of(packet, classifier), seed), modulus)


def moduli(router: Router) -> dict[Classifier, int]:
    """For each classifier in use, the least common multiple of its denominators.

    It can exceed `MODULUS_LIMIT`; such a router can't be compiled.
    """
    found: dict[Classifier, int] = {}
    rules: tuple[MangleRule | NatRule, ...] = (*router.mangle, *router.nat)
    for rule in rules:
        for classifier, denominator in _denominators(rule):
            found[classifier] = math.lcm(found.get(classifier, 1), denominator)
    return found


def _denominators(rule: MangleRule | NatRule) -> Iterator[tuple[Classifier, int]]:
    for matcher in rule.matchers:
        if isinstance(matcher, PccMatch) and matcher.remainder < matcher.denominator:
            yield matcher.classifier, matcher.denominator
    if isinstance(rule.action, SpreadAction):
        yield rule.action.classifier, len(rule.action.owners)
