"""From a `Policy` to TOML."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from evenflow.formats.policy.values import bandwidth_text
from evenflow.formats.policy.weights import weights_by_bandwidth
from evenflow.model.policy import Balance

if TYPE_CHECKING:
    from evenflow.model.policy import Policy, Uplink

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SHORT_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def render(policy: Policy) -> str:
    """The policy as TOML; `parse` reads it back as the same policy, but for the places where things stand.

    What equals the default is left out, except what a reader looks for: gateway, classifier and weights. Weights
    that follow from the bandwidths are left out, so that a later change of a bandwidth is enough.
    """
    lan = ", ".join(_string(name) for name in policy.lan)
    parts = [f"lan = [{lan}]", *(_uplink(uplink) for uplink in policy.uplinks), _balance(policy)]
    return "\n\n".join(parts) + "\n"


def _uplink(uplink: Uplink) -> str:
    lines = [
        f"[uplink.{_key(uplink.name)}]",
        f"interface = {_string(uplink.interface)}",
        f"gateway = {_gateway(uplink)}",
    ]
    if uplink.bandwidth_bps is not None:
        lines.append(f"bandwidth = {_string(bandwidth_text(uplink.bandwidth_bps))}")
    if not uplink.masquerade:
        lines.append("masquerade = false")
    return "\n".join(lines)


def _gateway(uplink: Uplink) -> str:
    names = [_string(str(address)) for address in uplink.gateways]
    if uplink.learn_gateway:
        names.append(_string("auto"))
    return names[0] if len(names) == 1 else f"[{', '.join(names)}]"


def _balance(policy: Policy) -> str:
    balance = policy.balance
    lines = ["[balance]", f"classifier = {_string(balance.classifier.value)}"]
    if balance.weights != weights_by_bandwidth(policy.uplinks):
        weights = ", ".join(f"{_key(name)} = {weight}" for name, weight in balance.weights)
        lines.append(f"weights = {{ {weights} }}")
    if balance.buckets is not None:
        lines.append(f"buckets = {balance.buckets}")
    if balance.last_resort is not Balance().last_resort:
        lines.append(f"last_resort = {_string(balance.last_resort.value)}")
    return "\n".join(lines)


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _string(name)


def _string(text: str) -> str:
    """A basic string of TOML."""
    return '"' + "".join(_character(char) for char in text) + '"'


def _character(char: str) -> str:
    if char in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[char]
    return char if char >= " " and char != "\x7f" else f"\\u{ord(char):04x}"
