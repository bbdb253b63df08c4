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

from kit import Bus, ctl, wait_for
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

    def until(self, see, right):
        """penstockctl offers nothing when a busy host takes too long, so look again before what is seen is wrong."""
        seen = []

        def is_right():
            seen.append(see())
            return right(seen[-1])
        try:
            wait_for("what was expected to come", is_right)
        except AssertionError as e:
            raise AssertionError(f"{e}; instead: {seen[-1:]}") from None

    def assert_offers(self, line, wanted, sort=False):
        self.until(lambda: self.values(line), lambda seen: (sorted(seen) if sort else seen) == wanted)

    def assert_among(self, line, *wanted):
        self.until(lambda: self.values(line), lambda seen: set(wanted) <= set(seen))

    def assert_runs(self, line, wanted):
        self.until(lambda: self.shell.runs(line), lambda seen: seen == wanted)

    def test_verbs_and_options(self):
        self.assert_offers("penstockctl subm", ["submit"])
        self.assert_among("penstockctl ", "run", "list", "simulate", "help")
        self.assert_offers("penstockctl help why", ["why"])
        self.assert_among("penstockctl --", "--version")
        self.assert_offers("penstockctl list --", ["--help", "--json"], sort=True)
        self.assert_offers("penstockctl run --memory-", ["--memory-initial", "--memory-max"], sort=True)
        self.assertEqual(self.values("penstockctl frobnicate "), [])

    def test_ids_that_the_verb_can_have(self):
        self.assert_offers("penstockctl show ", ["1", "2", "3"])
        self.assert_offers("penstockctl cancel ", ["1"])
        self.assertEqual(self.values("penstockctl show 1 "), [])
        self.assert_offers("penstockctl done 1 q3 ", ["2"])
        self.assert_offers("penstockctl wait --json ", ["1", "2", "3"])

    def test_ids_come_with_what_they_are(self):
        if self.shell.has_descriptions:
            self.until(lambda: [text for _, text in self.shell.offers("penstockctl why ")],
                       lambda seen: seen == ["executing, shell", "errored (MemoryLimitExceeded), fail", "finished, shell"])
            self.until(lambda: self.shell.offers("penstockctl run --language "), lambda seen: ("shell", "POSIX shell") in seen)

    def test_languages_in_either_form(self):
        self.assert_offers("penstockctl run --language ", ["exec", "shell"])
        self.assert_offers("penstockctl submit -l sh", ["shell"])
        self.assert_runs("penstockctl run --language=sh", ["run", "--language=shell"])

    def test_values_of_other_options(self):
        self.assert_offers("penstockctl run --dependency ", ["sales"])
        self.assert_among("penstockctl run --memory-max ", "256M")
        self.assert_among("penstockctl run --timeout ", "infinity")
        self.assert_among("penstockctl run --env P", "PATH")
        self.assert_among("penstockctl run --user ro", "root")
        self.assert_runs("penstockctl simulate plan --set Que", ["simulate", "plan", "--set", "QueueSize="])
        self.assertEqual(self.values("penstockctl run --param "), [])

    def test_files_and_folders(self):
        for line in ("run --database sales", "run --database=sales", "submit -l shell --file sales", "config check sales",
                     "simulate plan sales", "run -l shell query sales", "run -l exec sales"):
            words = f"{line} figures.db".split(" ")
            self.assert_runs(f"penstockctl {line}", words[:-2] + [" ".join(words[-2:])])
        self.until(lambda: [w.rstrip("/") for w in self.shell.runs("penstockctl run --working-directory so")],
                   lambda seen: seen == ["run", "--working-directory", "some place"])
        self.assertEqual(self.values("penstockctl run -l shell "), [])  # the query is his own

    def test_a_command_behind_the_dashes(self):
        self.assert_among("penstockctl run -- mkte", "mktemp")
        self.assert_runs("penstockctl run --quiet -- cat sales", ["run", "--quiet", "--", "cat", "sales figures.db"])

    def test_the_text_of_a_label_stays_text(self):
        self.until(lambda: sorted(v.strip("=") for v in self.values("penstockctl run --label ")),
                   lambda seen: seen == ["evil", "team"])
        self.assert_runs("penstockctl run --label evi", ["run", "--label", "evil="])
        self.assert_runs("penstockctl run --label evil=", ["run", "--label", f"evil={EVIL}"])
        self.assert_runs("penstockctl run --label=team=", ["run", "--label=team=ads"])  # the other is no text
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
            self.assert_offers("penstockctl subm", ["submit"])
            self.assertFalse(os.path.exists(f"{self.folder}/started"))
            address, os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = os.environ["DBUS_SYSTEM_BUS_ADDRESS"], "unix:path=/nonexistent"
            self.assertEqual(self.values("penstockctl show "), [])
            os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = address
        finally:
            self.start()

    def time_of_nothing(self):
        begin = time.monotonic()
        self.assertEqual(self.values("penstockctl show "), [])
        return time.monotonic() - begin

    def test_a_service_that_does_not_answer_is_not_waited_for(self):
        self.bus.standin.send_signal(signal.SIGSTOP)
        try:
            self.until(self.time_of_nothing, lambda seconds: seconds < PATIENCE_SEC)
        finally:
            self.bus.standin.send_signal(signal.SIGCONT)


if __name__ == "__main__":
    TestCompletion.kind, TestCompletion.scripts = SHELLS[sys.argv[1]], sys.argv[2]
    TestCompletion.kind.find()
    unittest.main(argv=sys.argv[:1])
