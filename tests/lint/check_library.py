#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every function of include/penstock.h is documented and exported with its version, and nothing else is exported; Debian's list
of symbols has them all.

Usage: check_library.py SOURCE_ROOT LIBRARY
"""
import os
import re
import subprocess
import sys

VERSION = "LIBPENSTOCK_0"
SYMBOLS = "debian/libpenstock0.symbols"
PROTOTYPE = re.compile(r"^(?!typedef)[A-Za-z].*?\b\**(penstock_[a-z0-9_]+)\(")


def declared(header):
    """Each function with its comment: the one behind it, or the one above it and those that stand with it."""
    found, comment, inside = {}, None, False
    for line in header.split("\n"):
        text = line.strip()
        prototype = PROTOTYPE.match(line)
        if inside or text.startswith("/*"):
            comment = text if not inside else comment + " " + text
            inside = "*/" not in text
        elif prototype:
            found[prototype[1]] = line.partition("/*")[2] or comment
        elif not text or text.startswith(("}", "#", "typedef")):
            comment = None
    return found


def exported(library):
    """The symbols of the shared library, each with its version."""
    text = subprocess.run(["nm", "-D", "--defined-only", "--with-symbol-versions", library], check=True,
                          stdout=subprocess.PIPE).stdout.decode()
    return [line.split()[-1] for line in text.splitlines()]


def listed(root):
    """What Debian's list has, written as exported() writes it."""
    with open(os.path.join(root, SYMBOLS), encoding="utf-8") as f:
        names = {line.split()[0] for line in f if line.startswith(" ")}
    return {VERSION if name == f"{VERSION}@{VERSION}" else name.replace("@", "@@") for name in names}


def check(root, symbols):
    with open(os.path.join(root, "include/penstock.h"), encoding="utf-8") as f:
        functions = declared(f.read())
    if len(functions) < 20:
        yield "include/penstock.h: hardly any function was found; is this check out of date?"
    for name, comment in functions.items():
        if not comment or len(comment.split()) < 4:
            yield f"include/penstock.h: {name}() has no comment with its contract"
        if f"{name}@@{VERSION}" not in symbols:
            yield f"{name}() is declared and not exported as {name}@@{VERSION}"
    for symbol in symbols:
        if symbol != VERSION and symbol.partition("@@")[0] not in functions:
            yield f"{symbol} is exported, and not declared in include/penstock.h"
    if VERSION not in symbols:
        yield f"there is no version node {VERSION}"
    for symbol in sorted(set(symbols) ^ listed(root)):
        yield f"{SYMBOLS}: {symbol} is {'not listed' if symbol in symbols else 'listed, and not exported'}"


if __name__ == "__main__":
    faults = list(check(sys.argv[1], exported(sys.argv[2])))
    print("\n".join(faults))
    sys.exit(1 if faults else 0)
