"""`--accept-unsupported`, of the commands that run a configuration or tell what it would do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_accepting(command: argparse.ArgumentParser) -> None:
    """Add the option."""
    command.add_argument(
        "--accept-unsupported",
        action="store_true",
        help="go on without the rules, routes and scripts of a RouterOS script that can't run here; each is told",
    )
