# SPDX-License-Identifier: LGPL-2.1-or-later
"""docs/metrics.md lists each family of src/core/metrics_families.c with its type, own label and help, in the same order,
and nothing else.

Usage: check_metrics.py SOURCE_ROOT
"""
import os
import re
import sys

TYPES = {"COUNTER": "counter", "SECONDS": "counter", "GAUGE": "gauge", "HISTOGRAM": "histogram"}


def families_of_code(text):
    """(name, type, own label, help) of each row of the table."""
    rows = []
    row = re.compile(r'\[METRIC_\w+\] = (\w+)\("(\w+)",\s*("\w+"|\w+),\s*((?:"[^"]*"\s*)+)\)')
    for kind, name, second, words in row.findall(text):
        own = second.strip('"') if kind != "HISTOGRAM" and second != "NULL" else ""
        rows.append((name, TYPES[kind], own, "".join(re.findall(r'"([^"]*)"', words))))
    if len(rows) != len(re.findall(r"^ *\[METRIC_", text, re.M)):
        sys.exit("check_metrics: a row of metrics_families.c is written in another way than this script reads")
    return rows


def families_of_page(text):
    row = re.compile(r"^\| `(penstock_\w+)` \| (\w+) \| (?:`(\w+)` )?\| (.*) \|$", re.M)
    rows = [(name, kind, own or "", words) for name, kind, own, words in row.findall(text)]
    if len(rows) != len(re.findall(r"^\| `penstock_", text, re.M)):
        sys.exit("check_metrics: a row of docs/metrics.md is written in another way than this script reads")
    return rows


def main(argv):
    root = argv[1]
    with open(os.path.join(root, "src/core/metrics_families.c"), encoding="utf-8") as f:
        code = families_of_code(f.read())
    with open(os.path.join(root, "docs/metrics.md"), encoding="utf-8") as f:
        page = families_of_page(f.read())
    faults = [f"docs/metrics.md lacks {row}" for row in code if row not in page]
    faults += [f"docs/metrics.md has {row}, which the code has not" for row in page if row not in code]
    if not faults and code != page:
        faults = ["docs/metrics.md has another order than the code"]
    print("\n".join(faults + [f"metrics: {len(code)} families, {len(faults)} faults"]))
    return 1 if faults or not code else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
