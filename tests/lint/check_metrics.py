#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""docs/metrics.md lists each family of src/core/metrics_families.c with its type, own label and help, in the same order,
and nothing else; and docs/configuration.md names each own label as one that MetricLabelKeys= may not have.

Usage: check_metrics.py SOURCE_ROOT
"""
import os
import re
import sys

CODE, PAGE, KEYS = "src/core/metrics_families.c", "docs/metrics.md", "docs/configuration.md"
TYPES = {"COUNTER": "counter", "SECONDS": "counter", "GAUGE": "gauge", "HISTOGRAM": "histogram"}
CODE_ROW = re.compile(r'\[METRIC_\w+\] = (\w+)\("(\w+)",\s*("\w+"|\w+),\s*((?:"[^"]*"\s*)+)\)')
PAGE_ROW = re.compile(r"^\| `(penstock_\w+)` \| (\w+) \| (?:`(\w+)` )?\| (.*) \|$", re.M)


def families_of_code(text):
    """(name, type, own label, help) of each row of the table."""
    rows = []
    for kind, name, second, words in CODE_ROW.findall(text):
        own = second.strip('"') if kind != "HISTOGRAM" and second != "NULL" else ""
        rows.append((name, TYPES[kind], own, "".join(re.findall(r'"([^"]*)"', words))))
    return rows


def check(root):
    """Yield each fault."""
    texts = {}
    for path in (CODE, PAGE, KEYS):
        with open(os.path.join(root, path), encoding="utf-8") as f:
            texts[path] = f.read()
    code = families_of_code(texts[CODE])
    page = [(name, kind, own or "", words) for name, kind, own, words in PAGE_ROW.findall(texts[PAGE])]
    if len(code) != len(re.findall(r"^ *\[METRIC_", texts[CODE], re.M)):
        yield f"{CODE}: a row is written in another way than this check reads"
    if len(page) != len(re.findall(r"^\| `penstock_", texts[PAGE], re.M)):
        yield f"{PAGE}: a row is written in another way than this check reads"
    for row in code:
        if row not in page:
            yield f"{PAGE} lacks {row}"
    for row in page:
        if row not in code:
            yield f"{PAGE} has {row}, which the code has not"
    if code != page and sorted(code) == sorted(page):
        yield f"{PAGE} has another order than the code"
    for own in sorted({row[2] for row in code} - {""}):
        if f"`{own}`" not in texts[KEYS]:
            yield f"{KEYS} does not say that {own} may not be in MetricLabelKeys="


def main(argv):
    faults = list(check(argv[1]))
    print("\n".join([*faults, f"metrics: {len(faults)} faults"]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
