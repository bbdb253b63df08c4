#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where tools/lib and the pages run guest tests by a part of their names (--match), each of these words is found in the name of
one: a promise that is written anew would else leave a run without tests. And docs/testing.md says of how many suites the
sanitized guest has none.

Usage: check_match.py SOURCE_ROOT
"""
import glob
import os
import re
import shlex
import subprocess
import sys

from check_contract import tests

PAGE = "docs/testing.md"
FILES = ("tools/lib/*.sh", "docs/*.md", "CONTRIBUTING.md")
COMMAND = re.compile(r"guest/run(?P<run>[^`\n]*)|guest_words=\((?P<words>[^)\n]+)\)")


def commands(root):
    """FILE, and the words of each command in it."""
    for pattern in FILES:
        for path in sorted(glob.glob(os.path.join(root, pattern))):
            with open(path, encoding="utf-8") as f:
                text = f.read().replace("\\\n", " ").replace(r"\|", "|")
            for found in COMMAND.finditer(text):
                words = found["run"] or found["words"] or ""
                if "--match" in words:
                    yield os.path.relpath(path, root), shlex.split(words, comments=True)


def check_sanitized(root):
    guest = os.path.join(root, "tests/guest")
    with open(os.path.join(guest, "run"), encoding="utf-8") as f:
        suites = re.findall(r'"(\w+)"', re.search(r"^SUITES = \[(.*?)\]", f.read(), flags=re.M | re.S)[1])
    code = "import sys; sys.path.insert(0, sys.argv[1]); from lib import sanitized as s; print(*s.LEFT_OUT, sep='\\n')"
    done = subprocess.run([sys.executable, "-B", "-c", code, guest], check=True, stdout=subprocess.PIPE)
    left_out = [name for name in done.stdout.decode().splitlines() if name in suites]
    with open(os.path.join(root, PAGE), encoding="utf-8") as f:
        text = f.read()
    for words in (f"{len(suites) - len(left_out)} of {len(suites)} guest suites", f"which {len(left_out)} suites are left out"):
        if words not in text:
            yield f"{PAGE}: it does not say {words!r}, as tests/guest/lib/sanitized.py and tests/guest/run do"


def check(root, known_tests=None):
    known = tests(root) if known_tests is None else known_tests
    n = 0
    for path, words in commands(root):
        n += 1
        suites = tuple(f"{w}: " for w in words if any(name.startswith(f"{w}: ") for name in known))
        expression = words[words.index("--match") + 1]
        for part in [expression] if "(" in expression else expression.split("|"):
            if not any(re.search(part, name) for name in known if name.startswith(suites or "")):
                yield f"{path}: --match {part!r}: there is no such test of {', '.join(s[:-2] for s in suites) or 'any suite'}"
    yield from check_sanitized(root)
    if n < 3:
        yield f"{n} commands with --match were found; is this check out of date?"


if __name__ == "__main__":
    faults = list(check(sys.argv[1]))
    print("\n".join(faults))
    sys.exit(1 if faults else 0)
