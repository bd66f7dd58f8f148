"""Draw line charts of rates as SVG, for the documentation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 560, 300, 64, 46, 34, 16
COLOURS = ("#2563eb", "#d97706", "#059669")
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Chart:
    """A chart of rates, with a logarithmic horizontal and a linear vertical axis."""

    title: str
    x_label: str
    y_label: str
    series: dict[str, Points]

    def svg(self) -> str:
        xs = sorted({x for points in self.series.values() for x, _ in points})
        top = _round_up(max(y for points in self.series.values() for _, y in points))
        low, high = math.log10(xs[0]), math.log10(xs[-1])

        def place(x: float, y: float) -> tuple[float, float]:
            share = (math.log10(x) - low) / ((high - low) or 1)
            return LEFT + share * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - y / top * (HEIGHT - BOTTOM - TOP)

        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            'font-family="sans-serif" font-size="12" fill="#6b7280">',
            f"<title>{escape(self.title)}</title>",
            f'<text x="{LEFT}" y="18" font-size="14" font-weight="bold">{escape(self.title)}</text>',
        ]
        for step in range(5):
            _, y = place(xs[0], top * step / 4)
            parts += [
                f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#9ca3af" stroke-opacity=".35"/>',
                f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{top * step / 4:,.0f}</text>',
            ]
        for x in xs:
            across, _ = place(x, 0)
            parts.append(
                f'<text x="{across:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{_short(x)}</text>'
            )
        middle = (LEFT + WIDTH - RIGHT) / 2
        parts += [
            f'<text x="{middle:.0f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(self.x_label)}</text>',
            f'<text x="{WIDTH - RIGHT}" y="18" text-anchor="end">{escape(self.y_label)}</text>',
        ]
        for number, (name, points) in enumerate(self.series.items()):
            parts += self._line(name, [place(x, y) for x, y in points], COLOURS[number], number)
        return "\n".join([*parts, "</svg>", ""])

    def _line(self, name: str, places: Points, colour: str, number: int) -> list[str]:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in places]
        label = (
            [f'<text x="{LEFT + 8 + 130 * number}" y="{TOP + 10}" fill="{colour}">{escape(name)}</text>']
            if len(self.series) > 1
            else []
        )
        return [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>', *dots, *label]


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 8 times a power of ten."""
    power = 10 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 8, 10) if step * power >= value)


def _short(value: float) -> str:
    for unit, name in ((1_000_000, "M"), (1000, "k")):
        if value >= unit:
            return f"{value / unit:g}{name}"
    return f"{value:g}"
