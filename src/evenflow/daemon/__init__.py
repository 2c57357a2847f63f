"""The daemon: one loop in one thread that keeps the kernel as the configuration and the uplinks' health want it."""
