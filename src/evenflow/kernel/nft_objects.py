"""Tables, chains, rules, sets and elements of nf_tables as netlink messages, there and back.

Formats: Linux, include/uapi/linux/netfilter/nf_tables.h. User data (comments, byte order of keys) follows libnftnl's
include/libnftnl/udata.h, so that the program nft shows it: type and length, one byte each, then the value.

Whatever somebody else has changed in our table must show, because the plan compares: a chain whose policy is not accept
reads as one of another type, and a set of a kind that we never make as one with intervals, verdicts and an odd element.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from evenflow.errors import SystemRefusedError
from evenflow.kernel.netlink import (
    NLM_F_APPEND,
    NLM_F_CREATE,
    NLM_F_EXCL,
    Request,
    as_text,
    attribute,
    attributes,
    by_kind,
    nested,
    text,
)
from evenflow.kernel.nft_codec import (
    as_number,
    as_value,
    as_verdict,
    decode_expressions,
    encode_expression,
    number,
    value,
    verdict,
)
from evenflow.model.dataplane import TABLE_NAME
from evenflow.model.nft import Hook, KeyType, NftChain, NftFlowtable, NftRule, NftSet, SetElement
from evenflow.model.transaction import (
    AddChain,
    AddElements,
    AddFlowtable,
    AddRule,
    AddSet,
    AddTable,
    DeleteChain,
    DeleteElements,
    DeleteFlowtable,
    DeleteSet,
    DeleteTable,
    FlushChain,
    NftOperation,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evenflow.model.nft import Verdict

NFNL_SUBSYS_NFTABLES: Final = 10
NEWTABLE, GETTABLE, DELTABLE, NEWCHAIN, GETCHAIN, DELCHAIN, NEWRULE, GETRULE, DELRULE = range(9)
NEWSET, GETSET, DELSET, NEWSETELEM, GETSETELEM, DELSETELEM, NEWGEN, GETGEN = range(9, 17)
NEWFLOWTABLE, GETFLOWTABLE, DELFLOWTABLE = range(22, 25)

_NFPROTO_INET: Final = 1
_FAMILY_HEADER: Final = struct.pack("!BBH", _NFPROTO_INET, 0, 0)
FAMILY_HEADER_BYTES: Final = len(_FAMILY_HEADER)

_HOOKS: Final = ("prerouting", "input", "forward", "output", "postrouting")
_POLICY_ACCEPT: Final = 1

#: NF_NETDEV_INGRESS, where all flowtables are; NFT_FLOWTABLE_HW_OFFLOAD.
_INGRESS: Final = 0
_IN_HARDWARE: Final = 1

_SET_ANONYMOUS: Final = 0x1
_SET_INTERVAL: Final = 0x4
_SET_MAP: Final = 0x8
_DATA_IS_VERDICT: Final = 0xFFFF_FF00
_INTERVAL_END: Final = 1

_USERDATA_BYTES: Final = 256
_USERDATA_COMMENT: Final = 0
_USERDATA_KEY_BYTE_ORDER: Final = 0
_HOST_ORDER, _NETWORK_ORDER = 1, 2
_KEYS_IN_HOST_ORDER: Final = frozenset({KeyType.MARK, KeyType.IFNAME})

#: Longest comment of a rule in bytes of UTF-8: the kernel keeps 256 bytes, less two of header and the closing zero.
MAX_RULE_COMMENT_BYTES: Final = 253

#: Of an element, nft's own limit. The kernel's depends on what else the element has, and Linux 6.18 drops one of 253
#: bytes without a word.
MAX_ELEMENT_COMMENT_BYTES: Final = 128

#: The elements of one message are one attribute, at most 65,535 bytes long; the largest element has under 1 KiB.
_ELEMENTS_BYTES: Final = 64_000


def message(kind: int, *parts: bytes, flags: int = 0) -> Request:
    """A message of nf_tables about something in family inet."""
    return Request(NFNL_SUBSYS_NFTABLES << 8 | kind, _FAMILY_HEADER + b"".join(parts), flags)


def _comment(kind: int, comment: str, limit_bytes: int) -> bytes:
    """The attribute with a comment; nothing where there is none.

    Raises:
        SystemRefusedError: it is longer than the kernel keeps.
    """
    if not comment:
        return b""
    data = comment.encode()
    if len(data) > limit_bytes:
        raise SystemRefusedError(f"such a comment in nftables has at most {limit_bytes} bytes: {comment!r}")
    return attribute(kind, bytes((_USERDATA_COMMENT, len(data) + 1)) + data + b"\0")


def _as_comment(userdata: bytes) -> str:
    offset = 0
    while offset + 2 <= len(userdata):
        kind, length = userdata[offset], userdata[offset + 1]
        if kind == _USERDATA_COMMENT:
            return as_text(userdata[offset + 2 : offset + 2 + length])
        offset += 2 + length
    return ""


# --- encoding --------------------------------------------------------------------------------------------------------


def _add_chain(operation: AddChain) -> Request:
    parts = [text(1, TABLE_NAME), text(3, operation.name)]
    hook = operation.hook
    if hook:
        parts.append(nested(4, number(1, _HOOKS.index(hook.hook)), number(2, hook.priority)))
        parts.append(number(5, _POLICY_ACCEPT) + text(7, hook.chain_type))
    return message(NEWCHAIN, *parts, flags=NLM_F_CREATE | NLM_F_EXCL)


def _add_rule(operation: AddRule) -> Request:
    expressions = nested(4, *map(encode_expression, operation.rule.expressions))
    parts = (
        text(1, TABLE_NAME),
        text(2, operation.chain),
        expressions,
        _comment(7, operation.rule.comment, MAX_RULE_COMMENT_BYTES),
    )
    return message(NEWRULE, *parts, flags=NLM_F_CREATE | NLM_F_APPEND)


def _add_set(declared: NftSet, set_id: int) -> Request:
    """Without a size: that would be a limit for ever, and the kernel's hash tables grow by themselves."""
    flags = (_SET_INTERVAL if declared.intervals else 0) | (_SET_MAP if declared.verdicts else 0)
    order = _HOST_ORDER if declared.key_type in _KEYS_IN_HOST_ORDER else _NETWORK_ORDER
    parts = [
        text(1, TABLE_NAME),
        text(2, declared.name),
        number(3, flags),
        number(4, declared.key_type.value),
        number(5, declared.key_type.length_bytes),
        number(10, set_id),
        attribute(13, struct.pack("=BBI", _USERDATA_KEY_BYTE_ORDER, 4, order)),
    ]
    if declared.verdicts:
        parts.append(number(6, _DATA_IS_VERDICT))
    return message(NEWSET, *parts, flags=NLM_F_CREATE | NLM_F_EXCL)


