#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The pages of the manual are well formed, fit into 80 columns, and lead to each other and to what is installed.

Usage: check_manual.py DIRECTORY GROFF MANDOC [DOC…]    MANDOC may be empty; DOC: a file of docs/ that is installed
"""
import os
import re
import subprocess
import sys

COLUMNS = 80
# penstock(7) teaches the model in two screens.
MODEL, MODEL_LINES = "penstock.7", 80
PAGE = re.compile(r"^[a-z0-9.-]+\.[1-8]$")
OURS = re.compile(r"penstock")


def references(roff):
    """The pages that a page names, as the names of their files."""
    return {f"{name}.{section}" for name, section in re.findall(r"\\fB([A-Za-z0-9._-]+)\\fR\(([1-8])\)", roff.replace(r"\&", ""))}


def check_page(name, pages, docs):
    roff = pages[name].replace(r"\&", "")
    if not re.search(r"^\.TH .*\n\.nh$", roff, flags=re.M):
        yield f"{name}: it is hyphenated, and names would be broken in two"
    for section in ("NAME", "DESCRIPTION", "SEE ALSO"):
        if not re.search(rf"^\.SH {section}$", roff, flags=re.M):
            yield f"{name}: there is no section {section}"
    for other in sorted(references(roff)):
        if OURS.search(other) and other not in pages:
            yield f"{name}: {other} is no page of ours"
    if name != MODEL and MODEL not in references(roff):
        yield f"{name}: it does not lead to {MODEL}"
    for doc in re.findall(r"\bdocs/[a-z-]+\.md", roff):
        yield f"{name}: {doc} is not installed under that name"
    for doc in re.findall(r"/usr/share/doc/penstock/([a-z-]+)\.md", roff):
        if doc not in docs:
            yield f"{name}: {doc}.md is not installed"


def check_rendered(name, text):
    lines = [t.rstrip() for t in text.split("\n")]
    for t in lines:
        if len(t) > COLUMNS:
            yield f"{name}: a line has {len(t)} columns, {COLUMNS} are there: {t.strip()}"
    shown = [t for i, t in enumerate(lines) if t or (i and lines[i - 1])]
    if name == MODEL and len(shown) > MODEL_LINES:
        yield f"{name}: {len(shown)} lines are more than two screens ({MODEL_LINES})"


def check(pages, rendered, docs):
    """PAGES: each page's roff by its file's name; RENDERED: as it is shown."""
    if MODEL not in pages:
        yield f"there is no {MODEL}"
        return
    for name in sorted(pages):
        yield from check_page(name, pages, docs)
        yield from check_rendered(name, rendered[name])
        if name not in references(pages[MODEL]) | {MODEL}:
            yield f"{MODEL}: it does not lead to {name}"


def render(path, groff):
    """The page as a terminal of 80 columns has it, and what groff says of it."""
    done = subprocess.run([groff, "-K", "utf8", "-t", "-man", "-Tutf8", "-ww", f"-rLL={COLUMNS}n", f"-rLT={COLUMNS}n", "-P-c", "-P-b",
                           "-P-u", "-P-o", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True)
    return done.stdout.decode(), done.stderr.decode().splitlines()


def main(directory, groff, mandoc, *docs):
    pages, rendered, faults = {}, {}, []
    for name in filter(PAGE.match, os.listdir(directory)):
        path = os.path.join(directory, name)
        with open(path, encoding="utf-8") as f:
            pages[name] = f.read()
        rendered[name], said = render(path, groff)
        if mandoc:
            said += subprocess.run([mandoc, "-Tlint", "-Wwarning", path], stdout=subprocess.PIPE, check=False).stdout.decode().splitlines()
        faults += said
    return faults + list(check(pages, rendered, docs))


if __name__ == "__main__":
    found = main(*sys.argv[1:])
    print("\n".join(found))
    sys.exit(1 if found else 0)
