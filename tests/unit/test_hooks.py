"""Hooks: who is told, in which order, and what happens when they are slow, loud, broken or gone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from evenflow.kernel.hook_delivery import SAID_BYTES, DeliveryError, post, run_program
from evenflow.kernel.hooks import HookRunner
from evenflow.model.policy import Hooks

if TYPE_CHECKING:
    from collections.abc import Iterator


def script(folder: Path, body: str, name: str = "hook") -> str:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)
    return str(file)


class Web:
    """A web server that answers each connection with what it is told to, and keeps what it got."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)
        self.got: list[bytes] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/in?key=1"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        for answer in self._answers:
            connection, _ = self._listening.accept()
            with connection:
                data = b""
                while b"\r\n\r\n" not in data or not data.endswith(b"\n"):
                    some = connection.recv(65536)
                    if not some:
                        break
                    data += some
                self.got.append(data)
                with contextlib.suppress(OSError):
                    connection.sendall(answer)

    def close(self) -> None:
        self._thread.join(10)
        self._listening.close()


@contextlib.contextmanager
def web(*answers: bytes) -> Iterator[Web]:
    made = Web(*answers)
    try:
        yield made
    finally:
        made.close()


OK = b"HTTP/1.1 204 No Content\r\n\r\n"


# --- one delivery ----------------------------------------------------------------------------------------------------


def test_a_program_gets_the_event_and_what_it_says_comes_back(tmp_path: Path) -> None:
    program = script(tmp_path, 'cat; echo to stderr >&2; [ -z "$NOTIFY_SOCKET" ]')
    assert run_program(program, b'{"event": "state"}\n', 5) == '{"event": "state"}\nto stderr'


def test_a_program_is_not_told_how_to_speak_to_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    monkeypatch.setenv("WATCHDOG_USEC", "5")
    assert run_program(script(tmp_path, "echo [$NOTIFY_SOCKET$WATCHDOG_USEC]"), b"", 5) == "[]"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("echo no; exit 3", "it ended with status 3; it said: no"),
        ("kill -9 $$", "it ended with signal 9"),
        ("exit 1", "it ended with status 1"),
    ],
)
def test_a_program_that_fails_is_told_of(tmp_path: Path, body: str, why: str) -> None:
    with pytest.raises(DeliveryError) as caught:
        run_program(script(tmp_path, body), b"", 5)
    assert str(caught.value) == why


@pytest.mark.parametrize("program", ["/nowhere/at/all", "/etc/passwd", "/tmp", "a\0b"])
def test_what_is_no_program_is_told_of(program: str) -> None:
    with pytest.raises(DeliveryError, match="can't be started"):
        run_program(program, b"", 5)


