"""Our nft table in memory: what the kernel would make of a transaction, or why it would refuse it.

The rules of refusal are those of net/netfilter/nf_tables_api.c and the expressions' own files beside it; the contract
tests hold this and the kernel to the same answers. Not modelled: packets.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from evenflow.errors import NotSupportedError, SystemRefusedError
from evenflow.kernel.fake_rule import check_rule
from evenflow.kernel.nft_objects import MAX_ELEMENT_COMMENT_BYTES, MAX_RULE_COMMENT_BYTES
from evenflow.kernel.nftables import describe
from evenflow.model.nft import Act, FlowOffload, Lookup, NftChain, NftTable, VerdictCode
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
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from evenflow.model.nft import Hook, NftFlowtable, NftRule, NftSet, SetElement, Verdict
    from evenflow.model.transaction import NftOperation

#: NFT_JUMP_STACK_SIZE: chains within chains.
_DEPTH: Final = 16

_HOOKS_OF_TYPE: Final = {
    "filter": frozenset({"prerouting", "input", "forward", "output", "postrouting"}),
    "nat": frozenset({"prerouting", "input", "output", "postrouting"}),
    "route": frozenset({"output"}),
}
#: NAT needs connection tracking before it, which has this priority (NF_IP_PRI_CONNTRACK).
_CONNTRACK_PRIORITY: Final = -200


def apply(table: NftTable | None, operations: Iterable[NftOperation]) -> NftTable | None:
    """The table after a transaction; the one given is left as it is.

    Raises:
        SystemRefusedError: the kernel would refuse; then nothing of it has happened.
    """
    state = _State(table)
    for operation in operations:
        try:
            state.do(operation)
        except _RefusedError as reason:
            raise SystemRefusedError(f"could not {describe(operation)}: {reason}") from reason
        except _UnsupportedError as reason:
            raise NotSupportedError(f"could not {describe(operation)}: {reason}") from reason
    try:
        state.check()
    except _RefusedError as reason:
        raise SystemRefusedError(f"could not change the nft table: {reason}") from reason
    return state.table()


class _RefusedError(Exception):
    """Why an operation is refused."""


class _UnsupportedError(Exception):
    """As `_RefusedError`, where the kernel says EOPNOTSUPP."""


def _need(condition: object, reason: str) -> None:
    if not condition:
        raise _RefusedError(reason)


class _State:
    """A table in the middle of a transaction."""

    def __init__(self, table: NftTable | None) -> None:
        self._exists = table is not None
        self._chains: dict[str, NftChain] = dict(table.chains) if table else {}
        self._sets: dict[str, NftSet] = dict(table.sets) if table else {}
        self._flowtables: dict[str, NftFlowtable] = dict(table.flowtables) if table else {}

    def table(self) -> NftTable | None:
        return NftTable(self._chains, self._sets, self._flowtables) if self._exists else None

    def do(self, operation: NftOperation) -> None:
        _need(self._exists or isinstance(operation, AddTable), "there is no such table")
        match operation:
            case AddTable():
                _need(not self._exists, "the table is there already")
                self._exists = True
            case DeleteTable():
                self._exists = False
                self._chains, self._sets, self._flowtables = {}, {}, {}
            case AddChain(name, hook):
                _need(name not in self._chains, "the chain is there already")
                _check_hook(hook)
                self._chains[name] = NftChain(name, (), hook)
            case FlushChain(name):
                self._chains[name] = replace(self._chain(name), rules=())
            case DeleteChain(name):
                self._delete_chain(name)
            case AddRule(name, rule):
                self._add_rule(self._chain(name), rule)
            case AddSet(declaration):
                _need(declaration.name not in self._sets, "the set is there already")
                self._sets[declaration.name] = replace(declaration, elements=frozenset())
            case DeleteSet(name):
                self._set(name)
                _need(name not in set(self._sets_in_use()), "a rule refers to the set")
                del self._sets[name]
            case AddElements(name, elements):
                self._add_elements(self._set(name), elements)
            case DeleteElements(name, elements):
                self._delete_elements(self._set(name), elements)
            case AddFlowtable(wanted):
                _need(wanted.name not in self._flowtables, "the flowtable is there already")
                self._flowtables[wanted.name] = wanted
            case DeleteFlowtable(name):
                _need(name in self._flowtables, f"there is no flowtable {name}")
                _need(name not in set(self._flowtables_in_use()), "a rule refers to the flowtable")
                del self._flowtables[name]

    def check(self) -> None:
        """What the kernel looks at when all is in place: the depth of chains, and intervals."""
        for chain in self._chains.values():
            if chain.hook:
                self._check_depth(chain, 1)
        for held in self._sets.values():
            if held.intervals:
                _check_intervals(held)

    def _chain(self, name: str) -> NftChain:
        _need(name in self._chains, f"there is no chain {name}")
        return self._chains[name]

    def _set(self, name: str) -> NftSet:
        _need(name in self._sets, f"there is no set {name}")
        return self._sets[name]

    def _delete_chain(self, name: str) -> None:
        self._chain(name)
        elements = (element for held in self._sets.values() for element in held.elements)
        referring = [element.verdict for element in elements if element.verdict]
        for other in self._chains.values():
            if other.name != name:
                referring += [e.verdict for rule in other.rules for e in rule.expressions if isinstance(e, Act)]
        _need(all(verdict.chain != name for verdict in referring), "something refers to the chain")
        del self._chains[name]

    def _add_rule(self, chain: NftChain, rule: NftRule) -> None:
        _need(len(rule.comment.encode()) <= MAX_RULE_COMMENT_BYTES, "the comment is too long")
        _need(not (reason := check_rule(rule, chain.hook)), reason)
        for expression in rule.expressions:
            if isinstance(expression, Act):
                self._check_target(expression.verdict)
            elif isinstance(expression, Lookup):
                found = self._set(expression.set_name)
                _need(found.verdicts is expression.verdict, "a lookup of the wrong kind for the set")
            elif isinstance(expression, FlowOffload):
                _need(expression.flowtable in self._flowtables, f"there is no flowtable {expression.flowtable}")
        self._chains[chain.name] = replace(chain, rules=(*chain.rules, rule))

    def _check_target(self, verdict: Verdict) -> None:
        jumping = verdict.code in (VerdictCode.JUMP, VerdictCode.GOTO)
        _need(jumping or verdict.chain is None, "a chain beside a verdict that is no jump")
        if jumping:
            _need(verdict.chain is not None, "a jump to no chain")
            target = self._chain(verdict.chain or "")
            if target.hook:
                raise _UnsupportedError("nobody can jump to a base chain")

    def _flowtables_in_use(self) -> Iterator[str]:
        for chain in self._chains.values():
            for rule in chain.rules:
                yield from (e.flowtable for e in rule.expressions if isinstance(e, FlowOffload))

    def _sets_in_use(self) -> Iterator[str]:
        for chain in self._chains.values():
            for rule in chain.rules:
                yield from (e.set_name for e in rule.expressions if isinstance(e, Lookup))

    def _add_elements(self, held: NftSet, elements: tuple[SetElement, ...]) -> None:
        present = {(element.key, element.interval_end): element for element in held.elements}
        targets: set[Verdict] = set()
        for element in elements:
            _need(len(element.key) == held.key_type.length_bytes, "a key has the wrong length")
            _need(held.intervals or not element.interval_end, "an interval's end in a set without intervals")
            wants_verdict = held.verdicts and not element.interval_end
            _need((element.verdict is not None) is wants_verdict, "an element of the wrong kind for the set")
            _need(len(element.comment.encode()) <= MAX_ELEMENT_COMMENT_BYTES, "the comment is too long")
            _need((element.key, element.interval_end) not in present, "the element is there already")
            if element.verdict and element.verdict not in targets:
                self._check_target(element.verdict)
                targets.add(element.verdict)
            present[element.key, element.interval_end] = element
        self._sets[held.name] = replace(held, elements=frozenset(present.values()))

    def _delete_elements(self, held: NftSet, elements: tuple[SetElement, ...]) -> None:
        """What an element leads to does not matter to the kernel when it is deleted."""
        present = {(element.key, element.interval_end): element for element in held.elements}
        for element in elements:
            _need(present.pop((element.key, element.interval_end), None), "there is no such element")
        self._sets[held.name] = replace(held, elements=frozenset(present.values()))

    def _check_depth(self, chain: NftChain, depth: int) -> None:
        _need(depth <= _DEPTH, "chains lead into one another too deeply, or in a circle")
        for target in self._targets(chain):
            self._check_depth(self._chains[target], depth + 1)

    def _targets(self, chain: NftChain) -> set[str]:
        found: set[str] = set()
        for rule in chain.rules:
            for expression in rule.expressions:
                if isinstance(expression, Act):
                    found.add(expression.verdict.chain or "")
                elif isinstance(expression, Lookup) and expression.verdict:
                    elements = self._sets[expression.set_name].elements
                    found.update(element.verdict.chain or "" for element in elements if element.verdict)
        return found - {""}


def _check_hook(hook: Hook | None) -> None:
    if hook is None:
        return
    _need(hook.chain_type in _HOOKS_OF_TYPE, f"there is no chain type {hook.chain_type}")
    if hook.hook not in _HOOKS_OF_TYPE[hook.chain_type]:
        raise _UnsupportedError(f"a chain of type {hook.chain_type} can't be at {hook.hook}")
    if hook.chain_type == "nat" and hook.priority <= _CONNTRACK_PRIORITY:
        raise _UnsupportedError("a chain of type nat must come behind connection tracking")


def _check_intervals(held: NftSet) -> None:
    """Starts and ends take turns; the last interval may be open."""
    inside = False
    for element in sorted(held.elements, key=lambda element: (element.key, not element.interval_end)):
        _need(element.interval_end is inside, f"intervals of the set {held.name} overlap")
        inside = not inside
