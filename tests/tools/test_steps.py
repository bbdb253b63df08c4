#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tools/test counts when what it runs dies."""
import json
import unittest

from kit import QEMU, TOOLS, GuestMachine, Machine

STEPS = ("common", "steps", "host-build", "guest-suites")
SET = "work=$HOME/work timeouts=4 long='' slow_parts=4 suites=(trixie) here=0 guest_words=(x) guest_pids=()\nsteps_begin\n"
MESON = """#!/bin/sh
while [ "$1" != -C ]; do shift; done
printf '%s' '{result}' >"$2/meson-logs/testlog.json"
exit {status}
"""
GOOD = '{"name": "one", "result": "OK"}\n'


class TestSteps(Machine):
    def count(self, text):
        """The last line."""
        done = self.shell(SET + text + "\nsteps_end || exit 1", *STEPS)
        return done.returncode, done.stdout.splitlines()[-1]

    def meson(self, status, result):
        self.program("meson", MESON.replace("{status}", str(status)).replace("{result}", result))
        return self.count('mkdir -p "$work/b/meson-logs"; build_test gcc "$work/b"')

    def test_what_meson_says_of_each_test_is_counted(self):
        self.assertEqual(self.meson(0, GOOD), (0, "1 passed, 0 failed, 0 skipped"))
        self.assertEqual(self.meson(1, GOOD + '{"name": "two", "result": "TIMEOUT"}\n'), (1, "1 passed, 1 failed, 0 skipped"))
        self.assertEqual(self.meson(0, '{"name": "two", "result": "SKIP", "stdout": "no dog"}\n'), (0, "0 passed, 0 failed, 1 skipped"))

    def test_a_meson_that_dies_between_two_tests_has_failed(self):
        self.assertEqual(self.meson(137, GOOD), (1, "1 passed, 1 failed, 0 skipped"))

    def test_a_log_of_tests_that_was_cut_has_failed(self):
        self.assertEqual(self.meson(0, GOOD + '{"name": "tw'), (1, "1 passed, 1 failed, 0 skipped"))

    def test_what_a_failed_test_wrote_is_told_of_each_stream(self):
        text = json.dumps({"name": "two", "result": "FAIL", "stdout": "red\n", "stderr": "ERROR\n #0\nShadow bytes around it\n 00"})
        log = self.put("log.json", GOOD + text + "\n" + text[:9])
        done = self.shell(SET + f"build_failures '{log}'", *STEPS)
        self.assertEqual(done.stdout, "two, FAIL:\n  red\n  ERROR\n   #0\n")

    def test_a_guest_of_which_nothing_was_written_down_has_failed(self):
        text = 'tools/guest() { :; }; guest_suite() { return 1; }; : & prepare_pid=$!\nguests_run'
        self.assertEqual(self.count(text), (1, "0 passed, 1 failed, 0 skipped"))

    def test_a_guest_that_dies_before_its_suites_ended_has_failed(self):
        self.assertEqual(self.count('guest_watch one echo "ok - two"'), (1, "1 passed, 1 failed, 0 skipped"))
        self.assertEqual(self.count(r'guest_watch one printf "ok - two\n# all suites ended\n"'), (0, "1 passed, 0 failed, 0 skipped"))


class TestLastLine(Machine):
    def test_it_comes_also_where_nothing_can_be_installed(self):
        self.program("dpkg-query", "#!/bin/sh\nexit 1\n")
        self.program("apt-get", "#!/bin/sh\necho 'E: no network'\nexit 100\n")
        done = self.run_tool(f"{TOOLS}/test", "--no-guests")
        self.assert_said(done, 1, "no network")
        self.assertEqual(done.stdout.splitlines()[-1], "0 passed, 1 failed, 0 skipped")

    def test_it_comes_last_also_where_all_is_kept_and_it_is_ended(self):
        self.program("dpkg-query", "#!/bin/sh\n: >\"$HOME/begun\"\nsleep 1\nprintf 'ii '\n")
        process = self.start_tool(f"{TOOLS}/test", "--no-guests", PENSTOCK_TEST_KEEP="1")
        done = self.terminate_when(process, self.path("home/begun"))
        self.assert_said(done, 143, "kept: ", "came to its end")
        self.assertEqual(done.stdout.splitlines()[-1], "0 passed, 1 failed, 0 skipped")

    def test_what_says_nothing_of_what_is_to_run_is_refused(self):
        self.assert_said(self.run_tool(f"{TOOLS}/test", "--no-guests", "--guests", "growth"), 1, "--no-guests")
        self.assert_said(self.run_tool(f"{TOOLS}/test", "--no-guests", PENSTOCK_TEST_SEED="x"), 1, "PENSTOCK_TEST_SEED")


class TestGuests(GuestMachine):
    def test_each_guest_is_ended_with_it(self):
        """Also the one that is booted when the others have ended: without PSI."""
        for name, text in (("npm", ""), ("unshare", "exit 1\n")):
            self.program(name, f"#!/bin/sh\n{text}")
        hangs = 'import os, sys, time\nif "psi=0" in " ".join(sys.argv):\n    open(os.environ["HOME"] + "/booted", "w")\n    time.sleep(1000)\n'
        process = self.start_tool(f"{TOOLS}/test", "--suite", "trixie", "--guests", FAKE_SAYS="ok - one\n# all suites ended\n",
                                  FAKE_QEMU=self.put("qemu", QEMU.replace("\n", f"\n{hangs}", 1)))
        done = self.terminate_when(process, self.path("home/booted"))
        self.assert_said(done, 143)
        self.assertEqual(done.stdout.splitlines()[-1], "1 passed, 2 failed, 0 skipped")  # its status is 3, and it was ended
        self.assertEqual(self.left("tmp"), [])


if __name__ == "__main__":
    unittest.main()
