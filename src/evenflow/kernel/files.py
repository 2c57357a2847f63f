"""Configurations on disk."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from evenflow.errors import InputError
from evenflow.formats import configuration
from evenflow.model.finding import Origin, error

if TYPE_CHECKING:
    from evenflow.formats.configuration import Loaded

#: Larger files are no router's configuration; reading one must not take the machine's memory.
SIZE_LIMIT_BYTES: Final = 64 << 20


def read_configuration(file: str, *, look_over: bool = True) -> Loaded:
    """Read a policy (`.toml`) or a RouterOS script (`.rsc`) and, unless told otherwise, look it over.

    Raises:
        InputError: the file can't be read at all.
    """
    try:
        content = _read(file)
    except OSError as problem:
        message = f"can't be read: {problem.strerror}; check the name and who may read it"
        raise InputError([error("unreadable", Origin(file), message)]) from problem
    if len(content) > SIZE_LIMIT_BYTES:
        raise InputError(
            [error("too-large", Origin(file), f"over {SIZE_LIMIT_BYTES >> 20} MiB; is it the right file?")]
        )
    return configuration.parse(content, file) if look_over else configuration.read(content, file)


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
        message = "is no regular file, but a device, a pipe or a socket; write the configuration to a file and name it"
    else:
        return
    raise InputError([error("unreadable", Origin(file), message)])
