"""A trace for people: the packet's way from top to bottom, with what decided it."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING

from evenflow.core.explain import in_words
from evenflow.core.explain_routing import NOTHING_THERE
from evenflow.core.rule_words import NO_MARK, condition, conditions, property_of
from evenflow.core.streams import stream_groups
from evenflow.formats.drawing import Line, Part
from evenflow.formats.trace import UNSTATED, owner, what
from evenflow.model.finding import printable
from evenflow.model.protocols import protocol_name
from evenflow.model.router import BUILT_IN_CHAINS
from evenflow.model.trace import Disposition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from evenflow.formats.trace import Told
    from evenflow.model.finding import Origin
    from evenflow.model.flow import Address
    from evenflow.model.trace import Hashed, MarkChange, RouteLook, Step

#: Streams that are drawn one by one; of more, how many each owner has.
_DRAWN_STREAMS = 12

#: Width of the bar that shows how buckets are divided.
_BAR = 40

#: NAT chains and the routing decision are stages, too; every other name is a chain of the user's.
_STAGES = frozenset((*BUILT_IN_CHAINS, "routing", "srcnat", "dstnat"))

_TRUNK, _BRANCH, _END = "│", "├─", "╰▶"
_YES, _NO = "✓", "✗"
_TIGHT = "\N{NO-BREAK SPACE}"

_ENDINGS = {
    Disposition.UNREACHABLE: "refused: the sender is told that the host is unreachable",
    Disposition.PROHIBIT: "refused: the sender is told that it is prohibited",
    Disposition.BLACKHOLE: "dropped without a word: blackhole",
    Disposition.NO_ROUTE: "refused: no route to the destination",
    Disposition.DELIVERED: "delivered to the router itself",
}


def picture(told: Told, *, every: bool = False) -> Iterator[Line]:
    """The lines; with `every`, each rule that does not match has one of its own."""
    yield Line((Part("● ", "stage"), *_header(told)), go_on=_stem())
    seen: set[str] = set()
    for stage, steps in _by_stage(told.trace.steps):
        again = ", once more" if stage in seen else ""
        seen.add(stage)
        yield Line(_stem())
        yield Line((Part(f"{stage}{again}", "stage"),), begin=(Part(f"{_BRANCH} ", "quiet"),))
        yield from _Stage(told, every).lines(steps)
    yield Line(_stem())
    yield Line(tuple(_ending(told)), begin=(Part(f"{_END} ", "stage"),), go_on=(Part("   "),))


def _stem(text: str = "") -> tuple[Part, ...]:
    return (Part(_TRUNK, "quiet"), Part(text)) if text else (Part(_TRUNK, "quiet"),)


def _by_stage(steps: Sequence[Step]) -> Iterator[tuple[str, list[Step]]]:
    """Runs of steps of one stage; chains of the user's belong to the stage that jumped to them."""
    stage = ""
    named = []
    for step in steps:
        stage = step.stage if step.stage in _STAGES else stage
        named.append((stage, step))
    for name, run in groupby(named, key=lambda pair: pair[0]):
        yield name, [step for _, step in run]


def _header(told: Told) -> Iterator[Part]:
    packet = told.packet
    yield Part(f"{protocol_name(packet.protocol)} ", "stage")
    yield Part(_end(told, packet.source, packet.source_port), "stage")
    yield Part(" → ")
    yield Part(_end(told, packet.destination, packet.destination_port), "stage")
    state = f" · {packet.state.value}"
    if packet.connection_mark is not None:
        state += f", connection mark {printable(packet.connection_mark)}"
    yield Part(state + (" · a later fragment" if packet.later_fragment else ""))
    where = f"comes in by {printable(packet.in_interface)}" if packet.in_interface else "the router's own"
    yield Part(f" · {where}")


def _end(told: Told, address: Address, port: int) -> str:
    text = told.stated(address) or UNSTATED.replace(" ", _TIGHT)
    if not told.packet.has_ports:
        return text
    return f"[{text}]:{port}" if ":" in text else f"{text}:{port}"


