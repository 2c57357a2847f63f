"""How a scenario tells how far it is: a live line in a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Protocol, Self

from rich.markup import escape

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

    from evenflow.lab.results import StepResult


class Progress(Protocol):
    """What a scenario calls while it plays."""

    def step_started(self, key: str, name: str) -> None:
        """A step begins."""

    def note(self, text: str) -> None:
        """What the step is doing now."""

    def step_ended(self, result: StepResult) -> None:
        """The step is over."""


class SilentProgress:
    """Tells nobody."""

    def step_started(self, key: str, name: str) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def step_ended(self, result: StepResult) -> None:
        """Nothing."""


class ConsoleProgress:
    """Tells a console. Use it as a context manager; a live line goes away at its end, in whatever way that comes.

    On a terminal one line lives and moves; elsewhere there is a line for each step that ended.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._stack = contextlib.ExitStack()
        self._status: Status | None = None
        self._title = ""

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status = self._stack.enter_context(self._console.status("setting up"))
        return self

    def __exit__(self, *_: object) -> None:
        self._status = None
        self._stack.close()

    def step_started(self, key: str, name: str) -> None:
        """Show the step."""
        self._title = f"[bold]({escape(key)})[/bold] {escape(name)}"
        if self._status is not None:
            self._status.update(self._title)

    def note(self, text: str) -> None:
        """Show it behind the step's name."""
        if self._status is not None:
            self._status.update(f"{self._title}[dim]: {escape(text)}[/dim]")

    def step_ended(self, result: StepResult) -> None:
        """Leave a line that stays."""
        word = "[green]held[/green]  " if result.held else "[bold red]FAILED[/bold red]"
        line = f"{word} [bold]({escape(result.key)})[/bold] {escape(result.name)} [dim]{result.took_s:.1f} s[/dim]"
        self._console.print(line, highlight=False)
