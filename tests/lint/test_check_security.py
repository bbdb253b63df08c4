#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
import unittest

from kit import ROOT, Broken
from check_contract import tests
from check_security import CODE, ENGINE_START, PAGE, POLICY, check

PROOF = "sandbox: an engine cannot write its limits, leave its group or make one"


class TestCheckSecurity(Broken):
    trees = ("src/bus", "docs", "units")
    known = tests(ROOT)

    def faults(self):
        return list(check(self.root, self.known))

    def test_the_source_is_clean(self):
        self.assertEqual(self.faults(), [])

    def test_a_test_that_does_not_exist(self):
        self.known = self.known - {PROOF}
        self.assert_fault(PAGE, f"there is no test '{PROOF}'")

    def test_a_threat_without_a_test(self):
        self.replace(PAGE, f"| {PROOF}<br>", "| ")
        self.assertEqual(self.faults(), [])
        self.replace(PAGE, "| `pids.max` | ends: a fork bomb meets its task limit, harms nobody and is gone after cancel |", "| `pids.max` | |")
        self.assert_fault("a row that is not whole: Forks without bound")

    def test_a_threat_without_a_guard(self):
        self.replace(PAGE, "| `pids.max` |", "| |")
        self.assert_fault("a row that is not whole: Forks without bound")

    def test_the_other_page(self):
        self.known = self.known - {"engine: a user without an entry in passwd runs by number"}
        self.assert_fault(ENGINE_START, "runs by number")

    def test_an_action_that_is_not_everywhere(self):
        self.replace(POLICY, 'id="org.penstock1.reload"', 'id="org.penstock1.read-again"')
        self.assert_fault(POLICY, "the action org.penstock1.reload is not there")
        self.assert_fault(CODE, "the action org.penstock1.read-again is not there")
        self.assert_fault(PAGE, "the action org.penstock1.read-again is not there")

    def test_a_default_that_is_another(self):
        self.replace(POLICY, "<allow_active>auth_admin_keep</allow_active>", "<allow_active>yes</allow_active>")
        self.assert_fault(PAGE, "the default of org.penstock1.manage-queries")

    def test_nothing_said_of_a_threat(self):
        self.replace(PAGE, "Outlives its cancel", "Lives on")
        self.assert_fault("nothing is said of 'Outlives its cancel'")

    def test_what_is_not_defended(self):
        self.replace(PAGE, "## Not defended", "## The rest")
        self.assert_fault("what is not defended is not said")


if __name__ == "__main__":
    unittest.main()
