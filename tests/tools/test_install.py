#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tools install on a host where others install, too."""
import unittest

from kit import TOOLS, GuestMachine

# Locked for two attempts of each kind.
LOCKED = """#!/bin/bash
for word in update install; do
        if [[ " $* " == *" $word "* ]]; then
                echo >>"$HOME/$word"
                [ "$(wc -l <"$HOME/$word")" = 3 ] || { echo "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 1"; exit 100; }
        fi
done
"""


class TestInstall(GuestMachine):
    def setUp(self):
        super().setUp()
        self.program("dpkg-query", "#!/bin/sh\nexit 1\n")

    def need(self, **more):
        self.program("sleep", "#!/bin/sh\n")
        return self.shell("need_packages thing", "common", "install", **more)

    def test_each_lock_of_another_apt_is_waited_for(self):
        self.program("apt-get", LOCKED)
        self.assert_said(self.need(), 0, "installing thing")
        self.assertEqual(self.left("home"), ["install", "update"])

    def test_what_else_apt_fails_by_is_told_at_once(self):
        self.program("apt-get", "#!/bin/sh\nmkdir \"$HOME/asked\" || exit 1\necho 'E: Unable to locate package thing'\nexit 100\n")
        self.assert_said(self.need(), 1, "Unable to locate", "could not install thing")

    def test_apt_is_not_ended_in_the_middle_with_who_asked_for_it(self):
        self.program("apt-get", "#!/bin/sh\n: >$HOME/begun\nsleep 2\n: >$HOME/ended\n")
        process = self.start_tool(f"{TOOLS}/guest", "--bare", "--build-only")
        self.assert_said(self.terminate_when(process, self.path("home/begun")), 143)
        self.wait_for_file(self.path("home/ended"))


if __name__ == "__main__":
    unittest.main()
