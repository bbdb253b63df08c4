#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""tools/guest on a host that fails, with a QEMU that only speaks as a guest does."""
import os
import pwd
import unittest

from kit import MMDEBSTRAP, TOOLS, GuestMachine, Machine


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

    def test_a_share_that_the_disk_had_no_room_for_is_not_shown(self):
        self.put("share/file")
        self.program("tar", '#!/bin/sh\ncase "$*" in *share.tar*) exit 2 ;; esac\nexec /usr/bin/tar "$@"\n')
        self.assert_said(self.guest("--share", self.path("share")), 125)

    def test_what_is_mounted_in_a_tree_in_the_making_goes_with_who_makes_it(self):
        self.program("unshare", '#!/bin/sh\n[ "$1" = --mount ] || exit 1\nshift\nOWN_MOUNTS=1 exec "$@"\n')
        self.program("mmdebstrap", f'#!/bin/sh\n[ "$OWN_MOUNTS" = 1 ] || exit 1\nexec "{self.path("bin/fake")}" "$@"\n')
        self.program("fake", MMDEBSTRAP)
        self.assert_said(self.guest(), 3)

    def test_who_makes_a_tree_is_given_time_to_tidy_up_when_all_of_it_is_ended(self):
        self.program("mmdebstrap", """#!/bin/bash\ntrap 'sleep 2; : >"$HOME/tidy"; exit 1' TERM\n: >"$HOME/begun"\nwhile :; do sleep 0.1; done\n""")
        process = self.start_tool(f"{TOOLS}/guest", "--bare", "--build-only")
        self.assert_said(self.terminate_when(process, self.path("home/begun")), 143)
        self.assertTrue(os.path.exists(self.path("home/tidy")))
        self.assertEqual(self.bases(), [])


class TestEnds(GuestMachine):
    def test_what_fails_outside_the_guest_is_not_the_commands_status(self):
        self.assert_said(self.guest("--keep-console", "/nowhere/console"), 125, "/nowhere/console")
        self.assert_said(self.guest(TMPDIR="/nowhere"), 125, "/nowhere")

    def test_a_qemu_that_does_not_start_is_told_and_waited_for_no_longer(self):
        self.assert_said(self.guest(FAKE_QEMU=self.put("broken", "#!/bin/sh\necho this QEMU is broken\nexit 1\n")), 125, "this QEMU is broken",
                         "the guest died before the command began")
        self.assertEqual(self.left("tmp"), [])

    def test_a_word_that_comes_in_two_halves_is_one(self):
        self.assert_said(self.guest(FAKE_SLOW_S="1.5"), 3)

    def test_a_qemu_that_aborts_is_started_again_twice(self):
        done = self.guest(FAKE_QEMU=self.put("broken", "#!/bin/sh\nkill -ABRT $$\n"))
        self.assert_said(done, 125, "the guest died before the command began")
        self.assertEqual(done.stdout.count("booting again"), 2, done.stdout)

    def test_a_directory_that_got_new_files_here_stays_and_all_else_is_brought_back(self):
        for name in ("gone/a", "kept/b"):
            self.put(f"share/{name}")
        for last in ("gone", "kept"):  # whichever is the last one
            self.assert_said(self.guest("--share", self.path("share"), FAKE_GONE=f"gone/a:gone:kept:{last}"), 3)
            self.assertEqual(self.left("share"), ["kept", "new"])


class TestProject(Machine):
    """What the guest, the packages and the lint have of the working tree."""

    def test_a_project_that_lies_in_somebody_elses_repository_is_all_of_its_files(self):
        for name in (".gitignore", "project/src/a.c", "project/build/b", "project/.git.txt"):
            self.put(name, "*\n")
        self.assert_said(self.run_tool("git", "init", "--quiet", self.dir), 0)
        text = f"project_dir='{self.path('project')}'; cd \"$project_dir\"\n"
        for list_them, lib in (("project_files", "guest-project"), ("project_list", "lint")):
            done = self.shell(f"{text}{list_them} | tr '\\0' ' '", "common", lib)
            self.assertEqual(done.stdout, "src/a.c ", list_them)


class TestSurroundings(GuestMachine):
    def test_without_home_the_cache_is_where_the_user_has_his(self):
        done = self.guest("--build-only", without=("HOME", "PENSTOCK_CACHE"), XDG_CACHE_HOME=self.path("xdg"))
        self.assert_said(done, 0)
        self.assertTrue(self.left("xdg", "penstock"))
        self.program("mkdir", "#!/bin/sh\n")
        done = self.shell("choose_cache\necho $cache", "common", without=("HOME", "PENSTOCK_CACHE"))
        self.assertEqual(done.stdout, f"{pwd.getpwuid(os.getuid()).pw_dir}/.cache/penstock\n")

    def test_a_relative_cache_is_one_of_where_it_was_called(self):
        self.assert_said(self.guest(cwd=self.dir, PENSTOCK_CACHE="cache"), 3)
        self.assertEqual(len(self.bases()), 1)

    def test_where_no_cache_can_be_made_it_says_how_another_is_named(self):
        self.put("file")
        self.assert_said(self.guest(PENSTOCK_CACHE=self.path("file/cache")), 125, "PENSTOCK_CACHE")

    def test_programs_speak_the_language_that_is_understood(self):
        self.program("dd", "#!/bin/sh\n[ \"$LC_ALL:$LANGUAGE\" = C.UTF-8: ] || exit 1\nexec /usr/bin/dd \"$@\"\n")
        self.assert_said(self.guest(FAKE_SAYS="hello", LANG="de_DE.UTF-8", LC_ALL="de_DE.UTF-8", LANGUAGE="de"), 3, "hello")

    def test_programs_of_the_administrator_are_found_after_a_plain_su(self):
        done = self.shell("command -v chroot", "common", PATH="/usr/local/bin:/usr/bin:/bin")
        self.assert_said(done, 0, "sbin/chroot")


if __name__ == "__main__":
    unittest.main()
