"""A simulation for people: what each uplink gets, next to what was asked for and what chance makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.core.recommend import FULL
from evenflow.formats.amounts import clock, counted, percent, percent_range, rate, size, span
from evenflow.formats.drawing import Line, Part
from evenflow.formats.tables import Cell, Column, cell, table
from evenflow.model.finding import printable
from evenflow.model.trace import Disposition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from evenflow.core.recommend import Candidate
    from evenflow.formats.simulation import Told
    from evenflow.model.simulation import Client, Elsewhere, Load, Steps, UplinkLoad

#: Characters of the bar that shows a share, and of the line that shows loads over time.
_BAR, _TIMELINE = 12, 60

_HEIGHTS = "▁▂▃▄▅▆▇█"

_ENDS = {
    Disposition.FORWARDED: "to",
    Disposition.SENT: "the router's own, to",
    Disposition.DELIVERED: "to the router itself",
    Disposition.DROPPED: "dropped",
    Disposition.UNREACHABLE: "refused: unreachable",
    Disposition.PROHIBIT: "refused: prohibited",
    Disposition.BLACKHOLE: "dropped: blackhole",
    Disposition.NO_ROUTE: "refused: no route",
}


def sheet(told: Told, width: int) -> Iterator[Line]:
    """The lines, without the notes; tables leave out what has no room in `width`."""
    yield from _read(told)
    yield Line(())
    yield from _uplinks(told, width)
    load = told.load
    parts = (_moved(told), _elsewhere(load, width), _timeline(load, width), _clients(load, width), _seeds(told, width))
    for block in parts:
        lines = list(block)
        if lines:
            yield Line(())
            yield from lines
    if told.compared:
        yield Line(())
        yield from _comparison(told, width)


def _text(text: str, style: str = "", indent: int = 0) -> Line:
    margin = (Part(" " * indent),)
    return Line((Part(text, style),), begin=margin, go_on=(Part(" " * (indent + 2)),))


def _heading(text: str, rest: str = "") -> Line:
    return Line((Part(text, "stage"), *((Part(f" · {rest}", "quiet"),) if rest else ())), go_on=(Part("  "),))


# --- what was read -----------------------------------------------------------------------------------------------


def _read(told: Told) -> Iterator[Line]:
    load, file = told.load, told.file
    amount = f", {size(load.size_bytes)}" if load.size_bytes is not None else ""
    steps = load.steps
    when = ""
    if steps is not None:
        first, last = steps.start_s, steps.start_s + steps.count * steps.length_s
        when = f", {clock(first, day=True)} to {clock(last, day=True)} UTC"
    name = printable(file.name.rpartition("/")[2])
    yield Line((Part(name, "stage"), Part(f" · {file.what} · {counted(load.flows, 'flow')}{amount}{when}")))
    for one in file.skipped:
        example = f": {printable(one.example)}" if one.example else ""
        what = (
            f"{counted(one.rows, file.unit)} passed over: {one.reason}; the first is {file.unit} {one.first:,}{example}"
        )
        yield Line((Part("✗ ", "no"), Part(what)), go_on=(Part("  "),))


# --- the uplinks -------------------------------------------------------------------------------------------------


def _uplinks(told: Told, width: int) -> Iterator[Line]:
    load = told.load
    length_s = load.steps.length_s if load.steps is not None else 0
    minute = "minute" if length_s == 60 else span(length_s)
    columns = (
        Column("uplink"),
        Column("flows", right=True),
        Column("of flows", right=True, spare=3),
        Column("bytes", right=True),
        Column("share", spare=4),
        Column("share", right=True),
        Column("target", right=True),
        Column("chance", right=True, spare=1),
        Column(""),
        Column(f"busiest {minute}", right=True, spare=2),
        Column("filled", right=True),
    )
    yield from table(columns, [_uplink(one, told) for one in load.uplinks], width)
    if load.undecided_flows:
        undecided = counted(load.undecided_flows, "flow")
        yield _text(f"{undecided} of these the kernel divides by a secret of its own: in equal parts", "quiet")
    if not load.balanced_flows:
        yield _text("no flow leaves by an uplink: there is nothing to divide")
    elif told.moved is None and not all(map(_in_chance, load.uplinks)):
        yield _text(
            "✗ is more than the hash explains (95 of 100 seeds bring each share within the chance): other rules decide "
            "here, too; `evenflow trace` shows which, for one packet"
        )


def _uplink(one: UplinkLoad, told: Told) -> tuple[Cell, ...]:
    by_size, as_usual = told.load.size_bytes is not None, told.moved is None and told.load.balanced_flows > 0
    sign = cell("✓", "yes") if _in_chance(one) else cell("✗", "no")
    minute = one.busiest
    return (
        cell(printable(one.name), "mark"),
        cell(f"{one.flows:,}"),
        cell(percent(one.flows_share) if by_size else ""),
        cell(size(one.size_bytes) if by_size else ""),
        _bar(one),
        cell(percent(one.share), "stage"),
        cell(percent(one.target)),
        cell(percent_range(one.chance.low, one.chance.high) if as_usual else ""),
        sign if as_usual else Cell(),
        cell(f"{rate(minute.rate_bps)} {clock(minute.start_s)}" if minute is not None and minute.rate_bps else ""),
        _filled(one),
    )


def _in_chance(one: UplinkLoad) -> bool:
    """Whether a share lies where 95 of 100 seeds have it, with a hair's breadth for rounding."""
    hair = 0.0005
    return one.chance.low - hair <= one.share <= one.chance.high + hair


