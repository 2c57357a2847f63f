"""Probes: is a target reached through an uplink, and how long does it take?

`ProbeRunner` probes all targets of one watch, side by side, in the running asyncio loop.
"""

from evenflow.kernel.probes.runner import ProbeRunner

__all__ = ["ProbeRunner"]
