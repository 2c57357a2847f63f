"""The options of `evenflow trace`, and their values one by one; `cli.trace` has what they mean together."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from evenflow.cli.accept_option import add_accepting

if TYPE_CHECKING:
    from collections.abc import Callable

    from evenflow.model.flow import Address

_STATES = ("new", "established", "related", "invalid", "untracked")

_EPILOG = """\
examples:
  evenflow trace router.rsc --in bridge1 --src 192.168.88.10 --dst 198.51.100.7 --sport 50000 --dport 443
  evenflow trace my.toml --in br0 --src 192.168.1.10 --dst 198.51.100.7 --down fibre
  evenflow trace my.toml --local --dst 198.51.100.7 --proto icmp
  sudo evenflow trace my.toml --live --in br0 --src 192.168.1.10 --dst 198.51.100.7 --sport 50000 --dport 443
"""


def add_options(command: argparse.ArgumentParser, seed: Callable[[str], int]) -> None:
    """Add all of them."""
    command.epilog, command.formatter_class = _EPILOG, argparse.RawDescriptionHelpFormatter
    command.add_argument("config", metavar="CONFIG", help="a policy (.toml) or a RouterOS script (.rsc)")
    add_accepting(command)
    packet = command.add_argument_group("the packet, as it meets the router")
    where = packet.add_mutually_exclusive_group(required=True)
    where.add_argument("--in", dest="in_interface", metavar="IF", help="the interface that it comes in by")
    where.add_argument("--local", action="store_true", help="one of the router's own")
    packet.add_argument(
        "--src", type=_address, metavar="A", help="source address; of the router's own: left out, chosen"
    )
    packet.add_argument("--dst", type=_address, metavar="A", required=True, help="destination address")
    packet.add_argument(
        "--proto", type=_protocol, default="tcp", metavar="P", help="tcp, udp, icmp, … or a number (default: tcp)"
    )
    packet.add_argument("--sport", type=_port, metavar="N", help="source port")
    packet.add_argument("--dport", type=_port, metavar="N", help="destination port")
    packet.add_argument("--state", choices=_STATES, help="of its connection (default: new)")
    packet.add_argument("--mark", metavar="NAME", help="a later packet of a connection that has this connection mark")
    packet.add_argument("--fragment", action="store_true", help="a later fragment, without ports")
    packet.add_argument("--reply", action="store_true", help="follow the answer to it instead")
    _add_suppositions(command, seed)
    command.add_argument("--all", dest="every", action="store_true", help="show each rule that does not match, too")


def _add_suppositions(command: argparse.ArgumentParser, seed: Callable[[str], int]) -> None:
    what_if = command.add_argument_group("what if")
    for option, text in (
        ("--down", "this uplink is lost, and the daemon has noticed (again for more)"),
        ("--no-carrier", "the cable of this uplink is pulled, and no daemon runs (again for more)"),
        ("--drained", "this uplink is drained (again for more)"),
    ):
        what_if.add_argument(option, action="append", default=[], metavar="UPLINK", help=text)
    what_if.add_argument(
        "--set-weight",
        type=weight_of,
        action="append",
        default=[],
        metavar="UPLINK=N",
        help="another weight (policies)",
    )
    what_if.add_argument("--seed", type=seed, metavar="N", help="of the classifier's hash; left out: the one in force")
    what_if.add_argument(
        "--packet-number",
        type=_packet_number,
        metavar="N",
        help="the N-th packet like this one since the rules came into force, for rules with nth= (default: 1)",
    )
    what_if.add_argument(
        "--chance",
        type=_chance,
        action="append",
        default=[],
        metavar="[LINE=]N",
        help="what random= gets, of all rules or that in a line: it matches if N, 0 to 99, is below its percentage "
        "(again for more; default: the likelier)",
    )
    what_if.add_argument(
        "--machine",
        choices=("auto", "this", "supposed"),
        default="auto",
        help="whose links and addresses: this machine's, or what the configuration tells; auto: this machine's if it "
        "has the interfaces",
    )
    what_if.add_argument(
        "--live", action="store_true", help="ask what runs here: its seed, buckets, routes and tracked connections"
    )


# --- values ----------------------------------------------------------------------------------------------------------


def _address(text: str) -> Address:
    from ipaddress import ip_address

    try:
        address = ip_address(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an IP address") from None
    if address.version == 6 and address.scope_id:
        raise argparse.ArgumentTypeError(f"{text!r}: leave %{address.scope_id} out; --in names the interface")
    return address


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 5 or not 0 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return int(text)


def _protocol(text: str) -> int:
    from evenflow.model.protocols import PROTOCOLS

    word = text.lower()
    if word in PROTOCOLS:
        return PROTOCOLS[word]
    if word.isascii() and word.isdecimal() and len(word) <= 3 and int(word) <= 255:
        return int(word)
    raise argparse.ArgumentTypeError(f"{text!r} is no known protocol; write its number, 0 to 255")


def _packet_number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 4 or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 9999")
    return int(text)


def _chance(text: str) -> tuple[int | None, int]:
    line, equals, number = text.rpartition("=")
    right = number.isascii() and number.isdecimal() and len(number) <= 2
    if not right or (equals and not (line.isascii() and line.isdecimal() and len(line) <= 9)):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 99; write N or LINE=N, as 10 or 26=10")
    return (int(line) if equals else None), int(number)


def weight_of(text: str) -> tuple[str, int]:
    """`UPLINK=N`, of a command line."""
    name, equals, number = text.rpartition("=")
    if not equals or not name or not (number.isascii() and number.isdecimal()) or len(number) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is no weight; write UPLINK=N with a number from 0 on, as isp1=3")
    return name, int(number)
