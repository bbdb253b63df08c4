#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
import unittest

from check_help import check

GOOD = """Usage: penstockctl {verb} [--fast] ID

  -q, --quiet  say nothing
      --fast   be quick
      --by NUMBER  so much

Examples:
  penstockctl {verb} -q --fast 12 | other --thing
"""


class TestCheckHelp(unittest.TestCase):
    def setUp(self):
        self.verbs = [f"verb{chr(c)}" for c in range(ord("a"), ord("l"))] + ["simulate"]
        self.simulator = "sim [--fast] [--quiet] [--by]\n--help\n"
        self.offered = {"--quiet": "say nothing", "--fast": "be quick", "--by": "so much", "--help": "this"}
        self.table = '        { "by", complete_numbers },\n'
        self.texts = {v: GOOD.format(verb=v) for v in self.verbs}

    def offers(self, *words):
        return [(v, "Do it") for v in self.verbs] if words == ("",) else list(self.offered.items())

    def faults(self, overview=None):
        text = "".join(f"  {v} Do it\n" for v in self.verbs) + "\nExamples:\n  other things\n"
        return list(check(lambda verb: self.texts[verb] if verb else overview or text, self.simulator, self.offers, self.table))

    def assert_fault(self, part, overview=None):
        self.assertTrue(any(part in f for f in self.faults(overview)), f"{part} in {self.faults(overview)}")

    def test_what_is_right_is_clean(self):
        self.assertEqual(self.faults(), [])

    def test_a_line_that_is_too_long(self):
        self.texts["verba"] = self.texts["verba"].replace("be quick", "be quick" + 60 * "!")
        self.assert_fault("penstockctl verba --help: a line has")

    def test_no_example(self):
        self.texts["verbb"] = self.texts["verbb"].partition("\nExamples")[0]
        self.assert_fault("penstockctl verbb --help: there is no example")

    def test_an_example_of_another_verb(self):
        self.texts["verbb"] = self.texts["verbb"].replace("  penstockctl verbb", "  penstockctl verbc")
        self.assert_fault("penstockctl verbb --help: there is no example")

    def test_an_example_with_what_is_not_explained(self):
        self.texts["verbc"] = self.texts["verbc"].replace(" -q --fast ", " -q -f --faster=3 ")
        self.assert_fault("an example has -f,")
        self.assert_fault("an example has --faster,")

    def test_options_of_the_simulator(self):
        self.simulator = "sim [--fast] [--slow]\n"
        self.assert_fault("--quiet is not in the help of both")
        self.assert_fault("--slow is not in the help of both")

    def test_options_that_are_not_completed(self):
        del self.offered["--fast"]
        self.offered["--faster"] = ""
        self.assert_fault("verba: --fast is not both in its help and completed")
        self.assert_fault("verba: --faster is not both in its help and completed")
        self.assert_fault("verba: --faster is completed without a word")

    def test_verbs_that_are_not_completed(self):
        self.offers = lambda *words: [("verba", "Do it")] if words == ("",) else list(self.offered.items())
        self.assert_fault("penstockctl completes other verbs")

    def test_values_of_options(self):
        self.table = '        { "bye", NULL },\n'
        self.assert_fault("it does not say what the values of --by are")
        self.assert_fault("there is --bye, which no verb has")

    def test_an_overview_without_verbs(self):
        self.assert_fault("hardly any verb", "  verba Do it\n  simulate Do it\n")


if __name__ == "__main__":
    unittest.main()
