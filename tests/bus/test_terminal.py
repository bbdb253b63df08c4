#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What penstockctl prints on terminals of any width, and where there is none: tables fit, words stay whole, escapes come only
where somebody sees their colors, and nobody else's text brings any."""
import os
import re
import signal
import subprocess
import unittest

from kit import Bus, Terminal, ctl

COLOR = re.compile(r"\033\[[0-9;]*m")
WIDTHS = (40, 60, 80, 132, 200)
# ESC, DEL and, in UTF-8, the C1 control that begins a sequence too.
HOSTILE = "red\033[31m\x7f\x9b31m"
LONG_WORDS = ("MemoryLimitExceeded:", "penstock-q2.service")


class TestTerminal(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        os.environ["LC_ALL"] = "C.UTF-8"
        cls.bus = Bus()
        cls.bus.start()
        ctl("submit", "-l", "shell", "--label", f"team={HOSTILE}", "sleep 100")
        ctl("submit", "-l", "fail", "MemoryLimitExceeded")
        ctl("submit", "-l", "shell", "--label", "team=größe", "true")

    @classmethod
    def tearDownClass(cls):
        cls.bus.close()

    def shown(self, *words, columns=80, **environment):
        text, status = Terminal([os.environ["PENSTOCKCTL"], *words], columns, **environment).rest()
        self.assertEqual(status, 0, text)
        return text.replace("\r\n", "\n")

    def test_every_table_fits_the_terminal(self):
        for words in (["list"], ["show", "2"], ["stats", "2"], ["profile", "2"], ["status"], ["languages"], ["history"]):
            for columns in WIDTHS:
                text = self.shown(*words, columns=columns)
                for line in COLOR.sub("", text).partition("\n10 more rows")[0].splitlines():
                    self.assertLessEqual(len(line.rstrip()), columns, f"{words} with {columns} columns: {line!r}")
                self.assertNotIn("\\x0a", text)

    def test_a_narrow_list_keeps_what_matters_and_a_wide_one_has_all(self):
        heads = {n: self.shown("list", columns=n).partition("\n")[0].split() for n in WIDTHS}
        self.assertEqual(heads[40][:2], ["ID", "STATE"])
        self.assertIn("WHY", heads[40])
        for narrow, wide in zip(WIDTHS, WIDTHS[1:]):
            self.assertLessEqual(set(heads[narrow]), set(heads[wide]))
            self.assertGreater(len(heads[wide]) + (wide > 132), len(heads[narrow]))
        self.assertEqual(heads[200], subprocess.run([os.environ["PENSTOCKCTL"], "list"], stdout=subprocess.PIPE, text=True,
                                                    check=True).stdout.partition("\n")[0].split())
        self.assertIn("LABELS", heads[200])
        self.assertIn("MemoryLimitExceeded", self.shown("list", columns=200))

    def test_words_stay_whole(self):
        for columns in (40, 60):
            text = COLOR.sub("", self.shown("show", "2", columns=columns))
            self.assertEqual(" ".join(text.split()), " ".join(ctl("show", "2").split()))
            for word in LONG_WORDS:
                self.assertIn(word, text)
        self.assertGreater(self.shown("show", "2", columns=40).count("\n"), self.shown("show", "2").count("\n"))

    def test_colors_come_where_they_are_seen(self):
        for words in (["list"], ["show", "1"], ["stats", "1"]):
            self.assertIn("\033[32mexecuting", self.shown(*words))
            self.assertIn("\033[32mexecuting", self.shown(*words, NO_COLOR=""))
            for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}, {"TERM": ""}, {"TERM": None}):
                text = self.shown(*words, **environment)
                self.assertNotIn("\033", text, environment)
                self.assertIn("executing", text)

    def test_the_background_writes_nothing_to_the_terminal(self):
        run = f"{os.environ['PENSTOCKCTL']} run -l shell 'sleep 2'"
        in_front, _ = Terminal(["sh", "-c", f"{run} > /dev/null"]).rest()
        self.assertIn("executing", in_front)
        behind, _ = Terminal(["sh", "-c", f"set -m; {run} > /dev/null & wait; echo over"]).rest()
        self.assertIn("over", behind)
        self.assertNotIn("executing", behind)

    def test_the_background_takes_nothing_that_is_typed(self):
        run = f"{os.environ['PENSTOCKCTL']} run -q"
        look = "sh -c 'test -t 0 && echo a terminal || { cat && echo none; }'"
        for line, seen in ((f"{run} -- {look} & wait", "none"), (f"{run} --stdin -- {look} & wait", "a terminal"),
                           (f"{run} -- {look}", "a terminal"),
                           (f"echo a file | {run} -- {look} & wait", "a file\nnone")):
            text, _ = Terminal(["sh", "-c", f"set -m; {line}; echo over"]).rest()
            self.assertIn(f"{seen}\n", text.replace("\r\n", "\n"), line)
            self.assertIn("over", text, line)

    def test_a_signal_that_is_ignored_stays_so(self):
        run = subprocess.Popen(["sh", "-c", f"trap '' INT; exec {os.environ['PENSTOCKCTL']} run -l shell 'echo up; sleep 1; echo done'"],
                               stdout=subprocess.PIPE, text=True)
        self.assertEqual(run.stdout.readline(), "up\n")
        run.send_signal(signal.SIGINT)
        self.assertEqual((run.communicate()[0], run.returncode), ("done\n", 0))

    def test_a_pipe_gets_plain_lines(self):
        for words in (["list"], ["show", "1"], ["stats", "2"], ["status"], ["list", "--json"], ["help", "run"]):
            text = ctl(*words, env={**os.environ, "TERM": "xterm", "COLUMNS": "20"})
            self.assertNotIn("\033", text)
        self.assertIn(" 64M ", ctl("list", env={**os.environ, "COLUMNS": "20"}))

    def test_the_text_of_others_commands_nobody(self):
        for words in (["list"], ["show", "1"], ["list", "--json"]):
            for text in (self.shown(*words, columns=200, NO_COLOR="1"), ctl(*words)):
                for control in ("\033", "\x7f", "\x9b"):
                    self.assertNotIn(control, text)
        self.assertIn("größe", self.shown("list", columns=200))


if __name__ == "__main__":
    unittest.main()
