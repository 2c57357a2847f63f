"""Pages and pictures that need nothing else: no script, no font, no image, no request to anybody."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from evenflow.formats.shapes import to_svg

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evenflow.formats.shapes import Picture

#: Colours by day and by night; `c0` and on are those of the uplinks.
LIGHT: Final = {
    "ground": "#f6f7f9", "card": "#ffffff", "ink": "#16202b", "soft": "#5a6776", "rule": "#dfe4ea", "track": "#e9edf2",
    "c0": "#1f6fd0", "c1": "#d9730d", "c2": "#0f8a72", "c3": "#8a4fc4",
    "c4": "#b8324f", "c5": "#6b7a1e", "c6": "#0b83a5", "c7": "#8c6239",
    "good": "#14733b", "good-ground": "#e2f4e8", "bad": "#b3261e", "bad-ground": "#fce8e6",
    "cut": "rgba(179, 38, 30, .09)",
}  # fmt: skip
DARK: Final = {
    "ground": "#0f1419", "card": "#171e26", "ink": "#e8edf3", "soft": "#9aa8b8", "rule": "#2a343f", "track": "#242e39",
    "c0": "#5ea3f5", "c1": "#f29b4b", "c2": "#41bfa5", "c3": "#b98be8",
    "c4": "#f0718a", "c5": "#b5c754", "c6": "#56c3e0", "c7": "#c99b6d",
    "good": "#6fd596", "good-ground": "#17321f", "bad": "#ff8f86", "bad-ground": "#3d1a18",
    "cut": "rgba(255, 143, 134, .13)",
}  # fmt: skip

#: How many uplinks have a colour of their own.
COLOURS: Final = 8

_PAGE: Final = """
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
footer { color: var(--soft); font-size: 14px; margin-top: 28px; }
@media print { body { background: none; } .card, .tile { break-inside: avoid; } }"""

_SHAPES: Final = """
svg text { fill: var(--ink); font-size: 13px; } svg .label { fill: var(--soft); }
svg .strong { fill: var(--ink); font-weight: 600; }
svg .mono { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: 12.5px; white-space: pre; }
svg .node { fill: var(--card); stroke: var(--soft); stroke-width: 1.4; }
svg .node-title { font-size: 15px; font-weight: 600; } svg .title { font-size: 20px; font-weight: 600; }
svg .line-lan { stroke: var(--rule); }
svg .rate { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
svg .limit { stroke-width: 1; stroke-dasharray: 3 5; opacity: .75; }
svg .grid { stroke: var(--rule); stroke-width: 1; }
svg .moment { stroke: var(--soft); stroke-width: 1; } svg .cut { fill: var(--cut); }
svg .track { fill: var(--track); } svg .range { fill: none; stroke: var(--soft); stroke-width: 1.6; }
svg .target { stroke: var(--ink); stroke-width: 2; }
svg .target, svg .range, svg .rate, svg .limit { fill: none; }"""


def _colours() -> str:
    """The colours of both kinds of light."""
    light, dark = (" ".join(f"--{name}: {value};" for name, value in one.items()) for one in (LIGHT, DARK))
    return (
        f":root {{ color-scheme: light dark; {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}"
    )


def _of_uplinks() -> str:
    """The styles of lines, bars, areas and names of each uplink."""
    return "\n".join(
        f"svg .line-{n} {{ stroke: var(--c{n}); }} svg .bar-{n} {{ fill: var(--c{n}); }} "
        f"svg .area-{n} {{ fill: var(--c{n}); opacity: .15; }} svg .name-{n} {{ fill: var(--c{n}); font-weight: 600; }}"
        for n in range(COLOURS)
    )


def page(title: str, content: str, footer: str) -> str:
    """A whole page."""
    style = "\n".join((_colours(), _PAGE, _SHAPES, _of_uplinks()))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head>\n"
        f"<body><main>{content}<footer>{escape(footer)}</footer></main></body></html>\n"
    )


def heading(above: str, title: str, verdict: str = "") -> str:
    """The head of a page; `verdict` is HTML, a pill for example."""
    right = f'<div class="verdict">{verdict}</div>' if verdict else ""
    return f"<header><div><p>{escape(above)}</p><h1>{escape(title)}</h1></div>{right}</header>"


def pill(text: str, *, held: bool) -> str:
    """Good news or bad, on a coloured ground."""
    return f'<span class="pill {"good" if held else "bad"}">{"✓" if held else "✗"} {escape(text)}</span>'


def card(title: str, text: str, inner: str) -> str:
    """A part of a page; `inner` is HTML."""
    head = f"<h2>{escape(title)}</h2><p>{escape(text)}</p>"
    return f'<section class="card">{head}<div class="scroll">{inner}</div></section>'


def tiles(figures: Iterable[tuple[str, str]]) -> str:
    """A row of large numbers, each with a word on it; "" without any."""
    inner = "".join(
        f'<div class="tile"><b>{escape(number)}</b><span>{escape(text)}</span></div>' for number, text in figures
    )
    return f'<div class="tiles">{inner}</div>' if inner else ""


def svg_file(picture: Picture) -> str:
    """A picture as a file of its own, with a light ground and plain colours: not every viewer knows variables."""
    style = f"svg text {{ font-family: system-ui, Roboto, Arial, sans-serif; }}{_SHAPES}\n{_of_uplinks()}"
    for name, value in LIGHT.items():
        style = style.replace(f"var(--{name})", value)
    ground = f'<style>{style}</style><rect width="100%" height="100%" fill="{LIGHT["card"]}"/>'
    opening, inner = to_svg(picture).split(">", 1)
    size = f'xmlns="http://www.w3.org/2000/svg" width="{picture.width:g}" height="{picture.height:g}"'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{opening.replace("<svg", f"<svg {size}", 1)}>{ground}{inner}\n'
