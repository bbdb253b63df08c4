#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
import os
import shutil
import unittest

from kit import Broken
from check_cockpit import check


class TestCheckCockpit(Broken):
    trees = ("src/cockpit", "src/bus")

    node = ""  # it is slow to start, and parses nothing that the other faults are in

    def faults(self):
        return list(check(self.root, self.node))

    def test_the_page_is_clean(self):
        self.assertEqual(self.faults(), [])

    def test_a_file_that_is_not_installed(self):
        shutil.copy(self.path("src/cockpit/dom.js"), self.path("src/cockpit/more.js"))
        self.assert_fault("more.js", "not installed")

    def test_a_file_that_is_gone(self):
        os.unlink(self.path("src/cockpit/format.js"))
        self.assert_fault("meson.build", "there is no format.js")
        self.assert_fault("model.js", "there is no format.js")

    def test_text_that_is_parsed(self):
        self.replace("src/cockpit/dom.js", "node.textContent = text", "node.innerHTML = text")
        self.assert_fault("dom.js", "innerHTML")

    def test_an_inline_script(self):
        self.replace("src/cockpit/index.html", '<script type="module" src="theme.js">', "<script>")
        self.assert_fault("index.html", "content policy")

    def test_an_inline_style(self):
        self.replace("src/cockpit/index.html", "<h1>", '<h1 style="color: red">')
        self.assert_fault("index.html", "content policy")

    def test_a_call_that_the_interface_has_not(self):
        self.replace("src/cockpit/service.js", '"CancelQuery"', '"KillQuery"')
        self.assert_fault("no method KillQuery")

    def test_an_element_that_is_not_in_the_page(self):
        self.replace("src/cockpit/index.html", 'id="away-start"', 'id="start-away"')
        self.assert_fault("penstock.js", "away-start")

    def test_a_manifest_that_is_no_json(self):
        self.replace("src/cockpit/manifest.json", '"239"', '"239')
        self.assert_fault("manifest.json")

    @unittest.skipUnless(shutil.which("node"), "there is no node")
    def test_a_script_that_is_none(self):
        self.node = shutil.which("node")
        self.replace("src/cockpit/model.js", "export function isLive(", "export function isLive((")
        self.assert_fault("model.js", "SyntaxError")


if __name__ == "__main__":
    unittest.main()
