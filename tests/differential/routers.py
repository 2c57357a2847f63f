"""Random routers: everything that a mangle list can say, drawn by chance; with routes, NAT and packets to it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING

from differential.bench import FAR_MAC, FIVE, INTERFACES, LANS, WANS, Plan
from differential.names import CONNECTION_MARKS, TABLES, USER_CHAINS
from differential.packets import draw_packet
from differential.translations import draw_nat
from differential.ways import draw_routes, draw_rules
from evenflow.core.addresses import range_of
from evenflow.model.flow import GRE, ICMP, ICMPV6, SCTP, TCP, UDP, UDPLITE, ConnectionState, Family
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
    OutInterface,
    OutInterfaceList,
    PccMatch,
    PortMatch,
    ProtocolMatch,
    SourceMacMatch,
    StateMatch,
)
from evenflow.model.router import (
    BUILT_IN_CHAINS,
    AcceptAction,
    AddressList,
    InterfaceList,
    JumpAction,
    MangleRule,
    MarkAction,
    PassthroughAction,
    ReturnAction,
    Router,
    RoutingTable,
    SpreadAction,
)

if TYPE_CHECKING:
    from random import Random

    from evenflow.model.flow import Packet

DENOMINATORS = [1, 2, 3, 4, 6, 7, 9]
FAMILIES = (Family.IPV4, Family.IPV6)

#: Where each chain may jump to, beside later chains of the user's; no path comes back.
JUMPS = {
    "input": ["prerouting"],
    "forward": ["prerouting"],
    "output": ["prerouting"],
    "postrouting": ["forward", "prerouting"],
}


#: Destinations that have nothing in common, most of which packets go to.
DESTINATIONS = {
    Family.IPV4: [
        *(f"198.51.100.{n}/{length}" for n, length in ((0, 29), (8, 29), (16, 28), (32, 27), (64, 26))),
        "10.1.0.0/17", "10.1.128.0/17", "10.2.0.0/16", "100.64.0.0/16", "203.0.113.0/24", "0.0.0.0/5",
    ],
    Family.IPV6: [
        "2001:db8:99::/67", "2001:db8:99:0:2000::/67", "2001:db8:99:0:4000::/66", "2001:db8:99:0:8000::/65",
        "fd00:1::/64", "fd00:2::/33", "fd00:2:8000::/33", "2001:db8:1::/48", "8000::/3", "4000::/3",
    ],
}  # fmt: skip


@dataclass(frozen=True)
class Draw:
    """Draws parts of a router for a bench of that plan."""

    random: Random
    plan: Plan = FIVE

    def some(self, probability: float) -> bool:
        return self.random.random() < probability

    def mark(self, kind: MarkKind) -> str | None:
        pool = {
            MarkKind.CONNECTION: CONNECTION_MARKS,
            MarkKind.ROUTING: [*TABLES, "nowhere", "main"],
            MarkKind.PACKET: ["gold", "silver"],
        }[kind]
        return self.random.choice([None, *pool])

    def network(self, family: Family) -> str:
        four = ["10.1.0.0/16", "10.2.3.0/24", "198.51.100.0/25", "198.51.100.7/32", "100.64.1.0/24", "0.0.0.0/1"]
        six = ["fd00:1::/64", "fd00:2::/32", "2001:db8:99::/65", "2001:db8:99::7/128", "8000::/1"]
        return self.random.choice(four if family is Family.IPV4 else six)

    # --- matchers --------------------------------------------------------------------------------------------------

    def matcher(self, family: Family) -> object:
        random, negated = self.random, self.some(0.25)
        side = random.choice([Direction.SOURCE, Direction.DESTINATION])
        kind = random.choice(list(MarkKind))
        interface_list = random.choice(["LAN", "WAN", "empty", "never defined", "all", "none"])
        drawn: list[object] = [
            MarkMatch(kind, self.mark(kind), negated),
            MarkMatch(MarkKind.CONNECTION, self.mark(MarkKind.CONNECTION), negated),
            MarkMatch(MarkKind.CONNECTION, None),
            InInterface(random.choice([*INTERFACES, "lo"]), negated),
            InInterface(random.choice(list(LANS))),
            OutInterface(random.choice([*INTERFACES, "lo"]), negated),
            InInterfaceList(interface_list, negated),
            OutInterfaceList(interface_list, negated),
            AddressMatch(side, range_of(ip_network(self.network(family))), negated),
            AddressListMatch(side, random.choice(["some", "empty", "never defined"]), negated),
            AddressTypeMatch(Direction.DESTINATION, frozenset({AddressType.LOCAL}), negated),
            AddressTypeMatch(side, frozenset(random.sample(list(AddressType), random.randint(1, 3))), negated),
            ProtocolMatch(random.choice([TCP, UDP, ICMP, ICMPV6, GRE, SCTP, UDPLITE]), negated),
            self.ports(negated=negated),
            StateMatch(frozenset(random.sample(list(ConnectionState), 2)), negated),
            StateMatch(frozenset({ConnectionState.NEW}), negated),
            SourceMacMatch(random.choice([FAR_MAC, b"\2\0\0\0\0\1"]), negated),
            self.pcc(negated=negated),
            self.pcc(negated=False),
        ]
        return random.choice(drawn)

    def ports(self, *, negated: bool) -> PortMatch:
        # Several begin or end at a port that packets have.
        ranges = [(80, 80), (443, 443), (53, 80), (1000, 1234), (1235, 5000), (1500, 40000)]
        return PortMatch(
            self.random.choice(list(Direction)), tuple(self.random.sample(ranges, self.random.randint(1, 3))), negated
        )

    def pcc(self, *, negated: bool) -> PccMatch:
        denominator = self.random.choice(DENOMINATORS)
        remainder = self.random.randint(0, denominator if self.some(0.1) else denominator - 1)
        return PccMatch(self.random.choice(list(Classifier)), denominator, remainder, negated)

    def matchers(self, family: Family) -> tuple[object, ...]:
        drawn = [self.matcher(family) for _ in range(self.random.choice([0, 1, 1, 2, 2, 3]))]
        return tuple(dict.fromkeys(drawn))

    # --- mangle ----------------------------------------------------------------------------------------------------

    def action(self, chain: str) -> object:
        random = self.random
        deeper = USER_CHAINS[USER_CHAINS.index(chain) + 1 :] if chain in USER_CHAINS else USER_CHAINS
        kind = random.choices(list(MarkKind), [5, 5, 2])[0]
        owners = tuple(random.choice([*CONNECTION_MARKS, None]) for _ in range(random.choice([2, 3, 6])))
        drawn = [
            (12, MarkAction(kind, self.mark(kind), self.some(0.7))),
            (2, SpreadAction(random.choice(list(Classifier)), owners, self.some(0.7))),
            (1, AcceptAction()),
            (1, ReturnAction()),
            (1, PassthroughAction(random.choice([None, "seen ", "длинная приставка " * 20]))),
        ]
        if deeper:
            drawn.append((3, JumpAction(random.choice(deeper))))
        if chain in JUMPS:
            drawn.append((2, JumpAction(random.choice(JUMPS[chain]))))
        return random.choices([a for _, a in drawn], [w for w, _ in drawn])[0]

    def rule(self) -> MangleRule:
        chain = self.random.choices([*BUILT_IN_CHAINS, *USER_CHAINS], [10, 1, 2, 4, 2, 3, 3, 2])[0]
        family = self.random.choice(FAMILIES)
        matchers = self.matchers(family)
        neutral = not any(isinstance(m, AddressMatch | AddressListMatch) for m in matchers)
        families = FAMILIES if neutral and self.some(0.5) else (family,)
        return MangleRule(chain, matchers, self.action(chain), families)  # type: ignore[arg-type]

    def run_of_streams(self) -> list[MangleRule]:
        """Neighbouring PCC rules, as people write them: most of one denominator, some mixed, some double."""
        classifier, family = self.random.choice(list(Classifier)), self.random.choice(FAMILIES)
        common = self.matchers(family)
        passthrough = self.some(0.7)
        denominators = self.random.choice([[2], [3], [4], [2, 4], [3, 6], [2, 3]])
        rules = []
        for _ in range(self.random.randint(2, 5)):
            denominator = self.random.choice(denominators)
            pcc = PccMatch(classifier, denominator, self.random.randrange(denominator))
            mark = MarkAction(MarkKind.CONNECTION, self.random.choice(CONNECTION_MARKS), passthrough)
            rules.append(MangleRule("prerouting", (*common, pcc), mark, (family,)))  # type: ignore[arg-type]
        return rules

    def run_of_keys(self) -> list[MangleRule]:
        """Neighbouring rules that differ in one interface or mark."""
        family = self.random.choice(FAMILIES)
        common = self.matchers(family) if self.some(0.5) else (MarkMatch(MarkKind.CONNECTION, None),)
        chain = self.random.choice(["prerouting", "prerouting", "output"])
        rules = []
        for number in range(self.random.randint(2, 4)):
            key: object = MarkMatch(MarkKind.CONNECTION, CONNECTION_MARKS[number % 4])
            action: object = MarkAction(MarkKind.ROUTING, self.random.choice(TABLES), self.some(0.7))
            if self.some(0.5):
                key = InInterface(list(INTERFACES)[number])
                action = MarkAction(MarkKind.CONNECTION, self.random.choice(CONNECTION_MARKS), self.some(0.7))
            rules.append(MangleRule(chain, (key, *common), action, (family,)))  # type: ignore[arg-type]
        return rules

    def run_of_changes(self) -> list[MangleRule]:
        """One connection mark becomes another or none, which the next rule asks for already."""
        family, chain = self.random.choice(FAMILIES), self.random.choice(["prerouting", "prerouting", "output"])
        before: object = InInterface(self.random.choice(list(INTERFACES))) if self.some(0.5) else None
        mark: str | None = self.random.choice(CONNECTION_MARKS)
        rules = []
        for _ in range(self.random.randint(2, 3)):
            after = self.random.choice([None, *CONNECTION_MARKS])
            action = MarkAction(MarkKind.CONNECTION, after)
            if self.some(0.3):
                action = MarkAction(MarkKind.ROUTING, self.random.choice(TABLES), self.some(0.7))
            matchers = (MarkMatch(MarkKind.CONNECTION, mark), *([before] if before else []))
            rules.append(MangleRule(chain, matchers, action, (family,)))  # type: ignore[arg-type]
            mark = after
        return rules

    def run_of_destinations(self) -> list[MangleRule]:
        """Many neighbouring rules for one destination each; sometimes one that others lie in."""
        family, chain = (
            self.random.choice(FAMILIES),
            self.random.choice(["prerouting", "prerouting", "output", "forward"]),
        )
        rules = []
        for _ in range(self.random.randint(8, 14)):
            network = self.network(family) if self.some(0.03) else self.random.choice(DESTINATIONS[family])
            others = self.matchers(family) if self.some(0.3) else ()
            matchers = (AddressMatch(Direction.DESTINATION, range_of(ip_network(network))), *others)
            rules.append(MangleRule(chain, matchers, self.action(chain), (family,)))  # type: ignore[arg-type]
        return rules

    def run_of_marks(self) -> list[MangleRule]:
        """Marks of several kinds for the same packets."""
        family, chain = self.random.choice(FAMILIES), self.random.choice(["prerouting", "prerouting", "output"])
        matchers = self.matchers(family)
        kinds = self.random.sample(list(MarkKind), self.random.randint(2, 3))
        actions = [MarkAction(kind, self.mark(kind)) for kind in kinds]
        return [MangleRule(chain, matchers, action, (family,)) for action in actions]  # type: ignore[arg-type]

    # --- all of it -------------------------------------------------------------------------------------------------

    def router(self) -> Router:
        mangle: list[MangleRule] = []
        for _ in range(self.random.randint(2, 14)):
            runs = [self.run_of_streams(), self.run_of_keys(), self.run_of_changes(), self.run_of_marks()]
            mangle += self.random.choices([[self.rule()], *runs], [6, 1, 1, 1, 1])[0]
        if self.some(0.25):
            place = self.random.randint(0, len(mangle))
            mangle[place:place] = self.run_of_destinations()
        ranges = [
            ip_network(n)
            for n in (
                "10.1.0.0/17",
                "10.1.64.0/18",
                "10.1.200.16/29",
                "10.2.3.12/30",
                "198.51.100.64/26",
                "fd00:1::8/125",
                "2001:db8:99::/66",
                "255.255.255.255/32",
            )
        ]
        return Router(
            tuple(mangle),
            tuple(draw_nat(self)),
            tuple(RoutingTable(table) for table in TABLES),
            tuple(draw_routes(self)),
            tuple(draw_rules(self)),
            interface_lists=(
                InterfaceList("LAN", frozenset(LANS)),
                InterfaceList("WAN", frozenset(WANS)),
                InterfaceList("empty"),
            ),
            address_lists=(AddressList("some", tuple(range_of(n) for n in ranges)), AddressList("empty")),
        )

    def packet(self, number: int) -> Packet:
        """The first packet of a connection; `number` makes its ports or addresses its own."""
        return draw_packet(self, number)
