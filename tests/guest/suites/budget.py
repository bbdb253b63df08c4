# SPDX-License-Identifier: LGPL-2.1-or-later
"""The budget: what all queries may hold together, seen from outside, while they storm it and when nobody controls them."""

import contextlib
import os

from lib import cgroups, harness
from lib.cgroups import MIB
from lib.grower import STARTED, Growers, Observer, read_words, slice_events, storm
from lib.harness import expect, expect_equal, note, test, wait_for
from lib.service import DAEMON, configured, daemon_pid, system

NO_RESTART = f"/run/systemd/system/{DAEMON}.d/90-test.conf"


@test("a storm of growing queries never holds more than the budget, by an observer, by the record, and by the slice", slow=True)
def storm_of_many():
    n = harness.repeats(24, 40)
    storm(n, 11 * n * MIB)


@contextlib.contextmanager
def nobody_starts_it_again():
    os.makedirs(os.path.dirname(NO_RESTART), exist_ok=True)
    with open(NO_RESTART, "w", encoding="ascii") as f:
        # Also its socket and the bus would start it.
        f.write("[Unit]\nConditionPathExists=/nowhere\n[Service]\nRestart=no\n")
    system("systemctl", "daemon-reload")
    try:
        yield
    finally:
        os.unlink(NO_RESTART)
        system("systemctl", "daemon-reload")
        system("systemctl", "reset-failed", DAEMON, "penstock-worker.socket", check=False)
        system("systemctl", "start", DAEMON)


@test("with penstockd killed and none after it queries go on by themselves, each held at its last limit, and the slice at its own",
      slow=True)
def nobody_controls():
    budget = 320 * MIB
    with configured(MaxMemoryBytes=budget, InitialMemoryBytesQuotaPerQuery="32M", MemoryBytesQuotaPerQuery="256M"), \
            Growers(2) as growers, nobody_starts_it_again():
        queries = [growers.start(10, size) for size in (200, 200, 20)]
        for q in queries:
            read_words(q, STARTED)
        growers.open(0)
        for q in queries:
            read_words(q, b"10\n" + STARTED)
        limits = {q.group: cgroups.limit(q.group) for q in queries}
        events, bound = slice_events(), cgroups.limit(cgroups.SLICE)
        os.kill(daemon_pid(), 9)
        wait_for(lambda: daemon_pid() == 0, "penstockd is dead")
        wait_for(lambda: [cgroups.read(f"{q.group}/cgroup.freeze") for q in queries] == ["1\n"] * 3, "all are held for the next one")
        observer = Observer(budget)
        growers.open(1)
        read_words(queries[2], b"20\n")  # after a minute, from when on they go on as far as there is room
        peaks = dict.fromkeys(limits, 0)

        def held():
            """Each that wants more was stopped in its headroom or at its limit; noted meanwhile: what each had."""
            for group, limit in limits.items():
                now = cgroups.limit(group, "memory.current") or 0
                peaks[group] = max(peaks[group], now)
                expect(cgroups.limit(group) in (limit, None), f"memory.max of {group}: {cgroups.limit(group)}, it was {limit}")
                expect(now <= limit + 64 * 4096, f"{group} has {now}, its limit is {limit}")
            return all(stopped(q.group) for q in queries[:2])

        wait_for(held, "both that grow are stopped")
        for q in queries[:2]:
            os.set_blocking(q.results, False)
            with contextlib.suppress(BlockingIOError):
                expect_equal(os.read(q.results, 16), b"", f"what query {q.id}, which did not get what it wanted, says")
        note(f"limits {[v // MIB for v in limits.values()]}M, had at most {[v // MIB for v in peaks.values()]}M")
        expect_equal(cgroups.limit(cgroups.SLICE), bound, "memory.max of penstock.slice")
        expect(cgroups.limit(cgroups.SLICE, "memory.current") <= bound, "what the slice has")
        expect_equal(slice_events()["max"], events["max"], "`max` events of penstock.slice itself")
        expect_equal(daemon_pid(), 0, "penstockd is still dead")
        observer.finish()


def stopped(group):
    """It was throttled again and again, or has met its limit."""
    events = cgroups.table(group, "memory.events.local")
    return not events or events["oom_kill"] > 0 or events["max"] > 0 or events["high"] >= 20
