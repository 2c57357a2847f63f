"""What of a policy no RouterOS script can say: one finding each, with what follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenflow.core.unfold import first_weights
from evenflow.model.finding import info, warning
from evenflow.model.health import HealthSettings, OnDown
from evenflow.model.policy import Balance, Hooks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.model.finding import Finding
    from evenflow.model.policy import Policy, Uplink


def unsaid(policy: Policy) -> Iterator[Finding]:
    """Findings about what is left out."""
    balance = policy.balance
    where = balance.origin
    if balance.on_down is OnDown.FLUSH:
        what = "no script deletes the connections of an uplink that is lost: they hang until they time out"
        yield info("connections-not-flushed", where, f'on_down = "flush": {what}. New ones go by another uplink')
    if balance.failback is not Balance().failback:
        what = "an uplink that is back gets its whole share at once on RouterOS"
        yield warning("failback-left-out", where, f'failback = "{balance.failback.value}": {what}')
    if balance.buckets is not None:
        yield info("buckets-left-out", where, "buckets: a script has as many streams as its weights need")
    if balance.flowtable is not Balance().flowtable:
        what = "RouterOS's FastTrack passes by all marks, so balanced connections can't have it"
        yield info("flowtable-left-out", where, f'flowtable = "{balance.flowtable.value}": {what}')
    if policy.hooks != Hooks():
        yield warning(
            "hooks-left-out", where, "[hooks]: nobody is told of events; RouterOS has /tool netwatch for that"
        )
    if any(uplink.masquerade for uplink in policy.uplinks):
        what = "packets of no known connection leave with the address that they have"
        mend = "drop them: /ip firewall filter add chain=forward connection-state=invalid action=drop"
        yield info("no-leak-guard", where, f"there is no leak guard in the script: {what}; {mend}")
    yield from _failover(policy)
    yield from _of_all_uplinks(policy)
    for uplink in policy.uplinks:
        yield from _of_uplink(uplink)


def _failover(policy: Policy) -> Iterator[Finding]:
    if len(policy.uplinks) > 2 and len(first_weights(policy)) > 1:
        yield info(
            "failover-to-one",
            policy.balance.origin,
            "on RouterOS the whole share of a lost uplink goes to the next one of its table, by tier and weight, and "
            "not to all others in proportion",
        )


def _of_all_uplinks(policy: Policy) -> Iterator[Finding]:
    where = policy.balance.origin
    if any(uplink.targets for uplink in policy.uplinks):
        what = "RouterOS asks every 10 s, and gives up after two questions"
        slow = "a silent uplink is noticed after 20 to 30 s, from 7.21 on after 11 to 21 s; one answer brings it back"
        yield info("check-gateway-timing", where, f"{what}: {slow}")
    if any(uplink.bandwidth_bps is not None for uplink in policy.uplinks):
        yield info("bandwidth-left-out", where, "bandwidths are not written; the weights that follow from them are")


def _of_uplink(uplink: Uplink) -> Iterator[Finding]:
    usual, own = HealthSettings(), uplink.health
    told = {
        "quorum": own.quorum > 1,
        "loss": own.loss_percent not in (None, usual.loss_percent),
        "latency": own.latency_ms is not None,
        "hold": own.hold_s != usual.hold_s,
    }
    lost = [name for name, differs in told.items() if differs]
    if lost:
        what = "RouterOS has no such limit, and a line that answers counts as good, however badly"
        yield warning("health-left-out", uplink.origin, f"uplink {uplink.name}: {', '.join(lost)}: {what}")
