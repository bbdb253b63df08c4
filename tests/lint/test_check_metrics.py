#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
import unittest

from kit import Broken
from check_metrics import CODE, KEYS, PAGE, check


class TestCheckMetrics(Broken):
    check = check
    trees = ("src/core", "docs")

    def test_page_and_code_agree(self):
        self.assertEqual(self.faults(), [])

    def test_a_family_that_is_not_on_the_page(self):
        self.replace(PAGE, "| `penstock_paused` |", "| penstock_paused |")
        self.assert_fault("lacks", "penstock_paused")

    def test_a_family_that_is_not_in_the_code(self):
        self.replace(CODE, "penstock_victims_total", "penstock_sacrifices_total")
        self.assert_fault("which the code has not", "penstock_victims_total")
        self.assert_fault("lacks", "penstock_sacrifices_total")

    def test_another_type_label_or_help(self):
        for old, new in (("| gauge | | Queries that hold", "| counter | | Queries that hold"),
                         ("| `verdict` |", "| `cause` |"), ("Raises of a query's quota.", "Raises.")):
            self.replace(PAGE, old, new)
        self.assertEqual(len([f for f in self.faults() if "which the code has not" in f]), 3)

    def test_another_order(self):
        self.replace(PAGE, "| `penstock_paused` |", "| `penstock_x` |")
        self.replace(PAGE, "| `penstock_shutting_down` |", "| `penstock_paused` |")
        self.replace(PAGE, "| `penstock_x` |", "| `penstock_shutting_down` |")
        self.replace(PAGE, "1 while no waiting query is started (penstockctl pause).", "X")
        self.replace(PAGE, "1 since Shutdown, when no query is let in.",
                     "1 while no waiting query is started (penstockctl pause).")
        self.replace(PAGE, "| X |", "| 1 since Shutdown, when no query is let in. |")
        self.assert_fault("another order")

    def test_a_row_that_cannot_be_read(self):
        self.replace(CODE, "GAUGE(\"penstock_paused\"", "{ \"penstock_paused\"")
        self.assert_fault(CODE, "another way")

    def test_a_label_that_the_configuration_does_not_name(self):
        self.replace(KEYS, "`compiler_type`", "`compiler`")
        self.assert_fault(KEYS, "compiler_type")


if __name__ == "__main__":
    unittest.main()
