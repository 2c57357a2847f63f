from __future__ import annotations

from ipaddress import ip_address

import pytest

from evenflow.core.pcc import classify, jhash, key_length_bytes, key_of, moduli, scale
from evenflow.model.flow import GRE, ICMP, TCP, Family, Packet
from evenflow.model.matcher import Classifier, MarkKind, PccMatch
from evenflow.model.router import MangleRule, MarkAction, Masquerade, NatRule, Router

FOUR = Packet(ip_address("10.0.0.1"), ip_address("8.8.4.4"), TCP, 0x1234, 443)
SIX = Packet(ip_address("2001:db8::1"), ip_address("2001:db8::2"), TCP, 0x1234, 443)


@pytest.mark.parametrize(
    ("key", "seed", "expected"),
    [
        # Published with the function: driver5() of Bob Jenkins' lookup3.c.
        (b"", 0, 0xDEADBEEF),
        (b"", 0xDEADBEEF, 0xBD5B7DDE),
        (b"Four score and seven years ago", 0, 0x17770551),
        (b"Four score and seven years ago", 1, 0xCD628161),
    ],
)
def test_jhash_is_lookup3(key: bytes, seed: int, expected: int) -> None:
    assert jhash(key, seed) == expected


@pytest.mark.parametrize(
    ("classifier", "key"),
    [
        (Classifier.SRC_ADDRESS, "0a000001"),
        (Classifier.DST_ADDRESS, "08080404"),
        (Classifier.BOTH_ADDRESSES, "0a00000108080404"),
        (Classifier.SRC_PORT, "1234"),
        (Classifier.DST_PORT, "01bb"),
        (Classifier.BOTH_PORTS, "123401bb"),
        (Classifier.SRC_ADDRESS_AND_PORT, "0a0000011234"),
        (Classifier.DST_ADDRESS_AND_PORT, "0808040401bb"),
        (Classifier.BOTH_ADDRESSES_AND_PORTS, "0a00000108080404123401bb"),
    ],
)
def test_keys_are_packed_in_order(classifier: Classifier, key: str) -> None:
    assert key_of(FOUR, classifier).hex() == key
    assert key_length_bytes(classifier, Family.IPV4, with_ports=True) == len(key) // 2


def test_ipv6_addresses_have_16_bytes() -> None:
    key = key_of(SIX, Classifier.BOTH_ADDRESSES_AND_PORTS)
    assert key == SIX.source.packed + SIX.destination.packed + bytes.fromhex("123401bb")
    assert key_length_bytes(Classifier.BOTH_ADDRESSES_AND_PORTS, Family.IPV6, with_ports=True) == 36


@pytest.mark.parametrize("protocol", [ICMP, GRE])
def test_protocols_without_ports_add_nothing_for_them(protocol: int) -> None:
    packet = Packet(FOUR.source, FOUR.destination, protocol, 1, 2)
    assert key_of(packet, Classifier.BOTH_ADDRESSES_AND_PORTS) == key_of(packet, Classifier.BOTH_ADDRESSES)
    assert key_of(packet, Classifier.BOTH_PORTS) == b""
    others = [Packet(ip_address(f"10.0.0.{n}"), FOUR.destination, protocol) for n in range(50)]
    assert len({classify(other, Classifier.BOTH_PORTS, 12, 99) for other in others}) == 1


def test_scale_covers_every_bucket_evenly() -> None:
    step = (1 << 32) // 3000
    found = [scale(value, 3) for value in range(0, 1 << 32, step)]
    assert found == sorted(found)
    assert [found.count(bucket) // 100 for bucket in range(3)] == [10, 10, 10]
    assert scale(0xFFFFFFFF, 7) == 6


def test_rules_of_nat_are_scaled_with_those_of_mangle() -> None:
    third = PccMatch(Classifier.SRC_ADDRESS, 3, 0)
    half = PccMatch(Classifier.SRC_ADDRESS, 2, 1)
    router = Router(
        mangle=(MangleRule("prerouting", (half,), MarkAction(MarkKind.CONNECTION, "a")),),
        nat=(NatRule("srcnat", (third,), Masquerade()),),
    )
    assert moduli(router) == {Classifier.SRC_ADDRESS: 6}
