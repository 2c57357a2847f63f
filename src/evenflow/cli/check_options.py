"""The options of `evenflow check`; `cli.check` and `cli.check_fix` have what they do."""

from __future__ import annotations

import argparse

_EPILOG = """\
examples:
  evenflow check router.rsc                        what is wrong, and what comes of it
  ssh admin@router /export | evenflow check -      the same of a router as it stands
  evenflow check router.rsc --fix                  what would mend it, as a diff; nothing is written
  evenflow check router.rsc --fix --output new.rsc the mended script
  evenflow check router.rsc --fix --in-place       the same in its place; router.rsc.orig is as it was

--fix changes only the lines that a mend is about; comments, order and line ends stay. Each mend is read again, and made
only where its finding is gone by it and no other has come. What needs a decision is left to you, and told with the
reason. docs/findings/ has a page for each finding.
"""


def add_options(command: argparse.ArgumentParser) -> None:
    """The options besides those of every command."""
    command.epilog, command.formatter_class = _EPILOG, argparse.RawDescriptionHelpFormatter
    command.add_argument("--fix", action="store_true", help="mend a RouterOS script: show the diff, or write it")
    where = command.add_mutually_exclusive_group()
    where.add_argument(
        "-o", "--output", metavar="FILE", help="with --fix: write the mended script there; - is standard output"
    )
    where.add_argument(
        "--in-place", action="store_true", help="with --fix: write it over CONFIG, which is kept as CONFIG.orig"
    )
    command.add_argument("--force", action="store_true", help="overwrite FILE, or CONFIG.orig, if it is there")
