"""The layouts that are compared: each puts rules, routes and route rules for a site into a router."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.dataplane.layouts import article, ecmp, mwan3, mwan3_nft, mwan4, net_isp_balance, ours, vyos
from evenflow.model.flow import BOTH_FAMILIES, Family

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bench.dataplane.layouts.commands import Command
    from bench.dataplane.site import Site
    from evenflow.kernel.namespaces import NetworkNamespace

    Install = Callable[[NetworkNamespace, Site], None]


#: An ordinary user's lacks the folders where Debian keeps such programs.
PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


@dataclass(frozen=True, slots=True)
class Layout:
    """One way to do it.

    Attributes:
        name: as in tables.
        source: where it is taken from.
        install: puts it into a router; raises `SystemRefusedError` when the system refuses.
        families: those that it balances.
        programs: the programs that it takes besides ip and nft, each with its Debian package.
        diverts: whether it has the diversions.
    """

    name: str
    source: str
    install: Install
    families: tuple[Family, ...] = BOTH_FAMILIES
    programs: tuple[tuple[str, str], ...] = ()
    diverts: bool = True

    def missing(self) -> list[str]:
        """What has to be installed before it can be loaded."""
        return [
            f"{program} (Debian: {package})"
            for program, package in self.programs
            if shutil.which(program, path=PATH) is None
        ]


def _by(commands: Callable[[Site], Iterable[Command]]) -> Install:
    def install(router: NetworkNamespace, site: Site) -> None:
        for command in commands(site):
            router.run(command.program, stdin=command.text)

    return install


_IPTABLES = ("iptables-legacy-restore", "iptables")
_IP6TABLES = ("ip6tables-legacy-restore", "iptables")
_IPSET = ("ipset", "ipset")

#: What the others are compared with.
LIMIT = Layout("kernel ECMP", "Linux: a multipath route and masquerade", _by(ecmp.commands), diverts=False)
OURS = Layout("evenflow", "this tree, as applied", ours.install)

LAYOUTS = (
    LIMIT,
    Layout("ECMP, a rule", "the same and one route rule", _by(ecmp.with_a_rule), diverts=False),
    OURS,
    Layout("article", "the article's rules, one by one", _by(article.commands)),
    Layout("mwan3", "openwrt/packages@0521bb56", _by(mwan3.commands), programs=(_IPTABLES, _IP6TABLES, _IPSET)),
    Layout("mwan3-nft", "dl12345/mwan3@054252b4", _by(mwan3_nft.commands)),
    Layout("mwan4", "mossdef-org/mwan4@15fe0aab", _by(mwan4.commands)),
    Layout("VyOS", "vyos/vyos-1x@0c0ce426", _by(vyos.new_commands), (Family.IPV4,)),
    Layout("VyOS before", "vyos/vyos-1x@13fddcfe", _by(vyos.old_commands), (Family.IPV4,)),
    Layout(
        "Net-ISP-Balance",
        "lstein/Net-ISP-Balance@23ac7405",
        _by(net_isp_balance.commands),
        (Family.IPV4,),
        (_IPTABLES,),
    ),
)
