"""The ways to divide that `--compare` sets side by side."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evenflow.cli.scene import scene_at
from evenflow.cli.simulate_options import Way
from evenflow.core.lower import lower
from evenflow.core.pcc import moduli
from evenflow.core.redivide import reapportion, reclassify
from evenflow.core.what_if import WhatIf, reweigh
from evenflow.errors import InputError
from evenflow.formats.policy.weights import weights_by_bandwidth
from evenflow.model.finding import Finding
from evenflow.model.matcher import Classifier

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from evenflow.cli.scene import Place, Scene
    from evenflow.core.uplinks import RouterUplink
    from evenflow.formats.configuration import Loaded
    from evenflow.model.router import Router

_OPTION = "--compare"

#: What is compared unless told otherwise: from the stickiest to the most even of those that people use.
_USUAL = (Classifier.SRC_ADDRESS, Classifier.BOTH_ADDRESSES, Classifier.BOTH_ADDRESSES_AND_PORTS)


@dataclass(frozen=True, slots=True)
class Division:
    """One way to divide.

    Attributes:
        weights: what each uplink is to get, by name; () where the configuration says it by its streams.
    """

    name: str
    classifier: str
    weights: tuple[tuple[str, int], ...]
    scene: Scene


def ways_of(arguments: argparse.Namespace, loaded: Loaded, scene: Scene, place: Place) -> tuple[Division, ...]:
    """The way of the configuration, which is that of `scene`, and those that it is compared with.

    Raises:
        InputError: one of them can't be.
    """
    present = ", ".join(classifier.value for classifier in moduli(scene.router)) or "no classifier"
    weights = _weights(loaded, dict(arguments.set_weight))
    first = Division(f"{present} (as it is)", present, weights, scene)
    what_if = WhatIf(tuple(arguments.down))
    # Buckets that others keep for a while belong to the division that is in force, and to no other.
    place = replace(place, standing=replace(place.standing, away={}))
    divisions = [first]
    for way in arguments.compare or _usual(scene, weights):
        router = _divided(loaded, way, weights, scene.uplinks)
        other = scene_at(router, place, what_if, scene.seed)
        asked = tuple((name, dict(way.weights).get(name, weight)) for name, weight in weights) or way.weights
        name = way.classifier.value if way.classifier is not None else present
        named = " ".join(f"{uplink}={weight}" for uplink, weight in way.weights)
        divisions.append(Division(f"{name} {named}".rstrip(), name, asked, other))
    return tuple(divisions)


def _weights(loaded: Loaded, changed: dict[str, int]) -> tuple[tuple[str, int], ...]:
    """The weights of a policy as they are asked for; a script has none."""
    if loaded.policy is None:
        return ()
    return tuple((name, changed.get(name, weight)) for name, weight in loaded.policy.balance.weights)


def _usual(scene: Scene, weights: Sequence[tuple[str, int]]) -> Iterator[Way]:
    """The usual classifiers, with the weights that there are and with those of the bandwidths."""
    present = tuple(moduli(scene.router))
    others = [classifier for classifier in _USUAL if present != (classifier,)]
    yield from (Way(classifier) for classifier in others)
    by_bandwidth = weights_by_bandwidth(scene.uplinks)
    if by_bandwidth is not None and not _same_shares(by_bandwidth, weights, scene.uplinks):
        yield from (Way(classifier, by_bandwidth) for classifier in (None, *others))


def _same_shares(
    one: Sequence[tuple[str, int]], weights: Sequence[tuple[str, int]], known: Sequence[RouterUplink]
) -> bool:
    """Whether weights ask for the shares that there are."""
    asked = {uplink.name: uplink.target for uplink in known} if not weights else dict(weights)
    total, of_all = sum(weight for _, weight in one), sum(asked.values())
    return all(weight * of_all == asked.get(name, 0) * total for name, weight in one)


def _divided(loaded: Loaded, way: Way, weights: Sequence[tuple[str, int]], known: Sequence[RouterUplink]) -> Router:
    """The router of a configuration that divides in another way."""
    changed: Router | Finding
    if loaded.policy is not None:
        balance = loaded.policy.balance
        balance = replace(balance, classifier=way.classifier or balance.classifier)
        policy = reweigh(replace(loaded.policy, balance=balance), {**dict(weights), **dict(way.weights)}, _OPTION)
        changed = policy if isinstance(policy, Finding) else lower(policy)
    else:
        assert loaded.router is not None
        changed = loaded.router
        if way.classifier is not None:
            changed = reclassify(changed, way.classifier, known, _OPTION)
        if way.weights and not isinstance(changed, Finding):
            changed = reapportion(changed, dict(way.weights), known, _OPTION)
    if isinstance(changed, Finding):
        raise InputError([changed])
    return changed
