#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
import unittest

from kit import Broken
from check_journal import check

RAISE = "0b5e6b0cf3d14a0fb6c3a3d9b2b0e101"


class TestCheckJournal(Broken):
    check = check
    trees = ("src", "docs", "units")

    def test_the_source_is_clean(self):
        self.assertEqual(self.faults(), [])

    def test_a_kind_without_an_id(self):
        self.replace("src/host/journal.h", "JOURNAL_RAISE,", "JOURNAL_RAISE,\n        JOURNAL_NEW,")
        self.assert_fault("JOURNAL_NEW has no ID")
        self.assert_fault("JOURNAL_NEW is written by nobody")

    def test_an_id_without_a_catalog_entry(self):
        self.replace("units/penstock.catalog", f"-- {RAISE}", "-- 0b5e6b0cf3d14a0fb6c3a3d9b2b0effe")
        self.assert_fault("JOURNAL_RAISE", "has no entry")
        self.assert_fault("b0effe is no ID")

    def test_an_id_without_a_row(self):
        self.replace("docs/journal.md", f"| {RAISE} |", "| 0b5e6b0cf3d14a0fb6c3a3d9b2b0effe |")
        self.assert_fault("JOURNAL_RAISE", "has 0 rows")
        self.assert_fault("docs/journal.md", "b0effe is no ID")

    def test_an_id_twice(self):
        self.replace("src/host/journal.c", RAISE, "0b5e6b0cf3d14a0fb6c3a3d9b2b0e102")
        self.assert_fault("two kinds have one ID")

    def test_a_catalog_entry_twice(self):
        self.replace("units/penstock.catalog", "-- 0b5e6b0cf3d14a0fb6c3a3d9b2b0e102", f"-- {RAISE}")
        self.assert_fault("is there twice")

    def test_an_entry_without_a_remedy(self):
        self.replace("units/penstock.catalog", "If it happens in most queries, start them with more:\n"
                     "InitialMemoryBytesQuotaPerQuery= for all, --memory-initial for one.\n"
                     "`penstockctl stats @PENSTOCK_QUERY_ID@` shows all raises of this query.\n", "")
        self.replace("units/penstock.catalog", "Nothing is wrong.", "This is usual for such a query and no harm to anyone.")
        self.assert_fault(RAISE, "what to do")

    def test_an_entry_without_a_subject(self):
        self.replace("units/penstock.catalog", "Subject: Query @PENSTOCK_QUERY_ID@ was given", "Given: @PENSTOCK_QUERY_ID@")
        self.assert_fault(RAISE, "no Subject")

    def test_a_field_that_nobody_writes(self):
        self.replace("units/penstock.catalog", "@UNIT@", "@PENSTOCK_UNIT@")
        self.assert_fault("@PENSTOCK_UNIT@ is no field")

    def test_a_field_that_is_not_documented(self):
        self.replace("src/host/journal.c", '"PENSTOCK_USER_ID=', '"PENSTOCK_UID=')
        self.assert_fault("the field PENSTOCK_UID=")


if __name__ == "__main__":
    unittest.main()
