"""Drawings as text: bars, lines, and costs within costs. All are 400 wide, so that a phone shows them readable.

Colours are classes (`c0`, `c1` …) that the page's style gives meaning, light and dark; each also has its own mark.
"""

import html
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from msgspec import Struct

WIDTH: Final = 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 388, 44, 236
"""Where the lines of a plot are."""
_ROW: Final = 17
_MARKS: Final = (
    "M-3.5,0a3.5,3.5 0 1,0 7,0a3.5,3.5 0 1,0 -7,0z",
    "M-3.5,-3.5h7v7h-7z",
    "M0,-4.5l4.5,8h-9z",
    "M0,-5l5,5l-5,5l-5,-5z",
    "M-4.5,-3.5h9l-4.5,8z",
    "M-4,-1.5h8v3h-8z",
)


class Bar(Struct, frozen=True):
    """A value and the range in which it was."""

    name: str
    value: float
    low: float
    high: float
    colour: int


class Line(Struct, frozen=True):
    name: str
    points: Sequence[tuple[float, float]]
    colour: int


class Axis(Struct, frozen=True):
    """What is along an edge of a plot."""

    label: str
    low: float
    high: float
    log: bool = False

    def at(self, value: float, begin: float, end: float) -> float:
        """Return where a value is between two ends."""
        low, high, value = map(math.log, (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        return begin + (end - begin) * (value - low) / (high - low)

    def ticks(self) -> Sequence[float]:
        """Return round numbers along the axis, eight at most."""
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            steps = (1, 2, 5) if len(powers) < 4 else (1,)
            found = [step * 10.0**power for power in powers for step in steps]
        else:
            step = _step(self.high - self.low)
            found = [self.low + step * number for number in range(round((self.high - self.low) / step) + 1)]
        return [tick for tick in found if self.low * 0.999 <= tick <= self.high * 1.001]


def over(label: str, values: Sequence[float]) -> Axis:
    """Return a linear axis from zero to a round number above all values."""
    most = max(values, default=0.0) or 1.0
    step = _step(most)
    return Axis(label, 0.0, step * math.ceil(most / step - 1e-9))


def decades(label: str, values: Sequence[float]) -> Axis:
    """Return a logarithmic axis over positive values."""
    low, high = min(values), max(values)
    return Axis(label, low / 1.25, high * 1.25, log=True)


def _step(span: float) -> float:
    rough = span / 5
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)


def number(value: float) -> str:
    """Return a value as short as can be read."""
    if value >= 10 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.2g}"


def drawing(title: str, height: float, parts: Sequence[str]) -> str:
    """Return a picture with its title, written and for those who listen."""
    said = html.escape(title)
    head = f"<title>{said}</title>{text(0, 15, title, 'h')}"
    return f"<svg viewBox='0 0 {WIDTH} {height:.0f}' role=img aria-label='{said}'>{head}{''.join(parts)}</svg>"


def text(x: float, y: float, said: str, kind: str = "", anchor: str = "start") -> str:
    place = "" if anchor == "start" else f" text-anchor={anchor}"
    mark = f" class={kind}" if kind else ""
    return f"<text x={x:.1f} y={y:.1f}{mark}{place}>{html.escape(said)}</text>"


def bars(title: str, unit: str, rows: Sequence[Bar], most: float = 0.0) -> str:
    """Draw a bar for each value, and a line over the range in which it was; `most` makes drawings comparable."""
    most = max([most, *(max(row.value, row.high) for row in rows)]) or 1.0
    room, parts = WIDTH - 78, [text(0, 32, unit, "l")]
    for place, row in enumerate(rows):
        y, width, low, high = 42 + 32 * place, *(room * value / most for value in (row.value, row.low, row.high))
        parts.append(text(0, y + 9, row.name))
        parts.append(f"<rect class=c{row.colour} x=0 y={y + 14} width={width:.1f} height=11 rx=2 />")
        if row.high > row.low:
            parts.append(
                f"<path class=w d='M{low:.1f},{y + 19.5}H{high:.1f}M{low:.1f},{y + 16}v7M{high:.1f},{y + 16}v7'/>"
            )
        parts.append(text(max(width, high) + 6, y + 24, number(row.value), "v"))
    return drawing(title, 46 + 32 * len(rows), parts)


