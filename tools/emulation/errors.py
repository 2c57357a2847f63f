"""What can go wrong."""

from __future__ import annotations


class EmulatorError(Exception):
    """The emulator could not do its part; the message says what is missing and what to do."""
