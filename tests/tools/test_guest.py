#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""tools/guest on a host that fails, with a QEMU that only speaks as a guest does."""
import os
import unittest

from kit import TOOLS, GuestMachine


class TestCaches(GuestMachine):
    def test_what_is_whole_is_kept_and_the_commands_status_is_passed_on(self):
        self.assert_said(self.guest(FAKE_SAYS="hello"), 3, "hello")
        self.assertEqual(len(self.bases()), 1)
        again = self.guest()
        self.assert_said(again, 3)
        self.assertNotIn("making Debian", again.stdout)
        self.assertEqual(self.left("tmp"), [])

    def test_a_tree_that_was_not_made_to_its_end_is_no_cache(self):
        self.assert_said(self.guest(FAKE_DEBIAN="25"), 125)
        self.assertEqual(self.bases(), [])

    def test_an_initramfs_without_its_modules_is_no_cache(self):
        self.program("chroot", "#!/bin/sh\nexit 1\n")
        self.assert_said(self.guest(), 125)
        self.assertEqual(self.bases(), [])

    def test_an_initramfs_that_the_disk_had_no_room_for_is_no_cache(self):
        self.program("cpio", "#!/bin/sh\nhead -c 1\nexit 1\n")
        self.assert_said(self.guest(), 125)
        self.assertEqual(self.bases(), [])


if __name__ == "__main__":
    unittest.main()
