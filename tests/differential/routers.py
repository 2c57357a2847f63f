"""Random routers and packets: everything that a mangle list can say, drawn by chance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from differential.bench import FAR_MAC, INTERFACES, LANS, SERVER_PORTS, WANS
from evenflow.core.addresses import range_of
from evenflow.model.flow import GRE, ICMP, ICMPV6, TCP, UDP, ConnectionState, Family, Packet
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
    PccMatch,
    PortMatch,
    ProtocolMatch,
    SourceMacMatch,
    StateMatch,
)
from evenflow.model.router import (
    BUILT_IN_CHAINS,
    AcceptAction,
    AddressGateway,
    AddressList,
    InterfaceGateway,
    InterfaceList,
    JumpAction,
    MangleRule,
    MarkAction,
    Masquerade,
    NatRule,
    ReturnAction,
    Route,
    RouteKind,
    Router,
    RouteRule,
    RoutingTable,
    RuleAction,
    SpreadAction,
)

if TYPE_CHECKING:
    from random import Random

    from evenflow.model.router import Gateway

CONNECTION_MARKS = ["isp1_conn", "isp2_conn", "a mark", "vpn/1"]
TABLES = ["isp1", "isp2", "to wan2"]
USER_CHAINS = ["first", "second", "third"]
DENOMINATORS = [1, 2, 3, 4, 6, 7, 9]
FAMILIES = (Family.IPV4, Family.IPV6)


@dataclass(frozen=True)
class Draw:
    """Draws parts of a router."""

    random: Random

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

    def matcher(self, family: Family) -> object:
        random, negated = self.random, self.some(0.25)
        side = random.choice([Direction.SOURCE, Direction.DESTINATION])
        kind = random.choice(list(MarkKind))
        drawn: list[object] = [
            MarkMatch(kind, self.mark(kind), negated),
            MarkMatch(MarkKind.CONNECTION, self.mark(MarkKind.CONNECTION), negated),
            MarkMatch(MarkKind.CONNECTION, None),
            InInterface(random.choice(list(INTERFACES)), negated),
            InInterface(random.choice(list(LANS))),
            OutInterface(random.choice(list(INTERFACES)), negated),
            InInterfaceList(random.choice(["LAN", "WAN", "empty", "never defined", "all"]), negated),
            AddressMatch(side, range_of(ip_network(self.network(family))), negated),
            AddressListMatch(side, random.choice(["some", "empty", "never defined"]), negated),
            AddressTypeMatch(Direction.DESTINATION, frozenset({AddressType.LOCAL}), negated),
            ProtocolMatch(random.choice([TCP, UDP, ICMP, ICMPV6, GRE]), negated),
            self.ports(negated=negated),
            StateMatch(
                frozenset(
                    random.sample([ConnectionState.NEW, ConnectionState.ESTABLISHED, ConnectionState.INVALID], 2)
                ),
                negated,
            ),
            StateMatch(frozenset({ConnectionState.NEW}), negated),
            SourceMacMatch(random.choice([FAR_MAC, b"\2\0\0\0\0\1"]), negated),
            self.pcc(negated=negated),
            self.pcc(negated=False),
        ]
        return random.choice(drawn)

    def ports(self, *, negated: bool) -> PortMatch:
        ranges = [(80, 80), (443, 443), (1000, 1999), (1500, 40000), (53, 53)]
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

    def action(self, chain: str) -> object:
        random = self.random
        deeper = USER_CHAINS[USER_CHAINS.index(chain) + 1 :] if chain in USER_CHAINS else USER_CHAINS
        kind = random.choices(list(MarkKind), [5, 5, 1])[0]
        owners = tuple(random.choice([*CONNECTION_MARKS, None]) for _ in range(random.choice([2, 3, 6])))
        drawn = [
            (12, MarkAction(kind, self.mark(kind), self.some(0.7))),
            (2, SpreadAction(random.choice(list(Classifier)), owners, self.some(0.7))),
            (1, AcceptAction()),
            (1, ReturnAction()),
        ]
        if deeper:
            drawn.append((3, JumpAction(random.choice(deeper))))
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

    def routes(self) -> list[Route]:
        made: list[Route] = []
        for table in TABLES:
            distances = iter(self.random.sample(range(1, 20), 8))
            for family in FAMILIES:
                made += [self.route(table, family, next(distances)) for _ in range(self.random.randint(0, 2))]
                if self.some(0.2):
                    network = ip_network(self.network(family))
                    made.append(replace(self.route(table, family, next(distances)), destination=network))
        return made

    def route(self, table: str, family: Family, distance: int) -> Route:
        if self.some(0.1):
            kind = self.random.choice([RouteKind.UNREACHABLE, RouteKind.BLACKHOLE, RouteKind.PROHIBIT])
            return Route(table, family.any_network, (), distance, kind)
        wan = self.random.choice(list(WANS))
        address = f"100.64.{wan[-1]}.1" if family is Family.IPV4 else f"2001:db8:{wan[-1]}::1"
        both: list[Gateway] = [AddressGateway(ip_address(address)), InterfaceGateway(wan)]
        return Route(table, family.any_network, (self.random.choice(both),), distance)

    def route_rule(self) -> RouteRule:
        family = self.random.choice(FAMILIES)
        action = self.random.choice(
            [RuleAction.LOOKUP, RuleAction.LOOKUP, RuleAction.LOOKUP_ONLY, RuleAction.UNREACHABLE]
        )
        return RouteRule(
            action,
            self.random.choice(TABLES) if action in (RuleAction.LOOKUP, RuleAction.LOOKUP_ONLY) else None,
            ip_network(self.network(family)) if self.some(0.5) else None,
            ip_network(self.network(family)) if self.some(0.3) else None,
            self.random.choice(list(INTERFACES)) if self.some(0.3) else None,
            self.random.choice(TABLES) if self.some(0.3) else None,
            families=(family,),
        )

    def router(self) -> Router:
        mangle: list[MangleRule] = []
        for _ in range(self.random.randint(2, 14)):
            mangle += self.random.choices([[self.rule()], self.run_of_streams(), self.run_of_keys()], [6, 1, 1])[0]
        ranges = [
            ip_network(n)
            for n in (
                "10.1.0.0/17",
                "10.1.64.0/18",
                "198.51.100.64/26",
                "fd00:1::8/125",
                "2001:db8:99::/66",
                "255.255.255.255/32",
            )
        ]
        return Router(
            tuple(mangle),
            tuple(NatRule("srcnat", (OutInterface(wan),), Masquerade()) for wan in WANS if self.some(0.5)),
            tuple(RoutingTable(table) for table in TABLES),
            tuple(self.routes()),
            tuple(self.route_rule() for _ in range(self.random.choice([0, 0, 1, 2]))),
            interface_lists=(
                InterfaceList("LAN", frozenset(LANS)),
                InterfaceList("WAN", frozenset(WANS)),
                InterfaceList("empty"),
            ),
            address_lists=(AddressList("some", tuple(range_of(n) for n in ranges)), AddressList("empty")),
        )

    def packet(self, number: int) -> Packet:
        """The first packet of a connection; `number` makes its ports or addresses its own."""
        random = self.random
        family = random.choice(FAMILIES)
        where = random.choices(["lan0", "lan1", *WANS, None], [6, 2, 1, 1, 1, 3])[0]
        protocol = random.choice([TCP, TCP, UDP, UDP, ICMP if family is Family.IPV4 else ICMPV6, GRE])
        # GRE is told apart by its addresses alone: two connections must not meet in one entry of connection tracking.
        host, server = number % 200 + 10, number % 249 + 1 if protocol == GRE else random.randrange(1, 250)
        four = {"lan0": f"10.1.{random.choice([3, 200])}.{host}", "lan1": f"10.2.3.{host}"}
        six = {"lan0": f"fd00:1::{host:x}", "lan1": f"fd00:2::{host:x}"}
        outside = f"198.51.100.{server}" if family is Family.IPV4 else f"2001:db8:99::{server:x}"
        inside = four if family is Family.IPV4 else six
        own = {name: pair[family is Family.IPV6].partition("/")[0] for name, pair in INTERFACES.items()}
        if where is None:
            source, destination = own[random.choice(list(WANS))], outside
        elif where in WANS:
            source = outside
            destination = random.choice([own[where], own[where], own[random.choice(list(INTERFACES))], inside["lan0"]])
        else:
            source = inside[where]
            destination = random.choices(
                [outside, own[where], own["wan1"], inside["lan1" if where == "lan0" else "lan0"]], [8, 1, 1, 1]
            )[0]
        ported = protocol in (TCP, UDP)
        return Packet(
            ip_address(source),
            ip_address(destination),
            protocol,
            random.choice([1024, 20000]) + number if ported else 0,
            random.choice(SERVER_PORTS) if ported else 0,
            where,
            source_mac=FAR_MAC if where else None,
        )
