"""A watcher: what its probes say counts, but for those that found no routes of ours."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from evenflow.core.failover import Standing
from evenflow.core.lower import lower
from evenflow.daemon import watching
from evenflow.model.policy import Balance, Policy, Uplink

POLICY = Policy(("br0",), (Uplink("isp1", "eth1", (ip_address("192.0.2.1"),)),), Balance(weights=(("isp1", 1),)))


class FakeRunner:
    """Counts how often its probes were disregarded."""

    def __init__(self, **_: object) -> None:
        self.disregarded = 0

    def disregard(self) -> None:
        self.disregarded += 1


@pytest.fixture
def watcher(monkeypatch: pytest.MonkeyPatch) -> watching.Watcher:
    monkeypatch.setattr(watching, "ProbeRunner", FakeRunner)
    router = lower(POLICY)
    return watching.Watcher(router.watches[0], router, Standing(), lambda *_: None, now_s=100.0)


def test_probes_that_went_astray_are_excused_but_not_again_and_again(watcher: watching.Watcher) -> None:
    runner = watcher._probes
    assert isinstance(runner, FakeRunner)
    excused = []
    for tenth in range(120):
        watcher.went_astray(100.0 + tenth / 10)
        excused.append(runner.disregarded)
    assert excused[0] == 1
    assert excused[49] == 1
    assert excused[-1] == 3
