# SPDX-License-Identifier: LGPL-2.1-or-later
"""The D-Bus face, as other tools see it."""

import os
import xml.etree.ElementTree

from lib import cgroups
from lib.harness import expect, expect_equal, expect_in, test, wait_for
from lib.service import Gated, Running, as_user, bus_property, ctl, ctl_json, status, submit, system, wait_for_state
from lib.rawbus import Connection, Reader

INTERFACES = "/usr/share/dbus-1/interfaces"
NAME, PATH = "org.penstock1", "/org/penstock1"


def introspect(path):
    c = Connection()
    reply = c.call("Introspect", path=path, interface="org.freedesktop.DBus.Introspectable")
    return Reader(reply.body).string() if reply.error is None else f"<error>{reply.error}</error>"


def members(node):
    """Each member of Penstock's interfaces with its signature."""
    found = {}
    for interface in node.iter("interface"):
        if not interface.get("name").startswith("org.penstock1."):
            continue
        for member in interface:
            if member.tag in ("method", "signal", "property"):
                arguments = [(a.get("name"), a.get("type"), a.get("direction") if member.tag == "method" else "out")
                             for a in member.iter("arg")]
                key = (interface.get("name"), member.tag, member.get("name"))
                found[key] = member.get("type") or [(n, t, d or "out") for n, t, d in arguments]
    return found


@test("busctl introspect shows every method, signal and property of the installed interface description, with names", slow=True)
def introspection():
    installed = [f for f in os.listdir(INTERFACES) if "penstock" in f]
    expect(installed, f"the interface is installed in {INTERFACES}")
    wanted = members(xml.etree.ElementTree.parse(f"{INTERFACES}/{installed[0]}").getroot())
    q = Gated()
    seen = members(xml.etree.ElementTree.fromstring(as_user("alice", lambda: introspect(PATH))))
    seen |= members(xml.etree.ElementTree.fromstring(as_user("alice", lambda: introspect(f"{PATH}/query/_{q.id}"))))
    for key in set(wanted) | set(seen):
        expect_equal(seen.get(key), wanted.get(key), f"{key}")
    text = system("busctl", "introspect", NAME, PATH).text
    for word in ("Query", "Queries", "Shutdown", "UsedMemoryBytes", "MaxMemoryBytes", "QueryNew"):
        expect_in(word, text, "busctl introspect")
    tree = system("busctl", "tree", NAME).text
    expect_in(f"/query/_{q.id}", tree, "busctl tree")
    q.go()
    q.wait().expect(0)


@test("properties of a query tell what the kernel's files say", slow=True)
def properties():
    q = Gated("b=bytearray(200<<20); print('got', flush=True); sys.stdin.readline()")
    q.go()
    q.wait_for_output(b"got\n")
    seen = ctl_json("show", str(q.id))
    expect_equal(seen["state"], "executing", "the state")
    expect_equal(seen["unit"], f"penstock-q{q.id}.service", "the unit")
    expect_equal(f"{cgroups.ROOT}{seen['control_group']}", cgroups.unit_group(q.id), "the group")
    expect_equal(seen["memory_quota_bytes"], cgroups.limit(q.group), "the quota")
    expect(abs(seen["memory_current_bytes"] - int(cgroups.read(f"{q.group}/memory.current"))) < 16 << 20, "the usage")
    need = ctl_json("stats", str(q.id))["memory_need_bytes"]
    expect(190 << 20 <= need <= seen["memory_quota_bytes"], f"what it can't give back: {need}")
    expect_equal(seen["user_id"], 1001 if seen["user_id"] == 1001 else os.stat("/home/alice").st_uid, "the user")
    used, unused = int(bus_property("UsedMemoryBytes")), int(bus_property("UnusedMemoryBytes"))
    expect_equal(used + unused, int(bus_property("MaxMemoryBytes")), "used and unused memory together")
    expect_equal(used, 3 * (64 << 20) + seen["memory_quota_bytes"], "used memory")
    q.go()
    q.wait().expect(0)


def as_any_user(*argv):
    return Running(list(argv), user="carol").wait().expect(0).text


@test("systemctl and systemd-cgtop show a running query as a unit like any other, to any user", slow=True)
def units():
    q = Gated("b=bytearray(100<<20); print('got', flush=True); sys.stdin.readline()")
    q.go()
    q.wait_for_output(b"got\n")
    unit = f"penstock-q{q.id}.service"
    text = as_any_user("systemctl", "status", "--no-pager", unit)
    for word in ("Active: active (running)", "/penstock.slice/" + unit, "engine", "worker", "Memory:"):
        expect_in(word, text, "systemctl status")
    text = as_any_user("systemd-cgtop", "--batch", "--iterations=1", "--depth=3", "--raw")
    row = [line for line in text.splitlines() if line.split()[0].endswith(f"{unit}")]
    expect(row, f"systemd-cgtop has a row for {unit}: {text}")
    shown = int(row[0].split()[3])
    expect(shown > 100 << 20, f"its memory: {row[0]}")
    q.go()
    q.wait().expect(0)


@test("penstockctl top --batch shows what a query has, uses and needs, and its CPU, to any user", slow=True)
def top():
    q = Gated("b=bytearray(200<<20); print('got', flush=True); sys.stdin.readline()")
    q.go()
    q.wait_for_output(b"got\n")
    text = as_any_user("penstockctl", "top", "--batch", "--iterations=2", "--delay=0.5")
    rows = [line.split() for line in text.splitlines() if line.split()[:1] == [str(q.id)]]
    expect_equal(len(rows), 2, f"a row in each update: {text}")
    state, _, quota, used, need = rows[-1][4:9]
    expect_equal(state, "executing", "its state")
    quota, used, need = (int(size.removesuffix("M")) for size in (quota, used, need))
    expect(190 <= need <= used + 16 and used <= quota == cgroups.limit(q.group) >> 20, f"its memory: {rows[-1]}")
    expect(float(rows[-1][13]) < 100, f"it waits, and needs no processor: {rows[-1]}")
    q.go()
    q.wait().expect(0)


@test("QueryNew, PropertiesChanged and QueryRemoved are sent as a query lives", slow=True)
def signals():
    monitor = Running(["dbus-monitor", "--system", "--profile", "sender='org.penstock1'"], user="root", cwd="/")
    wait_for(lambda: b"NameAcquired" in monitor.out() or monitor.out().count(b"\n") >= 3, "the monitor listens")
    query_id = submit("--", "true")
    wait_for_state(query_id, "finished")
    ctl("done", str(query_id)).expect(0)
    path = f"/query/_{query_id}".encode()
    wait_for(lambda: b"QueryRemoved" in monitor.out(), f"the signals come: {monitor.out()[-2000:]!r}")
    lines = [line.split(b"\t") for line in monitor.out().splitlines()]
    sent = [line[-1] for line in lines if line[0] == b"sig"]
    expect(sent.index(b"QueryNew") < sent.index(b"QueryRemoved"), f"in their order: {sent}")
    expect(any(path in b"\t".join(line) and line[-1] == b"PropertiesChanged" for line in lines), f"the state's change: {lines}")


@test("counts per state are right", slow=True)
def counts():
    q = Gated()
    seen = status()
    expect_equal(seen["executing"], 1, "executing")
    expect_equal(seen["queueing"], 0, "queueing")
    expect(seen["max_memory_bytes"] == int(bus_property("MaxMemoryBytes")), "the budget")
    q.go()
    q.wait().expect(0)
