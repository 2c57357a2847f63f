"""What can't be said on the other side is told, with its line; and what can is said."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from evenflow.core.unfold import smallest_unfolding
from evenflow.formats import policy, routeros
from evenflow.formats.configuration import read
from evenflow.formats.routeros.version import Version
from evenflow.formats.routeros.writing import CURRENT, LAST_SIX
from evenflow.formats.routeros.writing.conversion import POLICY, SCRIPT, Conversion, Wishes, convert
from evenflow.model.finding import has_errors

if TYPE_CHECKING:
    from evenflow.model.policy import Policy

TWO = """\
lan = ["br0"]
[uplink.one]
interface = "ether1"
gateway = "203.0.113.1"
[uplink.two]
interface = "ether2"
gateway = "198.51.100.1"
"""

BY = "per-connection-classifier=src-address"
PCC = f"""\
/ip firewall mangle
add chain=prerouting action=mark-connection new-connection-mark=a in-interface=lan {BY}:2/0
add chain=prerouting action=mark-connection new-connection-mark=b in-interface=lan {BY}:2/1
add chain=prerouting action=mark-routing new-routing-mark=a connection-mark=a
add chain=prerouting action=mark-routing new-routing-mark=b connection-mark=b
/ip route
add gateway=203.0.113.1%ether1 routing-table=a
add gateway=198.51.100.1%ether2 routing-table=b
"""


def converted(text: str, suffix: str, form: str, wishes: Wishes | None = None) -> Conversion:
    content = text.encode()
    return convert(read(content, f"a.{suffix}"), content, form, wishes or Wishes())


def script(text: str, version: Version = CURRENT, most_error: Fraction = Fraction(1, 100)) -> Conversion:
    return converted(text, "toml", SCRIPT, Wishes(version, most_error))


def rewritten(text: str, version: Version = CURRENT) -> Conversion:
    return converted(text, "rsc", SCRIPT, Wishes(version))


def lifted(text: str) -> Conversion:
    return converted(text, "rsc", POLICY)


def policy_of(text: str) -> Policy:
    made = lifted(text)
    assert made.text is not None
    found = policy.parse(made.text).policy
    assert found is not None
    return found


def lines_of(conversion: Conversion, code: str) -> list[int]:
    return [finding.where.line for finding in conversion.findings if finding.code == code]


# --- to a script -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "code", "line"),
    [
        ('[balance]\nfailback = "never"\n', "failback-left-out", 8),
        ("[balance]\nbuckets = 100\n", "buckets-left-out", 8),
        ('[hooks]\nprogram = "/bin/true"\n', "hooks-left-out", None),
        ('[health]\ntargets = ["1.1.1.1", "8.8.8.8", "9.9.9.9"]\nquorum = 2\n', "health-left-out", 2),
        ('[health]\nlatency = "100ms"\n', "health-left-out", 2),
        ('[health]\ntargets = ["1.1.1.1"]\n', "next-hop-only", 5),
        ('[health]\ntargets = ["tcp://192.0.2.1:443"]\n', "next-hop-only", 2),
        ('[uplink.three]\ninterface = "ether3"\n', "gateway-learnt", 8),
        ('[uplink.three]\ninterface = "ether3"\n', "failover-to-one", None),
        ('[uplink.three]\ninterface = "pppoe-out1"\n', "gateway-learnt", 8),
        ("", "connections-not-flushed", None),
        ("", "check-gateway-timing", None),
        ("", "bypass-by-ranges", None),
        ("", "no-leak-guard", None),
        ("", "probe-host-by-uplink", 2),
        ("", "fasttrack", None),
    ],
)
def test_what_a_script_can_not_say_is_told(more: str, code: str, line: int | None) -> None:
    found = lines_of(script(TWO + more), code)
    assert found
    assert line is None or line in found


def test_what_a_policy_does_not_want_is_not_told() -> None:
    quiet = '[balance]\non_down = "keep"\n[health]\ntargets = []\n'
    codes = {finding.code for finding in script(TWO + quiet).findings}
    assert codes == {"bypass-by-ranges", "no-leak-guard", "fasttrack"}


def test_ipv6_is_left_out_for_routeros_6() -> None:
    text = TWO.replace('"203.0.113.1"', '["203.0.113.1", "2001:db8::1"]')
    six, seven = script(text, LAST_SIX), script(text)
    assert lines_of(six, "ipv6-left-out") == [2]
    assert lines_of(seven, "ipv6-left-out") == []
    assert "ipv6" not in str(six.text)
    assert "/ipv6 route\nadd dst-address=" in str(seven.text)


def test_a_dhcp_client_makes_its_routes_itself_from_7_18_and_asks_from_7_19() -> None:
    text = TWO.replace('gateway = "203.0.113.1"\n', "")
    by_itself = "default-route-tables=one:1,two:2,main:101 check-gateway=ping"
    assert by_itself in str(script(text, Version(7, 19)).text)
    assert "default-route-tables" not in str(script(text, Version(7, 18)).text)
    assert 'script="' in str(script(text, Version(7, 18)).text)
    unasked = script(f"{text}[health]\ntargets = []\n", Version(7, 18))
    assert "default-route-tables=one:1,two:2,main:101 " in str(unasked.text)
    assert 'script="' in str(script(f"{text}[health]\ntargets = []\n", Version(7, 17)).text)


def test_targets_say_how_it_is_asked() -> None:
    for targets, said in (
        ('["gateway"]', "gateway=203.0.113.1%ether1 routing-table=one distance=1 check-gateway=arp"),
        ('["icmp://gateway"]', "gateway=203.0.113.1%ether1 routing-table=one distance=1 check-gateway=ping"),
        ("[]", "gateway=203.0.113.1%ether1 routing-table=one distance=1 comment"),
        ('["192.0.2.9"]', "gateway=192.0.2.9 routing-table=one distance=1 check-gateway=ping target-scope=11"),
    ):
        assert said in str(script(f"{TWO}[health]\ntargets = {targets}\n").text)


def test_the_fewest_streams_meet_the_weights() -> None:
    for weights, percent, owners in (
        ({"a": 2, "b": 1}, 1, "aab"),
        ({"a": 1, "b": 1}, 1, "ab"),
        ({"a": 67, "b": 33}, 1, "aab"),
        ({"a": 67, "b": 33}, 0, "a" * 67 + "b" * 33),
        ({"a": 300, "b": 100, "c": 1}, 100, "abc"),
    ):
        assert "".join(smallest_unfolding(weights, Fraction(percent, 100)).owners) == owners


def test_weights_that_no_thousand_streams_meet_are_told() -> None:
    weights = "[balance]\nweights = { one = 10007, two = 3 }\n"
    exact = script(TWO + weights, most_error=Fraction(0))
    assert lines_of(exact, "weights-not-met") == [8]
    assert lines_of(script(TWO + weights), "weights-not-met") == []
    assert str(exact.text).count("per-connection-classifier") <= 1000


def test_the_head_says_how_near_the_shares_come() -> None:
    text = str(script(f"{TWO}[balance]\nweights = {{ one = 67, two = 33 }}\n").text)
    assert "of 3 streams: one 66.67 % (weight 67), two 33.33 % (weight 33)." in text
    assert "No share is further than 0.33 % of all connections from its weight; 1 % is allowed." in text


# --- to a policy -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ("/ip firewall mangle\nadd chain=prerouting action=accept src-address=10.0.0.9", "rule-left"),
        ("/ip firewall mangle\nadd chain=forward action=mark-packet new-packet-mark=q", "rule-left"),
        ("/ip firewall mangle\nadd chain=prerouting action=mark-connection new-connection-mark=a port=9", "rule-left"),
        ("/ip firewall nat\nadd chain=dstnat action=dst-nat to-addresses=10.0.0.9", "nat-left"),
        ("/ip route\nadd dst-address=172.16.0.0/12 gateway=10.0.0.254", "route-left"),
        ("/routing rule\nadd src-address=10.0.0.9 table=a", "route-rule-left"),
    ],
)
def test_each_rule_that_is_left_is_told_with_its_line(more: str, code: str) -> None:
    made = lifted(PCC + more)
    assert lines_of(made, code) == [PCC.count("\n") + 2]
    assert made.text is not None


@pytest.mark.parametrize(
    "more",
    [
        "/ip firewall mangle\nadd chain=prerouting action=mark-connection new-connection-mark=a in-interface=ether1",
        "/ip firewall mangle\nadd chain=output action=mark-routing new-routing-mark=a connection-mark=a",
        "/ip firewall mangle\nadd chain=prerouting action=accept dst-address=192.168.0.0/16 in-interface=lan",
        "/ip firewall mangle\nadd chain=prerouting action=accept dst-address-type=local",
        "/ip firewall nat\nadd chain=srcnat action=masquerade out-interface=ether1",
        "/ip firewall nat\nadd chain=srcnat action=masquerade",
        "/ip route\nadd gateway=203.0.113.1%ether1 distance=5",
        "/ip route\nadd blackhole routing-table=a distance=200",
        "/routing rule\nadd routing-mark=a table=a",
    ],
)
def test_what_a_policy_does_anyway_is_not_told(more: str) -> None:
    left = {"rule-left", "nat-left", "route-left", "route-rule-left"}
    assert [finding for finding in lifted(PCC + more).findings if finding.code in left] == []


def test_who_masquerades_is_seen() -> None:
    nat = "/ip firewall nat\nadd chain=srcnat action=masquerade out-interface=ether1\n"
    assert [uplink.masquerade for uplink in policy_of(PCC + nat).uplinks] == [True, False]


def test_weights_are_what_the_streams_add_up_to() -> None:
    text = PCC.replace(":2/", ":3/").replace(
        "/ip route\n",
        "add chain=prerouting action=mark-connection new-connection-mark=a in-interface=lan "
        "per-connection-classifier=src-address:3/2\n/ip route\n",
    )
    assert policy_of(text).balance.weights == (("a", 2), ("b", 1))


def test_an_uplink_that_two_tables_lead_to_has_both_shares() -> None:
    text = PCC.replace(":2/", ":3/").replace(
        "/ip route\n",
        f"add chain=prerouting action=mark-connection new-connection-mark=c in-interface=lan {BY}:3/2\n"
        "add chain=prerouting action=mark-routing new-routing-mark=c connection-mark=c\n"
        "/ip route\nadd gateway=203.0.113.1%ether1 routing-table=c distance=2\n",
    )
    assert [weight for _, weight in policy_of(text).balance.weights] == [2, 1]


def test_a_gateway_without_an_interface_is_that_of_the_marks() -> None:
    incoming = "add chain=prerouting action=mark-connection new-connection-mark=a in-interface=ether1\n"
    text = PCC.replace("%ether1", "").replace("/ip route\n", f"{incoming}/ip route\nadd gateway=ether1 distance=9\n")
    assert [(uplink.name, uplink.interface) for uplink in policy_of(text).uplinks] == [
        ("a", "ether1"),
        ("b", "ether2"),
    ]


def test_two_marks_of_one_uplink_have_its_share_together() -> None:
    more = "add chain=prerouting action=mark-routing new-routing-mark=a connection-mark=c\n/ip route\n"
    third = f"add chain=prerouting action=mark-connection new-connection-mark=c in-interface=lan {BY}:4/2\n"
    text = PCC.replace(":2/0", ":4/0").replace(":2/1", ":4/1").replace("/ip route\n", third + more)
    assert policy_of(text).balance.weights == (("a", 2), ("b", 1))


def test_the_lan_is_who_is_balanced() -> None:
    listed = "/interface list\nadd name=L\n/interface list member\nadd list=L interface=br1\nadd list=L interface=br2\n"
    assert policy_of(PCC).lan == ("lan",)
    assert policy_of(listed + PCC.replace("in-interface=lan", "in-interface-list=L")).lan == ("br1", "br2")
    address = "/ip address\nadd address=10.0.0.1/24 interface=br0\nadd address=10.1.0.1/24 interface=br1\n"
    assert policy_of(address + PCC.replace("in-interface=lan", "src-address=10.0.0.0/24")).lan == ("br0",)
    guessed = address + PCC.replace(" in-interface=lan", "")
    assert policy_of(guessed).lan == ("br0", "br1")
    assert len(lines_of(lifted(guessed), "lan-guessed")) == 1


def test_where_there_is_nothing_to_lift_nothing_is_written() -> None:
    for text, code in (
        ("/ip route\nadd gateway=203.0.113.1%ether1\n", "nothing-to-lift"),
        (PCC.replace("%ether1", ""), "interface-unknown"),
        (PCC.replace(" in-interface=lan", ""), "lan-unknown"),
    ):
        made = lifted(text)
        assert made.text is None
        assert code in {finding.code for finding in made.findings}


def test_a_narrower_spread_and_a_second_one_are_told() -> None:
    assert (
        len(lines_of(lifted(PCC.replace("in-interface=lan", "in-interface=lan protocol=tcp")), "condition-left")) == 1
    )
    other = (
        PCC.partition("/ip route")[0]
        .replace("src-address:", "dst-address:")
        .replace("in-interface=lan", "in-interface=x")
    )
    made = lifted(PCC + other)
    assert len(lines_of(made, "second-spread")) == 1
    assert policy_of(PCC + other).lan == ("lan", "x")


def test_names_that_linux_has_not_are_told() -> None:
    assert len(lines_of(lifted(PCC.replace("ether1", '"pppoe to the second isp"')), "interface-name")) == 1


def test_names_of_tables_become_names_of_uplinks() -> None:
    text = PCC.replace("routing-table=a", 'routing-table="to WAN/1"').replace(
        "mark=a connection", 'mark="to WAN/1" connection'
    )
    assert [uplink.name for uplink in policy_of(text).uplinks] == ["to-WAN-1", "b"]


# --- from script to script -------------------------------------------------------------------------------------------


def test_six_becomes_seven_and_seven_six() -> None:
    old = PCC.replace("routing-table=", "routing-mark=")
    seven, six = rewritten(old), rewritten(PCC, LAST_SIX)
    assert "add fib name=a" in str(seven.text)
    assert "routing-table=a" in str(seven.text)
    assert "/routing table" not in str(six.text)
    assert "routing-mark=a distance=1" in str(six.text)
    assert "ipv6" not in str(six.text)


def test_a_refusal_that_seven_has_not_is_told() -> None:
    made = rewritten(f"{PCC}add dst-address=10.9.0.0/16 type=prohibit\n")
    assert lines_of(made, "refusal-becomes-silence") == [PCC.count("\n") + 1]
    assert "add blackhole dst-address=10.9.0.0/16" in str(made.text)


def test_what_a_rule_does_beside_routing_is_kept() -> None:
    rule = "add action=change-mss chain=forward new-mss=1440 protocol=tcp tcp-flags=syn"
    made = rewritten(f"{PCC}/ip firewall mangle\n{rule} comment=x\n")
    assert f'{rule} comment="evenflow: x"' in str(made.text)
    assert lines_of(made, "unsupported-action") == []
    assert lines_of(made, "kept-as-it-stands") == [PCC.count("\n") + 2]


def test_a_rule_of_a_chain_that_is_written_out_is_not_kept() -> None:
    nat = "add action=jump chain=dstnat jump-target=in\nadd action=dst-nat chain=in dscp=46 to-addresses=10.0.0.2\n"
    made = rewritten(f"{PCC}/ip firewall nat\n{nat}")
    assert has_errors(made.findings)
    assert lines_of(made, "unsupported-matcher") == [PCC.count("\n") + 3]


def test_what_only_routeros_understands_is_kept_in_its_place() -> None:
    odd = "add action=accept chain=prerouting limit=10,5:packet\n"
    text = PCC.replace("add chain=prerouting action=mark-routing", f"{odd}add chain=prerouting action=mark-routing", 1)
    made = rewritten(f"{text}/ip firewall nat\nadd action=netmap chain=srcnat to-addresses=192.0.2.0/24\n")
    lines = str(made.text).splitlines()
    place = lines.index("add action=accept chain=prerouting limit=10,5:packet comment=evenflow")
    assert "src-address:2/1" in lines[place - 1]
    assert "mark-routing" in lines[place + 1]
    assert lines[-1] == "add action=netmap chain=srcnat to-addresses=192.0.2.0/24 comment=evenflow"
    assert not has_errors(made.findings)
    assert len(lines_of(made, "kept-as-it-stands")) == 2
    assert has_errors(lifted(text).findings)


def test_what_nobody_understands_is_left_out_with_an_error() -> None:
    made = rewritten(f"{PCC}add gateway=1.2.3.4.5\n")
    assert has_errors(made.findings)
    assert "1.2.3.4.5" not in str(made.text)


def test_other_menus_and_disabled_items_are_told() -> None:
    made = rewritten(f"{PCC}add gateway=1.2.3.4 disabled=yes\n/ip dns\nset servers=1.1.1.1\n")
    assert lines_of(made, "disabled-left-out") == [PCC.count("\n") + 1]
    assert len(lines_of(made, "only-routing")) == 1
    assert "1.2.3.4" not in str(made.text)


def test_a_route_that_hangs_on_netwatch_is_told() -> None:
    watched = (
        "add gateway=203.0.113.9%ether1 comment=x\n/tool netwatch\n"
        'add host=192.0.2.1 up-script="/ip route enable [find comment=x]" '
        'down-script="/ip route disable [find comment=x]"\n'
    )
    assert lines_of(rewritten(PCC + watched), "netwatch-left-out") == [PCC.count("\n") + 1]


def test_written_names_come_back_whatever_they_are() -> None:
    name = 'a "b" $c \\ é\u4e2d?;{}'
    quoted = '"' + name.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$") + '"'
    made = rewritten(PCC.replace("connection-mark=a", f"connection-mark={quoted}"))
    assert [finding for finding in made.findings if finding.code == "not-said"] == []
    assert name in {
        rule.action.mark for rule in routeros.parse(str(made.text)).router.mangle if hasattr(rule.action, "mark")
    }


def test_a_name_that_a_script_can_not_have_is_an_error() -> None:
    # Linux has such a name; in a list of gateways it is two.
    made = script(TWO.replace('"ether2"\ngateway = "198.51.100.1"', '"ppp1,2"'))
    assert "not-said" in {finding.code for finding in made.findings}


def test_counters_and_chance_are_written_again() -> None:
    odd = "add action=mark-connection chain=prerouting in-interface=lan new-connection-mark=a nth=3,2 random=40\n"
    nat = "/ip firewall nat add action=masquerade chain=srcnat nth=2,1 out-interface=ether1\n"
    made = rewritten(f"{PCC}/ip firewall mangle\n{odd}{nat}")
    assert not has_errors(made.findings)
    assert "in-interface=lan nth=3,2 random=40" in str(made.text)
    assert "chain=srcnat action=masquerade nth=2,1 out-interface=ether1" in str(made.text)


def test_rules_that_count_are_no_part_of_a_policy() -> None:
    odd = "add action=mark-connection chain=prerouting in-interface=lan new-connection-mark=a nth=2,1\n"
    made = lifted(f"/ip firewall mangle\n{odd}{PCC}")
    assert lines_of(made, "rule-left") == [2]
    assert "nth=2,1" in next(each.message for each in made.findings if each.code == "rule-left")


def test_a_script_that_only_counts_is_no_policy() -> None:
    counted = PCC.replace(f"{BY}:2/0", "nth=2,1").replace(f"{BY}:2/1", "nth=2,2")
    assert counted != PCC
    made = lifted(counted)
    assert made.text is None
    assert lines_of(made, "nothing-to-lift") == [0]


def test_every_table_that_is_named_is_declared() -> None:
    """RouterOS 7 refuses a rule that names another, and the import would stop there, with the old rules gone."""
    text = """\
/ip firewall mangle
add chain=prerouting in-interface=lan action=mark-routing new-routing-mark=a
add chain=prerouting routing-mark=b action=accept
/routing rule
add routing-mark=c action=lookup table=d
/ip route
add gateway=203.0.113.1@e
"""
    seven, six = rewritten(text).text or "", rewritten(text, LAST_SIX).text or ""
    assert [line.split()[2] for line in seven.splitlines() if line.startswith("add fib")] == [
        *(f"name={table}" for table in "eabdc"),
    ]
    assert "fib" not in six


def test_dhcp_clients_keep_what_is_no_part_of_routing() -> None:
    text = """\
/ip dhcp-client
add interface=ether1 use-peer-dns=no dscp=46 comment=mine
add interface=ether2 use-peer-ntp=yes disabled=yes
set [find interface=ether1] dhcp-options="hostname,clientid"
"""
    (seven,), (six,) = (
        [line for line in (rewritten(text, version).text or "").splitlines() if "add interface=" in line]
        for version in (CURRENT, LAST_SIX)
    )
    assert "dhcp-options=hostname,clientid dscp=46 use-peer-dns=no" in seven
    assert "use-peer-dns=no" in six
    assert "dscp" not in six
