"""A report in the terminal: a table of the steps, and under each what it saw."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console

    from evenflow.lab.results import Report, StepResult


def print_report(report: Report, console: Console) -> None:
    """Print a report: every step with its table, and a verdict."""
    for step in report.steps:
        console.print()
        console.print(_heading(step))
        console.print(Padding(Text(step.explanation, style="dim"), (0, 0, 0, 4)))
        if step.rows:
            console.print(Padding(_table(step), (0, 0, 0, 4)))
    console.print()
    console.print(_verdict(report))


def _heading(step: StepResult) -> Text:
    word, style = ("held", "green") if step.held else ("FAILED", "bold red")
    return Text.assemble((f"({step.key}) {step.name}", "bold"), "  ", (word, style), (f"  {step.took_s:.1f} s", "dim"))


def _table(step: StepResult) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim")
    for n, column in enumerate(step.columns):
        table.add_column(escape(column), justify="left" if n == 0 or not _is_numeric(step, n) else "right")
    if not step.held:
        table.add_column("")
    for row in step.rows:
        cells = [Text(cell) for cell in row.cells]
        if not step.held:
            cells.append(Text("" if row.held else "not held", style="bold red"))
        table.add_row(*cells, style="" if row.held else "red")
    return table


def _is_numeric(step: StepResult, column: int) -> bool:
    """Whether a column reads best flush right: every cell in it is empty or starts with a digit."""
    return all(not row.cells[column] or row.cells[column][0].isdigit() for row in step.rows)


def _verdict(report: Report) -> Text:
    failed = [step for step in report.steps if not step.held]
    if report.held:
        return Text(f"{report.title}: all {len(report.steps)} steps held, in {report.duration_s:.0f} s", "bold green")
    if not failed:
        return Text(f"{report.title}: no step was played", "bold red")
    names = ", ".join(f"({step.key}) {step.name}" for step in failed)
    return Text(f"{report.title}: {len(failed)} of {len(report.steps)} steps failed: {names}", "bold red")
