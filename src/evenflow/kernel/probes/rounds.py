"""When the probes of a runner go out, and when they are given up: one timer for all."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Final

from evenflow.errors import NotPermittedError
from evenflow.kernel.probes.probe import NO_GATEWAY, Probe, reason_of
from evenflow.kernel.probes.probers import Probers
from evenflow.model.flow import BOTH_FAMILIES, Family, family_of
from evenflow.model.health import ProbeMethod

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

    from evenflow.kernel.probes.ledger import Ledger
    from evenflow.kernel.probes.way import Way
    from evenflow.model.flow import Address
    from evenflow.model.health import ProbeTarget

#: The first round comes within this time, at random: so the rounds of many runners do not all fall together, and yet
#: one that asks every ten seconds knows something soon.
_FIRST_ROUND_S: Final = 1.0

#: Rounds begin at multiples of these at most. To wake a process costs as much as several datagrams, so runners with the
#: same interval do it together: of 48 probes of 16 uplinks in one turn (1 ms) each line gets but its three packets.
_DATAGRAM_SLOT_S: Final = 0.2
#: A connection costs up to a millisecond (TLS): those are spread.
_CONNECTION_SLOT_S: Final = 0.05
_DATAGRAMS: Final = frozenset({ProbeMethod.ICMP, ProbeMethod.NEIGHBOUR})

#: With a longer interval, answers are read when they come; with a shorter one, when the next round begins, or when a
#: probe would be given up.
_PATIENCE_S: Final = 0.5

#: Between two rounds at least, however often somebody is in a hurry.
_LEAST_PAUSE_S: Final = 0.02


class Rounds:
    """Sends to all targets each interval, until it is stopped."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        way: Way,
        ledger: Ledger,
        targets: tuple[ProbeTarget, ...],
        gateways: Callable[[], Mapping[Family, Address]],
        *,
        interval_s: float,
        timeout_s: float,
    ) -> None:
        """Nothing is sent yet. It owns `way`."""
        self._loop = loop
        self._way = way
        self._ledger = ledger
        self._targets = targets
        self._gateways = gateways
        self._probers = Probers(way, ledger, loop, at_once=interval_s > _PATIENCE_S)
        self._index: int | None = None
        self._interval_s, self._timeout_s = interval_s, timeout_s
        only_datagrams = {target.method for target in targets} <= _DATAGRAMS
        self._slots = math.ceil(interval_s / (_DATAGRAM_SLOT_S if only_datagrams else _CONNECTION_SLOT_S))
        self._due_slot = 0
        self._due_s = self._last_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False

    def start(self) -> None:
        """Begin.

        Raises:
            NotPermittedError: a capability is missing.
        """
        self._follow_interface()
        self._try_permissions()
        now_s = self._loop.time()
        self._last_s = now_s - _LEAST_PAUSE_S
        # Chance for spreading, not for secrets.
        first_s = now_s + random.random() * min(self._interval_s, _FIRST_ROUND_S)  # noqa: S311 - see above
        self._set_due(first_s)
        self._arm()

    def stop(self) -> None:
        """Stop, and tell nothing more. May be called from what is told."""
        self._stopped = True
        self._disarm()
        self._ledger.clear()
        self._probers.close()
        self._way.close()

    def hurry(self) -> None:
        """The next round is now."""
        now_s = max(self._loop.time(), self._last_s + _LEAST_PAUSE_S)
        if now_s < self._due_s:
            # The one after it comes in a slot again, at most an interval later.
            self._due_slot = math.floor(now_s * self._slots / self._interval_s)
            self._due_s = now_s
            self._arm()

    def disregard(self) -> None:
        """Probes that are out now are told of neither as answered nor as lost."""
        self._ledger.clear()
        self._arm()

    def _try_permissions(self) -> None:
        """Open what needs a capability; that an interface is missing is no fault now.

        Raises:
            NotPermittedError: a capability is missing.
        """
        for target in self._targets:
            family = family_of(target.address) if target.address else Family.IPV4
            try:
                self._probers.of(target.method, family)
            except PermissionError as problem:
                raise NotPermittedError(
                    f"could not open a socket for {target.method.value} probes: it needs CAP_NET_RAW: "
                    "run it as root, e.g. with sudo"
                ) from problem
            except OSError:
                continue

    # --- time --------------------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        """Set the timer for what is next. Needed after each change of what is out or due."""
        if self._stopped:
            return
        self._disarm()
        deadline_s = self._ledger.next_deadline_s()
        if deadline_s is None or deadline_s > self._due_s:
            self._timer = self._loop.call_at(self._due_s, self._turn)
        elif deadline_s > self._loop.time():
            self._timer = self._loop.call_at(deadline_s, self._turn)
        else:
            # Overdue. The loop runs timers after what it found readable in the same pass: so what came while it was
            # busy elsewhere is read before anything is given up.
            self._timer = self._loop.call_at(deadline_s, self._expire)

    def _set_due(self, when_s: float) -> None:
        """The next round is at the end of the slot that a time lies in, which is the same for all of an interval."""
        self._due_slot = math.ceil(when_s * self._slots / self._interval_s)
        self._due_s = self._due_slot * self._interval_s / self._slots

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _turn(self) -> None:
        try:
            self._probers.collect()
            if self._loop.time() >= self._due_s and not self._stopped:
                self._round()
        finally:
            self._arm()

    def _expire(self) -> None:
        try:
            self._ledger.expire()
        finally:
            self._arm()

    # --- sending -----------------------------------------------------------------------------------------------------

    def _round(self) -> None:
        self._last_s = self._loop.time()
        self._due_slot += self._slots
        self._due_s = self._due_slot * self._interval_s / self._slots
        if self._due_s <= self._last_s:  # the loop was held up: no rounds are made up for
            self._set_due(self._last_s + self._interval_s)
        missing = self._follow_interface()
        for index, target in enumerate(self._targets):
            if self._stopped:  # by somebody who was told
                return
            if missing:
                self._ledger.not_sent(index, missing)
            else:
                self._ask(index, target)

    def _follow_interface(self) -> str:
        """Open everything anew when another interface has the name now; what is wrong when none has it, or ""."""
        try:
            index = self._way.index()
        except OSError as problem:
            self._probers.close()
            self._index = None
            return reason_of(problem)
        if index != self._index:
            if self._index is not None:
                self._probers.close()
            self._index = index
        return ""

    def _ask(self, index: int, target: ProbeTarget) -> None:
        address = target.address or self._gateway()
        if address is None:
            self._ledger.not_sent(index, NO_GATEWAY)
            return
        try:
            prober = self._probers.of(target.method, family_of(address))
            now_s = self._loop.time()
            probe = Probe(index, target, address, now_s, now_s + self._timeout_s, prober)
            prober.send(probe)
        except OSError as problem:
            self._ledger.not_sent(index, reason_of(problem))
        else:
            self._ledger.add(probe)

    def _gateway(self) -> Address | None:
        gateways = self._gateways()
        return next((gateways[family] for family in BOTH_FAMILIES if family in gateways), None)
