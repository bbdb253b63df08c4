#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tools make of their arguments, before anything is built or booted."""
import os
import unittest

from kit import TOOLS, Machine

FUZZER = """#!/bin/sh
echo "$@" >>"$HOME/asked"
for word; do
        case $word in -*) ;; *) [ -d "$word" ] || { echo "ERROR: The required directory \\"$word\\" does not exist"; exit 1; } ;; esac
done
echo "Done 1 runs"
"""


class TestFuzz(Machine):
    def setUp(self):
        super().setUp()
        for name in ("meson", "ninja"):
            self.program(name, "#!/bin/sh\n")
        self.put("work/fast/build.ninja")
        os.chmod(self.put("work/fast/tests/fuzz/fuzz-engine", FUZZER), 0o755)

    def fuzz(self, *words, work=None, **more):
        return self.run_tool(f"{TOOLS}/fuzz", "--work", work or self.path("work"), *words, **more)

    def test_a_number_of_runs_is_one(self):
        self.assert_said(self.fuzz("--runs", "1000", "engine"), 0, "engine: Done")
        for text in ("10M", "1e6", "-1", "0", ""):
            self.assert_said(self.fuzz("--runs", text, "engine"), 1, "--runs wants a number")

    def test_a_target_is_one(self):
        for name in ("", ".", "..", "../corpus/engine", "engines"):
            self.assert_said(self.fuzz(name), 1, "there is no target")

    def test_a_relative_directory_is_one_of_where_it_was_called(self):
        self.assert_said(self.fuzz("engine", work="work", cwd=self.dir), 0)
        self.assertEqual(self.left("work", "found"), ["engine"])

    def test_where_nothing_was_found_yet_there_is_nothing_to_minimize(self):
        self.assert_said(self.fuzz("--minimize", "engine"), 0, r"engine: \d+ inputs")

    def test_a_merge_that_failed_says_so(self):
        os.chmod(self.put("work/fast/tests/fuzz/fuzz-engine", "#!/bin/sh\necho 'ERROR: no room'\nexit 1\n"), 0o755)
        self.assert_said(self.fuzz("--minimize", "engine"), 1, "ERROR: no room")


class TestBench(Machine):
    def test_a_number_is_one_before_anything_is_measured(self):
        self.program("meson", "#!/bin/sh\necho 'it builds'\nexit 1\n")
        for option in ("--rounds", "--memory", "--timeout"):
            done = self.run_tool(f"{TOOLS}/bench", option, "few", "--match", "core")
            self.assert_said(done, 1, f"{option} wants a number")

    def test_files_are_those_of_where_it_was_called(self):
        for name in ("nproc", "meson", "ninja"):
            self.program(name, "#!/bin/sh\n")
        self.program("python3", "#!/bin/sh\necho \"$@\"\n")
        done = self.run_tool(f"{TOOLS}/bench", "--match", "core", "--json", "figures.json", "--page", "docs/page.md", cwd=self.dir)
        self.assert_said(done, 0, f"--json {self.dir}/figures.json", f"--page {self.dir}/docs/page.md")


if __name__ == "__main__":
    unittest.main()
