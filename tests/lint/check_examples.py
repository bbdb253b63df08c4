#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""No example asks for more memory than an installation without a configuration allows one query: who copies it is
refused. A text that sets MemoryBytesQuotaPerQuery= to a size of its own may go up to that.

Usage: check_examples.py SOURCE_ROOT
"""
import os
import re
import sys

CONFIG = "src/core/config.c"
PLACES = [("docs", (".md", ".scd")), ("src/ctl", (".c",)), ("src/ctl/completion", ("",)), ("", ("README.md",))]
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
ASKED = re.compile(r"--memory-(?:max|initial)[ =]([0-9.]+)([KMGT]?)\b")
ALLOWED = re.compile(r"MemoryBytesQuotaPerQuery=([0-9.]+)([KMGT]?)\b")


def size(number, unit):
    return int(float(number) * UNITS[unit])


def files(root):
    for folder, endings in PLACES:
        for name in sorted(os.listdir(os.path.join(root, folder))):
            path = os.path.join(folder, name)
            if name.endswith(endings) and os.path.isfile(os.path.join(root, path)):
                yield path


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as f:
        return f.read()


def check(root):
    found = re.search(r'BYTES\("MemoryBytesQuotaPerQuery", \w+, "(\d+)([KMGT]?)"', read(root, CONFIG))
    if not found:
        yield f"{CONFIG}: the default of MemoryBytesQuotaPerQuery was not found; is this check out of date?"
        return
    n = 0
    for path in files(root):
        text = read(root, path)
        most = max([size(*found.groups())] + [size(*m.groups()) for m in ALLOWED.finditer(text)])
        for m in ASKED.finditer(text):
            n += 1
            if size(*m.groups()) > most:
                line = text.count("\n", 0, m.start()) + 1
                yield f"{path}:{line}: {m[0]} is refused where nothing is configured, which allows {found[1]}{found[2]}"
    if n == 0:
        yield "no example has --memory-max; is this check out of date?"


def main(root):
    return list(check(root))


if __name__ == "__main__":
    faults = main(sys.argv[1])
    print("\n".join(faults))
    sys.exit(1 if faults else 0)
