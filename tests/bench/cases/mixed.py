# SPDX-License-Identifier: LGPL-2.1-or-later
"""The mixed load of docs/governor.md: tests/bench/mixed."""

import json
import os
import tempfile

from kit.figures import Comparison, Figure, Goal
from lib.service import system

WORST = "static, worst case"


def run(bench):
    comparison = Comparison("mixed", "sixty mixed queries, makespan", "s", WORST)
    here = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    lost, seeds = 0, 1 if bench.quick else max(1, bench.few // 3)
    for seed in range(1, 1 + seeds):
        with tempfile.NamedTemporaryFile(suffix=".json") as f:
            bench.say(system(f"{here}/mixed", "--seed", str(seed), "--json", f.name, limit=3600).text)
            ways = json.load(f)["ways"]
        for way in ways:
            comparison.add(way["title"], way["makespan_sec"])
        lost += ways[0]["kernel_kills"] + sum(ways[0]["failed"].values())
    bench.show(comparison)
    bench.judge(
        Goal("mixed.makespan", f"the mixed load's makespan, of {WORST}", comparison.figure("Penstock"), most=0.5),
        Goal("mixed.lost", "queries of it that were killed or failed under Penstock", Figure(lost, seeds, (lost, lost)), most=0),
    )
