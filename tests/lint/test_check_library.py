#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
import os
import unittest

from kit import ROOT, Broken
from check_library import VERSION, check, declared

with open(os.path.join(ROOT, "include/penstock.h"), encoding="utf-8") as f:
    GOOD = [VERSION] + [f"{name}@@{VERSION}" for name in declared(f.read())]


class TestCheckLibrary(Broken):
    trees = ("include", "debian")
    symbols = GOOD

    def faults(self):
        return list(check(self.root, self.symbols))

    def test_the_header_is_clean(self):
        self.assertEqual(self.faults(), [])

    def test_a_function_that_is_not_exported(self):
        self.symbols = [s for s in GOOD if not s.startswith("penstock_query_submit@")]
        self.assert_fault("penstock_query_submit() is declared and not exported")

    def test_a_function_without_its_version(self):
        self.symbols = [s.replace("penstock_query_done@@" + VERSION, "penstock_query_done") for s in GOOD]
        self.assert_fault("penstock_query_done() is declared and not exported as")

    def test_a_symbol_that_is_not_declared(self):
        self.symbols = [*GOOD, f"penstock_secret@@{VERSION}"]
        self.assert_fault("penstock_secret", "not declared")

    def test_no_version_node(self):
        self.symbols = GOOD[1:]
        self.assert_fault("no version node")

    def test_a_function_that_debian_does_not_list(self):
        self.replace("debian/libpenstock0.symbols", " penstock_query_done@", " penstock_query_undone@")
        self.assert_fault("penstock_query_done@@LIBPENSTOCK_0 is not listed")
        self.assert_fault("penstock_query_undone@@LIBPENSTOCK_0 is listed, and not exported")

    def test_a_new_function_without_a_comment(self):
        self.replace("include/penstock.h", "/* Start no waiting query",
                     "int penstock_client_new_thing(PenstockClient *c);\n\n/* Start no waiting query")
        self.assert_fault("penstock_client_new_thing() has no comment")

    def test_a_comment_that_belongs_to_another(self):
        self.replace("include/penstock.h", "int penstock_client_pause(", "\nint penstock_client_pause(")
        self.assert_fault("penstock_client_pause() has no comment")


if __name__ == "__main__":
    unittest.main()
