#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""docs/security.md: each threat has a guard and tests that exist, and polkit's actions are the same in the code, in the policy file
and on the page. docs/engine-start.md names tests that exist, too.

Usage: check_security.py SOURCE_ROOT
"""
import os
import re
import sys
import xml.etree.ElementTree

from check_contract import tests

PAGE, ENGINE_START, POLICY, CODE = "docs/security.md", "docs/engine-start.md", "units/org.penstock1.policy", "src/bus/polkit.c"
LEVELS = {"no": "no", "auth_admin_keep": "an administrator authenticates"}
# What the page must speak of.
THREATS = ["OOM killer", "user's manager", "terminal", "huge pages", "/run/penstock", "namespaces", "Outlives its cancel", "polkit hangs",
           "journal field", "without end"]


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as f:
        return f.read()


def rows(text, last):
    """The rows of the tables whose last column is LAST: the cells of each."""
    inside = False
    for line in text.split("\n"):
        cells = [c.strip() for c in line.strip().strip("|").replace(r"\|", "\0").split("|")] if line.startswith("|") else None
        if cells is None:
            inside = False
        elif cells[-1] == last:
            inside = True
        elif inside and not set(line) <= set("|- "):
            yield [c.replace("\0", "|") for c in cells]


def check_tests(root, page, known):
    n = 0
    for cells in rows(read(root, page), "test"):
        n += 1
        if len(cells) != 3 or not all(cells):
            yield f"{page}: a row that is not whole: {cells[0]}"
            continue
        if cells[2] == "the same":
            continue
        for name in cells[2].split("<br>"):
            if name.strip() not in known:
                yield f"{page}: {cells[0]}: there is no test {name.strip()!r}"
    if n < 10:
        yield f"{page}: hardly any row was found; is this check out of date?"


def policy(root):
    """Each action with its one default."""
    found = {}
    for action in xml.etree.ElementTree.fromstring(read(root, POLICY).encode()).iter("action"):
        found[action.get("id")] = {d.text for d in action.find("defaults")}
    return found


def check_actions(root):
    in_code = set(re.findall(r'"(org\.penstock1\.[a-z-]+)"', read(root, CODE)))
    in_policy = policy(root)
    on_page = {cells[0].strip("`"): cells[2] for cells in rows(read(root, PAGE), "details for rules")}
    for name in sorted(in_code | set(in_policy) | set(on_page)):
        for where, names in ((CODE, in_code), (POLICY, in_policy), (PAGE, on_page)):
            if name not in names:
                yield f"{where}: the action {name} is not there"
    for name in set(in_policy) & set(on_page):
        if {LEVELS.get(level) for level in in_policy[name]} != {on_page[name]}:
            yield f"{PAGE}: the default of {name} is {in_policy[name]}, and is said to be {on_page[name]!r}"


def check(root, known_tests=None):
    known = tests(root) if known_tests is None else known_tests
    yield from check_tests(root, PAGE, known)
    yield from check_tests(root, ENGINE_START, known)
    yield from check_actions(root)
    text = read(root, PAGE)
    for threat in THREATS:
        if threat not in text:
            yield f"{PAGE}: nothing is said of {threat!r}"
    if not re.search(r"^## Not defended\n\n\* ", text, flags=re.M):
        yield f"{PAGE}: what is not defended is not said"


if __name__ == "__main__":
    faults = list(check(sys.argv[1]))
    print("\n".join(faults))
    sys.exit(1 if faults else 0)
