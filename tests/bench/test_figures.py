#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is made of what was measured; nothing is measured here."""

import os
import subprocess
import sys
import unittest
from unittest import mock

here = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [here, f"{os.path.dirname(here)}/guest"]

from cases import start
from kit import page


class Caller:
    """Each way takes what it was told, round by round."""

    def __init__(self, msec):
        self.msec, self.rounds = msec, dict.fromkeys(msec, 0)

    def ask(self, way):
        n = self.rounds[way]
        self.rounds[way] += 1
        return 2 * (self.msec[way][n - 1] * 1000000 if n > 0 else 1,)


def measured(spawn, query, missed=()):
    """What `start` has when fork and exec, and Penstock, took so many milliseconds, and the rounds MISSED of Penstock do not count."""
    caller, block = Caller({"spawn": spawn, "query": query}), start.Block("warm")
    ways = {start.SPAWN: ("alice", ("spawn",)), start.CLIENT: ("alice", ("query",))}
    with mock.patch.object(start.starts, "settle"), mock.patch.object(start.starts, "cpu_nsec", return_value=0), \
            mock.patch.object(start.cgroups, "unit_groups", return_value=()):
        start.measure(block, {"alice": caller}, ways, len(spawn), lambda before, after: caller.rounds["query"] - 1 not in missed)
    return block


def first_bytes(*rounds, **kwargs):
    return {w["way"]: w for w in measured(*rounds, **kwargs).first.as_json()["ways"]}


def goal(query, spawn=None):
    """That of start which asks for 1.3 of fork and exec at most."""
    return start.goals(start.Block("cold"), measured(spawn or len(query) * [100], query))[0]


class TestRounds(unittest.TestCase):
    def test_a_round_stands_beside_itself_when_another_does_not_count(self):
        ours = first_bytes([2, 4, 6, 8], [6, 12, 18, 24], missed=(2,))[start.CLIENT]
        self.assertEqual(ours["n"], 3)
        self.assertEqual(ours["ratio_quartiles"], [3, 3])

    def test_a_way_that_never_counts_has_no_figure(self):
        self.assertNotIn(start.CLIENT, first_bytes([2, 4], [6, 12], missed=(1, 2)))


class TestGoals(unittest.TestCase):
    def assert_says(self, words, one):
        self.assertTrue(str(one).startswith(f"goal ≤ 1.3: {words}: warm, submit"), str(one))

    def test_a_goal_says_of_how_many_rounds_it_is(self):
        self.assert_says("met: 1.10, n 3", goal([110, 110, 110]))
        self.assert_says("missed: 2.00, n 5", goal([200, 200, 200, 200, 200]))

    def test_two_rounds_decide_nothing(self):
        self.assert_says("met, within the noise: 1.10, n 2", goal([110, 110]))
        self.assert_says("missed, within the noise: 2.00, n 1", goal([200]))

    def test_nor_do_quartiles_with_the_bound_between_them(self):
        self.assert_says("met, within the noise: 1.20, n 5", goal([110, 110, 120, 140, 140]))
        self.assert_says("missed, within the noise: 1.40, n 5", goal([110, 110, 140, 150, 150]))
        self.assert_says("met: 1.20, n 5", goal([110, 110, 120, 130, 140]))

    def test_nor_does_a_ratio_that_its_rounds_do_not_have(self):
        self.assert_says("missed, within the noise: 1.50, n 5",
                         goal([120, 220, 220, 120, 150], spawn=[100, 200, 200, 100, 100]))

    def test_what_was_not_measured_is_not_judged(self):
        self.assert_says("not judged", start.goals(start.Block("cold"), measured([100], [100], missed=(1,)))[0])


class TestPage(unittest.TestCase):
    def rows(self, *goals):
        case = {"machine": 0, "comparisons": [], "failed": None}
        about = {"cpu": "CPU", "cpus": 2, "virtualization": "yes", "memory_mib": 1, "system": "Debian", "kernel": "6", "systemd": "",
                 "host": "host"}
        return page.block({"cases": {"start": case}, "machines": [about], "rounds": 9,
                           "goals": [{**one.as_json(), "case": "start"} for one in goals]}, "start").splitlines()

    def test_goals_stand_there_with_n_and_the_noise(self):
        rows = self.rows(goal([110, 110]), goal([200, 200, 200]), goal([110, 110, 150, 150]))
        self.assertIn("| goal | bound | measured | n | |", rows)
        self.assertEqual([row.split(" | ", 1)[1] for row in rows[-3:]],
                         ["≤ 1.3 | 1.10 | 2 | met, within the noise |", "≤ 1.3 | 2.00 | 3 | **missed** |",
                          "≤ 1.3 | 1.30 | 4 | met, within the noise |"])
        unknown = self.rows(start.goals(start.Block("cold"), None)[0])[-1]
        self.assertTrue(unknown.endswith("| ≤ 1.3 | – | – | not measured yet |"), unknown)

    def test_no_number_of_rounds_stands_over_tables_that_have_others(self):
        self.assertTrue(self.rows()[0].endswith("; host; medians, n as in the tables."), self.rows()[0])


class TestTool(unittest.TestCase):
    def test_what_says_little_is_not_written_to_the_page(self):
        tool = f"{os.path.dirname(os.path.dirname(here))}/tools/bench"
        done = subprocess.run([tool, "--page", "page", "--quick", "--match", "no such case"], stderr=subprocess.PIPE, check=False,
                              encoding="utf-8")
        self.assertEqual(done.returncode, 1)
        self.assertIn("--page wants more than --quick measures", done.stderr)


if __name__ == "__main__":
    unittest.main()
