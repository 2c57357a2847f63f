"""A policy as TOML: `parse` and `render`.

::

    lan = ["br0"]                          # interfaces whose new connections are balanced

    [uplink.fibre]
    interface = "eth1"
    gateway = "auto"                       # or an address, or a list: one per family, "auto" among them
    bandwidth = "300M"                     # bits per second: a number and k, M or G
    masquerade = true

    [balance]
    classifier = "both-addresses"          # one of the nine of PCC
    weights = { fibre = 3, lte = 1 }       # left out: in proportion to the bandwidths
    buckets = 1000                         # left out: evenflow chooses
    last_resort = "unreachable"            # or "main": what happens when no uplink is left

Only `lan` and each uplink's `interface` must be given.
"""

from __future__ import annotations

from evenflow.formats.policy.reading import Parsed, parse
from evenflow.formats.policy.writing import render

__all__ = ["Parsed", "parse", "render"]