class _Stage:
    """One stage of the way."""

    def __init__(self, told: Told, every: bool) -> None:  # noqa: FBT001 - made in one place only
        self._told, self._every = told, every

    def lines(self, steps: Iterable[Step]) -> Iterator[Line]:
        """Matching rules, and those that only chance speaks against, one by one; those between them together."""
        for told, run in groupby(steps, key=lambda step: step.matched or _was_asked(step) or _fell_otherwise(step)):
            if told:
                for step in run:
                    yield from (self._miss(step),) if _fell_otherwise(step) else self._match(step)
            elif self._every:
                for step in run:
                    yield self._miss(step)
            else:
                yield from self._misses(list(run))

    # --- what does not match ---------------------------------------------------------------------------------------

    def _misses(self, steps: list[Step]) -> Iterator[Line]:
        rules = "rule" if len(steps) == 1 else "rules"
        kind = "route " if steps[0].stage == "routing" else ""
        counts = Counter(_reason(step) for step in steps)
        # A single cause needs no count.
        why = ", ".join(f"{count} {reason}" if len(counts) > 1 else reason for reason, count in counts.most_common())
        parts = [Part(f"{_NO} {len(steps)} {kind}{rules} not matching: {self._told.cleaned(why)}", "quiet")]
        lines = _lines_of(steps)
        if lines:
            parts.append(Part(f"  ({lines})", "quiet"))
        yield _line(parts, 2)
        yield from self._unmatched_hashes(steps)

    def _unmatched_hashes(self, steps: list[Step]) -> Iterator[Line]:
        """Classifiers that were looked at, where none of their rules in this stage took the packet."""
        taken = {step.hashed.classifier for step in self._told.trace.steps if step.hashed is not None and step.matched}
        found = {step.hashed.classifier: step.hashed for step in steps if step.hashed is not None}
        for classifier, hashed in found.items():
            if classifier not in taken:
                yield _line(_hash_parts(hashed), 4)

    def _miss(self, step: Step) -> Line:
        parts = [
            Part(f"{_NO} ", "no"),
            *_place(step.origin),
            Part(f" {printable(self._told.cleaned(what(step)))}", "quiet"),
        ]
        instead = f"{condition(step.failed)}, and it is {step.found}" if step.failed is not None else step.detail
        return _line([*parts, Part(f" · {printable(self._told.cleaned(instead))}", "quiet")], 2)

    # --- what matches ----------------------------------------------------------------------------------------------

    def _match(self, step: Step) -> Iterator[Line]:
        told = self._told
        comment = step.rule.comment if step.rule is not None else ""
        sign = Part(f"{_YES} ", "yes") if step.matched else Part("· ", "quiet")
        headline = [sign, *_place(step.origin), Part(f" {printable(told.cleaned(what(step)))}", "stage")]
        if comment:
            headline.append(Part(f" · {printable(comment)}"))
        if step.stage not in _STAGES:
            headline.append(Part(f" · chain {printable(step.stage)}", "quiet"))
        yield _line(headline, 2)
        if step.rule is not None and step.rule.matchers:
            yield _line([Part(printable(conditions(step.rule)), "quiet")], 4)
        for one in step.drawn:
            yield _line([Part(f"{condition(one.matcher)}: it is {in_words(one)}")], 4)
        if step.hashed is not None:
            yield from self._hash(step, step.hashed)
        if step.change is not None:
            yield _line(_change(step.change), 4)
        yield from (_line(self._look(look), 4) for look in step.routes)
        detail = self._detail(step)
        if detail:
            yield _line([Part(printable(told.cleaned(detail)))], 4)

    def _detail(self, step: Step) -> str:
        trace, packet = self._told.trace, self._told.packet
        if step.stage == "srcnat" and not step.detail:
            if trace.snat is None:
                return ""
            to = self._told.stated(trace.snat) or f"the address of {trace.out_interface}"
            return f"source {packet.source} → {to}"
        if step.stage == "dstnat" and not step.detail and (trace.dnat or trace.dnat_port):
            to = f"{trace.dnat or packet.destination}" + (f" port {trace.dnat_port}" if trace.dnat_port else "")
            return f"destination {packet.destination} → {to}"
        # What a table answered is drawn as its routes.
        return "" if any(look.taken for look in step.routes) and trace.ways == 1 else step.detail

    def _look(self, look: RouteLook) -> list[Part]:
        sign = Part(f"{_YES} ", "yes") if look.taken else Part(f"{_NO} ", "no")
        text = printable(self._told.cleaned(look.what))
        parts = [sign, *_place(look.origin), Part(f" {text}", "" if look.taken else "quiet")]
        return parts if look.taken else [*parts, Part(f" · {look.why}", "no")]

    # --- the classifier --------------------------------------------------------------------------------------------

    def _hash(self, step: Step, hashed: Hashed) -> Iterator[Line]:
        mark = owner(hashed, step)
        parts = _hash_parts(hashed, in_buckets=bool(hashed.owners and len(hashed.owners) > _DRAWN_STREAMS))
        if hashed.owners:
            parts += [Part(" → "), Part(printable(mark or "nobody"), "mark")]
        yield _line(parts, 4)
        owners = hashed.owners or self._owners_of_group(step)
        if not owners:
            return
        if len(owners) <= _DRAWN_STREAMS:
            yield _line(_strip(owners, hashed.scaled % len(owners)), 4)
        else:
            yield from (_line(row, 4) for row in _bars(owners, mark))

    def _owners_of_group(self, step: Step) -> tuple[str | None, ...]:
        """The marks of all streams that a rule's neighbours divide with it."""
        for group in stream_groups(self._told.router):
            if any(rule is step.rule for rule in group.rules):
                return group.owners()
        return ()


