#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""That check_faults.py finds what it is for."""

import unittest

import check_faults


class Faults(unittest.TestCase):
    def test_reads_the_list(self):
        self.assertEqual(check_faults.listed("/* x */\nWRAP(open64, MINUS_ONE, EMFILE)\nWRAP(a, B, C)\n"), {"open64", "a"})

    def test_a_function_that_is_nowhere_is_found(self):
        (line,) = check_faults.check({"open64", "free", "linkat"}, {"open64"})
        self.assertIn("linkat", line)

    def test_nothing_is_found_where_all_is_listed(self):
        self.assertEqual(list(check_faults.check({"open64", "free"}, {"open64"})), [])


if __name__ == "__main__":
    unittest.main()