def test_a_program_that_hangs_is_killed_with_what_it_started(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    body = f"echo begun; (trap '' TERM; exec sh -c 'echo $$ > {alive}; sleep 60') & sleep 60"
    start = time.monotonic()
    with pytest.raises(DeliveryError, match=r"not done within 0\.5 s and was killed; it said: begun"):
        run_program(script(tmp_path, body), b"", 0.5)
    assert time.monotonic() - start < 5
    pid = int(alive.read_text())
    while _runs(pid):
        assert time.monotonic() - start < 5


def _runs(pid: int) -> bool:
    """Whether a process is there and is not just waiting to be buried."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_what_a_program_leaves_behind_is_not_waited_for(tmp_path: Path) -> None:
    start = time.monotonic()
    assert run_program(script(tmp_path, "sleep 3 & echo done"), b"", 10) == "done"
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("loud", ["yes | head -c 300000", "yes | head -c 900000 >&2"])
def test_a_loud_program_is_cut_short_and_ends(tmp_path: Path, loud: str) -> None:
    said = run_program(script(tmp_path, loud), b"", 10)
    assert len(said) <= SAID_BYTES
    assert said.startswith("y\ny\n")


def test_one_that_never_stops_talking_is_killed(tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match="was killed"):
        run_program(script(tmp_path, "exec yes"), b"", 0.5)


def test_output_that_is_no_text_does_no_harm(tmp_path: Path) -> None:
    assert run_program(script(tmp_path, r"printf '\377\376ok'"), b"", 5).endswith("ok")


def test_a_webhook_gets_a_post() -> None:
    with web(OK) as server:
        assert post(server.url, b'{"event": 1}\n', 5) == ""
    head, _, body = server.got[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /in?key=1 HTTP/1.1\r\n")
    assert b"content-type: application/json" in head.lower()
    assert body == b'{"event": 1}\n'


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 500 No\r\n\r\n", "status 500"),
        (b"HTTP/1.1 302 Go\r\nLocation: /there\r\n\r\n", "status 302"),
        (b"", "closed the connection"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "closed the connection"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 40_000, "as HTTP has it"),
        (b"\x16\x03\x01\x00\xff\xff" * 100, "as HTTP has it"),
    ],
)
def test_a_bad_answer_is_told_of(answer: bytes, why: str) -> None:
    with web(answer) as server, pytest.raises(DeliveryError, match=why):
        post(server.url, b"{}\n", 5)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://127.0.0.1/",
        "http://",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:1/",
        "http://[::1/",
        "http://127.0.0.1/a b\r\nX: y",
        "http://no.such.host.invalid/",
    ],
)
def test_an_address_that_leads_nowhere_is_told_of(url: str) -> None:
    with pytest.raises(DeliveryError):
        post(url, b"{}", 2)


def test_a_webhook_that_speaks_no_tls_is_told_of() -> None:
    with web(b"HTTP/1.1 400 Bad\r\n\r\n\n") as server, pytest.raises(DeliveryError):
        post(server.url.replace("http:", "https:"), b"{}", 2)


def test_a_webhook_has_its_time_and_no_more() -> None:
    """Also one that says a little all the time."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        done = threading.Event()

        def drip() -> None:
            connection, _ = listening.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                while not done.wait(0.05):
                    connection.sendall(b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        start = time.monotonic()
        with pytest.raises(DeliveryError, match=r"no answer within 0\.5 s"):
            post(f"http://127.0.0.1:{listening.getsockname()[1]}/", b"{}", 0.5)
        assert time.monotonic() - start < 2
        done.set()
        thread.join()


# --- all of them -----------------------------------------------------------------------------------------------------


async def told(runner: HookRunner, *events: dict[str, Any]) -> None:
    for event in events:
        runner.tell(event)
    while runner._tasks:
        await asyncio.sleep(0.01)
    await runner.stop()


def test_events_of_an_uplink_come_in_their_order(tmp_path: Path) -> None:
    out = tmp_path / "out"
    program = script(tmp_path, f'read line; case $line in *" 0,"*) sleep 0.3;; esac; echo "$line" >> {out}')
    events = [{"uplink": f"isp{n % 2}", "n": n, "text": "ä"} for n in range(6)]

    async def main() -> None:
        await told(HookRunner(Hooks(program)), *events)

    asyncio.run(main())
    seen = [json.loads(line) for line in out.read_text().splitlines()]
    assert sorted(seen, key=lambda event: event["n"]) == events
    for uplink in ("isp0", "isp1"):
        numbers = [event["n"] for event in seen if event["uplink"] == uplink]
        assert numbers == sorted(numbers)
    assert seen[0]["uplink"] == "isp1"  # the slow one holds up its own uplink alone


def test_few_run_at_once_and_telling_never_waits(tmp_path: Path) -> None:
    counts = tmp_path / "running"
    counts.mkdir()
    body = f"mkdir {counts}/$$; ls {counts} | wc -l >> {tmp_path}/most; sleep 0.1; rmdir {counts}/$$"
    runner_took: list[float] = []

    async def main() -> None:
        runner = HookRunner(Hooks(script(tmp_path, body)))
        start = time.monotonic()
        for n in range(20):
            runner.tell({"uplink": f"isp{n}"})
        runner_took.append(time.monotonic() - start)
        await told(runner)

    asyncio.run(main())
    most = [int(line) for line in (tmp_path / "most").read_text().split()]
    assert len(most) == 20
    assert 1 < max(most) <= 4
    assert runner_took[0] < 0.05


def test_a_webhook_is_tried_again_a_few_times(caplog: pytest.LogCaptureFixture) -> None:
    bad = b"HTTP/1.1 503 Later\r\n\r\n"

    async def main(url: str) -> None:
        await told(HookRunner(Hooks(webhook=url), again_after_s=(0.01, 0.01)), {"n": 1}, {"n": 2})

    with web(bad, OK, bad, bad, bad) as server:
        asyncio.run(main(server.url))
    bodies = [json.loads(data.partition(b"\r\n\r\n")[2])["n"] for data in server.got]
    assert bodies == [1, 1, 2, 2, 2]
    assert 'was not told: {"n": 2}' in caplog.text


def test_a_failing_webhook_does_not_hold_up_the_program(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with socket.create_server(("127.0.0.1", 0)) as silent:

        async def main() -> None:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
            runner = HookRunner(Hooks(script(tmp_path, f"cat >> {out}"), url), timeout_s=0.5, again_after_s=())
            for n in range(3):
                runner.tell({"uplink": "isp1", "n": n})
            async with asyncio.timeout(5):
                while not (out.exists() and len(out.read_text().splitlines()) == 3):
                    await asyncio.sleep(0.01)
            await told(runner)

        asyncio.run(main())


@pytest.mark.parametrize(
    ("before", "after", "told_of"),
    [("UP", "FALLING", False), ("FALLING", "UP", False), ("FALLING", "DOWN", True), ("RISING", "UP", True)],
)
def test_doubts_are_not_told(tmp_path: Path, before: str, after: str, told_of: bool) -> None:  # noqa: FBT001 - a case
    out = tmp_path / "out"

    async def main() -> None:
        await told(HookRunner(Hooks(script(tmp_path, f"cat >> {out}"))), {"before": before, "after": after})

    asyncio.run(main())
    assert out.exists() == told_of


def test_one_that_can_not_keep_up_loses_the_oldest(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    out = tmp_path / "out"

    async def main() -> None:
        await told(HookRunner(Hooks(script(tmp_path, f"cat >> {out}"))), *({"n": n} for n in range(70)))

    asyncio.run(main())
    assert [json.loads(line)["n"] for line in out.read_text().splitlines()] == list(range(6, 70))
    assert "too slow" in caplog.text


def test_the_end_does_not_wait_for_a_hook_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evenflow.kernel.hooks._FAREWELL_S", 0.1)

    async def main() -> None:
        runner = HookRunner(Hooks(script(tmp_path, "sleep 1")), timeout_s=1.5)
        runner.tell({"n": 1})
        await asyncio.sleep(0)
        await runner.stop()
        runner.tell({"n": 2})
        assert not runner._tasks

    start = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - start < 0.9


def test_others_are_told_after_a_change_of_the_configuration(tmp_path: Path) -> None:
    async def main() -> None:
        runner = HookRunner(Hooks())
        runner.tell({"n": 0})
        runner.change(Hooks(script(tmp_path, f"cat >> {tmp_path}/new")))
        await told(runner, {"n": 1})

    asyncio.run(main())
    assert json.loads((tmp_path / "new").read_text()) == {"n": 1}


def test_what_a_program_says_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    program = script(tmp_path, "echo mail sent")

    async def main() -> None:
        await told(HookRunner(Hooks(program)), {"n": 1})

    asyncio.run(main())
    assert f"the program {program} said: mail sent" in caplog.text
