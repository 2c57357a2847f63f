"""`evenflow check --fix`: the mended script as a diff or as a file; what is mended, what is left, and why."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evenflow.cli.telling import DONE, MISTAKE, complain, load, print_json
from evenflow.cli.whole_file import is_there, mode_of, write_whole
from evenflow.errors import InputError
from evenflow.formats.configuration import STANDARD_INPUT
from evenflow.model.finding import Finding, Origin, error, has_errors, printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from evenflow.formats.routeros.mending import Mended

#: Standard output, as the name of a file.
STDOUT = "-"

#: Findings that say that there is nothing to mend in a file.
_NO_SCRIPT = ("empty", "not-routeros")

#: By the first sign of a line of a diff.
_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def fix(arguments: argparse.Namespace) -> int:
    """Mend the script, and write it where it is wanted."""
    from evenflow.formats.routeros.mending import diff

    source, mended = _mended(arguments)
    shown = diff(source, mended.source, arguments.config)
    written = _write(arguments, source, mended)
    if arguments.json:
        print_json(_told(mended, shown, written))
    else:
        if arguments.output == STDOUT:
            sys.stdout.buffer.write(mended.source)
        else:
            _show(shown)
        sys.stdout.flush()
        _tell(arguments, mended, written)
    return MISTAKE if has_errors(mended.findings) else DONE


def _mended(arguments: argparse.Namespace) -> tuple[bytes, Mended]:
    """The script as it is, and as it is mended."""
    from evenflow.formats.routeros.mending import mend
    from evenflow.kernel.files import read_content

    loaded = load(arguments.config, accept_unsupported=arguments.accept_unsupported)
    if loaded.router is None or any(finding.code in _NO_SCRIPT for finding in loaded.findings):
        raise InputError(loaded.findings)
    source = read_content(arguments.config)
    mended = mend(source, arguments.config, accept_unsupported=arguments.accept_unsupported)
    if mended is None:
        what = "can't be mended: its bytes can't be written back as they are; save it as UTF-8"
        raise InputError((*loaded.findings, error("not-mendable", Origin(arguments.config), what)))
    target = _target(arguments)
    written = target is not None and (mended.source != source or not arguments.in_place)
    if written and not arguments.force and os.path.lexists(str(target)):
        raise InputError([is_there(str(target))])
    return source, mended


def _target(arguments: argparse.Namespace) -> str | None:
    """The file that comes into being: the mended script, or what is kept of the old one."""
    if arguments.in_place:
        return f"{arguments.config}.orig"
    output: str | None = arguments.output
    return None if output == STDOUT else output


def _write(arguments: argparse.Namespace, source: bytes, mended: Mended) -> str | None:
    """The file that the mended script is in now, None if it was not to be written, or is as it was."""
    target, config = _target(arguments), Path(arguments.config)
    if target is None or (arguments.in_place and mended.source == source):
        return None
    kept = source if arguments.in_place else mended.source
    # Who may not read the script, which may have passwords in it, may not read its copy.
    mode = None if arguments.config == STANDARD_INPUT else mode_of(config)
    write_whole(Path(target), kept, overwrite=arguments.force, mode=mode)
    if arguments.in_place:
        write_whole(config, mended.source, overwrite=True)
        return str(arguments.config)
    return target


# --- telling -------------------------------------------------------------------------------------------------------


def _told(mended: Mended, shown: Iterable[str], written: str | None) -> dict[str, Any]:
    from evenflow.formats.plan import findings_to_json

    def with_more(finding: Finding, **more: object) -> dict[str, Any]:
        return {**findings_to_json([finding])[0], **more}

    return {
        "mended": [with_more(each.finding, mend=each.what) for each in mended.mends],
        "left": [with_more(each.finding, why=each.why, proposal=list(each.proposal)) for each in mended.left],
        "diff": "".join(f"{line}\n" for line in shown),
        "written": written,
        "findings": findings_to_json(mended.findings),
    }


def _show(shown: Iterable[str]) -> None:
    """The diff on standard output; in colours on a terminal."""
    if not sys.stdout.isatty():
        for line in shown:
            print(line)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for line in shown:
        console.print(Text(line, _COLOURS.get(line[:1], "")), soft_wrap=True)


def _tell(arguments: argparse.Namespace, mended: Mended, written: str | None) -> None:
    """What became of each finding, on standard error: standard output has the diff alone."""
    for done in mended.mends:
        complain(_line(done.finding, "mended", done.what))
    for left in mended.left:
        complain(_line(left.finding, "left", f"{left.finding.message} ({left.why})"))
        for proposal in left.proposal:
            complain(f"    {printable(proposal)}")
    count = f"{len(mended.mends)} mended, {len(mended.left)} left"
    if written is not None:
        kept = f"; as it was: {_target(arguments)}" if arguments.in_place else ""
        complain(f"{written}: written, {count}{kept}")
    elif mended.mends and arguments.output is None:
        complain(f"{arguments.config}: {count}; nothing is written: --output FILE or --in-place does it")
    else:
        complain(f"{arguments.config}: {count}")


def _line(finding: Finding, what: str, text: str) -> str:
    return printable(f"{finding.where}: {what}: {text} [{finding.code}]")
