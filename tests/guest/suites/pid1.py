# SPDX-License-Identifier: LGPL-2.1-or-later
"""PID 1 is spared: no call that is not needed, and few at a time while it is slow."""

import contextlib
import os
import re

from lib.harness import expect, expect_equal, note, test, wait_for
from lib.service import Gated, Running, configured, ctl, daemon_pid, run, submit, system

GENERATOR = "/run/systemd/system-generators/penstock-test-slow"
A_QUERY = ["StartTransientUnit", "UnrefUnit"]


# Of penstock.slice, which follows the budget when the configuration has changed; by a path of their own, or these.
OF_SLICE = {"StartUnit", "SetUnitProperties"}
MANAGER = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")


class Calls:
    """What penstockd asks of PID 1 for queries, as long as this is entered."""

    def __enter__(self):
        rule = "type='method_call',destination='org.freedesktop.systemd1'"
        self.monitor = Running(["dbus-monitor", "--system", "--profile", rule], user="root", cwd="/")
        self.pids = {}
        wait_for(self._hears, "the monitor hears of calls")
        return self

    def __exit__(self, *_exception):
        self.monitor.end()

    def _hears(self):
        system("busctl", "call", *MANAGER, "GetUnitByPID", "u", "1", check=False)  # penstockd never does
        return b"\tGetUnitByPID" in self.monitor.out()

    def _pid(self, sender):
        if sender not in self.pids:
            done = system("busctl", "call", "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                          "GetConnectionUnixProcessID", "s", sender, check=False)  # fmt: skip
            self.pids[sender] = int(done.text.split()[1]) if done.status == 0 else 0  # it has gone
        return self.pids[sender]

    def made(self):
        """Its calls so far, oldest first."""
        lines = [line.split("\t") for line in self.monitor.out().decode(errors="replace").splitlines()]
        return [
            line[7] for line in lines
            if len(line) > 7 and line[0] == "mc" and self._pid(line[3]) == daemon_pid()
            and line[7] not in OF_SLICE and not line[5].endswith("penstock_2eslice")
        ]  # fmt: skip

    def wait_for(self, count, what):
        wait_for(lambda: len(self.made()) >= count, what)
        return self.made()


def starts_allowed():
    return int(re.search(r"^penstock_unit_starts_allowed\S* (\d+)$", ctl("metrics").expect(0).text, re.M)[1])


@test("a query costs PID 1 two calls, the start of its unit and the word that it may be forgotten, and none at its end", slow=True)
def two_calls():
    with configured(WarmUnits=0), Calls() as calls:
        for i in range(3):
            expect_equal(run("--", "echo", str(i)).expect(0).text, f"{i}\n", "the output")
        q = Gated()
        expect_equal(sorted(calls.wait_for(8, "four starts, and four units that nobody holds on to")), sorted(4 * A_QUERY), "all")
        q.go()
        q.wait().expect(0)
        run("--", "true").expect(0)
        expect_equal(sorted(calls.wait_for(10, "a fifth")), sorted(5 * A_QUERY), "the calls, though a query ended before")


@test("after a reload of PID 1 one call says how all units are", slow=True)
def one_call_for_all():
    with configured(WarmUnits=0):
        queries = [Gated() for _ in range(3)]
        with Calls() as calls:
            system("systemctl", "daemon-reload")
            calls.wait_for(1, "it asks")
            run("--", "true").expect(0)
            expect_equal(calls.wait_for(3, "another query"), ["ListUnitsByPatterns", *A_QUERY], "the calls")
        for q in queries:
            q.go()
            q.wait().expect(0)


@contextlib.contextmanager
def slow_reloads(seconds):
    """PID 1 waits for generators, and answers nobody meanwhile."""
    os.makedirs(os.path.dirname(GENERATOR), exist_ok=True)
    with open(GENERATOR, "w", encoding="ascii") as f:
        f.write(f"#!/bin/sh\nexec sleep {seconds}\n")
    os.chmod(GENERATOR, 0o755)
    try:
        yield
    finally:
        os.unlink(GENERATOR)


@test("while PID 1 is slow to answer it is asked for fewer units at a time, and yet all queries run", slow=True)
def paced():
    keys = {"ConcurrencyQuota": 10, "InitialMemoryBytesQuotaPerQuery": "16M", "WarmUnits": 0}
    with configured(**keys):
        before = starts_allowed()
        with slow_reloads(4):
            reloads = Running(["sh", "-c", "for i in 1 2 3; do systemctl daemon-reload; done"], user="root", cwd="/")
            ids = []
            while reloads.is_running():
                if len(ids) < 16:
                    ids.append(submit("--", "true"))
            after = starts_allowed()
        note(f"{len(ids)} queries while PID 1 stood still three times for 4 s: {before} starts at a time before, {after} after")
        expect(1 <= after < 8, f"starts at a time after answers that took seconds: {after}, before: {before}")
        for i in ids:
            ctl("wait", str(i)).expect(0)
            ctl("done", str(i)).expect(0)
