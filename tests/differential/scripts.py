"""Random RouterOS scripts for a bench, as people write them: the article's router with more of everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from differential.bench import LANS, WANS
from differential.ways import gateway_of
from evenflow.core.failover import Standing
from evenflow.formats import routeros
from evenflow.model.finding import has_errors
from evenflow.model.flow import Family
from evenflow.model.matcher import Classifier

if TYPE_CHECKING:
    from collections.abc import Iterator

    from differential.routers import Draw
    from evenflow.model.router import Router

FAMILIES = (Family.IPV4, Family.IPV6)

#: What RouterOS calls a family, and hosts and networks that packets of the test come from and go to.
MENUS = {Family.IPV4: "/ip", Family.IPV6: "/ipv6"}
HOSTS = {Family.IPV4: "10.1.3.77", Family.IPV6: "fd00:1::77"}
SOURCES = {Family.IPV4: "100.64.{}.60", Family.IPV6: "2001:db8:{}::60"}
SOME = {Family.IPV4: ("10.1.3.0/25", "198.51.100.0-198.51.100.99"), Family.IPV6: ("fd00:1::/123", "2001:db8:99::/121")}


def draw_script(draw: Draw) -> str:
    """A whole script, of one family or both."""
    wans = draw.random.sample(list(WANS), draw.random.randint(2, 3))
    families = draw.random.choice([FAMILIES[:1], FAMILIES[:1], FAMILIES])
    lines = [*_lists(wans), "/routing table", *(f"add fib name=to-{wan}" for wan in wans)]
    for family in families:
        lines += _Script(draw, family, wans).lines()
    if draw.some(0.4):
        lines += ["/routing rule", *_rules(draw, wans)]
    return "\n".join(lines) + "\n"


def read_script(text: str) -> Router:
    """The router of a script that has no errors."""
    parsed = routeros.parse(text, "drawn.rsc")
    assert not has_errors(parsed.findings), (text, parsed.findings)
    return parsed.router


def draw_losses(draw: Draw, router: Router) -> Standing:
    """Some gateways that are watched do not answer, at times."""
    return Standing(down=frozenset(watch.name for watch in router.watches if draw.some(0.15)))


def _lists(wans: list[str]) -> Iterator[str]:
    yield "/interface list"
    yield "add name=WAN"
    yield "add name=LAN"
    yield "/interface list member"
    for wan in wans:
        yield f"add interface={wan} list=WAN"
    for lan in LANS:
        yield f"add interface={lan} list=LAN"


def _rules(draw: Draw, wans: list[str]) -> Iterator[str]:
    selector = draw.random.choice(["src-address=10.1.200.0/24", "dst-address=198.51.100.0/28", "interface=lan1"])
    action = draw.random.choice(["lookup", "lookup-only-in-table"])
    yield f"add action={action} disabled=no {selector} table=to-{draw.random.choice(wans)}"


class _Script:
    """The part of a script that is of one family."""

    def __init__(self, draw: Draw, family: Family, wans: list[str]) -> None:
        self.draw, self.family, self.wans, self.menu = draw, family, wans, MENUS[family]

    def lines(self) -> list[str]:
        lines = [f"{self.menu} firewall address-list", *(f"add address={one} list=some" for one in SOME[self.family])]
        lines += [f"{self.menu} firewall mangle", *self._mangle()]
        lines += [f"{self.menu} firewall nat", *self._nat()]
        return [*lines, f"{self.menu} route", *self._routes()]

    # --- mangle ----------------------------------------------------------------------------------------------------

    def _mangle(self) -> Iterator[str]:
        for wan in self.wans:
            yield from self._incoming(wan)
        if self.draw.some(0.5):
            yield "add action=accept chain=prerouting dst-address-type=local in-interface-list=LAN"
        yield from self._exceptions()
        yield from self._streams()
        lan, passthrough = self._of_lan(), self._passthrough()
        for wan in self.wans:
            yield (
                f"add action=mark-routing chain=prerouting connection-mark={wan}_conn {lan} "
                f"new-routing-mark=to-{wan} {passthrough}"
            )
        for wan in self.wans if self.draw.some(0.8) else ():
            yield f"add action=mark-routing chain=output connection-mark={wan}_conn new-routing-mark=to-{wan}"
        if self.draw.some(0.4):
            yield f"add action=mark-packet chain=forward {self._matcher()} new-packet-mark=bulk passthrough=no"
        if self.draw.some(0.3):
            yield "add action=mark-packet chain=postrouting out-interface-list=WAN new-packet-mark=up"

    def _incoming(self, wan: str) -> Iterator[str]:
        """Connections from outside; some people mark them where they are forwarded or delivered."""
        chain = self.draw.random.choice(["prerouting", "prerouting", "prerouting", "input", "forward"])
        new = self.draw.random.choice(["connection-state=new ", ""])
        mark = f"action=mark-connection connection-mark=no-mark {new}new-connection-mark={wan}_conn"
        yield f"add chain={chain} in-interface={wan} {mark} {self._passthrough()}"

    def _exceptions(self) -> Iterator[str]:
        for _ in range(self.draw.random.choice([0, 1, 2])):
            wan = self.draw.random.choice(self.wans)
            mark = f"action=mark-connection connection-mark=no-mark new-connection-mark={wan}_conn"
            disabled = "disabled=yes " if self.draw.some(0.1) else ""
            yield f"add chain=prerouting {disabled}in-interface-list=LAN {self._matcher()} {mark} {self._passthrough()}"

    def _streams(self) -> Iterator[str]:
        """Streams of one classifier, in a chain of their own at times; some rules out of order, or double."""
        random = self.draw.random
        classifier = random.choice(list(Classifier)).value
        weights = [random.randint(1, 3) for _ in self.wans]
        owners = [wan for wan, weight in zip(self.wans, weights, strict=True) for _ in range(weight)]
        streams = list(enumerate(owners))
        if self.draw.some(0.3):
            random.shuffle(streams)
        before = self.draw.random.choice(["connection-mark=no-mark connection-state=new", "connection-mark=no-mark"])
        before += " dst-address-type=!local" if self.draw.some(0.7) else ""
        chain, passthrough = "prerouting", self._passthrough()
        if self.draw.some(0.3):
            chain = "balance"
            yield f"add action=jump chain=prerouting {self._of_lan()} jump-target=balance {before}"
        for stream, wan in streams:
            here = f"{before} {self._of_lan()}" if chain == "prerouting" else ""
            yield (
                f"add action=mark-connection chain={chain} {here} new-connection-mark={wan}_conn {passthrough} "
                f"per-connection-classifier={classifier}:{len(owners)}/{stream}"
            )
            if chain == "balance" and self.draw.some(0.2):
                yield f"add action=return chain=balance connection-mark={wan}_conn"

    def _of_lan(self) -> str:
        return self.draw.random.choice(["in-interface-list=LAN", "in-interface=lan0", "in-interface-list=!WAN"])

    def _passthrough(self) -> str:
        return self.draw.random.choice(["passthrough=yes", "passthrough=no", ""])

    def _matcher(self) -> str:
        no = self.draw.random.choice(["", "", "!"])
        icmp = "icmp" if self.family is Family.IPV4 else "icmpv6"
        return self.draw.random.choice(
            [
                f"protocol={no}{icmp}",
                f"protocol=tcp dst-port={no}443",
                "protocol=udp dst-port=53,1000-2000",
                "protocol=tcp port=80,443",
                f"src-address-list={no}some",
                f"dst-address-list={no}some",
                f"dst-address={no}{SOME[self.family][1]}",
            ]
        )

    # --- NAT and routes --------------------------------------------------------------------------------------------

    def _nat(self) -> Iterator[str]:
        if self.draw.some(0.3):
            yield "add action=accept chain=srcnat dst-address-list=some"
        for wan in self.wans:
            to = SOURCES[self.family].format(wan[-1])
            action = f"action=src-nat to-addresses={to}" if self.draw.some(0.3) else "action=masquerade"
            yield f"add {action} chain=srcnat out-interface={wan}"
        if self.draw.some(0.6):
            to, port = HOSTS[self.family], self.draw.random.choice(["", "to-ports=8080"])
            forward = f"action=dst-nat chain=dstnat to-addresses={to} {port}"
            yield f"add {forward} dst-port=80,443 in-interface-list=WAN protocol=tcp"
        if self.draw.some(0.4):
            yield "add action=redirect chain=dstnat dst-port=53 in-interface-list=LAN protocol=udp to-ports=5000"

    def _routes(self) -> Iterator[str]:
        everywhere = f"dst-address={self.family.any_network}"
        for table in (*(f"to-{wan}" for wan in self.wans), "main"):
            order = [wan for wan in self.wans if table == f"to-{wan}"]
            order += [wan for wan in self.wans if wan not in order and self.draw.some(0.7)]
            for distance, wan in enumerate(order, start=1):
                check = "check-gateway=ping " if self.draw.some(0.6) else ""
                yield f"add {check}distance={distance} {everywhere} gateway={self._gateway(wan)} routing-table={table}"
        if self.draw.some(0.2):
            yield f"add blackhole distance=200 {everywhere} routing-table=to-{self.wans[0]}"

    def _gateway(self, wan: str) -> str:
        address = gateway_of(self.draw, wan, self.family)
        return self.draw.random.choice([address, address, f"{address}%{wan}", wan])
