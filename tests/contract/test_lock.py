"""Two evenflows exclude each other, whoever they are; nobody else can shut them out."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evenflow.errors import SystemRefusedError
from evenflow.kernel import lock
from evenflow.kernel.lock import only_one
from evenflow.kernel.namespaces import NetworkNamespace

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.kernel

NOBODY = 65534


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "evenflow"
    monkeypatch.setattr(lock, "FOLDER", made)
    return made


@pytest.fixture(autouse=True)
def namespace() -> Iterator[None]:
    with NetworkNamespace.create() as made, made.entered():
        yield


@contextlib.contextmanager
def squatter(user: int | None = None) -> Iterator[int]:
    """Another process that has the abstract address and listens there, as root or as `user`; its number."""
    program = (
        "import os, socket, sys\nuser = int(sys.argv[1])\nif user: os.setuid(user)\n"
        "s = socket.socket(socket.AF_UNIX)\ns.bind('\\0evenflow-apply')\ns.listen()\n"
        "print('there', flush=True)\nsys.stdin.read()"
    )
    if user and not Path("/proc/self/uid_map").read_text().split()[2].startswith("4294967295"):
        pytest.skip("in a user namespace there is no other user")
    command = [sys.executable, "-c", program, str(user or 0)]
    started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with started as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"there\n"
        yield process.pid
        process.stdin.close()


def test_the_second_is_refused_and_told_who_the_first_is(folder: Path) -> None:
    for _ in range(2):
        with only_one():
            assert [file.name.partition("-")[0] for file in folder.iterdir()] == ["lock"]
            with pytest.raises(SystemRefusedError, match=rf"another evenflow \(process {os.getpid()}\)"), only_one():
                pass
        assert not list(folder.iterdir())


def test_another_namespace_is_another_machine(folder: Path) -> None:
    with only_one(), NetworkNamespace.create() as other, other.entered(), only_one():
        assert len(list(folder.iterdir())) == 2


def test_a_file_that_was_left_behind_is_no_holder(folder: Path) -> None:
    with only_one():
        (file,) = folder.iterdir()
    file.write_text("1\n")
    with only_one():
        assert file.read_text() == f"{os.getpid()}\n"


def test_a_user_who_takes_the_address_shuts_nobody_out(folder: Path) -> None:
    with squatter(NOBODY), only_one():
        assert list(folder.iterdir())
        with pytest.raises(SystemRefusedError), only_one():
            pass


@pytest.mark.usefixtures("folder")
def test_nor_does_one_who_does_not_even_listen() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as taken:
        taken.bind(lock.ADDRESS)
        with only_one():
            pass


@pytest.mark.usefixtures("folder")
def test_root_elsewhere_with_this_network_counts() -> None:
    """A container with another /run."""
    with squatter() as process, pytest.raises(SystemRefusedError, match=rf"\(process {process}\)"), only_one():
        pass


@pytest.mark.parametrize("user", [None, NOBODY])
def test_without_a_folder_the_address_is_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int) -> None:
    monkeypatch.setattr(lock, "FOLDER", tmp_path / "not" / "there")
    with only_one(), pytest.raises(SystemRefusedError, match=str(os.getpid())), only_one():
        pass
    with squatter(user) as process, pytest.raises(SystemRefusedError, match=rf"\(process {process}\)"), only_one():
        pass
    with only_one():
        pass


def test_the_daemons_user_can_open_what_root_has_made(folder: Path) -> None:
    folder.mkdir(mode=0o750)
    try:
        os.chown(folder, NOBODY, NOBODY)
    except OSError:
        pytest.skip("in a user namespace there is no other user")
    with only_one():
        (file,) = folder.iterdir()
        assert file.stat().st_uid == NOBODY
        assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("folder")
def test_never_two_at_once() -> None:
    """The file comes and goes, and each waits for nothing: between opening and locking it may have gone."""
    inside, twice, entered = [0], [0], [0]
    here = NetworkNamespace.current()

    def work() -> None:
        here.enter_for_good()
        for _ in range(300):
            with contextlib.suppress(SystemRefusedError), only_one():
                inside[0] += 1
                twice[0] += inside[0] > 1
                entered[0] += 1
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    here.close()
    assert entered[0] > 0
    assert twice[0] == 0


def test_a_private_world_leaves_nothing_in_the_machines_run() -> None:
    name = Path(f"/run/evenflow-test-{os.getpid()}")
    program = (
        "import pathlib, sys\nfrom evenflow.kernel.namespaces import enter_private\nenter_private()\n"
        "made = pathlib.Path(sys.argv[1])\nmade.touch()\nprint(made.exists())"
    )
    done = subprocess.run([sys.executable, "-c", program, str(name)], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
    assert not name.exists()
