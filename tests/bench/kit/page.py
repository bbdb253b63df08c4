# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes what was measured into docs/performance.md: each case has its place there for each machine that it was measured on,
between two comments, and what was not measured, or not to its end, stays as it is."""

from kit import machine
from kit.figures import table, verdict


def place(name, case):
    return f"<!-- measured: {name} {case} -->", "<!-- end -->"


def block(whole, name):
    """One case in Markdown."""
    case = whole["cases"][name]
    about = whole["machines"][case["machine"]]
    goals = [g for g in whole["goals"] if g["case"] == name]
    lines = [f"{machine.line(about)}; medians, n as in the tables.", ""]
    for one in case["comparisons"]:
        lines += [table(one), ""]
    if goals:
        lines += ["| goal | bound | measured | n | |", "|---|---|---|---|---|"]
        lines += [goal_row(g) for g in goals] + [""]
    return "\n".join(lines)


def goal_row(g):
    bound = f"≤ {g['most']:g}" if "most" in g else f"≥ {g['least']:g}"
    if g["met"] is None:
        return f"| {g['text']} | {bound} | – | – | not measured yet |"
    return f"| {g['text']} | {bound} | {g['value']:.2f} | {g['n']} | {verdict(g).replace('missed', '**missed**')} |"


def fill(path, whole, name_of):
    """NAME_OF(case) is what the page calls its machine. Returns the cases that have no place there."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    homeless = []
    for case in [name for name, case in whole["cases"].items() if not case["failed"]]:
        begin, end = place(name_of(case), case)
        head, found, rest = text.partition(begin)
        if not found:
            homeless.append(case)
            continue
        text = f"{head}{begin}\n{block(whole, case)}{end}{rest.partition(end)[2]}"
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return homeless
