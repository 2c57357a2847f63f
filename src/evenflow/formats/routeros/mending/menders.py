"""Which findings are mended, by what; and why the others are the person's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenflow.formats.routeros.mending import answering, bypassing, dividing, marking, naming, routing, wording

if TYPE_CHECKING:
    from collections.abc import Callable

    from evenflow.formats.routeros.mending.script import Decision, Script, Way
    from evenflow.model.finding import Finding


@dataclass(frozen=True, slots=True)
class Mender:
    """What mends one kind of finding.

    Attributes:
        keeps_ways: connections from local hosts to the Internet, and the router's answers to local hosts, take the
            ways that they took before, and no answer changes a mark. A mend of the others is one because they do not.
    """

    mend: Callable[[Script, Finding], Way | Decision]
    keeps_ways: bool = True


#: In the order in which they are mended: first what is read, then what has a name, then what follows from the rules.
MENDERS: dict[str, Mender] = {
    "invisible-signs": Mender(wording.invisible_signs),
    "page-tags": Mender(wording.page_tags),
    "lost-backslash": Mender(wording.lost_backslash),
    "typographic-quotes": Mender(wording.typographic_quotes),
    "missing-property": Mender(naming.wrong_mark_property, keeps_ways=False),
    "interface-misspelt": Mender(naming.misspelt_interface, keeps_ways=False),
    "mark-never-set": Mender(marking.never_set, keeps_ways=False),
    "jump-to-nothing": Mender(naming.jump_to_nothing, keeps_ways=False),
    "unknown-interface-list": Mender(naming.unknown_list, keeps_ways=False),
    "interface-list-empty": Mender(naming.unknown_list, keeps_ways=False),
    "unknown-address-list": Mender(naming.unknown_list, keeps_ways=False),
    "table-without-fib": Mender(wording.table_without_fib, keeps_ways=False),
    "table-undeclared": Mender(marking.table_undeclared),
    "routing-mark-without-route": Mender(marking.without_route, keeps_ways=False),
    "pcc-remainder": Mender(dividing.remainder, keeps_ways=False),
    "classifier-for-the-router": Mender(dividing.for_the_router_only, keeps_ways=False),
    "mark-not-routed": Mender(marking.not_routed, keeps_ways=False),
    "marked-too-late": Mender(marking.marked_too_late, keeps_ways=False),
    "connected-not-bypassed": Mender(bypassing.connected_not_bypassed),
    "answers-marked-anew": Mender(answering.answers_marked_anew),
    "inbound-not-marked": Mender(answering.inbound_not_marked),
    "output-not-routed": Mender(answering.output_not_routed),
    "router-not-answering": Mender(dividing.router_not_answering, keeps_ways=False),
    "forward-not-routed": Mender(answering.forward_not_routed),
    "fasttrack": Mender(wording.fasttrack),
    "equal-distance": Mender(routing.equal_distance, keeps_ways=False),
    "check-without-effect": Mender(routing.check_without_effect),
    "gateway-not-watched": Mender(routing.not_watched),
    "loss-not-followed": Mender(routing.not_watched),
    "no-second-route": Mender(routing.no_second_route),
    "no-way-left": Mender(routing.no_second_route),
}

#: Why the others are left, where there is more to say than that.
WHY_LEFT: dict[str, str] = {
    "dead-rule": "it does nothing; whether it goes, or was meant otherwise, is yours to say",
    "chain-unused": "it does nothing; whether a jump is missing or the rules go is yours to say",
    "share-against-bandwidth": "how connections are to be shared is yours to say",
    "chance-per-packet": "what is counted for each packet would be divided otherwise if it were for each connection",
    "no-ipv6-multipath": "the address of the gateway is not in the file",
    "not-followed": "it is not read here",
    "script-not-run": "what a script does is known only to the router",
}

WHY_ANY_IS_LEFT = "what was meant does not follow from the file"