def _encode_element(element: SetElement, verdicts: dict[Verdict, bytes]) -> bytes:
    """One element. `verdicts` remembers encodings: a map has many elements and few verdicts."""
    data = b""
    if element.verdict:
        data = verdicts.get(element.verdict) or verdicts.setdefault(element.verdict, verdict(2, element.verdict))
    flags = number(3, _INTERVAL_END) if element.interval_end else b""
    return nested(1, value(1, element.key), data, flags, _comment(6, element.comment, MAX_ELEMENT_COMMENT_BYTES))


def _in_order(elements: Sequence[SetElement]) -> list[SetElement]:
    """An interval's end goes before the start of the next one with the same key, and before its own start never."""
    return sorted(elements, key=lambda element: (element.key, not element.interval_end))


def _elements(operation: AddElements | DeleteElements) -> Iterator[Request]:
    """As many messages as it takes."""
    adding = isinstance(operation, AddElements)
    kind, flags = (NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL) if adding else (DELSETELEM, 0)
    head = text(1, TABLE_NAME) + text(2, operation.set_name)
    verdicts: dict[Verdict, bytes] = {}
    encoded: list[bytes] = []
    size_bytes = 0
    for element in _in_order(operation.elements):
        item = _encode_element(element, verdicts)
        if size_bytes + len(item) > _ELEMENTS_BYTES:
            yield message(kind, head, nested(3, *encoded), flags=flags)
            encoded, size_bytes = [], 0
        encoded.append(item)
        size_bytes += len(item)
    if encoded:
        yield message(kind, head, nested(3, *encoded), flags=flags)


def _add_flowtable(wanted: NftFlowtable) -> Request:
    devices = nested(3, *(text(1, device) for device in sorted(wanted.devices)))
    hook = nested(3, number(1, _INGRESS), number(2, wanted.priority), devices)
    flags = number(7, _IN_HARDWARE) if wanted.hardware else b""
    name = text(1, TABLE_NAME) + text(2, wanted.name)
    return message(NEWFLOWTABLE, name, hook, flags, flags=NLM_F_CREATE | NLM_F_EXCL)


