"""The matchers of mangle and NAT rules."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from evenflow.formats.routeros import values
from evenflow.formats.routeros.notes import UNSUPPORTED
from evenflow.formats.routeros.statement import written
from evenflow.formats.routeros.values import BadValueError
from evenflow.model.flow import ConnectionState
from evenflow.model.matcher import (
    AddressListMatch,
    AddressMatch,
    AddressType,
    AddressTypeMatch,
    Classifier,
    Direction,
    InInterface,
    InInterfaceList,
    MarkKind,
    MarkMatch,
    NthMatch,
    OutInterface,
    OutInterfaceList,
    PccMatch,
    PortMatch,
    ProtocolMatch,
    RandomMatch,
    SourceMacMatch,
    StateMatch,
    UnsupportedMatch,
)
from evenflow.model.router import INTERFACE_GROUPS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from evenflow.formats.routeros.properties import Schema
    from evenflow.formats.routeros.reading import Reading
    from evenflow.formats.routeros.statement import Value
    from evenflow.model.flow import Family
    from evenflow.model.matcher import Matcher

NO_MARK = "no-mark"

_PCC = re.compile(r"([a-z-]+):([0-9]{1,9})/([0-9]{1,9})")
_NTH = re.compile(r"([0-9]{1,9}),([0-9]{1,9})")
_OLD_NTH = re.compile(r"([0-9]{1,9}),[0-9]{1,9},([0-9]{1,9})")
_RANDOM = re.compile(r"[1-9][0-9]?")
_CLASSIFIERS = {classifier.value: classifier for classifier in Classifier}
_STATES = {state.value: state for state in ConnectionState}
_TYPES = {kind.value: kind for kind in AddressType}


def mark_name(text: str) -> str | None:
    """The mark of that name; None is no-mark."""
    return None if text == NO_MARK else text


@dataclass(frozen=True, slots=True)
class _Given:
    """The value of a matcher, without its `!`."""

    text: str
    negated: bool
    family: Family


def _mark(kind: MarkKind, given: _Given) -> Matcher:
    return MarkMatch(kind, mark_name(given.text), given.negated)


def _into(
    given: _Given, one: type[InInterface | OutInterface], of_list: type[InInterfaceList | OutInterfaceList]
) -> Matcher:
    if "," in given.text:
        raise BadValueError("it is more than one interface; make an interface list of them, and ask for that")
    return (of_list if given.text in INTERFACE_GROUPS else one)(given.text, given.negated)


def _address(direction: Direction, given: _Given) -> Matcher:
    return AddressMatch(direction, values.address_range(given.text, given.family), given.negated)


def _address_list(direction: Direction, given: _Given) -> Matcher:
    return AddressListMatch(direction, given.text, given.negated)


def _address_type(direction: Direction, given: _Given) -> Matcher:
    words = given.text.split(",")
    _all_known(words, _TYPES)
    return AddressTypeMatch(direction, frozenset(_TYPES[word] for word in words), given.negated)


def _port(direction: Direction, given: _Given) -> Matcher:
    return PortMatch(direction, values.ports(given.text), given.negated)


def _state(given: _Given) -> Matcher:
    words = given.text.split(",")
    _all_known(words, _STATES)
    return StateMatch(frozenset(_STATES[word] for word in words), given.negated)


def _pcc(given: _Given) -> Matcher:
    found = _PCC.fullmatch(given.text)
    if found is None or found[1] not in _CLASSIFIERS:
        raise BadValueError("it is no classifier; write FIELDS:DENOMINATOR/REMAINDER, such as both-addresses:2/0")
    denominator = int(found[2])
    if denominator == 0:
        raise BadValueError("the denominator is 0; write the number of streams")
    return PccMatch(_CLASSIFIERS[found[1]], denominator, int(found[3]), given.negated)


def _nth(given: _Given) -> Matcher:
    _not_negated(given)
    old = _OLD_NTH.fullmatch(given.text)
    if old is not None:
        # RouterOS 2 counted from 0, and up to EVERY.
        now = f"nth={int(old[1]) + 1},{int(old[2]) + 1}"
        raise BadValueError(
            f"EVERY,COUNTER,PACKET is a form of RouterOS 2, with counters that rules share; write {now}"
        )
    found = _NTH.fullmatch(given.text)
    if found is None or not 1 <= int(found[2]) <= int(found[1]):
        raise BadValueError("it is no EVERY,PACKET; write which packet of how many, such as 2,1 and 2,2")
    return NthMatch(int(found[1]), int(found[2]))


def _random(given: _Given) -> Matcher:
    _not_negated(given)
    if _RANDOM.fullmatch(given.text) is None:
        raise BadValueError("it is no percentage from 1 to 99")
    return RandomMatch(int(given.text))


def _not_negated(given: _Given) -> None:
    if given.negated:
        raise BadValueError("RouterOS has no ! here; say which packets are wanted")


#: Types of addresses that can't be asked for here.
_OTHER_TYPES = frozenset(("anycast", "blackhole", "nat", "prohibit", "throw", "unreachable"))


def _all_known(words: list[str], known: Collection[str]) -> None:
    for word in words:
        if word not in known:
            code = "unsupported-value" if word in _OTHER_TYPES else "bad-value"
            raise BadValueError(f'"{word}" can\'t be matched here, only {", ".join(known)}', code)


_READERS: dict[str, Callable[[_Given], Matcher]] = {
    "connection-mark": partial(_mark, MarkKind.CONNECTION),
    "routing-mark": partial(_mark, MarkKind.ROUTING),
    "packet-mark": partial(_mark, MarkKind.PACKET),
    "in-interface": lambda given: _into(given, InInterface, InInterfaceList),
    "out-interface": lambda given: _into(given, OutInterface, OutInterfaceList),
    "in-interface-list": lambda given: InInterfaceList(given.text, given.negated),
    "out-interface-list": lambda given: OutInterfaceList(given.text, given.negated),
    "src-address": partial(_address, Direction.SOURCE),
    "dst-address": partial(_address, Direction.DESTINATION),
    "src-address-list": partial(_address_list, Direction.SOURCE),
    "dst-address-list": partial(_address_list, Direction.DESTINATION),
    "src-address-type": partial(_address_type, Direction.SOURCE),
    "dst-address-type": partial(_address_type, Direction.DESTINATION),
    "protocol": lambda given: ProtocolMatch(values.protocol(given.text), given.negated),
    "src-port": partial(_port, Direction.SOURCE),
    "dst-port": partial(_port, Direction.DESTINATION),
    "port": partial(_port, Direction.EITHER),
    "connection-state": _state,
    "src-mac-address": lambda given: SourceMacMatch(values.mac(given.text), given.negated),
    "per-connection-classifier": _pcc,
    "nth": _nth,
    "random": _random,
}


class MatcherReader:
    """Reads matchers; the same property with the same value is read once."""

    def __init__(self, schema: Schema, family: Family) -> None:
        self._schema = schema
        self._family = family
        self._read: dict[tuple[str, str], Matcher] = {}

    def read(self, reading: Reading) -> tuple[Matcher, ...]:
        """All matchers of a rule, in the order of the file. What can't be expressed is an error."""
        matchers: list[Matcher] = []
        for name, value in reading.item.properties.items():
            if name in _READERS and value != "":
                matcher = self._read.get((name, value)) if isinstance(value, str) else None
                try:
                    matchers.append(matcher or self._matcher(name, reading.text(name)))
                except BadValueError as problem:
                    if problem.code in UNSUPPORTED:
                        matchers.append(UnsupportedMatch(name, written(value)))
                        reading.unasked(name, problem)
                    else:
                        reading.bad(name, problem)
            elif is_unsupported(name, value, self._schema):
                matchers.append(UnsupportedMatch(name, written(value)))
                reading.unasked(name, BadValueError(_unsupported(name), "unsupported-matcher"))
        return tuple(matchers)

    def _matcher(self, name: str, value: str) -> Matcher:
        negated = value.startswith("!")
        text = value[1:] if negated else value
        if not text:
            raise BadValueError("nothing stands after the !; write a value")
        matcher = _READERS[name](_Given(text, negated, self._family))
        self._read[name, value] = matcher
        return matcher


