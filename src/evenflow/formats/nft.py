"""nf_tables objects as people read them: in the words and the look of nft(8).

For plans and reports. Nothing is loaded from this text, so it can say what `nft` has no words for (a hash as the key
of a named map) as it says the rest.
"""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import TYPE_CHECKING

from evenflow.model import nft, transaction
from evenflow.model.dataplane import TABLE_NAME

if TYPE_CHECKING:
    from evenflow.model.nft import Expression, NftRule, NftSet, SetElement, Verdict
    from evenflow.model.transaction import NftOperation

_PAYLOADS = {
    (nft.PayloadBase.NETWORK, 12, 4): "ip saddr",
    (nft.PayloadBase.NETWORK, 16, 4): "ip daddr",
    (nft.PayloadBase.NETWORK, 8, 16): "ip6 saddr",
    (nft.PayloadBase.NETWORK, 24, 16): "ip6 daddr",
    (nft.PayloadBase.TRANSPORT, 0, 2): "th sport",
    (nft.PayloadBase.TRANSPORT, 2, 2): "th dport",
    (nft.PayloadBase.LINK, 6, 6): "ether saddr",
}
_BASES = {nft.PayloadBase.LINK: "ll", nft.PayloadBase.NETWORK: "nh", nft.PayloadBase.TRANSPORT: "th"}
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 33: "dccp", 47: "gre", 58: "ipv6-icmp", 132: "sctp", 136: "udplite"}
_STATES = {1: "invalid", 2: "established", 4: "related", 8: "new", 64: "untracked"}
_TYPES = {1: "unicast", 2: "local", 3: "broadcast", 5: "multicast"}
_OPERATORS = {
    nft.CmpOp.EQ: "",
    nft.CmpOp.NEQ: "!= ",
    nft.CmpOp.LT: "< ",
    nft.CmpOp.LTE: "<= ",
    nft.CmpOp.GT: "> ",
    nft.CmpOp.GTE: ">= ",
}


def render_operation(operation: NftOperation) -> str:
    """One operation of a transaction as the command of nft(8) that would do it."""
    match operation:
        case transaction.AddTable():
            return f"add table inet {TABLE_NAME}"
        case transaction.DeleteTable():
            return f"delete table inet {TABLE_NAME}"
        case transaction.AddChain(name, hook):
            return f"add chain inet {TABLE_NAME} {name}{_hook(hook)}"
        case transaction.FlushChain(name):
            return f"flush chain inet {TABLE_NAME} {name}"
        case transaction.DeleteChain(name):
            return f"delete chain inet {TABLE_NAME} {name}"
        case transaction.AddRule(chain, rule):
            return f"add rule inet {TABLE_NAME} {chain} {render_rule(rule)}"
        case transaction.AddSet(declaration):
            kind = "map" if declaration.verdicts else "set"
            return f"add {kind} inet {TABLE_NAME} {declaration.name} {{ {_declared(declaration)} }}"
        case transaction.DeleteSet(name):
            return f"delete set inet {TABLE_NAME} {name}"
        case transaction.AddElements(name, elements):
            return f"add element inet {TABLE_NAME} {name} {_elements(elements)}"
        case transaction.DeleteElements(name, elements):
            return f"delete element inet {TABLE_NAME} {name} {_elements(elements)}"
        case transaction.AddFlowtable(wanted):
            return f"add flowtable inet {TABLE_NAME} {wanted.name} {_flowtable(wanted)}"
        case transaction.DeleteFlowtable(name):
            return f"delete flowtable inet {TABLE_NAME} {name}"


def _flowtable(wanted: nft.NftFlowtable) -> str:
    flags = " flags offload;" if wanted.hardware else ""
    devices = f"devices = {{ {', '.join(sorted(wanted.devices))} }};"
    return f"{{ hook ingress priority {wanted.priority}; {devices}{flags} }}"


def _hook(hook: nft.Hook | None) -> str:
    if hook is None:
        return ""
    return f" {{ type {hook.chain_type} hook {hook.hook} priority {hook.priority}; policy accept; }}"


def _declared(declaration: NftSet) -> str:
    name = declaration.key_type.name.lower()
    flags = " flags interval;" if declaration.intervals else ""
    return f"type {name} : verdict;{flags}" if declaration.verdicts else f"type {name};{flags}"


#: Elements shown of one operation; the rest is counted.
_SHOWN = 6


def _elements(elements: tuple[SetElement, ...]) -> str:
    shown = ", ".join(_element(element) for element in elements[:_SHOWN])
    more = f", … {len(elements)} in all" if len(elements) > _SHOWN else ""
    return f"{{ {shown}{more} }}"


def _element(element: SetElement) -> str:
    text = _plain(element.key) + (" (end)" if element.interval_end else "")
    if element.verdict is not None:
        text += f" : {_verdict(element.verdict)}"
    return f'{text} comment "{element.comment}"' if element.comment else text


def _plain(data: bytes) -> str:
    """A key without its type: a name where it is one, else a number."""
    if len(data) == 16 and data.rstrip(b"\0").isascii() and data.rstrip(b"\0").decode("ascii").isprintable():
        return f'"{data.rstrip(bytes(1)).decode()}"'
    if len(data) == 4:
        return f"{struct.unpack('=I', data)[0]:#x}"
    return f"{int.from_bytes(data, 'big')}"


def _verdict(verdict: Verdict) -> str:
    word = verdict.code.name.lower()
    return f"{word} {verdict.chain}" if verdict.chain else word


