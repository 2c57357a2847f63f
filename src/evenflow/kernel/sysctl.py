"""Sysctls: read and write them under /proc/sys, in the network namespace of the calling thread.

Names are written with slashes ("net/ipv4/conf/eth0.5/rp_filter"), because the name of an interface can hold a dot.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

from evenflow.errors import NotPermittedError, NotSupportedError, SystemRefusedError

_ROOT: Final = "/proc/sys"

#: No sysctl under /proc/sys/net has more, and one read gives all of it.
_LONGEST_BYTES: Final = 4096


def read(name: str) -> str | None:
    """Its value, numbers in a row separated by one space; None when this machine does not have it.

    Raises:
        SystemRefusedError: it can't be read.
    """
    try:
        # Not by pathlib and buffers: a pass of the daemon reads a hundred of them.
        descriptor = os.open(_path(name), os.O_RDONLY | os.O_CLOEXEC)
        try:
            return b" ".join(os.read(descriptor, _LONGEST_BYTES).split()).decode("ascii")
        finally:
            os.close(descriptor)
    except (FileNotFoundError, NotADirectoryError) as problem:
        if Path(_ROOT, "net/ipv4").is_dir():
            return None
        raise SystemRefusedError(f"{_ROOT}/net/ipv4 is not there; /proc must be mounted, all of it") from problem
    except OSError as problem:
        raise SystemRefusedError(f"could not read the sysctl {name}: {problem.strerror}") from problem


def write(name: str, value: str) -> None:
    """Set it.

    Raises:
        NotSupportedError: this machine does not have it.
        NotPermittedError: the caller may not.
        SystemRefusedError: the kernel does not take the value.
    """
    what = f"could not set the sysctl {name} to {value!r}"
    try:
        # No O_CREAT: what is not there can't be made, and the kernel would speak of permissions.
        with Path(_path(name)).open("r+", encoding="ascii") as file:
            file.write(value)
    except (FileNotFoundError, NotADirectoryError) as problem:
        raise NotSupportedError(f"{what}: this machine does not have it") from problem
    except PermissionError as problem:
        raise NotPermittedError(f"{what}: run it as root, e.g. with sudo") from problem
    except OSError as problem:
        mend = ""
        if problem.errno == errno.EROFS:
            mend = (
                "; /proc/sys can only be read here, as in most containers: run it outside, or have it mounted so that "
                "it can be written; or set it from outside beforehand: what holds already is not written"
            )
        raise SystemRefusedError(f"{what}: {problem.strerror}{mend}") from problem


def _path(name: str) -> str:
    parts = name.split("/")
    if not all(parts) or ".." in parts:
        raise SystemRefusedError(f"{name!r} is not the name of a sysctl; write it as net/ipv4/ip_forward")
    return f"{_ROOT}/{name}"
