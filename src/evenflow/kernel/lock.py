"""One evenflow at a time: what changes a kernel's network holds a lock while it does.

The lock is flock(2) on a file in a folder that only root and the daemon's own user can enter, so nobody else can hold
it. It is named for the network namespace, and goes with the process, however that ends.

An abstract socket address (unix(7)) is taken besides: it belongs to the network namespace whatever the processes' file
systems are, so that evenflows in containers which share it see each other. Any user can take that address; so it counts
only if its holder is root or the daemon's user, or where there is no folder for the file (a user namespace, in which
nobody else is).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from evenflow.errors import SystemRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The unit of systemd makes it for the daemon's user; root can write there, too, and makes it where there is no daemon.
FOLDER: Final = Path("/run/evenflow")

ADDRESS: Final = "\0evenflow-apply"

#: A file that is taken away before it is locked is made anew; more than this is nobody's honest work.
_TRIES: Final = 100

_CREDENTIALS: Final = struct.Struct("=iII")  # struct ucred: process, user, group


@dataclass(frozen=True, slots=True)
class _Holder:
    """Who has it; 0 and None where that can't be told."""

    process: int = 0
    user: int | None = None


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Keep a second evenflow from changing the same kernel at the same time.

    Raises:
        SystemRefusedError: another one is at work.
    """
    with contextlib.ExitStack() as stack:
        locked = stack.enter_context(_file())
        address = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        try:
            address.bind(ADDRESS)
            address.listen()
        except OSError as problem:
            holder = _holder_of_address()
            if not locked or holder.user in _trusted():
                raise _refusal(holder) from problem
        yield


@contextlib.contextmanager
def _file() -> Iterator[bool]:
    """Hold the file; whether there is one to hold."""
    try:
        FOLDER.mkdir(mode=0o750, exist_ok=True)
        path = FOLDER / f"lock-{Path('/proc/thread-self/ns/net').stat().st_ino}"
        descriptor = _locked(path)
    except OSError:
        yield False
        return
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        yield True
    finally:
        with contextlib.suppress(OSError):
            if _is_at(descriptor, path):
                path.unlink()  # whoever has opened it meanwhile sees that it has gone, and makes another
        os.close(descriptor)


def _locked(path: Path) -> int:
    """The descriptor of the file at `path`, locked.

    Raises:
        OSError: it can't be opened.
        SystemRefusedError: another process has locked it.
    """
    for _ in range(_TRIES):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            _share(descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(descriptor, path):
                return descriptor
        except BlockingIOError as problem:
            said = os.pread(descriptor, 20, 0).strip()
            os.close(descriptor)
            raise _refusal(_Holder(int(said) if said.isdigit() else 0)) from problem
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    raise _refusal(_Holder())


def _share(descriptor: int) -> None:
    """Give a file that root made to the folder's owner: the daemon must be able to open it."""
    owner = FOLDER.stat()
    with contextlib.suppress(OSError):
        if os.fstat(descriptor).st_uid != owner.st_uid:
            os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether it is still the file of that name: its last holder may have taken it away."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _holder_of_address() -> _Holder:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        try:
            asking.connect(ADDRESS)
            process, user, _ = _CREDENTIALS.unpack(
                asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            )
        except OSError:
            return _Holder()  # evenflow listens: this is somebody else
        return _Holder(process, user)


def _trusted() -> set[int]:
    """The users who can have locked the file."""
    return {0, os.geteuid(), FOLDER.stat().st_uid}


def _refusal(holder: _Holder) -> SystemRefusedError:
    which = f" (process {holder.process})" if holder.process else ""
    return SystemRefusedError(
        f"another evenflow{which} is at work on this machine: a daemon (`evenflow status` asks it, `evenflow reload` "
        "has it read its configuration anew), or a change that is done in a moment"
    )
