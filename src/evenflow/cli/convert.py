"""`evenflow convert`: a policy as a RouterOS script, a script as a policy, either as itself in order."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from evenflow.cli.telling import DONE, MISTAKE, complain, print_json
from evenflow.cli.whole_file import is_there, write_whole
from evenflow.errors import InputError
from evenflow.model.finding import Origin, error, has_errors

if TYPE_CHECKING:
    import argparse

    from evenflow.formats.routeros.version import Version
    from evenflow.formats.routeros.writing.conversion import Conversion

#: Standard output, as the name of a file.
STDOUT = "-"


def convert(arguments: argparse.Namespace) -> int:
    """`evenflow convert`: write B, and tell what it can't say."""
    from evenflow.formats.plan import findings_to_json

    conversion = _converted(arguments)
    if conversion.text is None:
        raise InputError(conversion.findings)
    to_stdout = arguments.target == STDOUT
    if not to_stdout:
        write_whole(Path(arguments.target), conversion.text.encode(), overwrite=arguments.force)
    if arguments.json:
        print_json(
            {
                "written": None if to_stdout else arguments.target,
                "text": conversion.text if to_stdout else None,
                "findings": findings_to_json(conversion.findings),
            }
        )
    else:
        if to_stdout:
            print(conversion.text, end="")
        else:
            print(f"{arguments.target}: written")
        for finding in conversion.findings:
            complain(str(finding))  # remarks, too: what the other side can't say is never lost in silence
    return MISTAKE if has_errors(conversion.findings) else DONE


def _converted(arguments: argparse.Namespace) -> Conversion:
    from fractions import Fraction

    from evenflow.formats.routeros.writing import conversion
    from evenflow.kernel.files import read_configuration, read_content

    form = _form(arguments)
    if arguments.target != STDOUT and not arguments.force and os.path.lexists(arguments.target):
        raise InputError([is_there(arguments.target)])
    wishes = conversion.Wishes(_version(arguments.routeros), Fraction(arguments.max_error_percent) / 100)
    loaded = read_configuration(arguments.source, look_over=False)
    return conversion.convert(loaded, read_content(arguments.source), form, wishes)


def _form(arguments: argparse.Namespace) -> str:
    """The form of B."""
    from evenflow.formats.routeros.writing.conversion import POLICY, SCRIPT

    if arguments.target == STDOUT:
        to_script = arguments.source.endswith(f".{POLICY}") or arguments.routeros is not None
        return SCRIPT if to_script else POLICY
    suffix: str = arguments.target.rpartition(".")[2]
    if suffix not in (POLICY, SCRIPT):
        message = "is neither a policy (.toml) nor a RouterOS script (.rsc) by its name; give it the suffix that tells"
        raise InputError([error("unknown-suffix", Origin(arguments.target), message)])
    return suffix


def _version(text: str | None) -> Version | None:
    """The release that is meant: of 6 the last, of 7 the current one, unless it is told."""
    from evenflow.formats.routeros.version import Version
    from evenflow.formats.routeros.writing import CURRENT, LAST_SIX

    if text is None:
        return None
    major, _, minor = text.partition(".")
    if minor:
        return Version(int(major), int(minor))
    return LAST_SIX if major == "6" else CURRENT
