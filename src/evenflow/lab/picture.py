"""The topology as an SVG picture: namespaces, links with their rates and addresses, and the shares that were found.

Colours are classes of the page's style sheet, so that the picture follows its light or dark theme.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from evenflow.lab.topology import CLIENTS, INTERNET, MEGABIT, ROUTER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evenflow.lab.results import Report, Share
    from evenflow.lab.topology import LabUplink, Topology

_WIDTH: Final = 1040
_LANE: Final = 118
_TOP: Final = 14
_BOX: Final = 168
_CLIENTS_X, _ROUTER_X, _PROVIDER_X, _INTERNET_X = 2, 230, 650, _WIDTH - _BOX - 2

# A line's width in the picture for no share and for all of it.
_THIN, _THICK = 2.0, 18.0


def topology_picture(report: Report) -> str:
    """The picture as one `<svg>` element."""
    topology = report.topology
    height = 2 * _TOP + _LANE * len(topology.uplinks)
    tall = height - 2 * _TOP
    middle = height / 2
    shares = {share.uplink: share for share in report.shares}
    parts = [_link(_CLIENTS_X + _BOX, _ROUTER_X, middle, _THICK * 0.8, "line-lan")]
    parts += [_label((_CLIENTS_X + _BOX + _ROUTER_X) / 2, middle - 16, "LAN", "label")]
    for n, uplink in enumerate(topology.uplinks):
        parts += _lane(uplink, shares.get(uplink.name), _TOP + _LANE * (n + 0.5), n)
    parts += [
        _box(_CLIENTS_X, middle - 48, 96, _title(topology, CLIENTS), _clients_lines(topology)),
        _box(_ROUTER_X, _TOP, tall, _title(topology, ROUTER), (report.title, *_router_lines(topology))),
        _box(_INTERNET_X, _TOP, tall, _title(topology, INTERNET), _internet_lines(topology)),
    ]
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="The lab: clients, router, providers, Internet">'
        f"{''.join(parts)}</svg>"
    )


def _title(topology: Topology, name: str) -> str:
    return next(node.title for node in topology.nodes if node.name == name)


def _clients_lines(topology: Topology) -> tuple[str, ...]:
    return (f"{len(topology.clients)} addresses", f"{topology.clients[0]} and on")


def _router_lines(topology: Topology) -> tuple[str, ...]:
    router = next(node for node in topology.nodes if node.name == ROUTER)
    return tuple(f"{one.address.ip} on {bridge.name}" for bridge in router.bridges for one in bridge.addresses)


def _internet_lines(topology: Topology) -> tuple[str, ...]:
    return (f"{len(topology.servers)} servers", f"{topology.servers[0]} and on")


def _lane(uplink: LabUplink, share: Share | None, y: float, n: int) -> list[str]:
    """A provider and its two links, as wide as its share."""
    width = _THIN + (_THICK - _THIN) * (share.share if share is not None else 0.0)
    left, right = _ROUTER_X + _BOX, _PROVIDER_X
    middle = (left + right) / 2
    colour = f"line-{n % 4}"
    lines = (f"{uplink.rate_bps / MEGABIT:g} Mbit/s each way",)
    parts = [
        _link(left, right, y, width, colour),
        _link(_PROVIDER_X + _BOX, _INTERNET_X, y, width, colour),
        _label(middle, y - width / 2 - 10, f"{uplink.interface}  {uplink.address}", "label mono"),
    ]
    if share is not None:
        below = f"{share.connections} of {share.of} connections, {share.share:.1%}"
        parts.append(_label(middle, y + width / 2 + 20, below, "label strong"))
    parts.append(_box(_PROVIDER_X, y - 36, 72, f"Provider {uplink.name}", lines))
    return parts


def _link(left: float, right: float, y: float, width: float, colour: str) -> str:
    return f'<line class="{colour}" x1="{left}" x2="{right}" y1="{y:g}" y2="{y:g}" stroke-width="{width:.1f}"/>'


def _box(x: float, y: float, height: float, title: str, lines: Sequence[str]) -> str:
    middle = x + _BOX / 2
    first = y + height / 2 - 9 * len(lines) + 5
    text = [_label(middle, first, title, "node-title")]
    text += [_label(middle, first + 18 * (n + 1), line, "label") for n, line in enumerate(lines)]
    shape = f'<rect class="node" x="{x:g}" y="{y:g}" width="{_BOX}" height="{height:g}" rx="10"/>'
    return shape + "".join(text)


def _label(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:.1f}" text-anchor="middle">{escape(text)}</text>'
