"""Network namespaces: private worlds for the lab and the tests.

They have no name and no file. A namespace lives as long as somebody holds its descriptor, so that when the process
ends, in whatever way, everything in it is gone. Source: namespaces(7), user_namespaces(7), setns(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from evenflow.errors import NotPermittedError, SystemRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CLONE_NEWNS: Final = 0x0002_0000
CLONE_NEWUSER: Final = 0x1000_0000
CLONE_NEWNET: Final = 0x4000_0000

_PR_SET_PDEATHSIG: Final = 1

_MS_REC: Final = 0x4000
_MS_PRIVATE: Final = 0x4_0000

_libc = ctypes.CDLL(None, use_errno=True)


def _call(function: str, *arguments: object) -> None:
    """Call a C function that answers 0 or sets errno."""
    if getattr(_libc, function)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), function)


def enter_private() -> None:
    """Move this process into network and mount namespaces of its own, as root in them.

    Works for an ordinary user by a user namespace. The process must not have started a thread yet.

    Raises:
        NotPermittedError: this system forbids it; the message says what to allow.
    """
    user, group = os.getuid(), os.getgid()
    try:
        _call("unshare", CLONE_NEWNET | CLONE_NEWNS)
    except PermissionError:
        pass
    else:
        _hide_run()
        _set_loopback_up()
        return
    try:
        _call("unshare", CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS)
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1", encoding="ascii")
    except OSError as problem:
        raise NotPermittedError(
            "this system does not let an ordinary user make namespaces; run it as root, or allow it: "
            "sysctl kernel.unprivileged_userns_clone=1 (Debian), "
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu)"
        ) from problem
    _hide_run()
    _set_loopback_up()


def _hide_run() -> None:
    """An empty /run: what runs in here (daemons with their locks) leaves no file on the machine.

    Where even root may not mount, as in many containers, it stays as it is.
    """
    with contextlib.suppress(OSError):
        # First this: else the second would show outside as well.
        _call("mount", b"none", b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None)
        _call("mount", b"tmpfs", b"/run", b"tmpfs", ctypes.c_ulong(0), b"mode=755")


def _set_loopback_up() -> None:
    run(["ip", "link", "set", "lo", "up"])


#: Debian packages of programs whose name differs.
_PACKAGES: Final = {"ip": "iproute2", "tc": "iproute2", "nft": "nftables"}


def _environment() -> dict[str, str]:
    """The environment, with the folders where Debian keeps nft and tc: an ordinary user's PATH lacks them."""
    return {**os.environ, "PATH": f"{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/sbin:/sbin"}


def run(command: Sequence[str], *, stdin: str | None = None) -> str:
    """Run a program of the system here and return what it printed.

    Raises:
        SystemRefusedError: it is missing, or it ended with an error; the message carries what it said.
    """
    try:
        done = subprocess.run(  # noqa: S603 - the command is ours, no shell is involved
            list(command), input=stdin, capture_output=True, text=True, check=False, env=_environment()
        )
    except FileNotFoundError as problem:
        package = _PACKAGES.get(command[0], command[0])
        raise SystemRefusedError(
            f"the program {command[0]} is not installed; on Debian and Ubuntu: apt-get install {package}"
        ) from problem
    if done.returncode:
        raise SystemRefusedError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def _die_with_parent() -> None:
    """Ask for SIGTERM when the parent is gone (prctl(2)); it holds beyond execve(2)."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class NetworkNamespace:
    """A network namespace without a name, held by a descriptor.

    Close it, or use it as a context manager, and it is gone with all that is in it.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def create(cls) -> NetworkNamespace:
        """Make a new one, its loopback up; the caller's thread stays where it is.

        Raises:
            NotPermittedError: the caller may not (call `enter_private` first).
        """
        here = cls.current()
        try:
            _call("unshare", CLONE_NEWNET)
            made = cls.current()
            _set_loopback_up()
        except PermissionError as problem:
            raise NotPermittedError("making a network namespace needs CAP_SYS_ADMIN") from problem
        finally:
            here.enter_for_good()
            here.close()
        return made

    @classmethod
    def current(cls) -> NetworkNamespace:
        """The one that the calling thread is in.

        Raises:
            SystemRefusedError: it can't be told, for want of /proc.
        """
        try:
            return cls(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        except OSError as problem:
            raise SystemRefusedError(
                f"could not open /proc/thread-self/ns/net: {problem.strerror}; /proc must be mounted "
                "(`mount -t proc proc /proc`)"
            ) from problem

    @property
    def path(self) -> str:
        """A path by which another process of this user reaches it (`nsenter --net=`, `ip link set … netns`)."""
        return f"/proc/{os.getpid()}/fd/{self._descriptor}"

    def enter_for_good(self) -> None:
        """Move the calling thread into it."""
        _call("setns", self._descriptor, CLONE_NEWNET)

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """The calling thread is in it for the time of the `with`. Sockets made here stay in it."""
        here = NetworkNamespace.current()
        self.enter_for_good()
        try:
            yield
        finally:
            here.enter_for_good()
            here.close()

    def run(self, command: Sequence[str], *, stdin: str | None = None) -> str:
        """As `run`, in here."""
        with self.entered():
            return run(command, stdin=stdin)

    def start(self, command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a program in here; the caller ends it, and the kernel does when the caller is killed.

        `options` are those of `subprocess.Popen`.
        """
        # The signal comes when the thread ends that has started the program, so only the main thread may ask for it.
        if threading.current_thread() is threading.main_thread():
            options.setdefault("preexec_fn", _die_with_parent)
        with self.entered():
            return subprocess.Popen(list(command), env=_environment(), **options)  # noqa: S603 - no shell is involved

    def close(self) -> None:
        """Let go of it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
