"""The steps with the cut: an uplink loses its carrier under traffic, and gets it back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from evenflow.errors import LabError
from evenflow.lab.results import MomentKind, Row, StepResult
from evenflow.lab.steps import count_shares, share_figures, share_rows
from evenflow.lab.traffic import Traffic, by_owner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from evenflow.lab.results import Share
    from evenflow.lab.stage import Stage
    from evenflow.lab.topology import LabUplink
    from evenflow.lab.traffic import Attempt

# How often a condition is looked at while it is waited for.
_POLL_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class Move:
    """How connections that fall to one uplink went over to where they should go.

    Attributes:
        after_s: from the event until the first that began after it had opened by the right uplink; None is never.
        lost: began after the event and before that, and failed.
        later, later_right: began after that; how many of them opened by the right uplink.
    """

    after_s: float | None
    lost: int
    later: int
    later_right: int


def find_move(attempts: Sequence[Attempt], event_s: float, right: Callable[[str | None], bool]) -> Move:
    """Judge attempts that fall to one uplink; `right` says whether one went where it should after the event."""
    since = [attempt for attempt in attempts if attempt.began_s > event_s]
    arrived_s = min((attempt.ended_s for attempt in since if right(attempt.uplink)), default=None)
    if arrived_s is None:
        return Move(None, lost=sum(attempt.uplink is None for attempt in since), later=0, later_right=0)
    later = [attempt for attempt in since if attempt.began_s > arrived_s]
    return Move(
        arrived_s - event_s,
        lost=sum(attempt.uplink is None for attempt in since if attempt.began_s <= arrived_s),
        later=len(later),
        later_right=sum(right(attempt.uplink) for attempt in later),
    )


async def cut(stage: Stage) -> StepResult:
    """(f) The first uplink's carrier is cut under traffic."""
    scenario = stage.scenario
    victim = stage.topology.uplinks[0]
    stage.progress.note("starting traffic")
    traffic = await stage.stack.enter_async_context(Traffic(stage))
    stage.found.traffic = traffic
    foreign_before = stage.foreign_packets(stage.tally.read())
    stage.meter.mark("traffic")
    await asyncio.sleep(scenario.before_cut_s)
    stage.progress.note(f"cutting the carrier of {victim.interface}")
    stage.meter.mark(f"{victim.name} cut", MomentKind.CUT)
    cut_s = asyncio.get_running_loop().time()
    stage.world.set_link_up(victim.provider, victim.provider_port, up=False)
    await asyncio.sleep(scenario.after_cut_s)
    foreign = stage.foreign_packets(stage.tally.read()) - foreign_before
    return _cut_result(stage, traffic, cut_s, foreign)


def _cut_result(stage: Stage, traffic: Traffic, cut_s: float, foreign: int) -> StepResult:
    victim, *others = stage.topology.uplinks
    names = {other.name for other in others}
    move = find_move(by_owner(traffic.attempts, victim.name), cut_s, lambda uplink: uplink in names)
    untouched = [one for other in others for one in by_owner(traffic.attempts, other.name)]
    stayed = sum(one.uplink == one.watched.owner for one in untouched)
    to = ", ".join(sorted(names))
    rows = (
        *_move_rows(stage, traffic, move, cut_s, to),
        Row((f"of {to}'s own kind, the whole time by {to}", f"{stayed} of {len(untouched)}"),
            held=bool(untouched) and stayed == len(untouched)),
        *_long_rows(stage, traffic, cut_s, to),
        Row(("packets that left with a source address of another uplink", str(foreign)), held=foreign == 0),
    )  # fmt: skip
    return StepResult(
        "f", f"cut {victim.name}", all(row.held for row in rows),
        f"The provider's end of {victim.interface} goes down, so the router's carrier is lost, while a new connection "
        f"is opened every {stage.scenario.attempt_interval_s * 1000:.0f} ms. {traffic.owned(victim.name)} of the "
        f"connections that are opened again and again fall to {victim.name}, which was seen before. No daemon runs: "
        f"backup routes in the kernel do it. The time runs from the cut to the server's answer.",
        ("new connections", "seen"), rows,
        {
            "moved_after_ms": _milliseconds(move),
            "lost": move.lost,
            "later": move.later,
            "later_right": move.later_right,
            "others_kept": stayed,
            "others": len(untouched),
            "foreign_packets": foreign,
        },
    )  # fmt: skip


