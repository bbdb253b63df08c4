#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Completion of penstockctl in a real shell, against the stand-in: what is offered, that nobody's text is run, and that a
service that is away is neither missed aloud nor started.

Usage: test_completion.py SHELL SCRIPTS
"""
import os
import shutil
import signal
import sys
import tempfile
import time
import unittest

from kit import Bus, ctl
from shells import SHELLS

# Less than the 25 s after which the bus gives up: something else must have.
PATIENCE_SEC = 15
EVIL = "$(touch pwned); `touch pwned` 'x\" \\ !* | touch pwned & ~ {a,b} é"
SERVICE = "[D-BUS Service]\nName=org.penstock1\nExec=/bin/touch {folder}/started\n"


class TestCompletion(unittest.TestCase):
    kind, scripts = None, None

    @classmethod
    def setUpClass(cls):
        os.environ["LC_ALL"] = "C.UTF-8"
        cls.folder = os.path.realpath(tempfile.mkdtemp())
        cls.make_program()
        cls.bus = Bus(cls.make_bus_config())
        cls.start()
        cls.work = os.path.join(cls.folder, "work")
        os.makedirs(f"{cls.work}/some place")
        for name in ("sales figures.db", "notes.txt"):
            open(f"{cls.work}/{name}", "w", encoding="utf-8").close()

    @classmethod
    def start(cls):
        cls.bus.start()
        ctl("submit", "-l", "shell", "--label", f"evil={EVIL}", "sleep 100")
        ctl("submit", "-l", "fail", "--label", "team=\033[31mred", "MemoryLimitExceeded")
        ctl("submit", "-l", "shell", "--label", "team=ads", "true")

    def setUp(self):
        self.shell = self.kind(self.scripts, self.work)

    @classmethod
    def tearDownClass(cls):
        cls.bus.close()
        shutil.rmtree(cls.folder)

    @classmethod
    def make_program(cls):
        """The penstockctl of the build is the first of its name."""
        os.mkdir(f"{cls.folder}/bin")
        os.symlink(os.environ["PENSTOCKCTL"], f"{cls.folder}/bin/penstockctl")
        os.environ["PATH"] = f"{cls.folder}/bin:{os.environ['PATH']}"
        os.environ["HOME"] = cls.folder

    @classmethod
    def make_bus_config(cls):
        """The bus of the other tests; who would start the service leaves a file."""
        os.mkdir(f"{cls.folder}/services")
        with open(f"{cls.folder}/services/org.penstock1.service", "w", encoding="utf-8") as f:
            f.write(SERVICE.format(folder=cls.folder))
        with open(os.environ["BUS_CONFIG"], encoding="utf-8") as f:
            text = f.read()
        path = f"{cls.folder}/bus.conf"
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.replace("<servicedir>services<", f"<servicedir>{cls.folder}/services<"))
        return path

    def values(self, line):
        return [value for value, _ in self.shell.offers(line)]

    def test_verbs_and_options(self):
        self.assertEqual(self.values("penstockctl subm"), ["submit"])
        verbs = self.values("penstockctl ")
        for verb in ("run", "list", "simulate", "help"):
            self.assertIn(verb, verbs)
        self.assertEqual(self.values("penstockctl help why"), ["why"])
        self.assertIn("--version", self.values("penstockctl --"))
        self.assertEqual(sorted(self.values("penstockctl list --")), ["--help", "--json"])
        self.assertEqual(sorted(self.values("penstockctl run --memory-")), ["--memory-initial", "--memory-max"])
        self.assertEqual(self.values("penstockctl frobnicate "), [])

    def test_ids_that_the_verb_can_have(self):
        self.assertEqual(self.values("penstockctl show "), ["1", "2", "3"])
        self.assertEqual(self.values("penstockctl cancel "), ["1"])
        self.assertEqual(self.values("penstockctl show 1 "), [])
        self.assertEqual(self.values("penstockctl done 1 q3 "), ["2"])
        self.assertEqual(self.values("penstockctl wait --json "), ["1", "2", "3"])

    def test_ids_come_with_what_they_are(self):
        if self.shell.has_descriptions:
            self.assertEqual([text for _, text in self.shell.offers("penstockctl why ")],
                             ["executing, shell", "errored (MemoryLimitExceeded), fail", "finished, shell"])
            self.assertIn(("shell", "POSIX shell"), self.shell.offers("penstockctl run --language "))

    def test_languages_in_either_form(self):
        self.assertEqual(self.values("penstockctl run --language "), ["exec", "shell"])
        self.assertEqual(self.values("penstockctl submit -l sh"), ["shell"])
        for word in self.values("penstockctl run --language=sh"):
            self.assertIn(word, ("shell", "--language=shell"))
        self.assertEqual(self.shell.runs("penstockctl run --language=sh"), ["run", "--language=shell"])

    def test_values_of_other_options(self):
        self.assertEqual(self.values("penstockctl run --dependency "), ["sales"])
        self.assertIn("256M", self.values("penstockctl run --memory-max "))
        self.assertIn("infinity", self.values("penstockctl run --timeout "))
        self.assertIn("PATH", self.values("penstockctl run --env P"))
        self.assertIn("root", self.values("penstockctl run --user ro"))
        self.assertEqual(self.shell.runs("penstockctl simulate plan --set Que"), ["simulate", "plan", "--set", "QueueSize="])
        self.assertEqual(self.values("penstockctl run --param "), [])

    def test_files_and_folders(self):
        for line in ("run --database sales", "run --database=sales", "submit -l shell --file sales", "config check sales",
                     "simulate plan sales", "run -l shell query sales", "run -l exec sales"):
            words = f"{line} figures.db".split(" ")
            self.assertEqual(self.shell.runs(f"penstockctl {line}"), words[:-2] + [" ".join(words[-2:])])
        words = self.shell.runs("penstockctl run --working-directory so")
        self.assertEqual([w.rstrip("/") for w in words], ["run", "--working-directory", "some place"])
        self.assertEqual(self.values("penstockctl run -l shell "), [])  # the query is his own

    def test_a_command_behind_the_dashes(self):
        self.assertIn("mktemp", self.values("penstockctl run -- mkte"))
        self.assertEqual(self.shell.runs("penstockctl run --quiet -- cat sales"), ["run", "--quiet", "--", "cat", "sales figures.db"])

    def test_the_text_of_a_label_stays_text(self):
        self.assertEqual(sorted(v.strip("=") for v in self.values("penstockctl run --label ")), ["evil", "team"])
        self.assertEqual(self.shell.runs("penstockctl run --label evi"), ["run", "--label", "evil="])
        self.assertEqual(self.shell.runs("penstockctl run --label evil="), ["run", "--label", f"evil={EVIL}"])
        self.assertEqual(self.shell.runs("penstockctl run --label=team="), ["run", "--label=team=ads"])  # the other is no text
        for line in ("run --label 'evil=", 'run --label "evil=', "run --label evil=$", "run --label 'evil=$"):
            self.shell.survives(f"penstockctl {line}")
        if self.shell.name == "bash":  # which cannot quote within quotes
            self.assertEqual(self.shell.runs("penstockctl run --label 'evil=", then="'"), ["run", "--label", "evil="])
        self.assertFalse(os.path.exists(f"{self.work}/pwned"))

    def test_a_service_that_is_away_is_not_missed_and_not_started(self):
        self.bus.stop()
        try:
            for line in ("show ", "run --language ", "run --label ", "cancel 1"):
                self.assertEqual(self.values(f"penstockctl {line}"), [], line)
            self.assertEqual(self.values("penstockctl subm"), ["submit"])
            self.assertFalse(os.path.exists(f"{self.folder}/started"))
            address, os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = os.environ["DBUS_SYSTEM_BUS_ADDRESS"], "unix:path=/nonexistent"
            self.assertEqual(self.values("penstockctl show "), [])
            os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = address
        finally:
            self.start()

    def test_a_service_that_does_not_answer_is_not_waited_for(self):
        self.bus.standin.send_signal(signal.SIGSTOP)
        try:
            begin = time.monotonic()
            self.assertEqual(self.values("penstockctl show "), [])
            self.assertLess(time.monotonic() - begin, PATIENCE_SEC)
        finally:
            self.bus.standin.send_signal(signal.SIGCONT)


if __name__ == "__main__":
    TestCompletion.kind, TestCompletion.scripts = SHELLS[sys.argv[1]], sys.argv[2]
    TestCompletion.kind.find()
    unittest.main(argv=sys.argv[:1])
