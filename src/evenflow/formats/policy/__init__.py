"""A policy as TOML: `parse` and `render`.

::

    lan = ["br0"]                          # interfaces whose new connections are balanced

    [uplink.fibre]
    interface = "eth1"
    gateway = "auto"                       # or an address, or a list: one per family, "auto" among them
    bandwidth = "300M"                     # bits per second: a number and k, M or G
    masquerade = true
    tier = 1                               # the lowest tier with a usable uplink takes all new connections

    [uplink.fibre.health]                  # as [health], for this uplink alone

    [balance]
    classifier = "both-addresses"          # one of the nine of PCC
    weights = { fibre = 3, lte = 1 }       # left out: in proportion to the bandwidths
    buckets = 1000                         # left out: evenflow chooses
    last_resort = "unreachable"            # or "main": what happens when no uplink is left
    on_down = "flush"                      # or "keep": the connections of an uplink that is lost
    failback = "at-once"                   # or "gradual", "idle", "never": how one that is back gets its share
    failback_over = "60s"                  # how long a gradual return takes
    flowtable = "off"                      # or "software", "hardware": known connections pass by the rules

    [health]                               # when an uplink counts as lost, and as back
    profile = "default"                    # or "fast": where the others start from
    targets = ["1.1.1.1", "gateway"]       # whom to ask (see `targets`); an empty list: only the link is watched
    quorum = 1                             # how many of them must answer
    interval = "200ms"
    timeout = "300ms"
    fall = 3
    rise = 5
    loss = "40%"                           # or "off"
    latency = "off"                        # or "500ms"
    window = "10s"
    hold = "10s"
    hold_most = "5m"

    [hooks]
    program = "/usr/local/bin/on-event"
    webhook = "https://192.0.2.1/events"

Only `lan` and each uplink's `interface` must be given.
"""

from __future__ import annotations

from evenflow.formats.policy.reading import Parsed, parse
from evenflow.formats.policy.writing import render

__all__ = ["Parsed", "parse", "render"]
