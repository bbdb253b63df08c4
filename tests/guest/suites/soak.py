# SPDX-License-Identifier: LGPL-2.1-or-later
"""Thousands of queries through one penstockd, in numbers that no other suite has: of all kinds one after another, waiting at once,
executing at once. tests/guest/soak.c is the client. Runs only when it is asked for, with --long (tools/test --long does).

PENSTOCK_SOAK=N has N queries of mixed kinds instead of 10,000, for a first look."""

import glob
import os
import re
import subprocess

from lib import cgroups
from lib.cgroups import MIB
from lib.harness import expect, expect_equal, note, test, wait_for
from lib.hogs import program
from lib.leftovers import counts_at_rest, expect_counts
from lib.service import Running, configured, daemon_pid, list_queries, status, system

COUNT = int(os.environ.get("PENSTOCK_SOAK", "10000"))
PARTS = 10
AT_ONCE = 16  # known at once, of which EXECUTING execute
EXECUTING = 8
PATIENCE = 30  # seconds for each query, where one takes a second or two
TOMBSTONES = 1024  # of the engine's: what it knows of those that have ended

# What penstockd may grow by between two looks: for each query more that it knows, as many as it has tombstones; and what the
# allocator's arenas move by themselves.
KIB_OF_A_QUERY = 6
KIB_OF_CHANCE = 256
FILES_OF_A_QUERY = 3  # its state, its request and its profile, in /run/penstock (src/host/records.h)
# Groups that are gone stay known to the kernel as long as a page of its cache is charged to them, which nobody takes back on
# a host that has enough. When it is dropped, those stay whose pages a process maps: who read such a file first is chance.
# All else that stays would be a leak.
DYING_OF_CHANCE = 30
DROP_CACHES = "/proc/sys/vm/drop_caches"


def kib(pid, name):
    return int(re.search(rf"^{name}:\s+(\d+) kB", cgroups.read(f"/proc/{pid}/smaps_rollup"), re.M)[1])


def kernel_threads(name):
    return sum(cgroups.read(path) == f"{name}\n" for path in glob.glob("/proc/[0-9]*/comm"))


def dying():
    return cgroups.table(cgroups.SLICE, "cgroup.stat")["nr_dying_descendants"]


def drop_caches():
    os.sync()  # what has not been written is not dropped
    with open(DROP_CACHES, "w") as f:
        f.write("3\n")


def files_below(path):
    return sum(len(files) for _path, _directories, files in os.walk(path))


class Look:
    """All that queries use and cost, after a number of them."""

    def __init__(self, n):
        self.n = n
        pid = daemon_pid()
        self.pss_kib = kib(pid, "Pss")
        self.rss_kib = kib(pid, "Rss")
        self.records = files_below("/run/penstock")
        self.threads = kernel_threads("psimon")
        self.dying = dying()
        bus = system("pgrep", "-o", "dbus-daemon").text.strip()
        self.others = {name: kib(p, "Pss") for name, p in (("PID 1", 1), ("dbus-daemon", bus))}

    def __str__(self):
        others = ", ".join(f"{name} {value} KiB" for name, value in self.others.items())
        return (
            f"{self.n} queries: penstockd Pss {self.pss_kib} KiB, Rss {self.rss_kib} KiB; {self.records} files in /run/penstock; "
            f"{self.threads} psimon threads; {self.dying} dying groups; {others} (Pss)"
        )


def judge(first, last):
    more = min(last.n, TOMBSTONES) - min(first.n, TOMBSTONES)
    what = f"from {first.n} to {last.n} queries"
    expect(last.pss_kib - first.pss_kib <= KIB_OF_CHANCE + KIB_OF_A_QUERY * more, f"penstockd's memory, {what}: {first}; {last}")
    expect(last.records - first.records <= FILES_OF_A_QUERY * more, f"records, {what}: {first}; {last}")
    expect(last.threads <= first.threads, f"kernel threads, {what}: {first}; {last}")


def soak(*words, patience):
    client = Running([program("soak"), *map(str, words)])
    done = client.wait(patience)
    expect(done.status == 0 and re.search(rf"^ended {words[1]} wrong 0$", done.text, re.M), f"all ended as they should: {done}")