def _bar(one: UplinkLoad) -> Cell:
    """The share, with a stroke where the target is."""
    filled, at = round(_BAR * one.share), min(_BAR - 1, round(_BAR * one.target))
    before, after = "█" * min(filled, at), "█" * max(0, filled - at - 1)
    return Cell(
        (
            Part(f"{before:<{at}}", "mark"),
            Part("│", "stage"),
            Part(f"{after:<{_BAR - at - 1}}", "mark"),
        )
    )


def _filled(one: UplinkLoad) -> Cell:
    """How full it is in its busiest minute."""
    if one.busiest is None or not one.bandwidth_bps:
        return Cell()
    part = one.busiest.rate_bps / one.bandwidth_bps
    return cell(f"{100 * part:.0f} %", "no" if part > FULL else "")


# --- the rest ----------------------------------------------------------------------------------------------------


def _elsewhere(load: Load, width: int) -> Iterator[Line]:
    if not load.elsewhere:
        return
    yield _heading("by no uplink")
    columns = (Column("", right=True), Column("", right=True), Column(""))
    yield from table(columns, [_ended(one, load) for one in load.elsewhere], width, indent=2)


def _ended(one: Elsewhere, load: Load) -> tuple[Cell, ...]:
    where = f" {one.interface}" if one.disposition in (Disposition.FORWARDED, Disposition.SENT) else ""
    amount = size(one.size_bytes) if load.size_bytes is not None else ""
    return cell(counted(one.flows, "flow")), cell(amount), cell(printable(f"{_ENDS[one.disposition]}{where}"))


