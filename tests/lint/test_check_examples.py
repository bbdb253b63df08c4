#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
import shutil
import unittest

import kit
from check_examples import check


class TestCheckExamples(kit.Broken):
    check = check
    trees = ("docs", "src/core", "src/ctl")

    def setUp(self):
        super().setUp()
        shutil.copy(f"{kit.ROOT}/README.md", self.root)

    def test_what_is_right_is_clean(self):
        self.assertEqual(self.faults(), [])

    def test_an_example_in_the_help(self):
        self.replace("src/ctl/run.c", "--memory-max 1G", "--memory-max 1025M")
        self.assert_fault("src/ctl/run.c:", "--memory-max 1025M is refused", "allows 1G")

    def test_an_example_in_the_manual_and_in_the_docs(self):
        self.replace("docs/penstock.7.scd", "--memory-max 1G", "--memory-max=1.5G")
        self.replace("docs/tutorial.md", "--memory-max 128M", "--memory-initial 2G")
        self.assert_fault("docs/penstock.7.scd:", "--memory-max=1.5G")
        self.assert_fault("docs/tutorial.md:", "--memory-initial 2G")

    def test_a_smaller_default(self):
        self.replace("src/core/config.c", 'per_query_bytes, "1G"', 'per_query_bytes, "512M"')
        self.assert_fault("src/ctl/help.c:", "allows 512M")

    def test_a_text_that_shows_its_configuration_may_use_it(self):
        with open(self.path("README.md"), "a", encoding="utf-8") as f:
            f.write("MemoryBytesQuotaPerQuery=8G\n  penstockctl run --memory-max 8G -- true\n")
        self.assertEqual(self.faults(), [])
        with open(self.path("README.md"), "a", encoding="utf-8") as f:
            f.write("  penstockctl run --memory-max 9G -- true\n")
        self.assert_fault("README.md:", "--memory-max 9G")

    def test_a_default_that_is_not_found(self):
        self.replace("src/core/config.c", '"MemoryBytesQuotaPerQuery"', '"MemoryQuota"')
        self.assert_fault("is this check out of date")


if __name__ == "__main__":
    unittest.main()
