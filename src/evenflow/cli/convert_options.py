"""The options of `evenflow convert`, and their values one by one; `cli.convert` has what they do."""

from __future__ import annotations

import argparse
import re

_EPILOG = """\
A and B are policies (.toml) or RouterOS scripts (.rsc); their suffixes tell which. B may be - for standard output:
then a policy becomes a script, and a script a policy, or a script again where --routeros is given.

examples:
  evenflow convert office.toml router.rsc                 a script for RouterOS 7, run with /import router.rsc
  evenflow convert office.toml router.rsc --routeros 7.16 for a release without default-route-tables of DHCP clients
  evenflow convert router.rsc office.toml                 what the script balances, in some ten lines
  evenflow convert old.rsc new.rsc                        a script of RouterOS 6, or a snippet, as a clean one of 7
  evenflow convert router.rsc - --routeros 6              the other way round, to standard output

A written script can be run again: it first takes away what it made before, known by comments that begin with
"evenflow", and touches nothing else. It has as many PCC rules as bring each share within --max-error-percent of its
weight, and says at its head how near they come.

What the other side can't say is a finding, with its line and what follows from it; `--json` prints findings of every
severity. docs/convert.md shows before and after. With an error among the findings the exit status is 1: B is written
all the same where something can be, without what the error names.
"""

_PERCENT = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,6})?", re.ASCII)
_RELEASE = re.compile(r"(6|7)(?:\.([0-9]{1,3}))?", re.ASCII)


def add_options(command: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    command.epilog, command.formatter_class = _EPILOG, argparse.RawDescriptionHelpFormatter
    command.add_argument("source", metavar="A", help="what there is: a policy (.toml) or a RouterOS script (.rsc)")
    command.add_argument("target", metavar="B", help="what to write, of either kind; - is standard output")
    command.add_argument("--force", action="store_true", help="overwrite B if it is there")
    command.add_argument(
        "--routeros",
        type=_release,
        metavar="N",
        help="the release that runs the script: 6, 7 or one such as 7.16 (default: that of A if it is a script of 7, "
        "else 7, which is its current release)",
    )
    command.add_argument(
        "--max-error-percent",
        type=_percent,
        default="1",
        metavar="P",
        help="how far a share may be from its weight, in hundredths of all connections (default: 1); the smaller, the "
        "more rules",
    )


def _release(text: str) -> str:
    if not _RELEASE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no release of RouterOS that is known here; write 6, 7 or 7.16")
    return text


def _percent(text: str) -> str:
    if not _PERCENT.fullmatch(text) or float(text) > 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 100")
    return text
