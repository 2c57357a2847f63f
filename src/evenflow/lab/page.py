"""A report as one HTML page that needs nothing else: no script, no font, no image, no request to anybody."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from evenflow.lab.chart import rates_chart, shares_chart
from evenflow.lab.picture import topology_picture
from evenflow.lab.topology import MEGABIT

if TYPE_CHECKING:
    from evenflow.lab.results import Figure, Report, Row, StepResult

_STYLE: Final = """
:root { color-scheme: light dark;
  --ground: #f6f7f9; --card: #ffffff; --ink: #16202b; --soft: #5a6776; --rule: #dfe4ea; --track: #e9edf2;
  --c0: #1f6fd0; --c1: #d9730d; --c2: #0f8a72; --c3: #8a4fc4;
  --good: #14733b; --good-ground: #e2f4e8; --bad: #b3261e; --bad-ground: #fce8e6; --cut: rgba(179, 38, 30, .09); }
@media (prefers-color-scheme: dark) { :root {
  --ground: #0f1419; --card: #171e26; --ink: #e8edf3; --soft: #9aa8b8; --rule: #2a343f; --track: #242e39;
  --c0: #5ea3f5; --c1: #f29b4b; --c2: #41bfa5; --c3: #b98be8;
  --good: #6fd596; --good-ground: #17321f; --bad: #ff8f86; --bad-ground: #3d1a18; --cut: rgba(255, 143, 134, .13); } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 40px 24px 64px; }
header { display: flex; flex-wrap: wrap; gap: 12px 24px; align-items: center; margin-bottom: 24px; }
header p { margin: 0; color: var(--soft); }
h1 { margin: 0; font-size: 30px; line-height: 1.2; letter-spacing: -.015em; }
h2 { margin: 0; font-size: 18px; line-height: 1.3; letter-spacing: -.005em; }
.verdict { margin-left: auto; }
.pill { display: inline-block; padding: 3px 12px; border-radius: 999px; font-weight: 600; font-size: 14px;
  white-space: nowrap; }
.verdict .pill { font-size: 17px; padding: 7px 18px; }
.good { color: var(--good); background: var(--good-ground); }
.bad { color: var(--bad); background: var(--bad-ground); }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: 14px; padding: 20px 24px 22px;
  margin-bottom: 18px; }
.card > p { margin: 6px 0 14px; color: var(--soft); max-width: 78ch; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(185px, 1fr)); gap: 14px; margin-bottom: 18px; }
.tile { background: var(--card); border: 1px solid var(--rule); border-radius: 14px; padding: 14px 18px; }
.tile b { display: block; font-size: 26px; line-height: 1.25; letter-spacing: -.02em;
  font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: 14px; }
.step { display: flex; gap: 12px; align-items: center; }
.step .key { flex: none; width: 28px; height: 28px; border-radius: 8px; background: var(--track); font-weight: 600;
  text-align: center; line-height: 28px; }
.step .time { color: var(--soft); font-size: 14px; margin-left: auto; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 15px; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 500; color: var(--soft); font-size: 13px; }
th, td { padding: 7px 16px 7px 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
tr:last-child td { border-bottom: 0; }
td.mark { width: 1%; padding-right: 10px; white-space: nowrap; font-weight: 600; }
td.mark.yes { color: var(--good); } td.mark.no { color: var(--bad); }
tr.no td { color: var(--bad); }
svg { display: block; width: 100%; height: auto; min-width: 760px; font-family: inherit; }
svg text { fill: var(--ink); font-size: 13px; } svg .label { fill: var(--soft); }
svg .strong { fill: var(--ink); font-weight: 600; }
svg .mono { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: 12.5px; white-space: pre; }
svg .node { fill: var(--card); stroke: var(--soft); stroke-width: 1.4; }
svg .node-title { font-size: 15px; font-weight: 600; }
svg .line-lan { stroke: var(--rule); }
svg .rate { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
svg .limit { stroke-width: 1; stroke-dasharray: 3 5; opacity: .75; }
svg .grid { stroke: var(--rule); stroke-width: 1; }
svg .moment { stroke: var(--soft); stroke-width: 1; } svg .cut { fill: var(--cut); }
svg .track { fill: var(--track); } svg .range { fill: none; stroke: var(--soft); stroke-width: 1.6; }
svg .target { stroke: var(--ink); stroke-width: 2; }
svg .line-0 { stroke: var(--c0); } svg .line-1 { stroke: var(--c1); }
svg .line-2 { stroke: var(--c2); } svg .line-3 { stroke: var(--c3); }
svg .bar-0 { fill: var(--c0); } svg .bar-1 { fill: var(--c1); } svg .bar-2 { fill: var(--c2); }
svg .bar-3 { fill: var(--c3); }
svg .area-0 { fill: var(--c0); opacity: .1; } svg .area-1 { fill: var(--c1); opacity: .1; }
svg .area-2 { fill: var(--c2); opacity: .1; } svg .area-3 { fill: var(--c3); opacity: .1; }
svg .name-0, svg .name-1, svg .name-2, svg .name-3 { font-weight: 600; }
svg .name-0 { fill: var(--c0); } svg .name-1 { fill: var(--c1); } svg .name-2 { fill: var(--c2); }
svg .name-3 { fill: var(--c3); }
footer { color: var(--soft); font-size: 14px; margin-top: 28px; }
@media print { body { background: none; } .card, .tile { break-inside: avoid; } }
"""


def render_html(report: Report) -> str:
    """The whole page."""
    sections = [
        _card("The lab", "Each box is a network namespace. A line to a provider is as wide as the share that it took.",
              topology_picture(report)),
    ]  # fmt: skip
    if report.shares:
        sections.append(
            _card("Connections per uplink", "The upright line is the target, the bracket what chance allows.",
                  shares_chart(report.shares))
        )  # fmt: skip
    if report.samples:
        sections.append(
            _card("Rates over time", "Mbit/s towards the clients, counted at each provider on the wire, ten times a "
                  "second. Dashed: what the provider lets through. Shaded: no carrier.", rates_chart(report))
        )  # fmt: skip
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(report.title)} in the evenflow lab</title><style>{_STYLE}</style></head>\n"
        f"<body><main>{_header(report)}{_tiles(report)}{''.join(sections)}"
        f"{''.join(_step(step) for step in report.steps)}"
        f"<footer>Played by evenflow lab in network namespaces of one machine, in {report.duration_s:.0f} s. "
        f"Nothing of it is left.</footer></main></body></html>\n"
    )


def _header(report: Report) -> str:
    failed = sum(not step.held for step in report.steps)
    verdict = f"{failed} of {len(report.steps)} steps failed" if failed else f"all {len(report.steps)} steps held"
    if not report.steps:
        verdict = "no step was played"
    return (
        f"<header><div><p>evenflow lab</p><h1>{escape(report.title)}</h1></div>"
        f'<div class="verdict">{_pill(verdict, held=report.held)}</div></header>'
    )


def _pill(text: str, *, held: bool) -> str:
    return f'<span class="pill {"good" if held else "bad"}">{"✓" if held else "✗"} {escape(text)}</span>'


def _card(title: str, text: str, inner: str) -> str:
    head = f"<h2>{escape(title)}</h2><p>{escape(text)}</p>"
    return f'<section class="card">{head}<div class="scroll">{inner}</div></section>'


def _tiles(report: Report) -> str:
    """The few numbers that most people look for."""
    figures: dict[str, Figure] = {
        f"{step.key}.{name}": figure for step in report.steps for name, figure in step.figures.items()
    }
    tiles: list[str] = []
    if report.shares:
        names = " to ".join(share.uplink for share in report.shares)
        tiles.append(_tile(" : ".join(f"{share.share * 100:.1f}" for share in report.shares), f"percent, {names}"))
    if (rate := figures.get("d.total_bps")) is not None:
        tiles.append(_tile(f"{float(rate) / MEGABIT:.1f} Mbit/s", "over all uplinks at once"))
    if (strays := figures.get("c.strays")) is not None:
        tiles.append(_tile(f"{strays}", f"of {figures.get('c.connections')} connections strayed"))
    if "f.moved_after_ms" in figures:
        tiles.append(_tile(_milliseconds(figures["f.moved_after_ms"]), "from the cut to the first answer"))
    if "g.back_after_ms" in figures:
        tiles.append(_tile(_milliseconds(figures["g.back_after_ms"]), "from the restore to the first answer"))
    return f'<div class="tiles">{"".join(tiles)}</div>' if tiles else ""


def _milliseconds(figure: Figure) -> str:
    return "never" if figure is None else f"{float(figure):.0f} ms"


def _tile(number: str, text: str) -> str:
    return f'<div class="tile"><b>{escape(number)}</b><span>{escape(text)}</span></div>'


def _step(step: StepResult) -> str:
    word = "held" if step.held else "failed"
    return (
        f'<section class="card" id="step-{escape(step.key)}"><div class="step">'
        f'<span class="key">{escape(step.key)}</span>'
        f"<h2>{escape(step.name)}</h2>{_pill(word, held=step.held)}"
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
