#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""debian/ is about this version, asks for what the README says is needed to build it, and puts each file that is installed into one
package. What a package build finds out after minutes, or by luck not at all.

Usage: check_debian.py SOURCE_ROOT INSTALLED    INSTALLED: meson's list, meson-info/intro-installed.json
"""
import fnmatch
import glob
import json
import os
import re
import sys

# The package that takes what no other one names, see debian/rules.
REST = "penstock"
# Only says where D-Bus looks, and Debian's looks where it does anyway.
NOT_ASKED = ["libdbus-1-dev"]


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as f:
        return f.read()


def places(paths):
    """Where a build of Debian's would put these, relative to the root, with the variables that debian/*.install has for it."""
    for path in paths:
        path = re.sub(r"^/usr/lib/(x[^/]*/)?(libpenstock\.so|pkgconfig/)", r"/usr/lib/${DEB_HOST_MULTIARCH}/\2", path)
        yield re.sub(r"^/(usr/)?lib/systemd/system/", "/${env:UNITS}/", path)[1:]


def takes(pattern, path):
    """As dh_install has it: a pattern names files, or directories with all that is in them."""
    parts = path.split("/")
    return fnmatch.fnmatchcase("/".join(parts[: pattern.count("/") + 1]), pattern)


def check_packages(root, paths):
    patterns = {os.path.basename(f).removesuffix(".install"): read(root, f).split()
                for f in glob.glob(os.path.join(root, "debian/*.install"))}
    of_others = re.search(r"^of_others = (.*)$", read(root, "debian/rules"), flags=re.M)[1].split()
    for path in sorted(paths):
        by = [name for name, words in patterns.items()
              if any(takes(p, path) for p in words) and not (name == REST and any(word in path for word in of_others))]
        if len(by) != 1:
            yield f"{path} is in {' and '.join(sorted(by)) or 'no package'}"
    for name, words in sorted(patterns.items()):
        for pattern in words:
            if not any(takes(pattern, path) for path in paths):
                yield f"debian/{name}.install: {pattern} takes nothing"


def check(root, paths):
    version = re.search(r"^ *version: '(.*)',$", read(root, "meson.build"), flags=re.M)[1]
    if not read(root, "debian/changelog").startswith(f"penstock ({version}-"):
        yield f"debian/changelog: its first entry is not about {version}, as meson.build is"

    wanted = re.search(r"apt-get install (.*?)\n    meson", read(root, "README.md"), flags=re.S)[1].replace("\\", "").split()
    asked = re.search(r"^Build-Depends:(.*?)^$", read(root, "debian/control"), flags=re.S | re.M)[1]
    for package in wanted:
        if package.endswith("-dev") and package not in NOT_ASKED and not re.search(rf"[ ,]{re.escape(package)}[ ,\n]", asked):
            yield f"debian/control: {package}, which the README names, is not in Build-Depends"

    yield from check_packages(root, list(places(paths)))


if __name__ == "__main__":
    with open(sys.argv[2], encoding="utf-8") as installed:
        faults = list(check(sys.argv[1], json.load(installed).values()))
    print("\n".join(faults))
    sys.exit(1 if faults else 0)
