# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is installed says what the running service has: the introspection XML and the pages of the manual. (That the sources
of both agree is tests/lint/check_agreement.py.)"""

import gzip
import os
import re
import xml.etree.ElementTree

from lib.harness import expect, expect_equal, expect_in, test
from lib.service import Gated, as_user, system
from lib.rawbus import Connection, Reader, Writer

XML = "/usr/share/dbus-1/interfaces/org.penstock1.xml"
MANUAL = "/usr/share/man"
PATH = "/org/penstock1"
ANNOTATION = "org.freedesktop.DBus.Property.EmitsChangedSignal"


def introspect(path):
    reply = Connection().call("Introspect", path=path, interface="org.freedesktop.DBus.Introspectable")
    return Reader(reply.body).string() if reply.error is None else f"<error>{reply.error}</error>"


def annotation(member, interface):
    """How a property tells of its changes; on the interface's own word where it has none, and true by default."""
    for owner in (member, interface):
        for a in owner.findall("annotation"):
            if a.get("name") == ANNOTATION:
                return a.get("value")
    return "true"


def described(text):
    """Each member of Penstock's interfaces with all that an introspection says of it."""
    found = {}
    for interface in xml.etree.ElementTree.fromstring(text).iter("interface"):
        name = interface.get("name")
        if not name.startswith("org.penstock1"):
            continue
        for m in interface:
            if m.tag == "property":
                found[name, m.tag, m.get("name")] = (m.get("type"), m.get("access"), annotation(m, interface))
            elif m.tag in ("method", "signal"):
                default = "in" if m.tag == "method" else "out"
                found[name, m.tag, m.get("name")] = [
                    (a.get("name"), a.get("type"), a.get("direction") or default if m.tag == "method" else "out")
                    for a in m.iter("arg")
                ]
    return found


def installed():
    with open(XML, encoding="utf-8") as f:
        return described(f.read())


@test("the service and a live query's object have each member, type, argument's name and annotation of the installed XML, no more",
      slow=True)
def members():
    wanted = installed()
    q = Gated()
    on_controller = described(as_user("carol", lambda: introspect(PATH)))
    on_query = described(as_user("carol", lambda: introspect(f"{PATH}/query/_{q.id}")))
    q.go()
    q.wait().expect(0)
    for interface, seen in (("org.penstock1.Controller", on_controller), ("org.penstock1.Query", on_query)):
        expected = {k: v for k, v in wanted.items() if k[0] == interface}
        expect(expected, f"{XML} has {interface}")
        for key in sorted(set(expected) | set(seen)):
            expect_equal(seen.get(key), expected.get(key), f"{key}")


def values_of(path, interface):
    """Names and types of all properties, as GetAll gives them."""
    reply = Connection().call("GetAll", "s", Writer().string(interface).data, path=path,
                              interface="org.freedesktop.DBus.Properties")
    return reply.error, bytes(reply.body)


@test("every property of the installed XML can be read by any user, in one call and by itself", slow=True)
def readable():
    q = Gated()
    try:
        for path, interface in ((PATH, "org.penstock1.Controller"), (f"{PATH}/query/_{q.id}", "org.penstock1.Query")):
            error, body = as_user("carol", lambda p=path, i=interface: values_of(p, i))
            expect_equal(error, None, f"GetAll of {interface}")
            for (name, kind, member), what in installed().items():
                if name == interface and kind == "property":
                    expect_in(member.encode() + b"\0", body, f"GetAll of {interface}")
                    line = system("busctl", "get-property", "org.penstock1", path, interface, member).text
                    expect_equal(line.split(" ", 1)[0].strip(), what[0], f"the type of {member}")
    finally:
        q.go()
        q.wait().expect(0)


def manual_page(name):
    """A page as it is installed, compressed or not, without roff's empty characters."""
    path = f"{MANUAL}/man{name[-1]}/{name}"
    is_packed = os.path.exists(f"{path}.gz")
    expect(is_packed or os.path.exists(path), f"{path} is installed")
    with gzip.open(f"{path}.gz", "rt", encoding="utf-8") if is_packed else open(path, encoding="utf-8") as f:
        return f.read().replace("\\&", "")


@test("the manual is installed: a page for each program, file and interface, each a whole page that names what it is about")
def manual():
    for name, word in (
        ("penstockctl.1", "SYNOPSIS"),
        ("penstock-sim.1", "--record"),
        ("penstock.7", "MemoryBudgetExhausted"),
        ("penstock-worker.8", "penstock-worker.socket"),
        ("penstockd.8", "--check-config"),
        ("penstock-exporter.8", "Prometheus"),
        ("penstock.conf.5", "MemoryBytesQuotaPerQuery"),
        ("penstock-languages.5", "QueryFrom="),
        ("org.penstock1.5", "UsedMemoryBytes"),
        ("libpenstock.3", "penstock_query_submit"),
    ):
        text = manual_page(name)
        expect(re.search(rf'^\.TH "{re.escape(name[:-2])}" "{name[-1]}"', text, flags=re.M), f"{name} has its title: {text[:300]}")
        for section in ("NAME", "DESCRIPTION", "SEE ALSO"):
            expect(re.search(rf"^\.SH {section}$", text, flags=re.M), f"{name} has {section}")
        expect_in(word, text, name)
        for other, section in re.findall(r"\\fB([a-z0-9.\\-]+)\\fR\(([1-8])\)", text.partition(".SH SEE ALSO")[2]):
            other = other.replace("\\-", "-")
            if "penstock" in other:
                manual_page(f"{other}.{section}")


@test("each key that the installed penstock.conf shows is one that the service has, by its name on the bus")
def shipped_configuration():
    with open("/usr/lib/penstock/penstock.conf", encoding="utf-8") as f:
        text = f.read().partition("#[Dependency")[0]
    keys = re.findall(r"^#([A-Z][A-Za-z]+)=", text, flags=re.M)
    properties = {m for i, kind, m in installed() if i == "org.penstock1.Controller" and kind == "property"}
    expect(len(keys) > 20, f"keys of the shipped file: {keys}")
    for key in keys:
        name = re.sub("Sec$", "USec", key)
        expect(name in properties, f"{key} is the property {name}")
