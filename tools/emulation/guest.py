"""One run of a guest: QEMU is started, what the guest prints is passed on, and how the command ended."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import selectors
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from emulation.errors import EmulatorError
from emulation.fetch import prepare
from emulation.initramfs import archive

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from emulation.fetch import Prepared

TIMED_OUT: Final = 124

#: Lines of the kernel that are shown when the guest has broken down: a panic with its trace takes about fifty.
LAST_WORDS: Final = 70

#: The machine type microvm starts two seconds sooner, but has no clock finer than 4 ms: no shaper is right there.
MACHINE: Final = ("-M", "q35", "-cpu", "max", "-accel", "tcg,thread=multi")

#: reboot=t: a triple fault, which ends QEMU (-no-reboot) at once. panic=-1: so does a panic.
KERNEL_LINE: Final = "console=ttyS0 loglevel=4 panic=-1 reboot=t mitigations=off nokaslr"

SEARCH_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/emulator"


@dataclass(frozen=True)
class Order:
    """What is to be run, and on what.

    Attributes:
        command: program and arguments.
        environment: further variables.
        timeout_s: for all of it, the start included.
        memory_mib, cpus: of the guest.
        log: where the kernel's messages go; None: nowhere, but the last ones are told when the guest fails.
    """

    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    timeout_s: float
    memory_mib: int
    cpus: int
    log: Path | None


def run(order: Order) -> int:
    """Run a command in a guest; what it prints is printed here. Returns its exit status.

    Raises:
        EmulatorError: the guest could not be started, or ended before the command did.
    """
    prepared = prepare()
    with tempfile.TemporaryDirectory(prefix="emulator-") as name:
        log = order.log or Path(name, "console")
        initramfs = Path(name, "initramfs")
        # The kernel unpacks archives that stand one behind the other.
        command = archive({"emulator/command": _script(order).encode()})
        initramfs.write_bytes(prepared.initramfs.read_bytes() + command)
        with _ports() as ports:
            process = _start(_qemu(order, prepared, initramfs, log, ports), ports)
            try:
                told = _relay(process, ports, time.monotonic() + order.timeout_s)
            finally:
                process.kill()
                said = process.stderr.read().decode(errors="replace") if process.stderr else ""
                process.wait()
        if told is None:
            print(f"emulator: not done after {order.timeout_s:g} s", file=sys.stderr)
            return TIMED_OUT
        if not (ended := re.fullmatch(r"exit (\d+)\n", told)):
            last = log.read_text(errors="replace").splitlines()[-LAST_WORDS:] if log.exists() else []
            raise EmulatorError("\n".join(["the guest ended before its command did", said.strip(), *last]))
        return int(ended[1])


def _script(order: Order) -> str:
    """What the guest runs, for sh."""
    variables = {
        "PATH": SEARCH_PATH,
        "HOME": "/run/home",
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "EVENFLOW_EMULATED": "1",
        **dict(order.environment),
    }
    setting = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
    return f"cd {shlex.quote(str(Path.cwd()))} && exec /usr/bin/env -i {setting} {shlex.join(order.command)}\n"


@dataclass(frozen=True)
class Port:
    """A pipe from a port of the guest."""

    name: str
    reading: int
    writing: int


@contextlib.contextmanager
def _ports() -> Iterator[tuple[Port, ...]]:
    """What the guest's /dev/vport0p1, 2 and 3 lead to: its standard output and error, and how it ended."""
    ports = tuple(Port(name, *os.pipe()) for name in ("out", "err", "end"))
    try:
        yield ports
    finally:
        for port in ports:
            os.close(port.reading)
            with contextlib.suppress(OSError):
                os.close(port.writing)


def _qemu(order: Order, prepared: Prepared, initramfs: Path, log: Path, ports: Iterable[Port]) -> list[str]:
    command = [
        "qemu-system-x86_64", *MACHINE, "-smp", str(order.cpus), "-m", str(order.memory_mib),
        "-nodefaults", "-no-user-config", "-display", "none", "-nic", "none", "-no-reboot",
        "-kernel", str(prepared.kernel), "-initrd", str(initramfs), "-append", KERNEL_LINE,
        "-serial", f"file:{log}", "-device", "virtio-serial-pci,max_ports=4",
    ]  # fmt: skip
    for number, port in enumerate(ports, start=1):
        command += ["-chardev", f"file,id={port.name},path=/dev/fd/{port.writing}"]
        command += ["-device", f"virtserialport,chardev={port.name},name={port.name},nr={number}"]
    for tag, folder in (("host", Path("/")), ("packages", prepared.packages)):
        # multidevs=remap: files of several file systems of the host keep apart in one of the guest.
        options = "security_model=none,readonly=on,multidevs=remap"
        command += ["-fsdev", f"local,id={tag},path={str(folder).replace(',', ',,')},{options}"]
        command += ["-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]
    return command


def _start(command: Sequence[str], ports: Sequence[Port]) -> subprocess.Popen[bytes]:
    libc = ctypes.CDLL(None)

    def end_with_parent() -> None:
        libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: even kill -9 of this program leaves no guest behind

    try:
        process = subprocess.Popen(  # noqa: S603 - the command is ours, no shell is involved
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=[port.writing for port in ports],
            preexec_fn=end_with_parent,  # noqa: PLW1509 - this program has one thread
        )
    except FileNotFoundError as problem:
        raise EmulatorError("QEMU is not installed: sudo apt-get install qemu-system-x86") from problem
    for port in ports:
        os.close(port.writing)
    return process


def _relay(process: subprocess.Popen[bytes], ports: Sequence[Port], deadline: float) -> str | None:
    """Pass on what the guest prints until it is off. What it said of its end, or None when the deadline has passed."""
    told = bytearray()
    sinks = {"out": sys.stdout.buffer, "err": sys.stderr.buffer}
    with selectors.DefaultSelector() as selector:
        for port in ports:
            selector.register(port.reading, selectors.EVENT_READ, port.name)
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            for key, _ in selector.select(left):
                data = os.read(key.fd, 65_536)
                if not data:
                    selector.unregister(key.fd)
                elif key.data == "end":
                    told += data
                else:
                    sinks[key.data].write(data)
                    sinks[key.data].flush()
    process.wait()
    return told.decode(errors="replace")