def render_rule(rule: NftRule) -> str:
    """A rule in one line."""
    words = _Words()
    for expression in rule.expressions:
        words.add(expression)
    if rule.comment:
        words.said.append(f'comment "{rule.comment}"')
    return " ".join(words.said)


class _Words:
    """Follows what is in the registers, and says what is done with it."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self._register: dict[int, str] = {}

    def add(self, expression: Expression) -> None:
        """Take the next expression of the rule."""
        match expression:
            case nft.Meta(meta_key, to):
                self._register[to] = f"meta {meta_key.name.lower()}"
            case nft.Ct(ct_key, to):
                self._register[to] = f"ct {ct_key.name.lower()}"
            case nft.Payload(base, offset, length, to):
                raw = f"@{_BASES[base]},{offset * 8},{length * 8}"
                self._register[to] = _PAYLOADS.get((base, offset, length), raw)
            case nft.FibType(of_source, to, on_out_interface):
                end = "saddr" if of_source else "daddr"
                self._register[to] = f"fib {end} . oif type" if on_out_interface else f"fib {end} type"
            case nft.Hash(_, modulus, seed, _, to):
                key = " . ".join(text for _, text in sorted(self._register.items()) if not text.startswith("meta"))
                self._register = {to: f"jhash {key} mod {modulus} seed {seed:#x}"}
            case nft.NumberGenerator(modulus, random, to):
                self._register[to] = f"numgen {'random' if random else 'inc'} mod {modulus}"
            case nft.ToNetworkOrder(source, to):
                self._register[to] = self._register[source]
            case nft.Bitwise(mask, xor, source, to):
                self._register[to] = _masked(self._register[source], mask, xor)
            case nft.Immediate(data, to):
                self._register[to] = str(ip_address(data)) if len(data) in (4, 16) else str(int.from_bytes(data, "big"))
            case _:
                self._say(expression)

    def _say(self, expression: Expression) -> None:
        match expression:
            case nft.Cmp(op, data, source):
                self.said.append(_compared(self._register[source], op, data))
            case nft.Range(first, last, negated, source):
                text = self._register[source]
                span = f"{_value(text, first)}-{_value(text, last)}"
                self.said.append(f"{text} {'!= ' if negated else ''}{span}")
            case nft.Lookup(name, source, negated, verdict):
                how = "vmap " if verdict else ("!= " if negated else "")
                self.said.append(f"{self._register[source]} {how}@{name}")
            case nft.MetaSet(meta_key, source):
                self.said.append(f"meta {meta_key.name.lower()} set {self._register[source]}")
            case nft.CtSet(ct_key, source):
                self.said.append(f"ct {ct_key.name.lower()} set {self._register[source]}")
            case nft.Act(verdict):
                self.said.append(_verdict(verdict))
            case nft.Masq():
                self.said.append("masquerade")
            case nft.FlowOffload(flowtable):
                self.said.append(f"flow add @{flowtable}")
            case nft.Counter():
                self.said.append("counter")
            case nft.Log(prefix):
                self.said.append(f'log prefix "{prefix}"')
            case nft.Redir(port_min, port_max):
                self.said.append("redirect" if port_min is None else f"redirect to :{self._span(port_min, port_max)}")
            case nft.Nat():
                self.said.append(self._nat(expression))
            case nft.Unknown(name):
                self.said.append(f"# an expression that evenflow does not write: {name}")
            case _:
                raise TypeError(expression)

    def _nat(self, expression: nft.Nat) -> str:
        to = "" if expression.address_min is None else self._span(expression.address_min, expression.address_max)
        if expression.port_min is not None:
            to += f":{self._span(expression.port_min, expression.port_max)}"
        return f"{'dnat' if expression.destination else 'snat'} {expression.family} to {to}"

    def _span(self, first: int, last: int | None) -> str:
        return self._register[first] if last is None else f"{self._register[first]}-{self._register[last]}"


def _masked(text: str, mask: bytes, xor: bytes) -> str:
    number, turned = struct.unpack("=I", mask)[0], struct.unpack("=I", xor)[0]
    return f"{text} & {number:#x} | {turned:#x}" if turned else f"{text} & {number:#x}"


def _compared(text: str, op: nft.CmpOp, data: bytes) -> str:
    if text.startswith("ct state & "):
        bits = int(text.rpartition(" ")[2], 16)
        states = ",".join(name for bit, name in _STATES.items() if bits & bit)
        return f"ct state {'!= ' if op is nft.CmpOp.EQ else ''}{states}"
    operator = _OPERATORS[op] or ("== " if "&" in text else "")
    return f"{text} {operator}{_value(text, data)}"


def _value(text: str, data: bytes) -> str:
    """A value in the words of what it is compared with."""
    if text.endswith("name"):
        return f'"{data.rstrip(bytes(1)).decode()}"'
    if text.endswith("addr") and text.startswith("ip"):
        return str(ip_address(data))
    if text == "ether saddr":
        return data.hex(":")
    if text == "meta l4proto":
        return _PROTOCOLS.get(data[0], str(data[0]))
    if text == "meta nfproto":
        return "ipv4" if data[0] == 2 else "ipv6"
    if text.startswith("th "):
        return str(int.from_bytes(data, "big"))
    if text.startswith("numgen random"):
        return str(int.from_bytes(data, "big"))
    number = int(struct.unpack("=I" if len(data) == 4 else "=H", data)[0])
    if text.startswith("numgen"):
        return str(number)
    return _TYPES.get(number, str(number)) if text.startswith("fib") else f"{number:#x}"
