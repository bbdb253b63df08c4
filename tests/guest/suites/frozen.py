# SPDX-License-Identifier: LGPL-2.1-or-later
"""A query that waits for memory is frozen, and yet can be ended at once; nothing stays frozen for ever."""

import contextlib
import glob
import os
import signal
import time

from lib import cgroups
from lib.harness import expect, expect_equal, note, test, wait_for
from lib.service import DAEMON, Gated, configured, ctl, ctl_json, daemon_pid, status, system, unit_property

# Two that want it all: one of them must wait.
SMALL = {
    "MaxMemoryBytes": "256M",
    "MemoryBytesQuotaPerQuery": "256M",
    "InitialMemoryBytesQuotaPerQuery": "32M",
    "ConcurrencyQuota": 2,
    "FreezeTimeoutSec": "10min",
}
# They handle SIGTERM, which a frozen process can't: one that does not dies of it, frozen or not.
GROW = "import signal; signal.signal(signal.SIGTERM, lambda *_: None); b=bytearray(180<<20); print('grown', flush=True); sys.stdin.readline()"


def is_frozen(group):
    return cgroups.table(group, "cgroup.events").get("frozen") == 1


def engine_groups():
    return glob.glob(f"{cgroups.SLICE}/penstock-q*.service/engine")


@contextlib.contextmanager
def one_frozen():
    """Gives (who holds memory, who waits frozen for it). Waits at its end, since a larger budget is in force when the slice
    has been raised, after the reload was answered."""
    before = status()["unused_memory_bytes"]
    with configured(**SMALL):
        holder = Gated(GROW)
        holder.go()
        holder.wait_for_output(b"grown")
        waiter = Gated(GROW)
        waiter.go()
        wait_for(lambda: is_frozen(waiter.group), f"query {waiter.id} is frozen")
        yield holder, waiter
    wait_for(lambda: status()["unused_memory_bytes"] == before, "the budget is as before")


@test("a frozen query is canceled at once, and the one that it waited for goes on", slow=True)
def cancel_frozen():
    with one_frozen() as (holder, waiter):
        wait_for(lambda: ctl_json("show", str(waiter.id), user="root")["frozen"], "it is told to be frozen")
        expect(not ctl_json("show", str(holder.id), user="root")["frozen"], "and the other one not")
        ctl("cancel", str(waiter.id), user="root").expect(0)
        wait_for(lambda: not cgroups.is_populated(waiter.group), "nothing of it is left")
        waiter.run.wait().expect(125, "Canceled")
        holder.go()
        holder.wait().expect(0)
        stats = ctl_json("stats", str(waiter.id), user="root")
        expect(stats["frozen_usec"] > 0, f"its frozen time is told: {stats}")


@test("systemctl stop of a frozen query's unit returns long before the unit's TimeoutStopSec", slow=True)
def stop_frozen():
    with one_frozen() as (holder, waiter):
        unit = f"penstock-q{waiter.id}.service"
        limit = float(unit_property(unit, "TimeoutStopUSec").removesuffix("s"))
        begin = time.monotonic()
        system("systemctl", "stop", unit)
        took = time.monotonic() - begin
        note(f"stopped in {took:.1f} s of {limit:.0f} s")
        expect(took < limit, f"it took {took:.1f} s, and systemd would have killed it after {limit:.0f} s")
        expect(waiter.run.wait().status != 0, "its end is told")
        holder.go()
        holder.wait().expect(0)


@test("penstockd killed while a query is frozen: what is held for the next one goes on when none gets ready", slow=True)
def killed_daemon():
    def frozen():
        return [g for g in engine_groups() if cgroups.read(f"{g}/cgroup.freeze") == "1\n"]

    with one_frozen() as (holder, waiter):
        freeze = f"{waiter.group}/cgroup.freeze"
        expect_equal(cgroups.read(freeze), "1\n", "cgroup.freeze of who waits")
        # The next one takes over who is frozen: hold it off.
        override, go = f"/run/systemd/system/{DAEMON}.d/test-hold.conf", "/run/penstock-test-go"
        os.makedirs(os.path.dirname(override), exist_ok=True)
        with open(override, "w", encoding="ascii") as f:
            f.write(f"[Service]\nExecStartPre=/bin/sh -c 'while [ ! -e {go} ]; do sleep 0.1; done'\n")
        system("systemctl", "daemon-reload")
        try:
            os.kill(daemon_pid(), signal.SIGKILL)
            wait_for(lambda: unit_property(DAEMON, "SubState") == "start-pre", "penstockd is about to start again")
            expect(waiter.group in engine_groups(), "the query's group is there")
            expect_equal(len(frozen()), 2, "groups that are held")
            wait_for(lambda: not frozen(), "nothing is frozen any more")
            expect_equal(unit_property(DAEMON, "SubState"), "start-pre", "who let them go on was not penstockd")
        finally:
            open(go, "w", encoding="ascii").close()
            os.unlink(override)
            system("systemctl", "daemon-reload")
            wait_for(lambda: unit_property(DAEMON, "ActiveState") == "active", "penstockd runs again")
            os.unlink(go)
        for query in (holder, waiter):
            query.go()
            query.wait().expect(0)
