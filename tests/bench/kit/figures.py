# SPDX-License-Identifier: LGPL-2.1-or-later
"""What was measured: ways that are compared within one run, and goals that are judged by it. A figure alone says little on
an emulated machine, so each way stands beside its baseline, and the two were measured in turn."""

import statistics
import typing


def number(value):
    """Three digits that say something."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def quartiles(values):
    if len(values) < 2:
        return values[0], values[0]
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return first, third


class Figure(typing.NamedTuple):
    """What a goal is judged by: a value, of how many that were measured, and their quartiles."""

    value: float
    n: int
    quartiles: tuple


def figure_of(values, pick=statistics.median):
    return Figure(pick(values), len(values), quartiles(values)) if values else None


class Comparison:
    """Ways by rounds: each round has one figure of each way, taken one after the other."""

    def __init__(self, key, title, unit, baseline):
        self.key, self.title, self.unit, self.baseline = key, title, unit, baseline
        self.rounds = {}  # of each way its values by round

    def add(self, way, value, n=None):
        """Of round N. Who adds a value in every round need not count them."""
        rounds = self.rounds.setdefault(way, {})
        rounds[len(rounds) if n is None else n] = value

    def values(self, way):
        return list(self.rounds.get(way, {}).values())

    def median(self, way):
        return statistics.median(self.values(way))

    def ratio(self, way, to=None):
        """Of the medians; None while one of them was not measured."""
        to = to or self.baseline
        if way not in self.rounds or to not in self.rounds or not self.median(to):
            return None
        return self.median(way) / self.median(to)

    def _paired(self, way, to=None):
        """The ratio round by round: of those that both have."""
        base = self.rounds.get(to or self.baseline, {})
        return [a / base[n] for n, a in self.rounds[way].items() if base.get(n)]

    def figure(self, way, to=None):
        """The ratio with its spread; None while one of them was not measured."""
        ratio = self.ratio(way, to)
        if ratio is None:
            return None
        ratios = self._paired(way, to)
        return Figure(ratio, len(ratios), quartiles(ratios or [ratio]))

    def as_json(self):
        ways = []
        for way in self.rounds:
            values = self.values(way)
            low, high = quartiles(values)
            ratios = self._paired(way)
            ways.append({"way": way, "n": len(values), "median": self.median(way), "quartiles": [low, high],
                         "least": min(values), "most": max(values), "ratio": self.ratio(way),
                         "ratio_quartiles": list(quartiles(ratios)) if ratios else [None, None]})
        return {"key": self.key, "title": self.title, "unit": self.unit, "baseline": self.baseline, "ways": ways}

    def table(self):
        return table(self.as_json())


def table(one):
    """Of what as_json() gave: a table in Markdown."""
    head = [one["title"], "n", f"median, {one['unit'] or 'ratio'}", "quartiles", "least"]
    if one["baseline"]:
        head += [f"of {one['baseline']}", "quartiles"]
    rows = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for w in one["ways"]:
        spread = "–".join(number(q) for q in w["quartiles"])
        ratio = "-" if w["ratio"] is None else f"{w['ratio']:.2f}"
        ratios = "-" if w["ratio_quartiles"][0] is None else "–".join(f"{q:.2f}" for q in w["ratio_quartiles"])
        row = [w["way"], str(w["n"]), number(w["median"]), spread, number(w["least"])]
        rows.append(f"| {' | '.join(row + [ratio, ratios] if one['baseline'] else row)} |")
    return "\n".join(rows)


FEW = 3  # less than that say nothing of their spread


class Goal:
    """A ratio that issue and design ask for. FIGURE is None when it was not measured, and WHY says why."""

    def __init__(self, key, text, figure, most=None, least=None, why="not measured"):
        self.key, self.text, self.figure, self.most, self.least, self.why = key, text, figure, most, least, why

    def _allows(self, value):
        return value <= self.most if self.most is not None else value >= self.least

    @property
    def met(self):
        return self._allows(self.figure.value) if self.figure else None

    @property
    def within_noise(self):
        """Whether the next run may well say the opposite."""
        if not self.figure:
            return None
        return self.figure.n < FEW or any(self._allows(q) != self.met for q in self.figure.quartiles)

    def as_json(self):
        limit = {"most": self.most} if self.most is not None else {"least": self.least}
        value, n, _ = self.figure or (None, 0, None)
        return {"key": self.key, "text": self.text, "value": value, "n": n, "met": self.met, "within_noise": self.within_noise,
                **limit}

    def __str__(self):
        bound = f"≤ {self.most:g}" if self.most is not None else f"≥ {self.least:g}"
        said = f"goal {bound}: {verdict(self.as_json())}: "
        if not self.figure:
            return f"{said}{self.text} ({self.why})"
        return f"{said}{self.figure.value:.2f}, n {self.figure.n}: {self.text}"


def verdict(goal):
    """Of what as_json() gave."""
    word = {True: "met", False: "missed", None: "not judged"}[goal["met"]]
    return f"{word}, within the noise" if goal["within_noise"] else word