def _was_asked(step: Step) -> bool:
    """Whether a route rule matched, though its table had no usable route: why not is worth to tell."""
    return bool(step.routes) or step.detail == NOTHING_THERE


def _fell_otherwise(step: Step) -> bool:
    """Whether only a counter or chance speaks against a rule: another packet like this one would meet it."""
    return not step.matched and bool(step.drawn)


def _reason(step: Step) -> str:
    return property_of(step.failed) if step.failed is not None else step.detail


def _lines_of(steps: list[Step]) -> str:
    """`file:22–25`; "" where there is no line to tell."""
    places = [step.origin for step in steps if step.origin.line]
    if not places:
        return ""
    first, last = min(place.line for place in places), max(place.line for place in places)
    return f"{_file(places[0])}:{first}" + (f"–{last}" if last != first else "")


def _file(origin: Origin) -> str:
    """The last part of a file's name: lines are short."""
    return printable(origin.file.rpartition("/")[2])


def _place(origin: Origin) -> tuple[Part, ...]:
    return (Part(f"{_file(origin)}:{origin.line}", "place"), Part(" ")) if origin.line else ()


def _line(parts: Iterable[Part], indent: int) -> Line:
    return Line(tuple(parts), begin=_stem(" " * indent), go_on=_stem(" " * (indent + 2)))


def _hash_parts(hashed: Hashed, *, in_buckets: bool = False) -> list[Part]:
    scale = f"hash 0x{hashed.value:08x} × {hashed.modulus:,} / 2³² = {hashed.scaled:,}".replace(" ", _TIGHT)
    word = "bucket" if in_buckets else "stream"
    text = f"{hashed.classifier.value}: {scale}"
    if hashed.denominator != hashed.modulus:
        text += f", modulo {hashed.denominator}"
    return [
        Part(text),
        Part(" → "),
        Part(f"{word}{_TIGHT}{hashed.stream:,}{_TIGHT}of{_TIGHT}{hashed.denominator:,}", "mark"),
    ]


def _strip(owners: Sequence[str | None], mine: int) -> list[Part]:
    parts = []
    for stream, mark in enumerate(owners):
        text = f"{stream}{_TIGHT}{printable(mark or 'nobody')}"
        parts.append(
            Part(f"▶{text}◀" if stream == mine else f"{_TIGHT}{text}{_TIGHT}", "mark" if stream == mine else "quiet")
        )
        parts.append(Part(" "))
    return parts


def _bars(owners: Sequence[str | None], mine: str | None) -> Iterator[list[Part]]:
    counts = Counter(owners)
    width = max(len(printable(mark or "nobody")) for mark in counts)
    for mark, count in counts.items():
        name = printable(mark or "nobody").ljust(width).replace(" ", _TIGHT)
        bar = "█" * round(_BAR * count / len(owners))
        share = f"{count:,} of {len(owners):,}, {100 * count / len(owners):.1f} %".replace(" ", _TIGHT)
        style = "mark" if mark == mine else "quiet"
        yield [Part(f"{name} ", style), Part(f"{bar or '▏'} ", style), Part(share, "quiet")]


def _change(change: MarkChange) -> list[Part]:
    before, after = (printable(mark or NO_MARK) for mark in (change.before, change.after))
    if before == after:
        return [Part(f"{change.kind.value} mark stays "), Part(after, "mark")]
    return [Part(f"{change.kind.value} mark {before} → "), Part(after, "mark")]


# --- the end -------------------------------------------------------------------------------------------------------


def _ending(told: Told) -> Iterator[Part]:
    trace = told.trace
    if trace.disposition is Disposition.DROPPED:
        yield Part("dropped", "no")
        why = trace.steps[-1] if trace.steps else None
        if why is not None:
            yield Part(
                printable(told.cleaned(f": {why.what}: {why.detail}" if why.rule is None else f": {why.detail}"))
            )
        return
    if trace.disposition in _ENDINGS:
        delivered = trace.disposition is Disposition.DELIVERED
        yield Part(_ENDINGS[trace.disposition], "yes" if delivered else "no")
        return
    by = f" by {printable(told.uplink)}" if told.uplink else ""
    yield Part(f"{trace.disposition.value}{by}", "yes")
    hop = told.stated(trace.gateway)
    yield Part(f": out by {printable(trace.out_interface or '')}")
    yield Part(f", next hop {hop}" if hop else "")
    if trace.snat is not None:
        yield Part(f", from {told.stated(trace.snat) or f'the address of {trace.out_interface}, which is not stated'}")
    if trace.ways > 1:
        yield Part(f"; the kernel chooses one of {trace.ways} next hops by a hash of its own, this is one of them")
