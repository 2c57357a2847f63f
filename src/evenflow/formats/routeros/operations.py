"""What the operators and functions of the scripting language make of known values.

Source: MikroTik's manual, "Scripting": operators; commands that give values.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from evenflow.formats.routeros.variables import Array, Selected

if TYPE_CHECKING:
    from collections.abc import Callable

    from evenflow.formats.routeros.variables import Known

_NUMBER = re.compile(r"-?[0-9]{1,18}")

#: Regular expressions that are followed: nothing in them can be tried in more than one way.
SIMPLE_PATTERN = re.compile(r"\^?(?:[\w .,:;@%/!#&'=<>\"-]|\\[.\-/])*\$?")

#: Elements of one list, and the longest text that is put together: more than scripts have.
MOST_ELEMENTS, _LONGEST = 1000, 1 << 16


class UnknownValueError(Exception):
    """Only the running script knows the value."""


def combined(sign: str, left: Known, right: Known) -> Known:
    """What an operator makes of what stands before and behind it. Raises UnknownValueError, as all here do."""
    match sign:
        case ".":
            return bounded(text_of(left) + text_of(right))
        case ",":
            return _joined(left, right)
        case "->":
            return _element(left, right)
        case "and" | "&&":
            return word(truth_of(left) and truth_of(right))
        case "or" | "||":
            return word(truth_of(left) or truth_of(right))
        case "=" | "!=":
            return word((_comparable(left) == _comparable(right)) == (sign == "="))
        case "~":
            return word(_matches(text_of(left), text_of(right)))
        case "in":
            raise UnknownValueError
    return _reckoned(sign, whole_number(left), whole_number(right))


def _reckoned(sign: str, left: int, right: int) -> str:
    if sign in ("/", "%") and right == 0:
        raise UnknownValueError
    match sign:
        case "+":
            return str(left + right)
        case "-":
            return str(left - right)
        case "*":
            return str(left * right)
        case "/":
            return str(abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1))
        case "%" if left >= 0 and right > 0:
            return str(left % right)
        case "<":
            return word(left < right)
        case ">":
            return word(left > right)
        case "<=":
            return word(left <= right)
        case ">=":
            return word(left >= right)
    raise UnknownValueError


def text_of(value: Known) -> str:
    """A value that is text."""
    if not isinstance(value, str):
        raise UnknownValueError
    return value


def bounded(text: str) -> str:
    """A text that is not too long."""
    if len(text) > _LONGEST:
        raise UnknownValueError
    return text


def word(truth: bool) -> str:  # noqa: FBT001  # it is the value itself
    """Yes or no as a script has it."""
    return "true" if truth else "false"


def truth_of(value: Known) -> bool:
    """A value that is yes or no."""
    if value not in ("true", "false", "yes", "no"):
        raise UnknownValueError
    return value in ("true", "yes")


def whole_number(value: Known) -> int:
    """A value that is a whole number."""
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        raise UnknownValueError
    return int(value)


def _comparable(value: Known) -> object:
    text = text_of(value)
    return int(text) if _NUMBER.fullmatch(text) else text


def _matches(text: str, pattern: str) -> bool:
    if len(pattern) > 200 or not SIMPLE_PATTERN.fullmatch(pattern):
        raise UnknownValueError
    return re.search(pattern, text) is not None


def elements(value: Known) -> tuple[Known, ...]:
    """What a loop over a value goes through.

    Raises:
        UnknownValueError: it can't be said.
    """
    match value:
        case Array():
            return value.values
        case Selected():
            return tuple(Selected((item,)) for item in value.items)
        case str():
            return tuple(value.split(",")) if value else ()
    raise UnknownValueError


def _joined(left: Known, right: Known) -> Array:
    values = [*(left.values if isinstance(left, Array) else (left,))]
    values += right.values if isinstance(right, Array) else (right,)
    if len(values) > MOST_ELEMENTS:
        raise UnknownValueError
    return Array(tuple(values), (None,) * len(values))


def _element(array: Known, place: Known) -> Known:
    if not isinstance(array, Array) or not isinstance(place, str):
        raise UnknownValueError
    if place in array.keys:
        return array.values[array.keys.index(place)]
    number = whole_number(place)
    if not 0 <= number < len(array.values) or any(key is not None for key in array.keys):
        raise UnknownValueError
    return array.values[number]


# --- functions -----------------------------------------------------------------------------------------------------


def _length(given: list[Known]) -> str:
    (value,) = _so_many(given, 1)
    if isinstance(value, Selected):
        return str(len(value.items))
    return str(len(value.values if isinstance(value, Array) else text_of(value)))


def _pick(given: list[Known]) -> Known:
    value, *places = _so_many(given, 2, 3)
    first, *last = [whole_number(place) for place in places]
    until = last[0] if last else first + 1
    if first < 0 or until < first:
        raise UnknownValueError
    if isinstance(value, Array):
        if not last:
            return _element(value, str(first))
        return Array(value.values[first:until], value.keys[first:until])
    return text_of(value)[first:until]


def _same(given: list[Known]) -> Known:
    (value,) = _so_many(given, 1)
    return text_of(value)


def _to_array(given: list[Known]) -> Known:
    (value,) = _so_many(given, 1)
    values = elements(value) if isinstance(value, str | Array) else (value,)
    return Array(values, (None,) * len(values))


def _so_many(given: list[Known], *counts: int) -> list[Known]:
    if len(given) not in counts:
        raise UnknownValueError
    return given


FUNCTIONS: dict[str, Callable[[list[Known]], Known]] = {
    "len": _length, "pick": _pick, "toarray": _to_array, "toip": _same, "tonum": _same, "tostr": _same,
}  # fmt: skip
