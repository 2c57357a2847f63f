"""The daemon: everything that happens becomes one reconcile pass.

Events of the kernel, answers of probes and requests of people only note something and wake the loop; the pass then
looks at the machine, asks each watch how it stands, and makes the kernel so. All of it in one thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from evenflow.core.failover import Standing
from evenflow.core.uplinks import uplinks
from evenflow.daemon.balancer import Balancer
from evenflow.daemon.chronicle import Chronicle
from evenflow.daemon.control import ControlServer
from evenflow.daemon.listening import Listener
from evenflow.daemon.report import pass_message, status_of, transition_message
from evenflow.daemon.returning import Returning
from evenflow.daemon.watching import Watcher
from evenflow.errors import EvenflowError, InputError, SystemRefusedError
from evenflow.kernel.conntrack import Conntrack
from evenflow.kernel.events import EventKind, KernelEvents
from evenflow.kernel.files import read_configuration
from evenflow.kernel.hooks import HookRunner
from evenflow.kernel.linux import LinuxKernel
from evenflow.kernel.lock import only_one
from evenflow.kernel.systemd import Notifier
from evenflow.model.finding import Severity, has_errors
from evenflow.model.health import HealthState, OnDown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from evenflow.core.health import Transition
    from evenflow.daemon.balancer import Pass
    from evenflow.formats.configuration import Loaded
    from evenflow.model.router import Router

#: A look at everything from time to time, for what no event tells of (a sysctl that somebody changed).
_LOOK_AGAIN_S: Final = 5.0

#: Between two passes that only foreign routes or rules asked for: a routing daemon may change thousands a second.
_STORM_GAP_S: Final = 0.2

#: After a pass that could not do everything: soon, then less often.
_RETRY_S: Final = (0.02, 0.1, 0.5, 2.0, 5.0)

_AT_ONCE: Final = frozenset({EventKind.LINK, EventKind.ADDRESS, EventKind.RESYNC, EventKind.NFT})


@dataclass(frozen=True, slots=True)
class Options:
    """How the daemon was asked to run.

    Attributes:
        config: the file.
        socket: path of the control socket.
        seed: of the classifiers; None: the one in force, else drawn.
        accept_unsupported: what RouterOS does and evenflow can't keeps nothing from running.
    """

    config: str
    socket: str
    seed: int | None = None
    accept_unsupported: bool = False


class Service:
    """One running daemon. Call `run` once."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._chronicle = Chronicle()
        self._wake = asyncio.Event()
        self._stopping = False
        self._urgent = True
        self._failed_passes = 0
        self._transitions: list[tuple[Watcher, Transition]] = []
        self._to_flush: dict[str, str] = {}
        self._last: Pass | None = None
        self._watchers: dict[str, Watcher] = {}
        self._notifier = Notifier()

    async def run(self) -> None:
        """Bring the configuration up, and keep it so until told to stop. What is in force stays in force then.

        Raises:
            InputError: the configuration can't be used.
            SystemRefusedError: the kernel refused to bring it up, or another evenflow is at work.
        """
        loaded = _usable(self._read())
        assert loaded.router is not None
        with contextlib.ExitStack() as stack:
            stack.enter_context(only_one())
            self._kernel = stack.enter_context(LinuxKernel())
            self._balancer = Balancer(self._kernel, stack.enter_context(Conntrack()), loaded.router, self._options.seed)
            self._returning = Returning(self._balancer)
            self._hooks = HookRunner(loaded.hooks)
            self._chronicle.listeners.append(self._hooks.tell)
            self._listener = Listener(self._kernel)
            events = stack.enter_context(KernelEvents(self._kernel.ports))
            server = ControlServer(self._options.socket, self)
            await server.start()
            try:
                self._bring_up(loaded.router)
                loop = asyncio.get_running_loop()
                events.attach(loop, self._kernel_changed)
                self._catch_signals(loop)
                self._notifier.ready(f"running {self._options.config}")
                await self._work()
            finally:
                events.detach()
                self._notifier.stopping()
                self._listener.stop()
                for watcher in self._watchers.values():
                    watcher.stop()
                await server.stop()
                await self._hooks.stop()
        self._chronicle.tell("stopped", "stopped; all stays in force (`evenflow down` takes it away)")

    # --- the loop ----------------------------------------------------------------------------------------------

    def _bring_up(self, router: Router) -> None:
        standing = self._balancer.standing
        self._balancer.bring_up()
        self._watch(router, standing)
        self._returning.resume(self._now())
        known = ", ".join(f"{name} {words}" for name, words in sorted(standing.to_kernel(set(self._watchers)).items()))
        self._chronicle.tell("started", f"running {self._options.config}" + (f"; as before: {known}" if known else ""))

    async def _work(self) -> None:
        last_s = 0.0
        while not self._stopping:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._patience_s()):
                    await self._wake.wait()
            if not self._urgent:
                await asyncio.sleep(max(0.0, last_s + _STORM_GAP_S - self._now()))
            self._wake.clear()
            self._urgent = False
            last_s = self._now()
            self._pass()
            self._notifier.alive()

    def _patience_s(self) -> float:
        """How long until a pass is due without anything happening."""
        if self._failed_passes:
            return _RETRY_S[min(self._failed_passes, len(_RETRY_S)) - 1]
        now_s = self._now()
        due = [watcher.machine.next_tick_s() for watcher in self._watchers.values()]
        due += [self._returning.next_s(), self._balancer.look_again_s()]
        waits = [when - now_s for when in due if when is not None]
        watchdog_s = self._notifier.watchdog_s
        return max(0.0, min([*waits, _LOOK_AGAIN_S, *([watchdog_s / 2] if watchdog_s else [])]))

    def _pass(self) -> None:
        """Look, decide, make it so, tell."""
        now_s = self._now()
        try:
            machine = self._balancer.look(now_s)
            for watcher in self._watchers.values():
                watcher.look(self._balancer.router, machine, now_s)
                watcher.note(watcher.machine.tick(now_s))
            self._balancer.standing = self._standing(now_s)
            done = self._balancer.reconcile()
        except SystemRefusedError as problem:
            self._failed(str(problem))
            return
        if done.mended_routing:
            for watcher in self._watchers.values():
                watcher.went_astray(now_s)
        if done.in_sync:
            self._failed_passes = 0
        else:
            self._failed(
                "; ".join(done.failures) or f"{done.left} differences were read back; something else changes them"
            )
        self._tell(done, self._flush() if done.in_sync else {})

    def _standing(self, now_s: float) -> Standing:
        machines = {name: watcher.machine for name, watcher in self._watchers.items()}
        standing = Standing(
            frozenset(name for name, machine in machines.items() if not machine.usable),
            frozenset(name for name, machine in machines.items() if machine.drained),
        )
        return replace(standing, away=self._returning.away(standing, now_s))

    def _flush(self) -> dict[str, int]:
        """Delete the connections of what was lost: the new owners are in force by now."""
        flushed = {}
        for name, mark in tuple(self._to_flush.items()):
            try:
                flushed[name] = self._balancer.flush(mark)
            except SystemRefusedError as problem:
                self._failed(str(problem))
                continue
            del self._to_flush[name]
        return flushed

    def _failed(self, why: str) -> None:
        self._failed_passes += 1
        if self._failed_passes in (1, 10) or self._failed_passes % 100 == 0:
            self._chronicle.tell("refused", f"could not do everything, trying again: {why}", level=logging.ERROR)

    def _tell(self, done: Pass, flushed: dict[str, int]) -> None:
        told, self._transitions = self._transitions, []
        for watcher, transition in told:
            self._tell_of(watcher, transition, done.moved or {}, flushed.get(watcher.watch.name))
        if done.operations and not told:
            kind = "changed" if done.wanted_change else "drift"
            self._chronicle.tell(kind, pass_message(done), operations=len(done.operations))
        self._last = done

    def _tell_of(
        self, watcher: Watcher, transition: Transition, moved: Mapping[str, int], flushed: int | None = None
    ) -> None:
        name = watcher.watch.name
        doubt = HealthState.FALLING in (transition.before, transition.after) and not transition.lost
        self._chronicle.tell(
            "state",
            transition_message(name, transition, moved, flushed),
            level=logging.DEBUG if doubt else logging.WARNING if transition.lost else logging.INFO,
            uplink=name,
            before=transition.before.value,
            after=transition.after.value,
            reason=transition.reason,
            moved=dict(moved),
            flushed=flushed or 0,
        )

    # --- what wakes it ---------------------------------------------------------------------------------------------

    def _kernel_changed(self, kinds: frozenset[EventKind]) -> None:
        self._urgent = self._urgent or bool(kinds & _AT_ONCE)
        self._wake.set()

    def _transition(self, watcher: Watcher, transition: Transition) -> None:
        if not _moves_traffic(transition):
            self._tell_of(watcher, transition, {})
            return
        self._transitions.append((watcher, transition))
        watch, now_s = watcher.watch, self._now()
        if transition.lost:
            self._returning.forget(watch.name)
            if watch.on_down is OnDown.FLUSH and watch.connection_mark is not None:
                self._to_flush[watch.name] = watch.connection_mark
        elif transition.returned:
            self._to_flush.pop(watch.name, None)
            self._returning.begin(watcher, now_s)
        self._soon()

    def _soon(self) -> None:
        self._urgent = True
        self._wake.set()

    def _catch_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._reload_and_tell)

    def _stop(self) -> None:
        self._stopping = True
        self._soon()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    # --- the configuration -----------------------------------------------------------------------------------------

    def _watch(self, router: Router, standing: Standing) -> None:
        """Watch what the router wants watched; what was watched just so before goes on undisturbed."""
        before, self._watchers = self._watchers, {}
        for watch in router.watches:
            old = before.get(watch.name)
            if old is not None and old.continues(watch, router):
                old.watch = watch
                self._watchers[watch.name] = before.pop(watch.name)
            else:
                self._watchers[watch.name] = Watcher(watch, router, standing, self._transition, now_s=self._now())
        for gone in before.values():
            gone.stop()
        for watcher in self._watchers.values():
            watcher.start()
        self._listener.follow(self._watchers.values())
        self._soon()

    def _read(self) -> Loaded:
        return read_configuration(self._options.config, accept_unsupported=self._options.accept_unsupported)

    def reload(self) -> tuple[str, ...]:
        """Read the configuration anew; a bad one is refused and the old one goes on. Its findings, as text.

        Raises:
            InputError: it can't be used.
            SystemRefusedError: the kernel refused it; the old one is in force again.
        """
        self._notifier.reloading()
        try:
            loaded = _usable(self._read())
            assert loaded.router is not None
            self._balancer.standing = self._standing(self._now())
            findings = self._balancer.bring_up(loaded.router)
            self._watch(loaded.router, self._balancer.standing)
            self._hooks.change(loaded.hooks)
        except EvenflowError as problem:
            self._chronicle.tell(
                "reload-refused",
                f"{self._options.config} is refused, the old configuration goes on: {problem}",
                level=logging.ERROR,
            )
            raise
        finally:
            self._notifier.ready(f"running {self._options.config}")
        self._chronicle.tell("reloaded", f"{self._options.config} is in force")
        return tuple(str(finding) for finding in (*loaded.findings, *findings) if finding.severity is not Severity.INFO)

    def _reload_and_tell(self) -> None:
        with contextlib.suppress(EvenflowError):  # it is in the log
            self.reload()

    # --- requests --------------------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """How everything stands."""
        return status_of(
            self._options.config, self._balancer, self._watchers.values(), self._chronicle, self._last, self._now()
        )

    def drain(self, name: str, *, drained: bool) -> dict[str, Any]:
        """Take new connections from an uplink, or give them back.

        Raises:
            InputError: there is no such uplink.
        """
        watcher = self._watchers.get(name)
        known = [uplink.name for uplink in uplinks(self._balancer.router)]
        if name not in known:
            raise InputError([f"there is no uplink {name}; there are: {', '.join(known) or 'none'}"])
        if watcher is None or watcher.watch.connection_mark is None:
            raise InputError([f"{name} can't be drained: a RouterOS script says itself which connections go there"])
        now_s = self._now()
        watcher.note(watcher.machine.drain(now_s) if drained else watcher.machine.undrain(now_s))
        self._pass()
        return {"uplink": name, "state": watcher.machine.state.value}

    @property
    def chronicle(self) -> Chronicle:
        """What happened so far."""
        return self._chronicle


def _usable(loaded: Loaded) -> Loaded:
    if loaded.router is None or has_errors(loaded.findings):
        raise InputError(_errors(loaded.findings))
    return loaded


def _errors(findings: Iterable[Any]) -> list[Any]:
    return [finding for finding in findings if finding.severity is Severity.ERROR]


def _moves_traffic(transition: Transition) -> bool:
    """Whether somebody's buckets have another owner by it."""
    drained = HealthState.DRAINED in (transition.before, transition.after)
    return drained or transition.lost or transition.returned
