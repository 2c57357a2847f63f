"""Multi-WAN load balancing by per-connection classifier, for Linux and RouterOS."""

__version__ = "0.1.0"
