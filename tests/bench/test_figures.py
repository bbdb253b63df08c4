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


class Caller:
    """Round N of a way takes N times as long as the first."""

    def __init__(self):
        self.rounds = {}

    def ask(self, way, msec):
        n = self.rounds[way] = self.rounds.get(way, -1) + 1
        return n * msec * 1000000, n * msec * 1000000


def first_bytes(missed):
    """What `start` makes of four rounds of Penstock and fork and exec, of which those MISSED of Penstock's do not count."""
    caller, block = Caller(), start.Block("warm")
    ways = {start.SPAWN: ("alice", ("spawn", 2)), start.CLIENT: ("alice", ("query", 6))}
    with mock.patch.object(start.starts, "settle"), mock.patch.object(start.starts, "cpu_nsec", return_value=0), \
            mock.patch.object(start.cgroups, "unit_groups", return_value=()):
        start.measure(block, {"alice": caller}, ways, 4, lambda before, after: caller.rounds["query"] not in missed)
    return {w["way"]: w for w in block.first.as_json()["ways"]}


class TestRounds(unittest.TestCase):
    def test_a_round_stands_beside_itself_when_another_does_not_count(self):
        ours = first_bytes(missed=(2,))[start.CLIENT]
        self.assertEqual(ours["n"], 3)
        self.assertEqual(ours["ratio_quartiles"], [3, 3])

    def test_a_way_that_never_counts_has_no_figure(self):
        self.assertNotIn(start.CLIENT, first_bytes(missed=(1, 2, 3, 4)))


class TestTool(unittest.TestCase):
    def test_what_says_little_is_not_written_to_the_page(self):
        tool = f"{os.path.dirname(os.path.dirname(here))}/tools/bench"
        done = subprocess.run([tool, "--page", "page", "--quick", "--match", "no such case"], stderr=subprocess.PIPE, check=False,
                              encoding="utf-8")
        self.assertEqual(done.returncode, 1)
        self.assertIn("--page wants more than --quick measures", done.stderr)


if __name__ == "__main__":
    unittest.main()
