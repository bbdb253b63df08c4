#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The running vtables and src/bus/org.penstock1.xml describe the same interfaces: every name, type, argument name,
access and EmitsChangedSignal, in both directions. Usage: test-bus-introspect.py PROGRAM XML"""
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

EMITS_CHANGED = "org.freedesktop.DBus.Property.EmitsChangedSignal"
INTERFACES = ["org.penstock1.Controller", "org.penstock1.Query"]


def arguments(element):
    default = "out" if element.tag == "signal" else "in"
    return [(a.get("direction", default), a.get("name"), a.get("type")) for a in element.findall("arg")]


def describe(interface):
    """One line an item, so that a difference reads well. Annotations other than EmitsChangedSignal are hints to tools."""
    lines = set()
    for element in interface:
        name = element.get("name")
        if element.tag in ("method", "signal"):
            lines.add(f"{element.tag} {name} {arguments(element)}")
        elif element.tag == "property":
            emits = "true"
            for annotation in element.findall("annotation"):
                if annotation.get("name") == EMITS_CHANGED:
                    emits = annotation.get("value")
            lines.add(f"property {name} {element.get('type')} {element.get('access')} emits-changed={emits}")
    return lines


def interfaces(root):
    return {i.get("name"): i for i in root.findall("interface") if i.get("name") in INTERFACES}


def main():
    program, xml = sys.argv[1:]
    output = subprocess.run([program], check=True, capture_output=True, timeout=60).stdout.decode()
    *documents, keys = output.split("\0")
    running = {}
    for document in documents:
        running.update(interfaces(ElementTree.fromstring(document)))
    written = interfaces(ElementTree.parse(xml).getroot())
    failures = []
    for name in INTERFACES:
        if name not in running or name not in written:
            failures.append(f"{name} is missing from {'the vtables' if name not in running else xml}")
            continue
        there, here = describe(running[name]), describe(written[name])
        failures += [f"{name}: only in the vtable: {line}" for line in sorted(there - here)]
        failures += [f"{name}: only in the XML: {line}" for line in sorted(here - there)]
        print(f"{name}: {len(here)} items in the XML, {len(there)} in the vtable")

    properties = {f"{p.get('name')} {p.get('type')}" for p in written["org.penstock1.Query"].findall("property")}
    for line in sorted(properties.symmetric_difference(keys.splitlines())):
        failures.append(f"a query's dictionary and its properties differ: {line}")
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


sys.exit(main())
