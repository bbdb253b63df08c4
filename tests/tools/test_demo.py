#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""tools/demo --here on a host that has users and queries of its own."""
import os
import unittest

from kit import Machine

# Query 1 was there before; 2 is the demo's; 3 is of somebody else, who came meanwhile.
PENSTOCKCTL = """#!/bin/bash
case $1 in
list) cat "$HOME/list" ;;
cancel) echo "$2" >>"$HOME/canceled" ;;
esac
"""
STAGE = """
user=somebody
stage_make_user
"""


def queries(*those):
    return "[%s]" % ", ".join('{"id": %d, "user_id": %d, "state": "executing"}' % one for one in those)


class TestDemo(Machine):
    def setUp(self):
        super().setUp()
        self.program("penstockctl", PENSTOCKCTL)
        self.program("setpriv", '#!/bin/bash\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n')
        self.program("getent", '#!/bin/sh\necho "somebody:x:0:0::$HOME:/bin/sh"\n')
        self.put("home/list", queries((1, 0)))

    def test_it_cancels_what_it_started_and_nothing_else(self):
        later = queries((1, 0), (2, 0), (3, 7))
        done = self.shell(f"{STAGE}echo '{later}' >\"$HOME/list\"\nstage_clean_up", "common", "demo-stage")
        self.assert_said(done, 0)
        with open(self.path("home/canceled"), encoding="utf-8") as f:
            self.assertEqual(f.read().split(), ["2"])

    def test_where_it_could_not_begin_nothing_is_canceled(self):
        self.program("mktemp", "#!/bin/sh\nexit 1\n")
        for text in (STAGE, f"penstockctl() {{ false; }}\nexport -f penstockctl\n{STAGE}"):
            self.assert_said(self.shell(f"trap stage_clean_up EXIT\n{text}exit 1", "common", "demo-stage"), 1)
            self.assertEqual(self.left("home"), ["list"])

    def test_what_a_user_has_in_his_home_is_left_alone(self):
        for name in ("packages.db", "packages.tsv", "go", "grow.py"):
            self.put(f"home/{name}", "mine")
        text = 'types "echo not mine >packages.db; ls"\nopens() { :; }\nstarts 9 "penstockctl run" || :\nstage_clean_up'
        done = self.shell(f"{STAGE}patience=0\n{text}", "common", "demo-stage")
        self.assert_said(done, 0, r"\n\$? ?packages.db\n")
        self.assertNotIn("grow.py", done.stdout)
        self.assertEqual(self.left("home"), ["go", "grow.py", "list", "packages.db", "packages.tsv"])
        self.assertEqual(os.path.getsize(self.path("home/packages.db")), len("mine"))

    def test_a_user_who_is_left_of_a_demo_that_was_killed_is_told_of(self):
        self.program("useradd", "#!/bin/sh\necho 'useradd: user exists' >&2\nexit 9\n")
        done = self.shell("user=''\nstage_make_user", "common", "demo-stage")
        self.assert_said(done, 1, "userdel --remove penstock-demo")


if __name__ == "__main__":
    unittest.main()
