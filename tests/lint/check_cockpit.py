#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The page for Cockpit: all of it is installed and can be parsed, it asks only for what the interface has, and text of
others can't become HTML.

Usage: check_cockpit.py SOURCE_ROOT [NODE]
"""
import json
import os
import re
import subprocess
import sys

PAGE = "src/cockpit"
NOT_INSTALLED = {"meson.build", "package.json"}  # the latter tells node what Cockpit's browsers see by <script type="module">

# Ways from text to HTML or to code.
PARSERS = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "createContextualFragment",
           "eval(", "new Function", "srcdoc", "setHTMLUnsafe")
# What Cockpit's content policy refuses, so that it would silently not be there.
INLINE = re.compile(r"<script>|<style|\sstyle=|\son[a-z]+=|javascript:|https?://")
CALL = re.compile(r'#call\("(\w+)"')
BUS_CALLS = {"GetAll"}


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as f:
        return f.read()


def check_installed(names, listed):
    for name in sorted(names - listed - NOT_INSTALLED):
        yield f"{PAGE}/{name}: is not installed by {PAGE}/meson.build"
    for name in sorted(listed - names):
        yield f"{PAGE}/meson.build: there is no {name}"


def check_text(name, text):
    for line, words in enumerate(text.split("\n"), 1):
        for parser in PARSERS if name.endswith(".js") else ():
            if parser in words:
                yield f"{PAGE}/{name}:{line}: {parser}: text of others could become HTML"
        if name.endswith(".html") and INLINE.search(words):
            yield f"{PAGE}/{name}:{line}: inline, or from elsewhere: Cockpit's content policy refuses it"


def check_references(names, texts):
    for name, text in texts.items():
        wanted = re.findall(r'from "\./([^"]+)"', text) + re.findall(r'(?:src|href)="([^".][^"]*)"', text)
        for other in wanted:
            if other not in names:
                yield f"{PAGE}/{name}: there is no {other}"


def check_calls(service, interface):
    methods = set(re.findall(r'<method name="(\w+)"', interface)) | BUS_CALLS
    calls = set(CALL.findall(service))
    if len(calls) < 4:
        yield f"{PAGE}/service.js: hardly any call was found; is this check out of date?"
    for call in sorted(calls - methods):
        yield f"{PAGE}/service.js: the interface has no method {call}"


def check_ids(html, texts):
    """An element that is asked for by name is in the page."""
    known = re.findall(r'\bid="([^"]+)"', html)
    for name in sorted({i for i in known if known.count(i) > 1}):
        yield f"{PAGE}/index.html: two elements have the id {name}"
    for file, text in texts.items():
        for name in re.findall(r'byId\("([^"]+)"\)', text):
            if name not in known:
                yield f"{PAGE}/{file}: index.html has no element {name}"


def check_parsed(root, names, node):
    for name in sorted(names):
        path = os.path.join(root, PAGE, name)
        if name.endswith(".js") and node:
            r = subprocess.run([node, "--check", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            if r.returncode != 0:
                yield f"{PAGE}/{name}: {r.stdout.decode().strip()}"
        elif name.endswith(".json"):
            try:
                json.loads(read(root, f"{PAGE}/{name}"))
            except ValueError as error:
                yield f"{PAGE}/{name}: {error}"


def check(root, node=""):
    names = set(os.listdir(os.path.join(root, PAGE)))
    listed = set(re.findall(r"'([\w.-]+\.(?:js|css|html|json))'", read(root, f"{PAGE}/meson.build")))
    texts = {name: read(root, f"{PAGE}/{name}") for name in sorted(names) if name.endswith((".js", ".html"))}
    yield from check_installed(names, listed)
    for name, text in texts.items():
        yield from check_text(name, text)
    yield from check_references(names, texts)
    yield from check_calls(texts["service.js"], read(root, "src/bus/org.penstock1.xml"))
    yield from check_ids(texts["index.html"], texts)
    yield from check_parsed(root, names, node)


if __name__ == "__main__":
    faults = list(check(*sys.argv[1:3]))
    print("\n".join(faults))
    sys.exit(1 if faults else 0)
