#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
import unittest

from check_manual import check, references

ROFF = ".TH \n.nh\n.SH NAME\n{name}\n.SH DESCRIPTION\nit is\n.SH SEE ALSO\n\\fBpenstock\\fR(7), \\fBsystemctl\\fR(1)\n"


class TestCheckManual(unittest.TestCase):
    def setUp(self):
        self.pages = {n: ROFF.format(name=n) for n in ("penstock.7", "penstockd.8", "libpenstock.3")}
        self.pages["penstock.7"] += "\\fBpenstockd\\fR(8), \\fBlibpenstock\\fR(3)\n"
        self.rendered = {n: "NAME\n" for n in self.pages}

    def faults(self):
        return list(check(self.pages, self.rendered, ["journal"]))

    def assert_fault(self, part):
        self.assertTrue(any(part in f for f in self.faults()), f"{part} in {self.faults()}")

    def test_what_is_right_is_clean(self):
        self.pages["penstockd.8"] += "/usr/share/doc/penstock/journal.md\n"
        self.assertEqual(self.faults(), [])

    def test_references(self):
        self.assertEqual(references("\\fBpenstock.\\&conf\\fR(5), \\fBsystemd.exec\\fR(5), f(2)"), {"penstock.conf.5", "systemd.exec.5"})

    def test_a_page_with_hyphens(self):
        self.pages["penstockd.8"] = self.pages["penstockd.8"].replace(".nh\n", "")
        self.assert_fault("penstockd.8: it is hyphenated")

    def test_a_page_that_is_not_there(self):
        self.pages["penstockd.8"] += "\\fBpenstockctl\\fR(1)\n"
        self.assert_fault("penstockd.8: penstockctl.1 is no page of ours")

    def test_a_page_that_is_not_led_to(self):
        self.pages["penstock.7"] = ROFF.format(name="penstock") + "\\fBpenstockd\\fR(8)\n"
        self.assert_fault("penstock.7: it does not lead to libpenstock.3")

    def test_a_page_that_leads_nowhere(self):
        self.pages["penstockd.8"] = self.pages["penstockd.8"].replace("\\fBpenstock\\fR(7), ", "")
        self.assert_fault("penstockd.8: it does not lead to penstock.7")
        self.pages["penstockd.8"] = self.pages["penstockd.8"].replace(".SH SEE ALSO", "")
        self.assert_fault("penstockd.8: there is no section SEE ALSO")

    def test_docs_that_are_not_installed(self):
        self.pages["penstockd.8"] += "docs/\\&units.\\&md, /usr/share/doc/penstock/\\&restart.\\&md\n"
        self.assert_fault("docs/units.md is not installed under that name")
        self.assert_fault("penstockd.8: restart.md is not installed")

    def test_a_line_that_is_too_long(self):
        self.rendered["penstockd.8"] += 81 * "x" + "\n"
        self.assert_fault("penstockd.8: a line has 81 columns")

    def test_more_than_two_screens(self):
        self.rendered["penstockd.8"] += 100 * "x\n"
        self.assertEqual(self.faults(), [])
        self.rendered["penstock.7"] += 100 * "\n"
        self.assertEqual(self.faults(), [])
        self.rendered["penstock.7"] += 100 * "x\n"
        self.assert_fault("penstock.7: 1")

    def test_no_model(self):
        del self.pages["penstock.7"]
        self.assert_fault("there is no penstock.7")


if __name__ == "__main__":
    unittest.main()
