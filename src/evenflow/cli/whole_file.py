"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from evenflow.errors import InputError
from evenflow.model.finding import Origin, error

if TYPE_CHECKING:
    from evenflow.model.finding import Finding


def is_there(file: str) -> Finding:
    """That a file is not overwritten, or can't be."""
    if Path(file).is_file():
        return error("exists", Origin(file), "is there already, and is left as it is; --force overwrites it")
    what = "is a folder" if Path(file).is_dir() else "is no regular file"
    return error("exists", Origin(file), f"{what}, and only a regular file is written; name another")


def mode_of(file: Path) -> int:
    """Who may do what with a file. Raises OSError."""
    return stat.S_IMODE(file.stat().st_mode)


def write_whole(file: Path, content: bytes, *, overwrite: bool, mode: int | None = None) -> None:
    """Write the whole file or nothing of it; another's file that has come to be there meanwhile is left, too.

    `mode` says who may do what with it, None: as with any new file. One that is overwritten keeps its own.

    Raises:
        InputError: it is there and is not to be overwritten, or is no regular file.
        OSError: it can't be written.
    """
    place = Path(os.path.realpath(file))
    if not place.parent.is_dir():
        what = f"there is no folder {place.parent}; make it, or name another"
        raise InputError([error("unreadable", Origin(str(file)), what)])
    if overwrite and place.exists():
        if not place.is_file():
            raise InputError([is_there(str(file))])
        mode = mode_of(place)
    new = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    try:
        with new.open("xb") as written:
            if mode is not None:
                os.fchmod(written.fileno(), mode)
            written.write(content)
            written.flush()
            os.fsync(written.fileno())
        if overwrite:
            new.replace(place)
        else:
            os.link(new, place)
    except FileExistsError as problem:
        raise InputError([is_there(str(file))]) from problem
    finally:
        with contextlib.suppress(FileNotFoundError):
            new.unlink()
