"""Each mistake in a policy has one finding: its code, its line, and words that help."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from evenflow.formats.policy import parse, render
from evenflow.model.finding import Severity
from evenflow.model.matcher import Classifier
from evenflow.model.policy import LastResort, Policy

SEED = Path(__file__).parents[2] / "examples" / "seed.toml"

ONE = 'lan = ["br0"]\n[uplink.isp1]\ninterface = "eth1"\n'
TWO = ONE + '[uplink.isp2]\ninterface = "eth2"\n'
WITH_BANDWIDTHS = """\
lan = ["br0"]
uplink.a = { interface = "e1", bandwidth = "30M" }
uplink.b = { interface = "e2", bandwidth = "10M" }
"""


def policy_of(text: str) -> Policy:
    parsed = parse(text, "p.toml")
    assert parsed.findings == ()
    assert parsed.policy is not None
    return parsed.policy


def test_the_seed_is_read_as_it_stands() -> None:
    policy = policy_of(SEED.read_text())
    first, second = policy.uplinks
    assert policy.lan == ("USER_01",)
    assert (first.name, first.interface, first.gateways) == ("isp1", "ether1", (IPv4Address("100.64.1.1"),))
    assert (first.learn_gateway, second.learn_gateway) == (False, True)
    assert (second.interface, second.gateways) == ("pppoe-out1", ())
    assert (first.bandwidth_bps, second.bandwidth_bps) == (30_000_000, 10_000_000)
    assert policy.balance.classifier is Classifier.BOTH_ADDRESSES_AND_PORTS
    assert policy.balance.weights == (("isp1", 2), ("isp2", 1))
    assert policy.balance.buckets is None
    assert policy.balance.last_resort is LastResort.UNREACHABLE
    assert first.masquerade
    assert second.masquerade


def test_places_are_the_lines_of_the_file() -> None:
    policy = policy_of(SEED.read_text())
    assert policy.lan_origin.line == 2
    assert [str(uplink.origin) for uplink in policy.uplinks] == ["p.toml:4", "p.toml:9"]
    assert [uplink.origin.item for uplink in policy.uplinks] == ["uplink isp1", "uplink isp2"]
    assert policy.balance.origin.line == 14


def test_the_least_that_can_be_said() -> None:
    policy = policy_of(ONE)
    assert policy.uplinks[0].learn_gateway
    assert policy.balance.classifier is Classifier.BOTH_ADDRESSES
    assert policy.balance.weights == (("isp1", 1),)


def test_weights_left_out_follow_the_bandwidths() -> None:
    assert policy_of(WITH_BANDWIDTHS).balance.weights == (("a", 3), ("b", 1))


def test_weights_left_out_without_bandwidths_are_equal() -> None:
    assert policy_of(TWO).balance.weights == (("isp1", 1), ("isp2", 1))


def test_weights_are_in_the_order_of_the_uplinks() -> None:
    assert policy_of(TWO + "[balance]\nweights = { isp2 = 0, isp1 = 5 }").balance.weights == (("isp1", 5), ("isp2", 0))


@pytest.mark.parametrize(
    ("text", "bits_per_second"),
    [("30M", 30_000_000), ("1G", 1_000_000_000), ("512k", 512_000), ("2.5G", 2_500_000_000), ("1.234567k", None)],
)
def test_bandwidths(text: str, bits_per_second: int | None) -> None:
    parsed = parse(ONE + f'bandwidth = "{text}"')
    if bits_per_second is None:
        assert [finding.code for finding in parsed.findings] == ["bad-value"]
    else:
        assert parsed.policy is not None
        assert parsed.policy.uplinks[0].bandwidth_bps == bits_per_second


@pytest.mark.parametrize(
    ("stated", "addresses", "learn"),
    [
        ('"auto"', (), True),
        ('"192.0.2.1"', (IPv4Address("192.0.2.1"),), False),
        ('["fe80::1", "192.0.2.1"]', (IPv6Address("fe80::1"), IPv4Address("192.0.2.1")), False),
        ('["192.0.2.1", "auto"]', (IPv4Address("192.0.2.1"),), True),
    ],
)
def test_gateways(stated: str, addresses: tuple[object, ...], *, learn: bool) -> None:
    uplink = policy_of(ONE + f"gateway = {stated}").uplinks[0]
    assert (uplink.gateways, uplink.learn_gateway) == (addresses, learn)


def test_a_byte_order_mark_is_no_mistake() -> None:
    assert policy_of("\ufeff" + ONE).lan == ("br0",)


def test_the_weights_are_written_only_where_they_do_not_follow() -> None:
    assert "weights" not in render(policy_of(WITH_BANDWIDTHS))
    assert "weights = { a = 2, b = 1 }" in render(policy_of(WITH_BANDWIDTHS + "balance.weights = { a = 2, b = 1 }"))


MISTAKES = {
    "nothing": ("", "empty", 0, "nothing is stated"),
    "only a comment": ("# later\n", "empty", 0, "lan = "),
    "no TOML": ("lan = [\n", "toml-syntax", 1, "not TOML"),
    "no TOML in the middle": (ONE + "gateway =\n", "toml-syntax", 4, "not TOML"),
    "an uplink twice": (
        ONE + '[uplink.isp1]\ninterface = "eth2"',
        "toml-syntax",
        4,
        "[uplink.isp1] stands here a second",
    ),
    "a key twice": (ONE + 'interface = "eth2"', "toml-syntax", 4, "has a value already"),
    "a number without end": (ONE + "bandwidth = " + "1" * 5000, "toml-syntax", 0, "not TOML that can be used"),
    "a list without bottom": ("lan = " + "[" * 3000 + "]" * 3000, "toml-syntax", 0, "not TOML that can be used"),
    "no lan": ('[uplink.isp1]\ninterface = "eth1"', "lan-missing", 0, 'lan = ["IF"]'),
    "an empty lan": ('lan = []\n[uplink.isp1]\ninterface = "eth1"', "lan-missing", 1, "names no interface"),
    "lan as a string": ('lan = "br0"\n[uplink.isp1]\ninterface = "eth1"', "wrong-type", 1, 'lan = ["br0"]'),
    "a number in lan": ('lan = ["a",\n 7]\n[uplink.isp1]\ninterface = "eth1"', "wrong-type", 2, "an element of lan"),
    "an interface twice in lan": (
        'lan = ["a", "a"]\n[uplink.x]\ninterface = "b"',
        "interface-shared",
        1,
        "a is given twice",
    ),
    "a misspelt lan": ('lann = ["br0"]\n[uplink.isp1]\ninterface = "eth1"', "unknown-key", 1, "did you mean lan?"),
    "no uplink": ('lan = ["br0"]', "no-uplink", 0, "[uplink.NAME]"),
    "an empty uplink table": ('lan = ["br0"]\n[uplink]\n', "no-uplink", 2, "[uplink.NAME]"),
    "an array of uplinks": ('lan = ["br0"]\n[[uplink]]\ninterface = "x"', "wrong-type", 2, "[uplink.NAME]"),
    "an uplink that is a string": ('lan = ["br0"]\n[uplink]\nisp1 = "x"', "wrong-type", 3, "[uplink.isp1]"),
    "an uplink without interface": ('lan = ["br0"]\n[uplink.isp1]\ngateway = "auto"', "missing-key", 2, "interface = "),
    "a misspelt interface": (
        'lan = ["br0"]\n[uplink.a]\ninterfaces = "x"',
        "unknown-key",
        3,
        "did you mean interface?",
    ),
    "an unknown key": (ONE + "colour = 1", "unknown-key", 4, "known here: interface, gateway, bandwidth, masquerade"),
    "a hyphen for an underscore": (
        ONE + '[balance]\nlast-resort = "main"',
        "unknown-key",
        5,
        "did you mean last_resort?",
    ),
    "an unknown table": (ONE + "[helth]\nx = 1", "unknown-key", 4, "did you mean health?"),
    "one interface for two": (
        TWO.replace("eth2", "eth1"),
        "interface-shared",
        5,
        "uplink isp2: interface eth1 is already the interface of uplink isp1; give each uplink its own",
    ),
    "the interface of the lan": (ONE.replace("eth1", "br0"), "interface-shared", 3, "also in lan"),
    "a long interface name": (ONE.replace("eth1", "abcdefghijklmnop"), "interface-name", 3, "16 bytes"),
    "a long name in bytes": (ONE.replace("eth1", "ü" * 8), "interface-name", 3, "16 bytes"),
    "a slash in an interface": (ONE.replace("eth1", "eth/1"), "interface-name", 3, "can't hold '/'"),
    "a space in an interface": (ONE.replace("eth1", "eth 1"), "interface-name", 3, "can't hold a space"),
    "a pattern for an interface": (ONE.replace("eth1", "eth*"), "interface-name", 3, "can't hold '*'"),
    "an empty interface": (ONE.replace("eth1", ""), "interface-name", 3, "is empty"),
    "an interface that is a number": (ONE.replace('"eth1"', "1"), "wrong-type", 3, "it takes a string"),
    "a space in an uplink's name": (ONE.replace("isp1", '"isp 1"'), "uplink-name", 2, "letters and digits"),
    "an uplink named main": (ONE.replace("isp1", "main"), "uplink-name", 2, "choose another"),
    "a gateway that is no address": (ONE + 'gateway = "192.0.2.256"', "bad-value", 4, 'neither an address nor "auto"'),
    "a gateway that is a number": (ONE + "gateway = 7", "wrong-type", 4, '"auto"'),
    "no gateway in the list": (ONE + "gateway = []", "bad-value", 4, "empty list"),
    "two gateways of a family": (ONE + 'gateway = ["192.0.2.1",\n"192.0.2.2"]', "bad-value", 5, "of one family"),
    "a gateway that is everybody": (ONE + 'gateway = "255.255.255.255"', "bad-value", 4, "not the address of a host"),
    "a gateway with its interface": (ONE + 'gateway = "fe80::1%eth1"', "bad-value", 4, "from % on"),
    "a bandwidth without unit": (ONE + 'bandwidth = "30"', "bad-value", 4, 'like "30M"'),
    "a bandwidth that is a number": (ONE + "bandwidth = 30", "wrong-type", 4, 'bandwidth = "30M"'),
    "a bandwidth without end": (ONE + f'bandwidth = "{"9" * 5000}M"', "bad-value", 4, 'like "30M"'),
    "more bandwidth than there is": (ONE + f'bandwidth = "{"9" * 20}M"', "bad-value", 4, "more than any line has"),
    "a hexadecimal number without end": (ONE + f"tier = 0x{'f' * 5000}", "bad-value", 4, "write a smaller one"),
    "a hexadecimal weight without end": (
        ONE + f"[balance]\nweights = {{ isp1 = 0x{'f' * 5000} }}",
        "bad-value",
        5,
        "write a smaller one",
    ),
    "a bandwidth of nothing": (ONE + 'bandwidth = "0M"', "bad-value", 4, "is nothing"),
    "masquerade as a string": (ONE + 'masquerade = "yes"', "wrong-type", 4, "true or false"),
    "one bandwidth of two": (TWO + 'bandwidth = "1M"', "bandwidth-missing", 2, "state the bandwidth of every uplink"),
    "a bad bandwidth beside a good one": (
        ONE + 'bandwidth = "1"\n[uplink.isp2]\ninterface = "eth2"\nbandwidth = "1M"',
        "bad-value",
        4,
        "bandwidth",
    ),
    "an unknown classifier": (ONE + '[balance]\nclassifier = "both-adresses"', "bad-value", 5, '"both-addresses"?'),
    "a strange classifier": (ONE + '[balance]\nclassifier = "zzz"', "bad-value", 5, "there are: src-address, "),
    "an unknown last resort": (ONE + '[balance]\nlast_resort = "drop"', "bad-value", 5, "unreachable, main"),
    "no bucket": (ONE + "[balance]\nbuckets = 0", "bad-value", 5, "from 1 "),
    "fewer buckets than uplinks": (TWO + "[balance]\nbuckets = 1", "bad-value", 7, "from 2 "),
    "too many buckets": (ONE + "[balance]\nbuckets = 100000", "bad-value", 5, "65536"),
    "half a bucket": (ONE + "[balance]\nbuckets = 0.5", "wrong-type", 5, "a whole number"),
    "balance as a string": ('balance = "x"\n' + ONE, "wrong-type", 1, "[balance]"),
    "a weight for nobody": (
        TWO + "[balance.weights]\nisp1 = 1\nisp2 = 1\nisp3 = 1",
        "unknown-uplink",
        9,
        "there are: isp1, isp2",
    ),
    "a misspelt weight": (
        TWO + "[balance]\nweights = { isp1 = 1,ips2 = 1 }",
        "unknown-uplink",
        7,
        "did you mean isp2?",
    ),
    "a weight missing": (TWO + "[balance]\nweights = { isp1 = 1 }", "weight-missing", 7, "uplink isp2 has none"),
    "no weight at all": (TWO + "[balance]\nweights = {}", "weight-missing", 7, "uplinks isp1, isp2 have none"),
    "all weights 0": (TWO + "[balance]\nweights = { isp1 = 0, isp2 = 0 }", "weights-zero", 7, "all are 0"),
    "a negative weight": (TWO + "[balance]\nweights = { isp1 = 2, isp2 = -1 }", "bad-value", 7, "isp2 is -1"),
    "half a weight": (TWO + "[balance]\nweights = { isp1 = 1.5, isp2 = 1 }", "wrong-type", 7, "a whole number"),
    "a weight that is a truth": (
        TWO + "[balance]\nweights = { isp1 = true, isp2 = 1 }",
        "wrong-type",
        7,
        "a whole number",
    ),
    "weights as a list": (TWO + "[balance]\nweights = [2, 1]", "wrong-type", 7, "weights = { isp1 = 2, isp2 = 1 }"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_one_mistake_is_one_finding_at_its_line(name: str) -> None:
    text, code, line, words = MISTAKES[name]
    parsed = parse(text, "p.toml")
    assert [(finding.code, finding.where.line) for finding in parsed.findings] == [(code, line)]
    (finding,) = parsed.findings
    assert words in finding.message
    assert finding.severity is Severity.ERROR
    assert finding.where.file == "p.toml"
    assert parsed.policy is None


def test_several_mistakes_are_told_at_once_in_the_order_of_lines() -> None:
    text = (
        'lan = []\n[uplink.a]\ninterface = "x y"\n[uplink.b]\ninterface = "e"\ngateway = "x"\n[balance]\nbuckets = "z"'
    )
    codes = [(finding.where.line, finding.code) for finding in parse(text).findings]
    assert codes == [(1, "lan-missing"), (3, "interface-name"), (6, "bad-value"), (8, "wrong-type")]