def _move_rows(stage: Stage, traffic: Traffic, move: Move, cut_s: float, to: str) -> tuple[Row, ...]:
    """What became of connections that fall to the cut uplink."""
    victim = stage.topology.uplinks[0].name
    before = [one for one in by_owner(traffic.attempts, victim) if one.ended_s <= cut_s]
    caught = sum(one.uplink is None and one.began_s <= cut_s for one in traffic.attempts)
    return (
        Row((f"of {victim}'s kind, before the cut, by {victim}", f"{len(before)} opened"),
            held=bool(before) and all(one.uplink == victim for one in before)),
        Row((f"the first new one by {to} after the cut", _after(move)),
            held=move.after_s is not None and move.after_s <= stage.scenario.move_limit_s),
        Row((f"all later ones of {victim}'s kind by {to}", f"{move.later_right} of {move.later}"),
            held=move.later > 0 and move.later_right == move.later),
        Row(("begun in between, and lost", str(move.lost))),
        Row(("being opened when the cut came, and lost (not tried again)", str(caught))),
    )  # fmt: skip


def _long_rows(stage: Stage, traffic: Traffic, cut_s: float, to: str) -> tuple[Row, ...]:
    """What became of long connections: by another uplink they must go on; by the cut one they can't."""
    victim = stage.topology.uplinks[0].name
    long = [one for one in traffic.long if one.uplink != victim]
    went_on = sum(one.answered_after(cut_s + stage.scenario.after_cut_s / 2) for one in long)
    ended = [one.broke_s - cut_s for one in traffic.long if one.broke_s is not None and one.broke_s > cut_s]
    told = f"{len(ended)}, the last after {max(ended):.1f} s" if ended else "none, they hang"
    return (
        Row((f"long connections by {to} that went on", f"{went_on} of {len(long)}"), held=went_on == len(long)),
        Row((f"long connections by {victim} that ended, so that a client can connect anew", told)),
    )


async def restore(stage: Stage) -> StepResult:
    """(g) The carrier is back; new connections are spread as before."""
    scenario, traffic = stage.scenario, stage.found.traffic
    if traffic is None:
        raise LabError("the uplink was not cut")
    victim = stage.topology.uplinks[0]
    stage.progress.note(f"restoring the carrier of {victim.interface}")
    stage.meter.mark(f"{victim.name} restored", MomentKind.RESTORE)
    restored_s = asyncio.get_running_loop().time()
    stage.world.set_link_up(victim.provider, victim.provider_port, up=True)
    traffic.try_all_again()
    await _until(lambda: _move_back(traffic, victim, restored_s).after_s is not None, scenario.deadline_s)
    await asyncio.sleep(scenario.after_restore_s)
    move = _move_back(traffic, victim, restored_s)
    stage.progress.note(f"opening {scenario.connections_after} connections")
    opened = await stage.open_many(scenario.connections_after)
    shares = count_shares(stage, opened)
    for connection in opened:
        connection.close()
    await traffic.stop()
    return _restore_result(stage, move, shares, len(opened))


def _restore_result(stage: Stage, move: Move, shares: Sequence[Share], opened: int) -> StepResult:
    victim, wanted = stage.topology.uplinks[0].name, stage.scenario.connections_after
    rows = (
        *share_rows(shares),
        Row((f"first of {victim}'s kind back", _after(move), "", "", ""), held=move.after_s is not None),
        Row((f"later ones by {victim}", f"{move.later_right} of {move.later}", "", "", ""),
            held=move.later > 0 and move.later_right == move.later),
    )  # fmt: skip
    return StepResult(
        "g", f"restore {victim}", opened == wanted and all(row.held for row in rows),
        f"The carrier is back. {opened} of {wanted} new connections from many clients opened and are spread as in (b); "
        f"new ones of {victim}'s kind go by {victim} again.",
        ("", "connections", "share", "target", "chance allows"), rows,
        {
            "back_after_ms": _milliseconds(move),
            "later": move.later,
            "later_right": move.later_right,
            "opened": opened,
            **share_figures(shares),
        },
    )  # fmt: skip


def _after(move: Move) -> str:
    return "never" if move.after_s is None else f"{move.after_s * 1000:.0f} ms"


def _milliseconds(move: Move) -> float | None:
    return None if move.after_s is None else round(move.after_s * 1000, 1)


def _move_back(traffic: Traffic, victim: LabUplink, restored_s: float) -> Move:
    return find_move(by_owner(traffic.attempts, victim.name), restored_s, lambda uplink: uplink == victim.name)


async def _until(condition: Callable[[], bool], deadline_s: float) -> None:
    """Wait until it is so, or the time is over."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + deadline_s
    while not condition() and loop.time() < end_s:
        await asyncio.sleep(_POLL_S)
