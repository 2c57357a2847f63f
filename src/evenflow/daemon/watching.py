"""One watch at work: its state machine, fed by its probes and by what the links say."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from evenflow.core.health import SELDOM_MS, HealthMachine, OneWay
from evenflow.core.numbering import number_router
from evenflow.core.watching import link_problem, next_hops
from evenflow.kernel.probes import ProbeRunner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from evenflow.core.failover import Standing
    from evenflow.core.health import Transition
    from evenflow.kernel.rt_codec import LinkCounters
    from evenflow.model.flow import Address, Family
    from evenflow.model.health import Watch
    from evenflow.model.machine import Machine
    from evenflow.model.router import Router

    OnTransition = Callable[["Watcher", Transition], None]


#: A gateway that has just come may not hear the first question: its address is not known yet, or it is busy itself. A
#: script's watch asks every ten seconds, and a good line would wait for that.
_ASK_AGAIN_S: Final = (0.2, 0.5, 1.0)

#: In a hurry each target is asked so often, until one answers or the line is lost.
_HURRY_S: Final = 0.2

#: Probes that went astray are excused once in this time.
_ASTRAY_GAP_S: Final = 5.0


class Watcher:
    """A watch, its state machine and its probes.

    Attributes:
        watch: what is watched.
        machine: the state machine.
        reason: why it is in its state.
        next_hops: its gateway in each family, as it was last seen.
    """

    def __init__(
        self, watch: Watch, router: Router, standing: Standing, on_transition: OnTransition, *, now_s: float
    ) -> None:
        self.watch = watch
        self.machine = HealthMachine(
            watch.settings,
            len(watch.targets),
            now_s=now_s,
            was_down=watch.name in standing.down,
            drained=watch.name in standing.drained,
        )
        self.reason = "just begun"
        self.next_hops: Mapping[Family, Address] = {}
        self._mark = number_router(router).probe_mark(watch)
        self._on_transition = on_transition
        self._problem = ""
        self._unanswered = False
        self._hurried = False
        self._believed_again_s = now_s
        self._one_way = OneWay()
        self._probes = ProbeRunner(
            interface=watch.interface,
            mark=self._mark,
            targets=watch.targets,
            interval_ms=watch.settings.interval_ms,
            timeout_ms=watch.settings.timeout_ms,
            on_answer=self._answered,
            on_lost=self._lost,
        )

    def start(self) -> None:
        """Begin to probe; the loop must run."""
        self._probes.start()

    def stop(self) -> None:
        """Stop probing."""
        self._probes.stop()

    def continues(self, watch: Watch, router: Router) -> bool:
        """Whether `watch` asks for just what is being done: then nothing needs to begin anew."""
        same = replace(watch, origin=self.watch.origin, on_down=self.watch.on_down, failback=self.watch.failback,
                       failback_s=self.watch.failback_s)  # fmt: skip
        return same == self.watch and number_router(router).probe_mark(watch) == self._mark

    def look(self, router: Router, machine: Machine, now_s: float) -> None:
        """Take note of links, addresses and gateways as they are now."""
        hops = next_hops(self.watch, router, machine)
        if hops != self.next_hops:
            self._probes.gateways = self.next_hops = hops
        problem = link_problem(self.watch, router, machine)
        if problem != self._problem:
            self._problem = problem
            self.note(self.machine.link(problem=problem, now_s=now_s))
            if not problem:
                self._ask_now()

    def _ask_now(self) -> None:
        """Ask at once, and again until there is an answer."""
        self._unanswered = True
        self._probes.probe_now()
        for delay_s in _ASK_AGAIN_S:
            asyncio.get_running_loop().call_later(delay_s, self._ask_again)

    def _ask_again(self) -> None:
        if self._unanswered:
            self._probes.probe_now()

    @property
    def listens(self) -> bool:
        """Whether what its link carries is of interest: probes are seldom."""
        return self.watch.passive and self.watch.settings.interval_ms >= SELDOM_MS and bool(self.watch.targets)

    def carried(self, counters: LinkCounters, now_s: float) -> None:
        """Take note of what its link has carried so far. If nothing comes back, ask until it is clear."""
        if self._one_way.seen(counters.tx_packets, counters.rx_packets, now_s) and self.machine.usable:
            self._hurried = True
            self.machine.hurry(_HURRY_S)
            self._hurry()

    def _hurry(self) -> None:
        if self._hurried and self.machine.usable:
            self._probes.probe_now()
            asyncio.get_running_loop().call_later(_HURRY_S, self._hurry)
        else:
            self._hurried = False
            self.machine.hurry(None)

    def went_astray(self, now_s: float) -> None:
        """Routes of ours had been gone, and probes with them: those that are out say nothing about the line.

        Not each time where that happens again and again: who fights over our routes must not blind us.
        """
        if now_s >= self._believed_again_s:
            self._believed_again_s = now_s + _ASTRAY_GAP_S
            self._probes.disregard()

    def note(self, transition: Transition | None) -> None:
        """Remember why, and tell."""
        if transition is not None:
            self.reason = transition.reason
            self._on_transition(self, transition)

    def _answered(self, target: int, rtt_ms: float, now_s: float) -> None:
        self._unanswered = self._hurried = False
        self.note(self.machine.answered(target, rtt_ms, now_s))

    def _lost(self, target: int, _reason: str, now_s: float) -> None:
        self.note(self.machine.lost(target, now_s))
