"""`/ip firewall mangle` and `/ipv6 firewall mangle`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.formats.routeros.matchers import MatcherReader, has_unsupported, mark_name
from evenflow.formats.routeros.properties import SCHEMAS
from evenflow.formats.routeros.reading import Reading
from evenflow.formats.routeros.values import yes_or_no
from evenflow.model.finding import Severity
from evenflow.model.flow import Family
from evenflow.model.matcher import MarkKind, PccMatch
from evenflow.model.router import (
    BUILT_IN_CHAINS,
    AcceptAction,
    JumpAction,
    MangleRule,
    MarkAction,
    PassthroughAction,
    ReturnAction,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evenflow.formats.routeros.items import Item
    from evenflow.formats.routeros.notes import Notes
    from evenflow.model.matcher import Matcher
    from evenflow.model.router import MangleAction

_MARKS = {
    "mark-connection": (MarkKind.CONNECTION, "new-connection-mark"),
    "mark-routing": (MarkKind.ROUTING, "new-routing-mark"),
    "mark-packet": (MarkKind.PACKET, "new-packet-mark"),
}

#: Actions that always go on with the next rule (routeros.md: evaluation).
_ALWAYS_GO_ON = frozenset(("add-dst-to-address-list", "add-src-to-address-list", "sniff-pc", "sniff-tzsp"))

#: Actions that change the packet, or nothing, and never which uplink it takes.
_WITHOUT_BEARING = _ALWAYS_GO_ON | {
    "change-dscp", "change-hop-limit", "change-mss", "change-tos", "change-ttl", "clear-df", "fasttrack-connection",
    "set-priority", "strip-ipv4-options",
}  # fmt: skip


#: Actions of rules that nothing changes behind.
_WITHOUT_EFFECT = _WITHOUT_BEARING | {"accept", "log", "passthrough", "return", ""}

#: What follows when a rule is left out.
LEFT_OUT = ", and its packets go on to the next rule"


class MangleReader:
    """Reads the mangle rules of one family."""

    def __init__(self, notes: Notes, family: Family) -> None:
        self._notes = notes
        self._families = (family,)
        self._schema = SCHEMAS["ip" if family is Family.IPV4 else "ipv6", "firewall", "mangle"]
        self._matchers = MatcherReader(self._schema, family)

    def rules(self, items: Iterable[Item]) -> list[MangleRule]:
        """The rules that are in force, in order; what can't be asked for is an `UnsupportedMatch` in them."""
        rules: list[MangleRule] = []
        chains_with_effect: set[str] = set()
        for item in reversed([item for item in items if item.in_force]):
            chain = item.text("chain")
            rule = self._rule(item, ends_nothing=chain in BUILT_IN_CHAINS and chain not in chains_with_effect)
            if item.text("action") not in _WITHOUT_EFFECT:
                chains_with_effect.add(chain)
            if rule is not None:
                rules.append(rule)
        return rules[::-1]

    def _rule(self, item: Item, *, ends_nothing: bool) -> MangleRule | None:
        """`ends_nothing`: no rule with an effect comes behind it in its chain, so that nothing depends on its end."""
        reading = Reading(item, self._notes, "rule", LEFT_OUT)
        chain = reading.needed("chain")
        action = self._action(reading)
        without_bearing = action is not None and item.text("action") in _WITHOUT_BEARING
        ignorable = without_bearing and (ends_nothing or isinstance(action, PassthroughAction))
        if ignorable and has_unsupported(reading, self._schema):
            # Nothing depends on which packets a rule without effect takes.
            return MangleRule(chain, (), PassthroughAction(), self._families, reading.comment(), item.origin)
        matchers = self._matchers.read(reading)
        if action is None or not reading.ok:
            return None
        check_remainder(reading, matchers)
        return MangleRule(chain, matchers, action, self._families, reading.comment(), item.origin)

    def _action(self, reading: Reading) -> MangleAction | None:
        word = reading.value("action", str, "accept")
        if word in _MARKS:
            return self._mark(reading, word)
        if word in _WITHOUT_BEARING:
            return self._without_bearing(reading, word)
        match word:
            case "accept":
                return AcceptAction()
            case "return":
                return ReturnAction()
            case "jump":
                return JumpAction(reading.needed("jump-target", " for action=jump"))
            case "passthrough":
                return PassthroughAction()
            case "log":
                return PassthroughAction(reading.value("log-prefix", str, ""))
        refuse_action(reading, word, ("route",))
        return None

    def _mark(self, reading: Reading, word: str) -> MangleAction:
        kind, name = _MARKS[word]
        others = [other for _, other in _MARKS.values() if other != name and reading.item.properties.get(other)]
        why = f" for action={word} ({others[0]}= is of another action)" if others else f" for action={word}"
        return MarkAction(kind, mark_name(reading.needed(name, why)), reading.value("passthrough", yes_or_no, True))

    def _without_bearing(self, reading: Reading, word: str) -> MangleAction:
        goes_on = word in _ALWAYS_GO_ON or reading.value("passthrough", yes_or_no, True)
        then = "the rule goes on to the next one" if goes_on else "with passthrough=no the rule ends the chain"
        what = f"action={word} is not done; {then}. Take the rule out, or see to this by other means"
        reading.tell(Severity.WARNING, "unsupported-action", what)
        return PassthroughAction() if goes_on else AcceptAction()


def refuse_action(reading: Reading, word: str, known: Iterable[str]) -> None:
    """Tell of an action that is none of those that are done here; `known`: those that RouterOS has besides."""
    if word in known:
        reading.refuse("unsupported-action", f"action={word} can't be done here; write another action")
    elif reading.ok:
        reading.refuse("bad-value", f"action={word}: RouterOS has no such action here; correct it")


def check_remainder(reading: Reading, matchers: tuple[Matcher, ...]) -> None:
    """Tell of remainders that can not be: the rule stays, as RouterOS has it too."""
    for matcher in matchers:
        if isinstance(matcher, PccMatch) and matcher.remainder >= matcher.denominator:
            often = "always" if matcher.negated else "never"
            what = (
                f"remainder {matcher.remainder} of denominator {matcher.denominator} {often} matches; "
                f"remainders count from 0, so use 0 to {matcher.denominator - 1}"
            )
            reading.tell(Severity.ERROR, "pcc-remainder", what)
