#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
import unittest

from kit import ROOT, Broken
from check_contract import PAGE, check, tests

PROOF = "service: pause starts no waiting query, and resume goes on"


class TestCheckContract(Broken):
    trees = ("src", "docs", "include")
    known = tests(ROOT)

    def faults(self):
        return list(check(self.root, self.known))

    def test_the_source_is_clean(self):
        self.assertEqual(self.faults(), [])

    def test_both_kinds_of_tests_are_known(self):
        self.assertIn(PROOF, self.known)
        self.assertIn("test-budget: an_idle_budget_has_the_slots_reserved", self.known)

    def test_a_row_without_a_test(self):
        self.replace(PAGE, "| test-config-rules: empty_values_are_derived |", "| |")
        self.assert_fault("InitialMemoryBytesQuotaPerQuery unset: no test proves it")
        self.replace(PAGE, "| test-config-rules: empty_values_are_derived |", "| – |")
        self.assert_fault("MaxMemoryBytes unset: no test proves it")

    def test_a_test_that_does_not_exist(self):
        self.known = self.known - {"ends: cancel ends a query with 125 and Canceled"}
        self.assert_fault("State.Canceled", "there is no test 'ends: cancel ends")

    def test_a_missing_row(self):
        self.replace(PAGE, "| `State.Finished` |", "| `State.Final` |")
        self.assert_fault("State.Finished has 0 rows")
        self.assert_fault("State.Final is no item")

    def test_a_row_twice(self):
        self.replace(PAGE, "| `State.Finished` |", "| `State.Errored` |")
        self.assert_fault("State.Errored has 2 rows")

    def test_a_row_with_a_cell_too_few(self):
        self.replace(PAGE, "| `Query.ID` | unique, rising, never used again in a boot |", "| `Query.ID` |")
        self.assert_fault("a row of 5 cells")

    def test_a_member_that_does_not_exist(self):
        self.replace(PAGE, "| `UsedMemoryBytes` |", "| `UsedMemory` |")
        self.assert_fault("D-Bus: `UsedMemory` does not exist")

    def test_a_verb_an_option_and_a_key_that_do_not_exist(self):
        self.replace(PAGE, "`penstockctl run --memory-initial`", "`penstockctl walk --memory-initial`")
        self.replace(PAGE, "`penstockctl run --memory-max`", "`penstockctl run --memory-maximum`")
        self.replace(PAGE, "| `QueueSize=` |", "| `QueueLength=` |")
        for name in ("penstockctl walk --memory-initial", "penstockctl run --memory-maximum", "QueueLength="):
            self.assert_fault(f"CLI: `{name}` does not exist")

    def test_a_function_that_does_not_exist(self):
        self.replace(PAGE, "`penstock_query_id()`", "`penstock_query_number()`")
        self.assert_fault("C: `penstock_query_number()` does not exist")

    def test_a_cell_that_says_nothing(self):
        self.replace(PAGE, "| `penstock_query_id()` |", "| |")
        self.assert_fault("Query.ID: C: neither a name")


if __name__ == "__main__":
    unittest.main()
