#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Draw what `penstockctl profile --csv ID` prints as an SVG: limit, headroom, usage and need over time, each raise with
its cause, and the stalled part of the time below. Needs nothing but Python.

    penstockctl profile --csv 17 | docs/plot.py "16 threads" >plot.svg
"""

import csv
import html
import sys

WIDTH, LEFT, RIGHT = 760, 56, 14
TOP, MEMORY_HEIGHT, GAP, STALL_HEIGHT, BOTTOM = 64, 250, 26, 70, 40
HEIGHT = TOP + MEMORY_HEIGHT + GAP + STALL_HEIGHT + BOTTOM
MIB = 1 << 20
INFINITY = float("inf")

# name in the CSV, words in the legend, colour, dashes, drawn as steps
LINES = (
    ("limit_bytes", "memory.max", "#b03030", "", True),
    ("high_bytes", "memory.high", "#d88a2d", "5 3", True),
    ("current_bytes", "memory.current", "#8899aa", "", False),
    ("need_bytes", "need", "#1f5fa8", "", False),
)
MARKS = {"raise": "#2c8a3d", "freeze": "#5b3fa0", "thaw": "#5b3fa0", "denied": "#b03030", "terminate": "#000000", "kill": "#000000"}


def number(cell):
    return INFINITY if cell == "infinity" else float(cell or 0)


def read_rows(source):
    rows = []
    for row in csv.DictReader(source):
        rows.append({k: v if k in ("event", "cause") else number(v) for k, v in row.items()})
    if len(rows) < 2:
        sys.exit("this profile has no two rows")
    return rows


def nice_step(most, count):
    """A step of 1, 2 or 5 times a power of ten, so that COUNT of them or fewer reach MOST."""
    step = 1e-6
    while True:
        for factor in (1, 2, 5):
            if most / (step * factor) <= count:
                return step * factor
        step *= 10


class Plot:
    def __init__(self, rows, title):
        self.rows, self.title = rows, title
        self.end = max(row["time_usec"] for row in rows) / 1e6 or 1e-6
        values = [row[name] for row in rows for name, *_ in LINES if row[name] != INFINITY]
        self.most = 1.06 * max(values) / MIB
        self.out = []

    def x(self, seconds):
        return LEFT + (WIDTH - LEFT - RIGHT) * seconds / self.end

    def y(self, mib):
        return TOP + MEMORY_HEIGHT * (1 - min(mib, self.most) / self.most)

    def add(self, text):
        self.out.append(text)

    def text(self, x, y, words, anchor="start", more=""):
        self.add(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{html.escape(words)}</text>')

    def line(self, x1, y1, x2, y2, colour, more=""):
        self.add(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" {more}/>')

    def axes(self):
        stall_top = TOP + MEMORY_HEIGHT + GAP
        step = nice_step(self.most, 6)
        for i in range(int(self.most / step) + 1):
            y = self.y(i * step)
            self.line(LEFT, y, WIDTH - RIGHT, y, "#e4e4e4")
            self.text(LEFT - 6, y + 4, f"{i * step:g}M", "end")
        for part in (0, 50, 100):
            y = stall_top + STALL_HEIGHT * (1 - part / 100)
            self.line(LEFT, y, WIDTH - RIGHT, y, "#e4e4e4")
            self.text(LEFT - 6, y + 4, f"{part}%", "end")
        step = nice_step(self.end, 8)
        for i in range(int(self.end / step) + 1):
            x = self.x(i * step)
            self.line(x, TOP, x, stall_top + STALL_HEIGHT, "#efefef")
            self.text(x, HEIGHT - BOTTOM + 16, f"{i * step:g}", "middle")
        self.text((LEFT + WIDTH) / 2, HEIGHT - 6, "seconds since it began to execute", "middle")
        self.text(LEFT, stall_top - 6, "stalled part of the time (some)", "start", 'fill="#7a3f8f"')

    def legend(self):
        self.text(LEFT, 20, self.title, "start", 'font-size="15" font-weight="bold"')
        x = LEFT
        for _, words, colour, dashes, _ in LINES:
            self.line(x, 36, x + 24, 36, colour, f'stroke-width="2" stroke-dasharray="{dashes}"')
            self.text(x + 30, 40, words)
            x += 46 + 7 * len(words)

    def series(self, name, colour, dashes, steps):
        """A line; broken where there is no limit."""
        path, before = [], None
        for row in self.rows:
            value = row[name]
            if value == INFINITY:
                if before is not None and steps:
                    path.append(f"H{self.x(row['time_usec'] / 1e6):.1f}")
                before = None
                continue
            x, y = self.x(row["time_usec"] / 1e6), self.y(value / MIB)
            if before is None:
                path.append(f"M{x:.1f} {y:.1f}")
            else:
                path.append(f"H{x:.1f}V{y:.1f}" if steps else f"L{x:.1f} {y:.1f}")
            before = value
        self.add(f'<path d="{"".join(path)}" fill="none" stroke="{colour}" stroke-width="1.8" stroke-dasharray="{dashes}"/>')

    def marks(self):
        """Raises and what else happened; labels that would cover one another go one below the other."""
        taken, level = -100.0, 0
        for row in self.rows:
            colour = MARKS.get(row["event"])
            if not colour:
                continue
            x = self.x(row["time_usec"] / 1e6)
            self.line(x, TOP, x, TOP + MEMORY_HEIGHT, colour, 'stroke-width="0.8" stroke-dasharray="2 3"')
            level = level + 1 if x - taken < 70 else 0
            taken = x
            words = row["cause"] if row["event"] == "raise" else f"{row['event']} {row['cause']}"
            end = x > WIDTH - 110
            self.text(x + (-3 if end else 3), TOP + 10 + 12 * (level % 8), words, "end" if end else "start", f'fill="{colour}" font-size="11"')

    def stall(self):
        bottom = TOP + MEMORY_HEIGHT + GAP + STALL_HEIGHT
        for before, row in zip(self.rows, self.rows[1:]):
            took = row["time_usec"] - before["time_usec"]
            part = min(1, (row["stall_some_usec"] - before["stall_some_usec"]) / took) if took else 0
            if part > 0:
                x, height = self.x(before["time_usec"] / 1e6), STALL_HEIGHT * part
                width = self.x(row["time_usec"] / 1e6) - x
                self.add(f'<rect x="{x:.1f}" y="{bottom - height:.1f}" width="{max(width, 0.5):.1f}" height="{height:.1f}" fill="#7a3f8f" fill-opacity="0.6"/>')

    def draw(self):
        self.axes()
        self.stall()
        for name, _, colour, dashes, steps in LINES:
            self.series(name, colour, dashes, steps)
        self.marks()
        self.legend()
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" font-family="sans-serif" font-size="12" fill="#333">'
        background = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
        return "\n".join([head, background, *self.out, "</svg>"])


def main():
    if len(sys.argv) != 2:
        sys.exit(f"usage: penstockctl profile --csv ID | {sys.argv[0]} TITLE >FILE")
    print(Plot(read_rows(sys.stdin), sys.argv[1]).draw())


if __name__ == "__main__":
    main()
