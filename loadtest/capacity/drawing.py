"""Curves as an SVG file, light or dark as the reader's own screen."""

import html
from collections.abc import Mapping, Sequence
from math import floor, log10
from typing import Final

_WIDTH, _HEIGHT = 640, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 620, 56, 250
_STYLE: Final = """
svg{--ink:#1a202c;--line:#d5dbe3;--a:#0b6bb8;--b:#c2470c}
@media(prefers-color-scheme:dark){svg{--ink:#e6e9ee;--line:#343c48;--a:#5ab0f2;--b:#ff9857}}
text{fill:var(--ink);font:13px system-ui,sans-serif}.h{font-weight:600}
path{fill:none}.g{stroke:var(--line)}.a,.b{stroke-width:2}.a{stroke:var(--a)}.b{stroke:var(--b);stroke-dasharray:6 3}
"""


def lines(title: str, across: str, curves: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Draw two curves at most; both axes begin at zero."""
    points = [point for curve in curves.values() for point in curve]
    right, top = (_above(max(point[place] for point in points)) for place in (0, 1))
    parts = [
        _text(0, 18, title, "h"),
        _text((_LEFT + _RIGHT) / 2, _HEIGHT - 8, across, anchor="middle"),
        *_grid(right, top),
    ]
    for place, (kind, (name, curve)) in enumerate(zip("ab", curves.items(), strict=False)):
        way = "L".join(f"{_x(x, right):.1f},{_y(y, top):.1f}" for x, y in curve)
        parts += [f"<path class='{kind}' d='M{way}'/>", f"<path class='{kind}' d='M{200 * place},36h24'/>"]
        parts.append(_text(200 * place + 30, 40, name))
    box = f"xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {_WIDTH} {_HEIGHT}' role='img'"
    return f"<svg {box} aria-label='{html.escape(title)}'><style>{_STYLE}</style>{''.join(parts)}</svg>\n"


def _grid(right: float, top: float) -> Sequence[str]:
    parts = []
    for part in range(6):
        level, place = _y(top * part / 5, top), _x(right * part / 5, right)
        parts.append(f"<path class='g' d='M{_LEFT},{level:.1f}H{_RIGHT}'/>")
        parts.append(_text(_LEFT - 6, level + 4, f"{top * part / 5:g}", anchor="end"))
        parts.append(_text(place, _BOTTOM + 18, f"{right * part / 5:g}", anchor="middle"))
    return parts


def _text(x: float, y: float, said: str, kind: str = "", anchor: str = "start") -> str:
    return f"<text x='{x:.0f}' y='{y:.1f}' class='{kind}' text-anchor='{anchor}'>{html.escape(said)}</text>"


def _x(value: float, right: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * value / right


def _y(value: float, top: float) -> float:
    return _BOTTOM - (_BOTTOM - _TOP) * value / top


def _above(value: float) -> float:
    """Return a round number that is not below a value."""
    power = 10.0 ** floor(log10(value))
    return next(step * power for step in (1.0, 2.0, 2.5, 5.0, 10.0) if step * power >= value)
