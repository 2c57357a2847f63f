"""What a change of the configuration costs the packets that are on their way: none may be lost.

Known flows are sent as fast as one thread can, while the configuration changes again and again: other weights, an
uplink less, that uplink back. What was sent is compared with what came out.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from bench.dataplane.frames import draw
from bench.dataplane.layouts.ours import SEED, policy
from bench.dataplane.rig import Rig
from bench.dataplane.site import make_site
from evenflow.core.lower import lower
from evenflow.kernel.linux import LinuxKernel
from evenflow.kernel.reconcile import carry_out, look_ahead
from evenflow.model.flow import Family

if TYPE_CHECKING:
    from bench.dataplane.sender import Batch
    from evenflow.model.policy import Policy

_UPLINKS = 8
_FLOWS = 1024
_CHANGES = 30

#: What is on its way when the last packet has been sent.
_SETTLE_S = 2.0


def measure() -> bool:
    """Measure and tell; whether nothing was lost."""
    site = make_site(_UPLINKS, 0)
    whole = policy(site)
    with Rig(site) as rig, rig.router.entered(), LinuxKernel() as kernel:
        _apply(kernel, whole)
        # Flows of the uplink that comes and goes would end with it: none of the known ones is its.
        _apply(kernel, _without_last(whole))
        flows = draw(_FLOWS, Family.IPV4, Random(1))  # noqa: S311 - not for secrets
        rig.establish(flows)
        sending = _Sending(rig, rig.batch_of(flows))
        began_s = time.monotonic()
        for number in range(_CHANGES):
            _apply(kernel, (whole, _reweighted(whole), _without_last(whole))[number % 3])
        took_s = time.monotonic() - began_s
        lost = sending.end()
    rate = sending.sent / took_s
    what = f"{_CHANGES} changes of the configuration under {rate:,.0f} packets a second"
    print(f"{what}: {lost} of {sending.sent:,} lost (limit 0)")
    return lost == 0


def _apply(kernel: LinuxKernel, wanted: Policy) -> None:
    carry_out(kernel, look_ahead(kernel, lower(wanted), kernel.read_machine(), SEED))


def _reweighted(whole: Policy) -> Policy:
    weights = tuple((name, weight + place) for place, (name, weight) in enumerate(whole.balance.weights))
    return replace(whole, balance=replace(whole.balance, weights=weights))


def _without_last(whole: Policy) -> Policy:
    balance = replace(whole.balance, weights=whole.balance.weights[:-1])
    return replace(whole, uplinks=whole.uplinks[:-1], balance=balance)


class _Sending:
    """A thread that sends; sendmmsg runs without Python's lock."""

    def __init__(self, rig: Rig, batch: Batch) -> None:
        self._rig, self._batch = rig, batch
        self._before = sum(rig.arrived().values())
        self._stopped = threading.Event()
        self.sent = 0
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def _send(self) -> None:
        while not self._stopped.is_set():
            self._rig.out.sender.send(self._batch)
            self.sent += len(self._batch)

    def end(self) -> int:
        """Stop; how many packets did not come out."""
        self._stopped.set()
        self._thread.join()
        until_s = time.monotonic() + _SETTLE_S
        while (missing := self._before + self.sent - sum(self._rig.arrived().values())) and time.monotonic() < until_s:
            time.sleep(0.01)
        return missing
