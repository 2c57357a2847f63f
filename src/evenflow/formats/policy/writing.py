"""From a `Policy` to TOML."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from evenflow.formats.policy.durations import duration_text
from evenflow.formats.policy.health import KEY_OF_FIELD, PROFILES
from evenflow.formats.policy.targets import default_targets, target_text
from evenflow.formats.policy.values import bandwidth_text
from evenflow.formats.policy.weights import weights_by_bandwidth
from evenflow.model.health import Failback
from evenflow.model.policy import Balance, Hooks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evenflow.model.health import HealthSettings
    from evenflow.model.policy import Policy, Uplink

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SHORT_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def render(policy: Policy) -> str:
    """The policy as TOML; `parse` reads it back as the same policy, but for the places where things stand.

    What equals the default is left out, except what a reader looks for: gateway, classifier and weights. Weights
    that follow from the bandwidths are left out, so that a later change of a bandwidth is enough. What all uplinks
    say of their health stands once, in `[health]`.
    """
    general = _lines_for_all(policy.uplinks)
    parts = [f"lan = {_list(policy.lan)}"]
    for uplink in policy.uplinks:
        parts.append(_uplink(uplink))
        own = _health_lines(uplink) if general is None else []
        if own:
            parts.append("\n".join([f"[uplink.{_key(uplink.name)}.health]", *own]))
    parts.append(_balance(policy))
    if general:
        parts.append("\n".join(["[health]", *general]))
    if policy.hooks != Hooks():
        parts.append(_hooks(policy.hooks))
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
    if uplink.tier != 1:
        lines.append(f"tier = {uplink.tier}")
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
    if balance.on_down is not Balance().on_down:
        lines.append(f"on_down = {_string(balance.on_down.value)}")
    if balance.failback is not Balance().failback:
        lines.append(f"failback = {_string(balance.failback.value)}")
    if balance.failback is Failback.GRADUAL and balance.failback_s != Balance().failback_s:
        lines.append(f"failback_over = {_string(_seconds(balance.failback_s))}")
    if balance.flowtable is not Balance().flowtable:
        lines.append(f"flowtable = {_string(balance.flowtable.value)}")
    return "\n".join(lines)


def _hooks(hooks: Hooks) -> str:
    lines = ["[hooks]"]
    if hooks.program:
        lines.append(f"program = {_string(hooks.program)}")
    if hooks.webhook:
        lines.append(f"webhook = {_string(hooks.webhook)}")
    return "\n".join(lines)


# --- health --------------------------------------------------------------------------------------------------------


def _lines_for_all(uplinks: Sequence[Uplink]) -> list[str] | None:
    """What `[health]` says; None when the uplinks differ, so that each must speak for itself."""
    said = [_health_lines(uplink) for uplink in uplinks]
    return said[0] if said and all(lines == said[0] for lines in said) else None


def _health_lines(uplink: Uplink) -> list[str]:
    """The keys that make the uplink's health of the profile that it is nearest to."""
    lines: list[str] = []
    if uplink.targets != default_targets(uplink.gateways, learns=uplink.learn_gateway):
        lines.append(f"targets = {_list([target_text(each) for each in uplink.targets])}")
    by_profile = {name: _settings_lines(uplink.health, profile) for name, profile in PROFILES.items()}
    nearest = min(by_profile, key=lambda name: len(by_profile[name]) + (name != "default"))
    if nearest != "default":
        lines.insert(0, f"profile = {_string(nearest)}")
    return lines + by_profile[nearest]


def _settings_lines(settings: HealthSettings, profile: HealthSettings) -> list[str]:
    lines = []
    for name, key in KEY_OF_FIELD.items():
        value = getattr(settings, name)
        if value != getattr(profile, name):
            lines.append(f"{key} = {_setting(name, value)}")
    return lines


def _setting(name: str, value: float | None) -> str:
    if value is None:
        return _string("off")
    if name == "loss_percent":
        return _string(f"{value}%")
    if name.endswith("_ms"):
        return _string(duration_text(int(value)))
    return _string(_seconds(value)) if name.endswith("_s") else str(value)


def _seconds(seconds: float) -> str:
    return duration_text(round(seconds * 1000))


def _list(texts: Sequence[str]) -> str:
    return f"[{', '.join(_string(text) for text in texts)}]"


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _string(name)


def _string(text: str) -> str:
    """A basic string of TOML."""
    return '"' + "".join(_character(char) for char in text) + '"'


def _character(char: str) -> str:
    if char in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[char]
    return char if char >= " " and char != "\x7f" else f"\\u{ord(char):04x}"