def lines(title: str, x: Axis, y: Axis, rows: Sequence[Line], goal: float | None = None) -> str:
    """Draw lines through points, and a dashed one where a goal is."""
    parts = [text(0, 33, y.label, "l"), *_grid(x, y)]
    if goal is not None:
        level = y.at(goal, _BOTTOM, _TOP)
        parts.append(f"<path class=g d='M{_LEFT},{level:.1f}H{_RIGHT}'/>")
    for place, row in enumerate(rows):
        spots = [(x.at(across, _LEFT, _RIGHT), y.at(up, _BOTTOM, _TOP)) for across, up in row.points]
        way = "L".join(f"{across:.1f},{up:.1f}" for across, up in spots)
        parts.append(f"<g class=c{row.colour}><path class=p d='M{way}'/>{_marks(spots, row.colour)}")
        height = _BOTTOM + 52 + _ROW * place
        parts.append(f"<path class=p d='M0,{height}h24'/>{_marks([(12, height)], row.colour)}</g>")
        parts.append(text(32, height + 4, row.name))
    return drawing(title, _BOTTOM + 46 + _ROW * len(rows), parts)


def _marks(spots: Sequence[tuple[float, float]], colour: int) -> str:
    if len(spots) > 20:  # a curve
        return ""
    shape = _MARKS[colour % len(_MARKS)]
    return "".join(f"<path d='{shape}' transform='translate({across:.1f} {up:.1f})'/>" for across, up in spots)


def _grid(x: Axis, y: Axis) -> Sequence[str]:
    parts = []
    for tick in y.ticks():
        level = y.at(tick, _BOTTOM, _TOP)
        parts.append(f"<path class=a d='M{_LEFT},{level:.1f}H{_RIGHT}'/>")
        parts.append(text(_LEFT - 6, level + 4, number(tick), anchor="end"))
    for tick in x.ticks():
        place = x.at(tick, _LEFT, _RIGHT)
        parts.append(f"<path class=a d='M{place:.1f},{_BOTTOM}v4'/>")
        parts.append(text(place, _BOTTOM + 16, number(tick), anchor="middle"))
    return [*parts, text((_LEFT + _RIGHT) / 2, _BOTTOM + 32, x.label, "l", "middle")]


def nested(title: str, unit: str, costs: Mapping[str, Sequence[tuple[str, float]]], whole: tuple[str, float]) -> str:
    """Draw what a whole is made of, each part beside what it is made of itself, as high as it costs; `costs` by name.

    Innermost parts have their names at the right, moved apart where they are small.
    """
    scale, top, parts = 440 / whole[1], 42.0, [text(0, 32, unit, "l")]
    leaves: list[tuple[float, str]] = []

    def draw(name: str, value: float, y: float, depth: int, look: str) -> None:
        inner = costs.get(name, ())
        x, width, height = 34 * depth, 34 if inner else 104 - 34 * depth, value * scale
        said, middle = f"{name}: {value:.1f}", y + height / 2
        place = f"x={x} y={y:.1f} width={width} height={max(height, 0.8):.1f}"
        parts.append(f"<rect class='{look} n' {place}><title>{html.escape(said)}</title></rect>")
        if not inner:
            leaves.append((middle, said))
        elif height > 6.5 * len(said):  # there is room
            turned = f"transform='translate({x + 21} {middle:.1f}) rotate(-90)'"
            parts.append(f"<text class=i {turned}>{html.escape(said)}</text>")
        for turn, (child, part) in enumerate(inner):
            draw(child, part, y, depth + 1, f"{look} {'fe'[turn % 2]}" if depth else f"c{(1, 0, 4, 5)[turn % 4]}")
            y += part * scale

    draw(*whole, top, 0, "c2")
    labels = _apart([middle for middle, _ in leaves])
    for (middle, said), at in zip(leaves, labels, strict=True):
        parts.append(f"<path class=a d='M106,{middle:.1f}L120,{at:.1f}'/>{text(124, at + 4, said)}")
    return drawing(title, max(top + 450, (labels[-1] if labels else 0) + 14), parts)


def _apart(places: Sequence[float], gap: float = 15.0) -> Sequence[float]:
    """Move labels apart, as little as it takes: down where they would meet, and then up from the lowest end."""
    moved = list(places)
    for index in range(1, len(moved)):
        moved[index] = max(moved[index], moved[index - 1] + gap)
    excess = max(0.0, moved[-1] - max(places[-1], 42 + gap * len(places))) if moved else 0.0
    if excess:
        moved[-1] -= excess
        for later, index in pairwise(range(len(moved) - 1, -1, -1)):
            moved[index] = min(moved[index], moved[later] - gap)
    return moved
