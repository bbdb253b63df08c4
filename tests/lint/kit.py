# SPDX-License-Identifier: LGPL-2.1-or-later
"""For tests of the checks: a copy of what a check reads, to be broken."""
import os
import shutil
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
ROOT = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..")


class Broken(unittest.TestCase):
    """check: the function to test; trees: what it reads. Both are set by the test."""

    check = None
    trees = ()

    def setUp(self):
        self.root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.root)
        for tree in self.trees:
            shutil.copytree(os.path.join(ROOT, tree), os.path.join(self.root, tree))

    def faults(self):
        return list(type(self).check(self.root))

    def path(self, path):
        return os.path.join(self.root, path)

    def replace(self, path, old, new):
        """Put NEW in place of OLD, which must be there."""
        with open(self.path(path), encoding="utf-8") as f:
            text = f.read()
        self.assertIn(old, text, path)
        with open(self.path(path), "w", encoding="utf-8") as f:
            f.write(text.replace(old, new, 1))

    def assert_fault(self, *words):
        """Exactly such a fault is found, with all WORDS in it."""
        faults = self.faults()
        self.assertTrue(any(all(w in f for w in words) for f in faults), f"{words} not in {faults}")