def _timeline(load: Load, width: int) -> Iterator[Line]:
    steps = load.steps
    if steps is None or steps.count < 2:
        return
    joined = -(-steps.count // _TIMELINE)
    length_s = steps.count * steps.length_s
    first, last = (clock(at_s, day=length_s >= 86400) for at_s in (steps.start_s, steps.start_s + length_s))
    what = "bytes" if load.size_bytes is not None else "flows"
    yield _heading("over time", f"{what}, {first} to {last}, {span(steps.length_s * joined)} a sign")
    sums = {one.name: _joined(one.series_bytes, joined) for one in load.uplinks}
    tops = {one.name: _top(one, sums, steps, joined) for one in load.uplinks}
    rows = [
        (
            cell(printable(one.name), "mark"),
            cell(_spark(sums[one.name], tops[one.name]), "mark"),
            cell(f"█ = {_full(one, tops[one.name], steps, joined, load)}", "quiet"),
        )
        for one in load.uplinks
    ]
    yield from table((Column(""), Column(""), Column("")), rows, width, indent=2)


def _joined(series: Sequence[int], by: int) -> list[int]:
    return [sum(series[first : first + by]) for first in range(0, len(series), by)]


def _top(one: UplinkLoad, sums: dict[str, list[int]], steps: Steps, joined: int) -> float:
    """What fills the height: the bandwidth, or what the uplink with most has if that is more or nothing is stated."""
    highest = max(sums[one.name], default=0)
    if one.bandwidth_bps:
        return max(highest, one.bandwidth_bps / 8 * steps.length_s * joined)
    return max([1, *(max(each, default=0) for each in sums.values())])


def _full(one: UplinkLoad, top: float, steps: Steps, joined: int, load: Load) -> str:
    if load.size_bytes is None:
        return counted(round(top), "flow")
    full = rate(top * 8 / (steps.length_s * joined))
    return (
        f"{full}, its bandwidth"
        if one.bandwidth_bps and top * 8 <= one.bandwidth_bps * steps.length_s * joined
        else full
    )


def _spark(values: Iterable[int], top: float) -> str:
    return "".join(_HEIGHTS[min(7, int(8 * value / top))] if value else "·" for value in values)


def _clients(load: Load, width: int) -> Iterator[Line]:
    counts = load.stickiness
    if not counts.clients:
        return
    about = "about " if counts.part_counted < 1 else ""
    text = f"{counts.clients_split:,} of {about}{counted(counts.clients, 'client')} leave by more than one uplink"
    if counts.pairs:
        text += f"; {counts.pairs_split:,} of {counts.pairs:,} pairs of client and server do"
    yield _heading("clients", text)
    by_size = load.size_bytes is not None
    columns = (Column(""), Column("", right=True), Column("", right=True), Column(""))
    yield from table(columns, [_client(one, by_size=by_size) for one in load.clients], width, indent=2)


def _client(client: Client, *, by_size: bool) -> tuple[Cell, ...]:
    total = sum(client.by_uplink.values())
    ways = sorted(client.by_uplink.items(), key=lambda item: -item[1])
    return (
        cell(str(client.address)),
        cell(counted(client.flows, "flow")),
        cell(size(client.size_bytes) if by_size else ""),
        cell(", ".join(f"{printable(name)} {100 * part / total:.0f} %" for name, part in ways), "quiet"),
    )


def _moved(told: Told) -> Iterator[Line]:
    moved = told.moved
    if moved is None:
        return
    of_all = f" of {told.load.flows:,}" if told.load.flows else ""
    amount = f" ({size(moved.size_bytes)})" if told.load.size_bytes is not None else ""
    yield _heading("the loss moves", f"{counted(moved.flows, 'flow')}{of_all}{amount}")
    for name, flows in moved.by_uplink.items():
        yield _text(f"{counted(flows, 'flow')} of {printable(name)}", indent=2)
    sign = Part("✗ ", "no") if moved.needless else Part("✓ ", "yes")
    text = (
        f"{moved.needless:,} of them needlessly: they were on an uplink that lives"
        if moved.needless
        else ("none needlessly: all of them were on what is lost")
    )
    yield Line((sign, Part(text)), begin=(Part("  "),), go_on=(Part("    "),))


def _seeds(told: Told, width: int) -> Iterator[Line]:
    if not told.by_seed:
        return
    yield _heading(f"under {counted(len(told.by_seed), 'seed')}", f"0 to {len(told.by_seed) - 1}")
    columns = (Column("uplink"), *(Column(name, right=True) for name in ("least", "middle", "most", "within chance")))
    rows = []
    for number, uplink in enumerate(told.load.uplinks):
        loads = [load.uplinks[number] for load in told.by_seed]
        shares = sorted(one.share for one in loads)
        inside = sum(_in_chance(one) for one in loads)
        figures = (shares[0], shares[len(shares) // 2], shares[-1])
        rows.append(
            (
                cell(printable(uplink.name), "mark"),
                *(cell(percent(share)) for share in figures),
                cell(f"{inside} of {len(loads)}"),
            )
        )
    yield from table(columns, rows, width, indent=2)


# --- several ways to divide --------------------------------------------------------------------------------------


def _comparison(told: Told, width: int) -> Iterator[Line]:
    yield _heading(
        "compared",
        "how far a share may be off under 95 of 100 seeds; the fullest line at the peak of all traffic, on average "
        "over seeds, and in its busiest minute with this one; clients, and pairs of client and server, that show "
        "several public addresses",
    )
    columns = (
        Column(""),
        Column("classifier"),
        Column("shares", spare=2),
        Column("off by", right=True),
        Column("at peak", right=True),
        Column("this seed", right=True, spare=3),
        Column("clients", right=True, spare=1),
        Column("pairs", right=True),
    )
    best = told.recommended.place if told.recommended is not None else -1
    yield from table(columns, [_candidate(one, best=n == best) for n, one in enumerate(told.compared)], width, indent=2)
    if told.recommended is not None:
        chosen = told.compared[told.recommended.place]
        yield Line((Part("✓ ", "yes"), Part(f"take {chosen.name}", "stage")), begin=(Part("  "),))
        for reason in told.recommended.reasons:
            yield _text(f"· {reason}", indent=4)


def _candidate(candidate: Candidate, *, best: bool) -> tuple[Cell, ...]:
    shares = " : ".join(f"{100 * one.share:.1f}" for one in candidate.load.uplinks)
    pairs = candidate.pairs_split
    return (
        cell("✓" if best else "", "yes"),
        cell(printable(candidate.name), "mark"),
        cell(shares),
        cell(f"{100 * candidate.reach:.1f} points"),
        _fill(candidate.fullest),
        _fill(candidate.fullest_here),
        cell(percent(candidate.clients_split)),
        cell(percent(pairs) if pairs is not None else ""),
    )


def _fill(part: float | None) -> Cell:
    if part is None:
        return Cell()
    return cell(percent(part), "no" if part > FULL else "")
