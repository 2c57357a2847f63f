"""The options of `evenflow simulate`, and their values one by one; `cli.simulate` has what they mean together."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenflow.cli.accept_option import add_accepting
from evenflow.cli.trace_options import weight_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from evenflow.model.matcher import Classifier

#: More seeds tell no more: the range of 100 is known to a tenth of its width. Each is counted by itself, in memory.
MOST_SEEDS = 100

#: More clients are no longer a list that anybody reads.
MOST_CLIENTS = 1000

#: What a picture can be, by the end of its name.
PICTURES = (".png", ".svg", ".html")

_EPILOG = """\
FLOWS is a capture (pcap, pcapng), a table (CSV with src,dst,proto,sport,dport[,bytes,time], Parquet with such columns,
nfdump -o csv) or what `conntrack -L` prints; its content tells which. Each flow gets the uplink that `evenflow trace`
would give it, exactly. "target" is what was asked for, "chance" where the share lies under 95 of 100 seeds: a hash
divides connections, and a few heavy ones make shares uneven. What lies outside is decided by something else (✗).

examples:
  evenflow simulate office.toml yesterday.csv
      who gets what, how full each line was in its busiest minute, and which clients show two addresses
  evenflow simulate router.rsc lan.pcap --down isp2
      what moves when isp2 is lost, and whether anything moves that need not
  evenflow simulate office.toml flows.parquet --compare
      src-address, both-addresses and both-addresses-and-ports side by side, and which one to take
  evenflow simulate office.toml flows.parquet --compare both-addresses both-addresses:fibre=3,lte=1 src-address
      those, the second with other weights
  evenflow simulate office.toml flows.parquet --seeds 20
      how much hangs on the seed, which a RouterOS router draws anew at each boot
  evenflow simulate office.toml flows.parquet --plot load.png --plot load.html
      shares over time, each line against its bandwidth, shares against targets, as pictures
  sudo conntrack -L > now.txt && sudo evenflow simulate office.toml now.txt --live
      what the router that runs here would make of the connections that it has, were they new
"""


@dataclass(frozen=True, slots=True)
class Way:
    """A way to divide, of `--compare`: what is None or left out stays as the configuration has it."""

    classifier: Classifier | None = None
    weights: tuple[tuple[str, int], ...] = ()


def add_options(command: argparse.ArgumentParser, seed: Callable[[str], int]) -> None:
    """Add all of them."""
    command.epilog, command.formatter_class = _EPILOG, argparse.RawDescriptionHelpFormatter
    command.add_argument("config", metavar="CONFIG", help="a policy (.toml) or a RouterOS script (.rsc)")
    add_accepting(command)
    command.add_argument("flows", metavar="FLOWS", help="pcap, pcapng, CSV, Parquet, or `conntrack -L` output")
    command.add_argument(
        "--in",
        dest="in_interface",
        metavar="IF",
        help="the interface that the flows come in by (left out: the one whose network has their source address, "
        "else the first of the LAN)",
    )
    _add_suppositions(command, seed)
    asked = command.add_argument_group("what to tell")
    asked.add_argument(
        "--compare",
        nargs="*",
        type=_way,
        metavar="WAY",
        help="set other ways to divide beside that of CONFIG, and recommend one; a WAY is CLASSIFIER, "
        "CLASSIFIER:UPLINK=N,… or :UPLINK=N,…; without any, the usual ones",
    )
    asked.add_argument("--seeds", type=_seeds, metavar="N", help="how shares spread over seeds 0 to N-1")
    asked.add_argument("--top", type=_top, default=5, metavar="N", help="so many clients (default: %(default)s)")
    asked.add_argument(
        "--plot", action="append", type=_picture, default=[], metavar="FILE", help="draw it: .png, .svg or .html"
    )
    command.add_argument(
        "--engine",
        choices=("auto", "numpy", "numba"),
        default="auto",
        help="what hashes; auto: NumPy, and Numba where it is installed and there is much to do",
    )


def _add_suppositions(command: argparse.ArgumentParser, seed: Callable[[str], int]) -> None:
    what_if = command.add_argument_group("what if")
    what_if.add_argument(
        "--down",
        action="append",
        default=[],
        metavar="UPLINK",
        help="this uplink is lost: what moves? (again for more)",
    )
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
        "--machine",
        choices=("auto", "this", "supposed"),
        default="auto",
        help="whose links and addresses: this machine's, or what the configuration tells; auto: this machine's if it "
        "has the interfaces",
    )
    what_if.add_argument("--live", action="store_true", help="ask what runs here: its seed, buckets and routes")


# --- values ----------------------------------------------------------------------------------------------------------


def _way(text: str) -> Way:
    from evenflow.model.matcher import Classifier

    name, _, listed = text.partition(":")
    words = [one.value for one in Classifier]
    if name and name not in words:
        raise argparse.ArgumentTypeError(
            f"{name!r} is no classifier; there are: {', '.join(words)} (CONFIG and FLOWS stand before --compare)"
        )
    weights = tuple(weight_of(each) for each in listed.split(",")) if listed else ()
    return Way(Classifier(name) if name else None, weights)


def _seeds(text: str) -> int:
    return _number(text, MOST_SEEDS)


def _top(text: str) -> int:
    return _number(text, MOST_CLIENTS)


def _number(text: str, most: int) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 9 or not 1 <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {most}")
    return int(text)


def _picture(text: str) -> str:
    if not text.lower().endswith(PICTURES):
        raise argparse.ArgumentTypeError(f"{text!r}: its name must end in .png, .svg or .html, which tells what it is")
    return text
