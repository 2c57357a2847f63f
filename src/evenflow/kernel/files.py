"""Configurations on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from evenflow.errors import InputError
from evenflow.formats import configuration
from evenflow.model.finding import Origin, error

if TYPE_CHECKING:
    from evenflow.formats.configuration import Loaded

#: Larger files are no router's configuration; reading one must not take the machine's memory.
SIZE_LIMIT_BYTES: Final = 64 << 20


def read_configuration(file: str) -> Loaded:
    """Read a policy (`.toml`) or a RouterOS script (`.rsc`) and look it over.

    Raises:
        InputError: the file can't be read at all.
    """
    path = Path(file)
    try:
        if path.stat().st_size > SIZE_LIMIT_BYTES:
            raise InputError(
                [error("too-large", Origin(file), f"over {SIZE_LIMIT_BYTES >> 20} MiB; is it the right file?")]
            )
        content = path.read_bytes()
    except OSError as problem:
        message = f"can't be read: {problem.strerror}; check the name and who may read it"
        raise InputError([error("unreadable", Origin(file), message)]) from problem
    return configuration.parse(content, file)
