"""Configurations and flows on disk."""

from __future__ import annotations

import os
import stat
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from evenflow.errors import InputError, NotInstalledError
from evenflow.formats import configuration
from evenflow.model.finding import Origin, error

if TYPE_CHECKING:
    from evenflow.formats.configuration import Loaded
    from evenflow.model.flows import FlowSource

#: Larger files are no router's configuration; reading one must not take the machine's memory.
SIZE_LIMIT_BYTES: Final = 64 << 20


def read_configuration(file: str, *, look_over: bool = True, accept_unsupported: bool = False) -> Loaded:
    """Read a policy (`.toml`) or a RouterOS script (`.rsc`, `-`) and, unless told otherwise, look it over.

    With `accept_unsupported`, what RouterOS does and evenflow can't is no error, but a warning.

    Raises:
        InputError: the file can't be read at all.
    """
    content = read_content(file)
    read = configuration.parse if look_over else configuration.read
    return read(content, file, accept_unsupported=accept_unsupported)


def read_content(file: str) -> bytes:
    """The content of a configuration; `-` is standard input, which is the same however often it is asked for.

    Raises:
        InputError: it can't be read at all, or is too large.
    """
    try:
        content = _standard_input() if file == configuration.STANDARD_INPUT else _read(file)
    except OSError as problem:
        message = f"can't be read: {problem.strerror}; check the name and who may read it"
        raise InputError([error("unreadable", Origin(file), message)]) from problem
    if len(content) > SIZE_LIMIT_BYTES:
        raise InputError(
            [error("too-large", Origin(file), f"over {SIZE_LIMIT_BYTES >> 20} MiB; is it the right file?")]
        )
    return content


def open_flows(file: str) -> FlowSource:
    """A file of flows, whatever of the known formats it is, ready to be read.

    Raises:
        InputError: it can't be opened, or is none.
        NotInstalledError: what it takes to read it is missing.
    """
    if file == "-":
        message = "flows are read from a file, not from standard input; write them to one and name it"
        raise InputError([error("unreadable", Origin(file), message)])
    try:
        _must_be_regular(Path(file).stat().st_mode, file)
        content = Path(file).open("rb")  # noqa: SIM115 - it is read as long as its flows are
    except OSError as problem:
        message = f"can't be opened: {problem.strerror}"
        raise InputError([error("unreadable", Origin(file), message)]) from problem
    try:
        from evenflow.formats.flows import open_flows as recognised  # noqa: PLC0415 - NumPy may be missing

        return recognised(content, file, Path(file).stat().st_size)  # Polars, too
    except ImportError as problem:
        content.close()
        what = "to install what it takes, pip install 'evenflow[simulate]'"
        raise NotInstalledError(f"{problem}: {what}") from problem
    except BaseException:
        content.close()
        raise


@cache
def _standard_input() -> bytes:
    return sys.stdin.buffer.read(SIZE_LIMIT_BYTES + 1)


def _read(file: str) -> bytes:
    """The content, up to one byte over the limit: what is still being written can be longer than it says it is."""
    _must_be_regular(Path(file).stat().st_mode, file)  # asked first: to open a device can do something already
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        _must_be_regular(os.fstat(descriptor).st_mode, file)  # it may be another one by now
        parts, left = [], SIZE_LIMIT_BYTES + 1
        while left and (part := os.read(descriptor, min(left, 1 << 20))):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


def _must_be_regular(mode: int, file: str) -> None:
    if stat.S_ISDIR(mode):
        message = "is a directory; give the name of a file in it"
    elif not stat.S_ISREG(mode):
        message = "is no regular file, but a device, a pipe or a socket; write its content to a file and name it"
    else:
        return
    raise InputError([error("unreadable", Origin(file), message)])