def is_unsupported(name: str, value: Value, schema: Schema) -> bool:
    """Whether it is a condition that can't be expressed."""
    return name in schema.unsupported and value != "" and (name, value) not in _HELD_BY_ALL


def has_unsupported(reading: Reading, schema: Schema) -> bool:
    """Whether a rule has a condition that can't be expressed."""
    return any(is_unsupported(name, value, schema) for name, value in reading.item.properties.items())


#: Conditions that all packets meet where nothing speaks IPsec; who does is told of it (`outside`).
_HELD_BY_ALL = frozenset((("ipsec-policy", "in,none"), ("ipsec-policy", "out,none")))

_NO_COUNTING = "nothing is counted or measured here; write it without"
_NO_LOOKING_INSIDE = "nobody looks into packets here; choose by addresses, ports or address lists"
_INSTEAD = {
    "hotspot": "there is no hotspot here; choose clients by address or interface",
    **dict.fromkeys(("content", "layer7-protocol", "p2p", "tls-host"), _NO_LOOKING_INSIDE),
    **dict.fromkeys(("connection-bytes", "connection-limit", "connection-rate", "dst-limit", "limit"), _NO_COUNTING),
    "psd": _NO_COUNTING,
    "time": "the clock is not asked here; apply another file at those hours",
    **dict.fromkeys(("in-bridge-port", "in-bridge-port-list"), "choose by src-address= or src-mac-address="),
}


def _unsupported(name: str) -> str:
    return f"it can't be asked for here; {_INSTEAD.get(name, 'choose by addresses, ports, interfaces or marks')}"
