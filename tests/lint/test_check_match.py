#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
import unittest

from kit import ROOT, Broken
from check_contract import tests
from check_match import check

WAYS = "growth: a query is not killed below its maximum, whatever its way of taking memory"
SUITES = "tools/lib/guest-suites.sh"


class TestCheckMatch(Broken):
    trees = ("docs", "tools/lib", "tests/guest")
    known = tests(ROOT)

    def faults(self):
        return list(check(self.root, self.known))

    def test_the_source_is_clean(self):
        self.assertEqual(self.faults(), [])

    def test_one_word_of_two_that_is_found_nowhere(self):
        self.known = self.known - {WAYS}
        self.assert_fault(SUITES, "'whatever its way'", "growth")

    def test_a_test_of_another_suite(self):
        self.replace(SUITES, "guest_words=(growth --match", "guest_words=(race --match")
        self.assert_fault(SUITES, "'grows by doubling'", "race")

    def test_a_page(self):
        self.replace("docs/units.md", "saturated --match flood", "saturated --match deluge")
        self.assert_fault("docs/units.md", "deluge")

    def test_a_row_of_a_table(self):
        self.replace("docs/testing.md", r"'two calls\|one call\|", r"'two calls\|nine calls\|")
        self.assert_fault("docs/testing.md", "nine calls")

    def test_a_suite_more_that_is_sanitized(self):
        self.replace("tests/guest/lib/sanitized.py", '    "race":', '    "raced":')
        self.assert_fault("docs/testing.md", "38 of 50 guest suites")
        self.assert_fault("docs/testing.md", "which 12 suites")

    def test_nothing_is_found_any_more(self):
        for page in ("docs/testing.md", "docs/governor.md", "docs/units.md", SUITES):
            with open(self.path(page), "w", encoding="utf-8"):
                pass
        self.assert_fault("out of date")


if __name__ == "__main__":
    unittest.main()
