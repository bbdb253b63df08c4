# SPDX-License-Identifier: LGPL-2.1-or-later
"""What was measured: ways that are compared within one run, and goals that are judged by it. A figure alone says little on
an emulated machine, so each way stands beside its baseline, and the two were measured in turn."""

import statistics


def number(value):
    """Three digits that say something."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def quartiles(values):
    if len(values) < 2:
        return values[0], values[0]
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return first, third


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

    def _paired(self, way):
        """The spread of the ratio, round by round: of those that both have."""
        base = self.rounds.get(self.baseline, {})
        ratios = [a / base[n] for n, a in self.rounds[way].items() if base.get(n)]
        return quartiles(ratios) if ratios else (None, None)

    def as_json(self):
        ways = []
        for way in self.rounds:
            values = self.values(way)
            low, high = quartiles(values)
            ratio_low, ratio_high = self._paired(way)
            ways.append({"way": way, "n": len(values), "median": self.median(way), "quartiles": [low, high],
                         "least": min(values), "most": max(values), "ratio": self.ratio(way),
                         "ratio_quartiles": [ratio_low, ratio_high]})
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


class Goal:
    """A ratio that issue and design ask for. VALUE is None when it was not measured, and WHY says why."""

    def __init__(self, key, text, value, most=None, least=None, why="not measured"):
        self.key, self.text, self.value, self.most, self.least, self.why = key, text, value, most, least, why

    @property
    def met(self):
        if self.value is None:
            return None
        return self.value <= self.most if self.most is not None else self.value >= self.least

    def as_json(self):
        limit = {"most": self.most} if self.most is not None else {"least": self.least}
        return {"key": self.key, "text": self.text, "value": self.value, "met": self.met, **limit}

    def __str__(self):
        bound = f"≤ {self.most:g}" if self.most is not None else f"≥ {self.least:g}"
        if self.value is None:
            return f"goal {bound}: not judged: {self.text} ({self.why})"
        return f"goal {bound}: {'met' if self.met else 'missed'}: {self.value:.2f}: {self.text}"
