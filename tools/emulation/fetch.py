"""Debian's kernel and the guest's own packages, fetched and unpacked into .cache/emulator of the checkout."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from emulation.errors import EmulatorError
from emulation.initramfs import initramfs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CACHE: Final = Path(__file__).resolve().parents[2] / ".cache" / "emulator"

#: Depends on the kernel of the day.
KERNEL: Final = "linux-image-amd64"

#: What the guest has beyond the host's programs, with the libraries that a small machine may lack. They are unpacked,
#: not installed: the host stays as it is, and nobody has to be root.
PACKAGES: Final = ("busybox-static", "ppp", "pppoe", "libpcap0.8", "libdbus-1-3", "libssl3")

#: Parts of the kernel's modules that a guest without devices can use. The others are nine tenths of 400 MB.
MODULE_FOLDERS: Final = (
    "arch", "block", "crypto", "drivers/char/virtio_console.ko", "drivers/net/[a-z_0-9]*.ko", "drivers/net/bonding",
    "drivers/net/ipvlan", "drivers/net/ppp", "drivers/net/slip", "drivers/net/team", "drivers/net/vxlan",
    "drivers/net/wireguard", "drivers/virtio", "fs/9p", "fs/fscache", "fs/netfs", "fs/overlayfs", "lib", "net",
)  # fmt: skip


@dataclass(frozen=True)
class Prepared:
    """What a guest is started from.

    Attributes:
        kernel: the kernel's image.
        packages: folder with the files of the guest's own packages, and the modules.
        initramfs: what is unpacked first, without the command.
    """

    kernel: Path
    packages: Path
    initramfs: Path


def prepare() -> Prepared:
    """Fetch, unpack and pack whatever is not in the cache yet.

    Raises:
        EmulatorError: this machine can't.
    """
    if platform.machine() != "x86_64" or not shutil.which("dpkg-deb") or not shutil.which("apt-get"):
        raise EmulatorError("only for Debian on x86-64: the guest uses the host's programs and Debian's kernel")
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = CACHE / _fingerprint()
        if not folder.exists():
            _sweep()
            with tempfile.TemporaryDirectory(dir=CACHE, prefix="new-") as name:
                new = Path(name, "made")
                _make(new)
                new.rename(folder)
    return Prepared(folder / "vmlinuz", folder / "packages", folder / "initramfs")


def _fingerprint() -> str:
    """A name for the cache's content that changes with what makes it."""
    here = Path(__file__).parent
    sources = (here / name for name in ("fetch.py", "initramfs.py", "init", "start"))
    return hashlib.sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()[:16]


def _sweep() -> None:
    """Take away what an earlier form of this program, or one that was killed, has left."""
    for old in CACHE.iterdir():
        if old.is_dir() and old.name != "downloads":
            shutil.rmtree(old, ignore_errors=True)


def _make(new: Path) -> None:
    downloads = CACHE / "downloads"
    downloads.mkdir(exist_ok=True)
    kernel, *others = _download([_kernel_of_the_day(), *PACKAGES], downloads)
    packages = new / "packages"
    packages.mkdir(parents=True)
    wanted = [f"./lib/modules/*/kernel/{folder}" for folder in MODULE_FOLDERS]
    _unpack(kernel, packages, ["./boot/vmlinuz-*", "./lib/modules/*/modules.*", *wanted])
    for other in others:
        _unpack(other, packages)
    busybox = packages / "usr/bin/busybox"
    (modules,) = (packages / "usr/lib/modules").iterdir()
    _run([str(busybox), "depmod", "-b", str(packages / "usr"), modules.name])
    (image,) = (packages / "boot").iterdir()
    image.rename(new / "vmlinuz")
    (new / "initramfs").write_bytes(initramfs(busybox, modules))


def _kernel_of_the_day() -> str:
    """The package that the newest kernel is in."""
    found = _newest_kernel()
    if found is None and os.getuid() == 0:
        _run(["apt-get", "update", "-qq"])
        found = _newest_kernel()
    if found is None:
        raise EmulatorError(f"apt knows no {KERNEL}; on Debian: sudo apt-get update")
    return found


def _newest_kernel() -> str | None:
    with contextlib.suppress(EmulatorError):  # apt-cache fails when it knows no such package
        told = _run(["apt-cache", "show", "--no-all-versions", KERNEL])
        if found := re.search(r"^Depends: (linux-image-[^ ,]+)", told, re.MULTILINE):
            return found[1]
    return None


def _download(names: Sequence[str], folder: Path) -> list[Path]:
    """The packages' files, fetched if they are not there yet. The names are whole: apt takes others for patterns."""
    for name in names:
        if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]+", name):
            raise EmulatorError(f"{name} is no name of a package")
    missing = [name for name in names if not list(folder.glob(f"{name}_*.deb"))]
    if missing:
        print(f"emulator: fetching {' '.join(missing)} …", file=sys.stderr)
        _run(["apt-get", "download", "-qq", *missing], cwd=folder)
    found = [list(folder.glob(f"{name}_*.deb")) for name in names]
    return [max(files, key=lambda file: file.stat().st_mtime) for files in found]


def _unpack(package: Path, folder: Path, wanted: Iterable[str] = ()) -> None:
    """Unpack a package as on a machine where /bin, /sbin and /lib are links into /usr."""
    with tempfile.TemporaryFile(dir=folder.parent) as content:
        _run(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=content)
        content.seek(0)
        _run(
            ["tar", "-x", "-C", str(folder), "--no-same-owner", "--wildcards",
             "--exclude=./usr/share/doc", "--exclude=./usr/share/man",
             "--transform", r"s,^\./\(bin\|sbin\|lib\)\(/\|$\),./usr/\1\2,S", *wanted],
            stdin=content,
        )  # fmt: skip


def _run(
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    stdout: IO[bytes] | int = subprocess.PIPE,
) -> str:
    """Run a program; what it printed, unless that went to a file."""
    try:
        done = subprocess.run(  # noqa: S603 - the command is ours, no shell is involved
            command, cwd=cwd, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, check=False
        )
    except FileNotFoundError as problem:
        raise EmulatorError(f"the program {command[0]} is not installed") from problem
    if done.returncode:
        raise EmulatorError(f"{shlex.join(command)}: {done.stderr.decode(errors='replace').strip()}")
    return (done.stdout or b"").decode(errors="replace")
