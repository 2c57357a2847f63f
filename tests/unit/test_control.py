"""The control socket, both ends: answers, refusals, bad input, slow and greedy clients, files in the way."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evenflow.daemon import control
from evenflow.daemon.chronicle import Chronicle
from evenflow.daemon.client import ask, stream
from evenflow.daemon.control import LINE_BYTES, ControlServer
from evenflow.errors import InputError, NotPermittedError, SystemRefusedError
from evenflow.model.finding import Origin, error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Daemon:
    """A daemon with one uplink, isp1."""

    def __init__(self) -> None:
        self.chronicle = Chronicle()
        self.drained: list[bool] = []
        self.bad = ""

    def status(self) -> dict[str, Any]:
        if self.bad == "status":
            raise ZeroDivisionError
        return {"uplinks": [{"name": "isp1", "state": "UP"}], "text": "ä"}

    def drain(self, name: str, *, drained: bool) -> dict[str, Any]:
        if name != "isp1":
            raise InputError([f"there is no uplink {name}; there are: isp1"])
        self.drained.append(drained)
        return {"uplink": name, "state": "DRAINED" if drained else "UP"}

    def reload(self) -> list[str]:
        if self.bad == "input":
            raise InputError([error("unknown-key", Origin("my.toml", 3), "no such key")])
        if self.bad == "system":
            raise SystemRefusedError("could not add the route")
        return ["my.toml:3: warning: beware [care]"]


class Running:
    """A daemon whose loop runs in a thread of its own."""

    def __init__(self, path: str) -> None:
        self.path, self.daemon = path, Daemon()
        self._begun, self._end = threading.Event(), asyncio.Event()
        self._problem: list[BaseException] = []
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()))

    def start(self) -> None:
        self._thread.start()
        self._begun.wait(5)
        if self._problem:
            self._thread.join()
            raise self._problem[0]

    async def _main(self) -> None:
        self.loop = asyncio.get_running_loop()
        server = ControlServer(self.path, self.daemon)
        try:
            await server.start()
        except SystemRefusedError as problem:
            self._problem.append(problem)
            self._begun.set()
            return
        self._begun.set()
        await self._end.wait()
        await server.stop()

    def tell(self, event: str, **details: Any) -> None:
        """Something happens in the daemon."""
        asyncio.run_coroutine_threadsafe(self._tell(event, details), self.loop).result(5)

    async def _tell(self, event: str, details: dict[str, Any]) -> None:
        self.daemon.chronicle.tell(event, event, **details)

    def stop(self) -> None:
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._end.set)
            self._thread.join(5)
            assert not self._thread.is_alive()


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "run" / "control.sock")


@pytest.fixture
def running(path: str) -> Iterator[Running]:
    made = Running(path)
    made.start()
    yield made
    made.stop()


def connected(path: str) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.settimeout(5)
    made.connect(path)
    return made


def said(path: str, data: bytes) -> list[dict[str, Any]]:
    """Everything that comes back for `data` until the other side hangs up."""
    with connected(path) as connection:
        with contextlib.suppress(BrokenPipeError):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as reading:
            return [json.loads(line) for line in reading]


# --- requests --------------------------------------------------------------------------------------------------------


def test_each_command_is_answered(running: Running) -> None:
    path = running.path
    assert ask(path, {"command": "status"})["text"] == "ä"
    assert ask(path, {"command": "drain", "uplink": "isp1"}) == {"uplink": "isp1", "state": "DRAINED"}
    assert ask(path, {"command": "undrain", "uplink": "isp1"}) == {"uplink": "isp1", "state": "UP"}
    assert running.daemon.drained == [True, False]
    assert ask(path, {"command": "reload"}) == {"findings": ["my.toml:3: warning: beware [care]"]}


def test_a_mistake_of_the_user_and_a_refusal_of_the_system_are_told_apart(running: Running) -> None:
    with pytest.raises(InputError, match="there is no uplink isp9; there are: isp1"):
        ask(running.path, {"command": "drain", "uplink": "isp9"})
    running.daemon.bad = "input"
    with pytest.raises(InputError, match=r"my\.toml:3: error: no such key \[unknown-key\]"):
        ask(running.path, {"command": "reload"})
    running.daemon.bad = "system"
    with pytest.raises(SystemRefusedError, match="could not add the route"):
        ask(running.path, {"command": "reload"})


def test_a_mistake_of_ours_does_not_end_the_daemon(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    running.daemon.bad = "status"
    with pytest.raises(SystemRefusedError, match="a mistake inside evenflow"):
        ask(running.path, {"command": "status"})
    assert "ZeroDivisionError" in caplog.text
    running.daemon.bad = ""
    assert ask(running.path, {"command": "status"})


def test_several_requests_on_one_connection(running: Running) -> None:
    answers = said(running.path, b'{"command": "status"}\n{"command": "nonsense"}\n{"command": "drain"}\n' * 2)
    assert [sorted(answer) for answer in answers] == [["text", "uplinks"], ["error"], ["error"]] * 2


BAD = [
    b"\n",
    b"status\n",
    b"[]\n",
    b"7\n",
    b"null\n",
    b"{}\n",
    b'{"command": 7}\n',
    b'{"command": ["status"]}\n',
    b'{"command": "status"\n',
    b'{"command": "status"}',
    b"\xff\xfe\x00\x01\n",
    b"[" * 60_000 + b"\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 100 + b"\n",
    b"x" * (LINE_BYTES + 1) + b"\n",
    b"x" * (LINE_BYTES * 4),
]


@pytest.mark.parametrize("data", BAD, ids=range(len(BAD)))
def test_bad_input_gets_one_error_and_the_connection_is_closed(running: Running, data: bytes) -> None:
    (answer,) = said(running.path, data)
    assert list(answer) == ["error"]
    assert ask(running.path, {"command": "status"})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(data=st.binary(max_size=200) | st.text(max_size=100).map(lambda text: json.dumps({"command": text}).encode()))
def test_no_input_upsets_it(running: Running, data: bytes) -> None:
    said(running.path, data + b"\n")
    assert ask(running.path, {"command": "status"})


def test_half_a_surrogate_pair_comes_back_as_json(running: Running) -> None:
    (answer,) = said(running.path, b'{"command": "drain", "uplink": "\\ud800"}\n')
    assert "uplink \ud800;" in answer["error"]


def test_who_says_nothing_is_cut_off(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "_PATIENCE_S", 0.05)
    with connected(running.path) as connection:
        assert connection.recv(10) == b""


def test_there_is_an_end_to_how_many_may_connect(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "_CLIENTS", 2)
    with connected(running.path), connected(running.path), pytest.raises(SystemRefusedError, match="too many"):
        ask(running.path, {"command": "status"})


# --- events ----------------------------------------------------------------------------------------------------------


def test_events_come_as_they_happen(running: Running) -> None:
    events = stream(running.path, {"command": "events"})
    running.tell("state", uplink="isp1")
    running.tell("drift", operations=3)
    assert next(events)["uplink"] == "isp1"
    assert next(events)["operations"] == 3
    running.stop()
    assert list(events) == []


def test_several_listen_and_one_that_goes_is_forgotten(running: Running) -> None:
    first = stream(running.path, {"command": "events"})
    second = stream(running.path, {"command": "events"})
    running.tell("one")
    assert [next(first)["event"], next(second)["event"]] == ["one", "one"]
    del first
    wait_until(lambda: len(running.daemon.chronicle.listeners) == 1)
    running.tell("two")
    assert next(second)["event"] == "two"
    running.stop()
    assert running.daemon.chronicle.listeners == []


def wait_until(what: Callable[[], bool]) -> None:
    ended = threading.Event()
    for _ in range(500):
        if what():
            return
        ended.wait(0.01)
    raise AssertionError("it never came so")


def test_who_does_not_read_is_dropped_and_holds_nobody_up(running: Running) -> None:
    quick = stream(running.path, {"command": "events"})
    with connected(running.path) as slow:
        slow.sendall(b'{"command": "events"}\n')
        wait_until(lambda: len(running.daemon.chronicle.listeners) == 2)
        for number in range(2000):
            running.tell("many", number=number, text="x" * 1000)
            assert next(quick)["number"] == number
        wait_until(lambda: len(running.daemon.chronicle.listeners) == 1)
        with contextlib.suppress(ConnectionResetError):
            while slow.recv(1 << 20):
                pass
    assert ask(running.path, {"command": "status"})


def test_what_a_listener_says_is_passed_over(running: Running) -> None:
    with connected(running.path) as connection, connection.makefile("rb") as reading:
        connection.sendall(b'{"command": "events"}\n')
        assert json.loads(reading.readline()) == {"streaming": True}
        connection.sendall(b'{"command": "status"}\nnonsense\n' + b"y" * 100_000)
        running.tell("after")
        assert json.loads(reading.readline())["event"] == "after"


# --- the file --------------------------------------------------------------------------------------------------------


def test_the_socket_is_for_its_group_alone(running: Running) -> None:
    file = Path(running.path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o660
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o750
    assert file.stat().st_gid == file.parent.stat().st_gid
    assert sorted(file.parent.iterdir()) == [file]
    running.stop()
    assert list(file.parent.iterdir()) == []


def test_the_group_of_the_folder_may(tmp_path: Path) -> None:
    if os.getuid() != 0 or len(Path("/proc/self/gid_map").read_text().split()) > 3 or not _may_chown(tmp_path):
        pytest.skip("needs a second group: root outside of user namespaces")
    folder = tmp_path / "run"
    folder.mkdir()
    os.chown(folder, 0, 1)
    made = Running(str(folder / "control.sock"))
    made.start()
    assert Path(made.path).stat().st_gid == 1
    made.stop()


def _may_chown(folder: Path) -> bool:
    file = folder / "try"
    file.touch()
    try:
        os.chown(file, 0, 1)
    except OSError:
        return False
    return True


def test_the_umask_does_not_matter(path: str) -> None:
    before = os.umask(0o777)
    try:
        made = Running(path)
        made.start()
    finally:
        os.umask(before)
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o660
    made.stop()


def test_a_file_that_nobody_listens_at_is_replaced(path: str) -> None:
    Path(path).parent.mkdir()
    for name in (path, f"{path}.new"):
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(name)
    made = Running(path)
    made.start()
    assert ask(path, {"command": "status"})
    made.stop()


def test_a_second_daemon_is_refused_and_the_first_goes_on(running: Running) -> None:
    with pytest.raises(SystemRefusedError, match=r"another `evenflow run` is listening at .*control\.sock; end it"):
        Running(running.path).start()
    assert ask(running.path, {"command": "status"})


def test_a_live_one_whose_queue_is_full_is_not_replaced(path: str) -> None:
    Path(path).parent.mkdir()
    with socket.socket(socket.AF_UNIX) as busy, contextlib.ExitStack() as stack:
        busy.bind(path)
        busy.listen(0)
        for _ in range(2):
            waiting = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
            waiting.connect_ex(path)
        with pytest.raises(SystemRefusedError, match="another"):
            Running(path).start()


def test_what_is_no_socket_is_left_alone(path: str) -> None:
    Path(path).parent.mkdir()
    Path(path).write_text("precious")
    with pytest.raises(SystemRefusedError, match="is no socket"):
        Running(path).start()
    assert Path(path).read_text() == "precious"


@pytest.mark.parametrize("path", ["/proc/nowhere/control.sock", "/" + "x" * 90 + "/control.sock", "/dev/null/a/b"])
def test_a_place_that_can_not_be_is_told_of(path: str) -> None:
    with pytest.raises(SystemRefusedError, match="could not listen at"):
        Running(path).start()


def test_the_socket_of_a_successor_is_not_taken_away(path: str) -> None:
    first = Running(path)
    first.start()
    Path(path).unlink()
    second = Running(path)
    second.start()
    first.stop()
    assert ask(path, {"command": "status"})
    second.stop()


# --- the client alone ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", [ask, stream])
def test_without_a_daemon_it_says_how_to_start_one(tmp_path: Path, who: Callable[..., object]) -> None:
    stale = tmp_path / "stale"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(stale))
    for path in (tmp_path / "none", stale, stale / "below"):
        with pytest.raises(SystemRefusedError, match=r"no evenflow runs here .*start it with"):
            who(str(path), {"command": "status"})


def test_one_who_may_not_is_told_what_to_do(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(NotPermittedError, match="sudo"):
        ask(running.path, {"command": "status"})
    monkeypatch.setattr("grp.getgrgid", lambda _: type("Group", (), {"gr_name": "evenflow"}))
    with pytest.raises(NotPermittedError, match="join the group evenflow"):
        ask(running.path, {"command": "status"})


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "hung up without an answer"),
        (b'{"a": 1}', "hung up without an answer"),
        (b"HTTP/1.1 400 Bad Request\r\n", "does not speak as an evenflow does"),
        (b"[1]\n", "does not speak as an evenflow does"),
        (b"[" * 100_000 + b"\n", "does not speak as an evenflow does"),
        (b"\xff\n", "does not speak as an evenflow does"),
    ],
)
def test_an_odd_answer_is_told_of(tmp_path: Path, answer: bytes, why: str) -> None:
    path = str(tmp_path / "odd")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(SystemRefusedError, match=why):
            ask(path, {"command": "status"})
        thread.join()


def test_a_daemon_that_does_not_answer_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    path = str(tmp_path / "deaf")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        with pytest.raises(SystemRefusedError, match=r"did not answer within 0\.1 s"):
            ask(path, {"command": "status"}, timeout_s=0.1)
