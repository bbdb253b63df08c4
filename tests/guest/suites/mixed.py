# SPDX-License-Identifier: LGPL-2.1-or-later
"""A mixed load under Penstock, and under the static limits that it stands against: tests/bench/mixed."""

import json
import os

from lib.grower import HERE
from lib.harness import expect, expect_equal, note, rng, test
from lib.service import system


@test("sixty mixed queries take at most half as long as under static limits for the worst case, and none is killed", long_only=True)
def against_the_alternatives():
    figures = "/run/penstock-mixed.json"
    try:
        seed = str(rng.randrange(1 << 16))
        note(system(f"{os.path.dirname(HERE)}/bench/mixed", "--seed", seed, "--json", figures, limit=3600).text)
        with open(figures, encoding="ascii") as f:
            ours, worst_case = json.load(f)["ways"][:2]
    finally:
        os.unlink(figures)
    expect_equal((ours["kernel_kills"], ours["failed"]), (0, {}), "kills, and queries that did not finish, under Penstock")
    expect(2 * ours["makespan_sec"] <= worst_case["makespan_sec"], f"the makespans: {ours} {worst_case}")
