"""A report as one HTML page that needs nothing else: no script, no font, no image, no request to anybody."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from evenflow.formats.page import card, heading, page, pill, tiles
from evenflow.lab.chart import rates_chart, shares_chart
from evenflow.lab.picture import topology_picture
from evenflow.lab.topology import MEGABIT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenflow.lab.results import Figure, Report, Row, StepResult


def render_html(report: Report) -> str:
    """The whole page."""
    sections = [
        card("The lab", "Each box is a network namespace. A line to a provider is as wide as the share that it took.",
              topology_picture(report)),
    ]  # fmt: skip
    if report.shares:
        sections.append(
            card("Connections per uplink", "The upright line is the target, the bracket what chance allows.",
                  shares_chart(report.shares))
        )  # fmt: skip
    if report.samples:
        sections.append(
            card("Rates over time", "Mbit/s towards the clients, counted at each provider on the wire, ten times a "
                  "second. Dashed: what the provider lets through. Shaded: no carrier.", rates_chart(report))
        )  # fmt: skip
    return page(
        f"{report.title} in the evenflow lab",
        f"{_header(report)}{tiles(_figures(report))}{''.join(sections)}{''.join(_step(step) for step in report.steps)}",
        f"Played by evenflow lab in network namespaces of one machine, in {report.duration_s:.0f} s. "
        "Nothing of it is left.",
    )


def _header(report: Report) -> str:
    failed = sum(not step.held for step in report.steps)
    verdict = f"{failed} of {len(report.steps)} steps failed" if failed else f"all {len(report.steps)} steps held"
    if not report.steps:
        verdict = "no step was played"
    return heading("evenflow lab", report.title, pill(verdict, held=report.held))


def _figures(report: Report) -> Iterator[tuple[str, str]]:
    """The few numbers that most people look for."""
    figures: dict[str, Figure] = {
        f"{step.key}.{name}": figure for step in report.steps for name, figure in step.figures.items()
    }
    if report.shares:
        names = " to ".join(share.uplink for share in report.shares)
        yield " : ".join(f"{share.share * 100:.1f}" for share in report.shares), f"percent, {names}"
    if (rate := figures.get("d.total_bps")) is not None:
        yield f"{float(rate) / MEGABIT:.1f} Mbit/s", "over all uplinks at once"
    if (strays := figures.get("c.strays")) is not None:
        yield f"{strays}", f"of {figures.get('c.connections')} connections strayed"
    if "f.moved_after_ms" in figures:
        yield _milliseconds(figures["f.moved_after_ms"]), "from the cut to the first answer"
    if "g.back_after_ms" in figures:
        yield _milliseconds(figures["g.back_after_ms"]), "from the restore to the first answer"


def _milliseconds(figure: Figure) -> str:
    return "never" if figure is None else f"{float(figure):.0f} ms"


def _step(step: StepResult) -> str:
    word = "held" if step.held else "failed"
    return (
        f'<section class="card" id="step-{escape(step.key)}"><div class="step">'
        f'<span class="key">{escape(step.key)}</span>'
        f"<h2>{escape(step.name)}</h2>{pill(word, held=step.held)}"
        f'<span class="time">{step.took_s:.1f} s</span></div><p>{escape(step.explanation)}</p>{_table(step)}</section>'
    )


def _table(step: StepResult) -> str:
    if not step.rows:
        return ""
    head = "".join(f"<th>{escape(column)}</th>" for column in step.columns)
    rows = "".join(_table_row(row) for row in step.rows)
    return f'<div class="scroll"><table><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _table_row(row: Row) -> str:
    mark = '<td class="mark yes">✓</td>' if row.held else '<td class="mark no">✗ not held</td>'
    cells = "".join(f"<td>{escape(cell)}</td>" for cell in row.cells)
    opening = "<tr>" if row.held else '<tr class="no">'
    return f"{opening}{mark}{cells}</tr>"
