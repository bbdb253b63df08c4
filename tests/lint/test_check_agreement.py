#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
import os
import re
import unittest

from kit import Broken
from check_agreement import Tree, check, check_dbus_page, check_pages, config_keys, interfaces, plain

XML = "src/bus/org.penstock1.xml"


def help_from_page(root):
    """A stand-in for penstockctl: its verbs and options as the page has them."""
    with open(os.path.join(root, "docs/penstockctl.1.scd"), encoding="utf-8") as f:
        page = f.read()
    synopsis = page.partition("# SYNOPSIS")[2].partition("# DESCRIPTION")[0]
    verbs = sorted(set(re.findall(r"(?:\*penstockctl\* |\| )([a-z]+)", synopsis)))
    options = sorted(set(re.findall(r"\*(--[a-z][a-z-]+)\*", page)))
    lists = {"": "".join(f"  {v} \n" for v in verbs), "run": "Usage\n" + "".join(f"  {o} X\n" for o in options)}
    return lambda verb: lists.get(verb, "Usage\n")


class TestCheckAgreement(Broken):
    trees = ("src", "docs", "units", "include")

    def setUp(self):
        super().setUp()
        self.help_of = help_from_page(self.root)

    def faults(self):
        return list(check(self.root, self.help_of))

    def test_the_source_is_clean(self):
        self.assertEqual(self.faults(), [])

    def test_a_method_that_nobody_is_said_to_call(self):
        self.replace(XML, '<method name="Pause"/>', '<method name="Pause"/><method name="Linger"/>')
        self.assert_fault("docs/dbus.md", "the method Linger is not there")

    def test_a_method_that_is_gone(self):
        self.replace(XML, '<method name="Pause"/>', "")
        self.assert_fault("docs/dbus.md", "there is the method Pause")

    def test_an_error_that_the_xml_lacks(self):
        self.replace("src/core/error.c", 'ENTRY("Canceled"', 'ENTRY("Cancelled"')
        self.assert_fault(XML, "the error Cancelled is not there")
        self.assert_fault("docs/dbus.md", "there is the error Canceled")

    def test_a_method_and_a_key_that_c_lacks(self):
        self.replace(XML, '<method name="Pause"/>', '<method name="Pause"/><method name="Linger"/>')
        self.replace("include/penstock.h", "penstock_client_metrics(", "penstock_client_figures(")
        self.replace("include/penstock.h", "penstock_request_set_umask(", "penstock_request_set_mask(")
        self.assert_fault("the method Linger has no function")
        self.assert_fault("the method Metrics has no function")
        self.assert_fault("the request key umask has no setter")

    def test_a_request_key_of_another_type(self):
        self.replace("src/bus/decode.c", '{ "umask", "u"', '{ "umask", "t"')
        self.assert_fault("the request key umask is of type t")

    def test_a_request_key_that_is_not_said(self):
        self.replace(XML, "umask u, ", "")
        self.assert_fault("the request key umask is not there")

    def test_a_statistic_that_is_not_said(self):
        self.replace(XML, "    verdict               s", "    judgement             s")
        self.assert_fault("the key verdict is not there")
        self.assert_fault("there is the key judgement")

    def test_a_verdict_that_is_not_said(self):
        self.replace("src/core/query.c", '[VERDICT_OOMD] = "oomd"', '[VERDICT_OOMD] = "oomdaemon"')
        for place in ("docs/dbus.md: verdicts by error", "docs/dbus.md: `verdict` of Statistics"):
            self.assert_fault(place, "the verdict oomdaemon is not there")
            self.assert_fault(place, "there is the verdict oomd,")

    def test_a_setting_without_a_property(self):
        self.replace(XML, '<property name="QueueSize"', '<property name="QueueLength"')
        self.assert_fault("the configuration's property QueueSize is not there")

    def test_a_property_of_another_type(self):
        self.replace(XML, '<property name="QueueSize" type="t"', '<property name="QueueSize" type="u"')
        self.assert_fault("QueueSize is of type u")

    def test_a_setting_that_is_not_shipped(self):
        self.replace("units/penstock.conf", "#QueueSize=64", "")
        self.assert_fault("units/penstock.conf", "the key QueueSize is not there")

    def test_a_default_that_differs(self):
        self.replace("units/penstock.conf", "#QueueSize=64", "#QueueSize=63")
        self.assert_fault("units/penstock.conf", "QueueSize is '63'")
        self.replace("docs/configuration.md", "| `WarmUnits` | `2` |", "| `WarmUnits` | `3` |")
        self.assert_fault("docs/configuration.md", "WarmUnits is '3'")

    def test_a_key_of_a_dependency_and_of_a_language(self):
        self.replace("docs/configuration.md", "`CheckCommand=` |", "`TestCommand=` |")
        self.assert_fault("the [Dependency] key CheckCommand is not there")
        self.replace("docs/languages.md", "| `Tmp=` |", "| `Temp=` |")
        self.assert_fault("[Language]", "the key Tmp is not there")

    def test_a_verb_and_an_option_without_a_line(self):
        help_of = self.help_of
        self.help_of = lambda v: help_of(v) + ("  explode  Do that\n" if not v else "  --fuse X\n" if v == "run" else "")
        self.assert_fault("the verb explode is not in the synopsis")
        self.assert_fault("the verb explode is not described")
        self.assert_fault("--fuse of run")
        self.help_of = lambda v: help_of(v) + ("  simulate  Do that\n" if not v else "  --fuse X\n" if v == "simulate" else "")
        self.assert_fault("penstock-sim(1): --fuse is not there")

    def test_an_option_that_no_verb_has(self):
        self.replace("docs/penstockctl.1.scd", "*-q*, *--quiet*", "*-q*, *--silent*")
        self.assert_fault("there is --silent")

    def test_a_page_that_lacks_a_member(self):
        tree = Tree(self.root)
        members = interfaces(tree)["org.penstock1.Query"]
        self.assertTrue(members)
        found = list(check_dbus_page(tree, "INTERFACE org.penstock1.Query method Cancel()"))
        self.assertNotIn("method Cancel() of", " ".join(found))
        self.assertIn("org.penstock1(5): there is no interface org.penstock1.Controller", found)
        self.assertTrue(any("property readonly t ID of" in f for f in found))

    def test_pages_that_lack_a_key_or_a_function(self):
        tree = Tree(self.root)
        empty = {"penstock.conf.5": "", "penstock-languages.5": "", "libpenstock.3": ""}
        found = list(check_pages(tree, empty))
        for word in ("penstock.conf(5): the key QueueSize", "penstock-languages(5): the key Tmp=",
                     "libpenstock(3): penstock_query_done()"):
            self.assertTrue(any(word in f for f in found), f"{word} in {found}")
        self.assertEqual(len([f for f in found if f.startswith("penstock.conf(5)")]), len(config_keys(tree)))

    def test_roff_is_read_as_text(self):
        self.assertEqual(plain("\\fBQuery\\fR(in a{sv} request,\nout t id)\n.RS 4\n\\-\\-json memory_max"),
                         "Query(in a{sv} request, out t id) --json memory_max")


if __name__ == "__main__":
    unittest.main()