def encode_operation(operation: NftOperation, set_id: int) -> list[Request]:
    """The messages of one operation. `set_id` is a number that no other new set of the transaction has."""
    table = text(1, TABLE_NAME)
    match operation:
        case AddTable():
            return [message(NEWTABLE, table, flags=NLM_F_CREATE | NLM_F_EXCL)]
        case DeleteTable():
            return [message(DELTABLE, table)]
        case AddChain():
            return [_add_chain(operation)]
        case FlushChain(name):
            return [message(DELRULE, table, text(2, name))]
        case DeleteChain(name):
            return [message(DELCHAIN, table, text(3, name))]
        case AddRule():
            return [_add_rule(operation)]
        case AddSet(declaration):
            return [_add_set(declaration, set_id)]
        case DeleteSet(name):
            return [message(DELSET, table, text(2, name))]
        case AddElements() | DeleteElements():
            return list(_elements(operation))
        case AddFlowtable(wanted):
            return [_add_flowtable(wanted)]
        case DeleteFlowtable(name):
            return [message(DELFLOWTABLE, table, text(2, name))]


# --- decoding --------------------------------------------------------------------------------------------------------
# Each takes the payload of one message of a dump.


def is_ours(payload: bytes) -> bool:
    """Whether a chain, rule or set that was listed is in our table: it has the family inet and our table's name."""
    return payload[0] == _NFPROTO_INET and as_text(by_kind(payload, FAMILY_HEADER_BYTES)[1]) == TABLE_NAME


def decode_chain(payload: bytes) -> NftChain:
    """A chain, still without its rules."""
    held = by_kind(payload, FAMILY_HEADER_BYTES)
    hook = None
    if 4 in held:
        place = by_kind(held[4])
        chain_type = as_text(held[7])
        if as_number(held.get(5, b"\1")) != _POLICY_ACCEPT:
            chain_type += " policy drop"
        hook_number = as_number(place[1])
        hook_name = _HOOKS[hook_number] if hook_number < len(_HOOKS) else str(hook_number)
        hook = Hook(chain_type, hook_name, struct.unpack("!i", place[2])[0])
    return NftChain(as_text(held[3]), (), hook)


def chain_of_rule(payload: bytes) -> str:
    """The chain that a rule stands in."""
    return as_text(by_kind(payload, FAMILY_HEADER_BYTES)[2])


def decode_rule(payload: bytes) -> NftRule:
    """A rule."""
    held = by_kind(payload, FAMILY_HEADER_BYTES)
    return NftRule(decode_expressions(held.get(4, b"")), _as_comment(held.get(7, b"")))


def decode_set(payload: bytes) -> NftSet | None:
    """A set, still without its elements; None for an anonymous one, which goes with the rule that it belongs to."""
    held = by_kind(payload, FAMILY_HEADER_BYTES)
    flags = as_number(held.get(3, b""))
    if flags & _SET_ANONYMOUS:
        return None
    name = as_text(held[2])
    verdicts = bool(flags & _SET_MAP)
    known = not flags & ~(_SET_INTERVAL | _SET_MAP) and (not verdicts or as_number(held[6]) == _DATA_IS_VERDICT)
    try:
        key_type = KeyType(as_number(held[4]))
    except ValueError:
        known = False
    if not known or key_type.length_bytes != as_number(held[5]):
        return NftSet(name, KeyType.MARK, frozenset({SetElement(b"")}), verdicts=True, intervals=True)
    return NftSet(name, key_type, frozenset(), verdicts, bool(flags & _SET_INTERVAL))


def decode_flowtable(payload: bytes) -> NftFlowtable:
    """A flowtable."""
    held = by_kind(payload, FAMILY_HEADER_BYTES)
    hook = by_kind(held[3])
    devices = frozenset(as_text(name) for _, name in attributes(hook.get(3, b"")))
    priority = struct.unpack("!i", hook[2])[0]
    return NftFlowtable(as_text(held[2]), devices, bool(as_number(held.get(7, b"\0")) & _IN_HARDWARE), priority)


def decode_elements(payload: bytes, verdicts: dict[bytes, Verdict]) -> Iterator[SetElement]:
    """The elements of a message. `verdicts` remembers decodings: a map has many elements and few verdicts."""
    for _, item in attributes(by_kind(payload, FAMILY_HEADER_BYTES).get(3, b"")):
        held = by_kind(item)
        found: Verdict | None = None
        if 2 in held:
            found = verdicts.get(held[2]) or verdicts.setdefault(held[2], as_verdict(held[2]))
        yield SetElement(
            as_value(held[1]) if 1 in held else b"",
            found,
            bool(as_number(held[3]) & _INTERVAL_END) if 3 in held else False,
            _as_comment(held[6]) if 6 in held else "",
        )
