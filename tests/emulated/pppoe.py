"""Debian's pppd and pppoe-server: a provider that gives sessions away, and a router that holds one.

Run in the guest only: the password stands in the guest's /etc/ppp.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from evenflow.kernel.namespaces import NetworkNamespace

#: Nobody compresses, so that a packet on the wire is one that can be read; the other end counts as gone after 3 s.
_LINK_OPTIONS: Final = ("noccp", "novj", "lcp-echo-interval", "1", "lcp-echo-failure", "3")

_USER, _PASSWORD = "subscriber", "secret"


class Concentrator:
    """pppoe-server on one interface. Each session gets the next address."""

    def __init__(self, namespace: NetworkNamespace, interface: str, folder: Path) -> None:
        self._namespace, self._interface, self._folder = namespace, interface, folder
        self._process: subprocess.Popen[str] | None = None

    def start(self, *, local: str, first: str, sessions: int) -> None:
        """Give sessions away from now on: `local` is its own address in all of them, `first` the first one's other."""
        secrets = Path("/etc/ppp/chap-secrets")
        secrets.write_text(f'"{_USER}" * "{_PASSWORD}" *\n', encoding="ascii")
        secrets.chmod(0o600)
        options = self._folder / "pppoe-server.options"
        options.write_text(" ".join(("require-chap", *_LINK_OPTIONS)) + "\n", encoding="ascii")
        log: IO[str]
        with (self._folder / "pppoe-server.log").open("a", encoding="utf-8") as log:
            self._process = self._namespace.start(
                ["pppoe-server", "-F", "-I", self._interface, "-L", local, "-R", first, "-N", str(sessions),
                 "-O", str(options)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, text=True,
            )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class Dialer:
    """pppd on one interface of Ethernet; while the session stands there is a device of its own for it."""

    def __init__(self, namespace: NetworkNamespace, interface: str, device: str, folder: Path) -> None:
        self._namespace, self._interface, self._device, self._folder = namespace, interface, device, folder
        self._process: subprocess.Popen[str] | None = None

    @property
    def log(self) -> str:
        """What pppd has said."""
        file = self._folder / "pppd.log"
        return file.read_text(encoding="utf-8") if file.exists() else ""

    def start(self, *options: str) -> None:
        """Ask for a session, and hold it."""
        assert self._process is None
        log = self._folder / "pppd.log"
        self._process = self._namespace.start(
            ["pppd", "plugin", "rp-pppoe.so", self._interface, "ifname", self._device, "nodetach",
             "user", _USER, "password", _PASSWORD, "noauth", "noipdefault", "persist", "maxfail", "0", "holdoff", "1",
             *_LINK_OPTIONS, *options, "debug", "logfile", str(log)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def kill(self) -> None:
        """End it without a word to the other side (kill -9)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