@test("ten thousand queries of all kinds and ends through one penstockd leave nothing, and its memory does not follow their number",
      long_only=True, limit=COUNT * PATIENCE)
def mixed():
    part = max(COUNT // PARTS, 1)

    def some(n):  # with spare units, which are gone again when it is looked at what is left
        with configured(
            ConcurrencyQuota=EXECUTING, InitialMemoryBytesQuotaPerQuery="16M", MemoryBytesQuotaPerQuery="256M", WarmUnitsIdleSec="1min"
        ):
            soak("mixed", n, AT_ONCE, patience=n * PATIENCE)

    some(2 * AT_ONCE)  # what is made once is made
    pid, before = daemon_pid(), counts_at_rest()
    note(f"at rest: {before}")
    looks = [Look(0)]
    note(looks[-1])
    for _ in range(COUNT // part):
        some(part)
        expect_counts(before, f"the counts after {looks[-1].n + part} queries")
        looks.append(Look(looks[-1].n + part))
        note(looks[-1])
    expect_equal(daemon_pid(), pid, "penstockd")
    for look in looks[:-1]:
        judge(look, looks[-1])
    drop_caches()
    wait_for(lambda: dying() <= DYING_OF_CHANCE, f"of {looks[-1].dying} dying groups {DYING_OF_CHANCE} at most are left without caches")
    note(f"dying groups without caches: {dying()}")


def held(n, let_finish, what, seen):
    """N of one client at once: SEEN waits until they are there, then all end."""
    client = Running([program("soak"), "hold", str(n), str(let_finish)], stdin=subprocess.PIPE)
    wait_for(lambda: b"\n" in client.out() or not client.is_running(), f"{n} are submitted", 60 + n * 2)
    expect_equal(client.out(), b"submitted %d\n" % n, f"what the client says ({client.err()[-600:]})")
    expect_equal(len(list_queries()), n, "queries known at once")
    seen()
    note(f"{what}: {Look(n)}")
    client.say()
    done = client.wait(120 + n * PATIENCE)
    expect(done.status == 0 and f"ended {n} wrong 0\n" in done.text, f"all ended as they should: {done}")


@test("a thousand queries of one client wait at once, over one connection; canceled and finished, they leave nothing", long_only=True)
def waiting():
    n = 1000
    with configured(ConcurrencyQuota=4, QueueSize=n, MaxQueriesPerUser=n, QueueTimeoutSec=0):
        soak("mixed", AT_ONCE, AT_ONCE, patience=AT_ONCE * PATIENCE)
        pid, before = daemon_pid(), counts_at_rest()

        def seen():
            wait_for(lambda: status()["executing"] == 4, "4 execute")
            expect_equal(status()["queueing"], n - 4, "the others wait")

        held(n, 40, f"{n - 4} wait", seen)
        expect_counts(before, "the counts", 600)
    expect_equal(daemon_pid(), pid, "penstockd")


@test("two hundred queries execute at once, each with a limit of its own, inside the budget; then they leave nothing", long_only=True)
def executing():
    n, initial = 200, 8 * MIB
    with configured(
        ConcurrencyQuota=n, InitialMemoryBytesQuotaPerQuery=initial, MemoryBytesQuotaPerQuery="64M", MaxMemoryBytes=(n + 8) * initial,
        AllowOvercommit="yes", MaxQueriesPerUser=n, QueueTimeoutSec=0,
    ):
        soak("mixed", AT_ONCE, AT_ONCE, patience=AT_ONCE * PATIENCE)
        pid, before = daemon_pid(), counts_at_rest()

        def seen():
            wait_for(lambda: status()["executing"] == n, f"{n} execute")
            wait_for(lambda: len(cgroups.scan()) == n, f"{n} groups have a process", n * PATIENCE)
            limits = cgroups.scan()
            expect_equal(len(limits), n, "groups that are populated")
            expect(sum(limits.values()) <= (n + 8) * initial, f"limits in force: {sum(limits.values())} of {(n + 8) * initial}")
            expect(all(value == initial for value in limits.values()), f"each has its initial quota: {sorted(set(limits.values()))}")

        held(n, n // 2, f"{n} execute", seen)
        expect_counts(before, "the counts", 600)
    expect_equal(daemon_pid(), pid, "penstockd")
